"""Zhang, Zhang and Tian (2021), early warning: waveforms of any length so far to a volume and a magnitude."""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.heads import volume
from jaxloc.heads.labels import binned, joint, number
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.models.voxels import Cells, cell_edges, mean_log_mass, mean_log_odds, of_volume
from jaxloc.networks import zhang2021
from jaxloc.settings import hands_on
from jaxloc.types import Network

PUBLISHED_SIGMA_KM = (5.0, 5.0, 5.0)  # width of the label that the paper imposes
MAGNITUDES = (0.0, 10.0)  # ends of the bins of magnitude


@hands_on(zhang2021.Model)
def model(
    spec: ModelSpec,
    *,
    cells: Cells = (40, 48, 15),
    label_sigma_km: tuple[float, float, float] | None = (1.5, 1.5, 0.5),
    magnitude_bins: int = 0,
    published: bool = False,
    **settings: Any,
) -> Model:
    """A volume as in `jaxloc.models.zhang2020`, and a magnitude.

    Magnitude is a normal distribution, or a softmax over `magnitude_bins`. With `published`, voxels are independent
    sigmoids with the label's width imposed.
    """
    grid = cell_edges(spec, cells)
    if published:
        place, mean = volume.published_volume(*grid, sigma_km=PUBLISHED_SIGMA_KM), mean_log_odds
    else:
        place, mean = volume.volume(*grid, label_sigma_km=label_sigma_km), mean_log_mass
    magnitude = binned(*MAGNITUDES, magnitude_bins) if magnitude_bins else number(2.0, 1.5, 0.05)
    voxels, shape = math.prod(cells), (cells[0], cells[1], cells[2])

    def average(raws: Float[Array, "draw output"]) -> Float[Array, " output"]:
        """The mean volume; magnitudes are averaged as distributions, outside of here."""
        return jnp.concatenate([mean(raws[:, :voxels]), raws[:, voxels:].mean(0)])

    def build(**more: Any) -> Network:
        own = {"num_stations": len(spec.stations), "others": magnitude.size, "published": published}
        return zhang2021.network(shape, **own, **settings, **more)

    return of_volume(build, joint(place, magnitude), average)
