"""Zhang and others (2020): waveforms of the training stations to a volume of probabilities."""

from typing import Any

from jaxloc.heads import volume
from jaxloc.models.model import Model
from jaxloc.models.settings import hands_on
from jaxloc.models.spec import ModelSpec
from jaxloc.models.voxels import Cells, cell_edges, mean_log_mass, of_volume
from jaxloc.networks import zhang2020


@hands_on(zhang2020.Model)
def model(
    spec: ModelSpec,
    *,
    cells: Cells = (40, 48, 15),
    label_sigma_km: tuple[float, float, float] | None = (1.5, 1.5, 0.5),
    max_voxels: int = volume.MAX_VOXELS,
    **settings: Any,
) -> Model:
    """A softmax over a volume of `cells` in the region.

    Args:
        spec: stations, catalogue and region.
        cells: number of voxels along east, north and depth.
        label_sigma_km: width of the Gaussian that labels are smoothed by; None: not smoothed.
        max_voxels: largest number of voxels that become components of the mixture.
        settings: of the network.
    """
    head = volume.volume(*cell_edges(spec, cells), label_sigma_km=label_sigma_km, max_voxels=max_voxels)
    shape = (cells[0], cells[1], cells[2])
    build = lambda **more: zhang2020.network(shape, num_stations=len(spec.stations), **settings, **more)
    return of_volume(build, head, mean_log_mass)
