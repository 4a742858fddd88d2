"""Zhang and others (2020): waveforms of the training stations to a volume of probabilities."""

from typing import Any

from jaxloc.heads import volume
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.models.voxels import Cells, cell_edges, mean_log_mass, mean_log_odds, of_volume
from jaxloc.networks import zhang2020
from jaxloc.settings import hands_on


@hands_on(zhang2020.Model)
def model(
    spec: ModelSpec,
    *,
    cells: Cells = (40, 48, 15),
    label_sigma_km: tuple[float, float, float] | None = (1.5, 1.5, 0.5),
    published: bool = False,
    **settings: Any,
) -> Model:
    """A softmax over a volume of `cells` in the region; with `published`, the paper's network and its sigmoids.

    The loss of sigmoids (`jaxloc.heads.volume.published_volume`) is a mean over voxels and no likelihood of the label:
    it is for point estimates, and takes no `label_sigma_km`.

    Args:
        spec: stations, catalogue and region.
        cells: number of voxels along east, north and depth.
        label_sigma_km: width of the Gaussian that labels are smoothed by; None: not smoothed.
        published: the paper's network and loss, for comparison.
        settings: of the network.
    """
    grid = cell_edges(spec, cells)
    if published:
        head, mean = volume.published_volume(*grid), mean_log_odds
    else:
        head, mean = volume.volume(*grid, label_sigma_km=label_sigma_km), mean_log_mass
    shape = (cells[0], cells[1], cells[2])
    settings |= {"num_stations": len(spec.stations), "published": published}
    build = lambda **more: zhang2020.network(shape, **settings, **more)
    return of_volume(build, head, mean)
