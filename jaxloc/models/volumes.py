"""Systems whose network gives a volume: a probability for each voxel of the region."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxloc.heads import volume
from jaxloc.heads.labels import binned, joint, number
from jaxloc.locators.neural import neural
from jaxloc.models.model import System, not_prepared
from jaxloc.models.spec import Blueprint, spread_of
from jaxloc.networks import zhang2020, zhang2021
from jaxloc.types import Head, Network

Cells = tuple[int, int, int]
PUBLISHED_SIGMA_KM = (5.0, 5.0, 5.0)  # of the label that zhang2021 imposes
MAGNITUDES = (0.0, 10.0)  # ends of its bins


def fully_convolutional(
    blueprint: Blueprint,
    *,
    cells: Cells = (40, 48, 10),
    label_sigma_km: tuple[float, float, float] | None = None,
    max_voxels: int = volume.MAX_VOXELS,
    **settings: Any,
) -> System:
    """Zhang and others (2020): waveforms to a volume of `cells` over the blueprint's region."""
    head = volume.volume(*_grid(blueprint, cells), label_sigma_km=label_sigma_km, max_voxels=max_voxels)
    shape = (cells[0], cells[1], cells[2])
    build = lambda **more: zhang2020.network(shape, num_stations=len(blueprint.stations), **settings, **more)
    return _system(build, head, _mean_log_mass)


def early_warning(
    blueprint: Blueprint,
    *,
    cells: Cells = (40, 48, 10),
    label_sigma_km: tuple[float, float, float] | None = None,
    max_voxels: int = volume.MAX_VOXELS,
    magnitude_bins: int = 0,
    published: bool = False,
    **settings: Any,
) -> System:
    """Zhang, Zhang and Tian (2021): waveforms of any length so far to a volume and a magnitude.

    Magnitude is a normal distribution, or a softmax over `magnitude_bins`. With `published`, voxels are independent
    sigmoids with the label's width imposed.
    """
    grid = _grid(blueprint, cells)
    if published:
        place, mean = volume.published_volume(*grid, sigma_km=PUBLISHED_SIGMA_KM), _mean_log_odds
    else:
        place, mean = volume.volume(*grid, label_sigma_km=label_sigma_km, max_voxels=max_voxels), _mean_log_mass
    magnitude = binned(*MAGNITUDES, magnitude_bins) if magnitude_bins else number(2.0, 1.5, 0.05)
    voxels, shape = math.prod(cells), (cells[0], cells[1], cells[2])

    def average(raws: Array) -> Array:
        """The mean volume; magnitudes are averaged as distributions, elsewhere."""
        return jnp.concatenate([mean(raws[:, :voxels]), raws[:, voxels:].mean(0)])

    def build(**more: Any) -> Network:
        own = {"num_stations": len(blueprint.stations), "others": magnitude.size, "published": published}
        return zhang2021.network(shape, **own, **settings, **more)

    return _system(build, joint(place, magnitude), average)


def _grid(blueprint: Blueprint, cells: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """Cell edges along each axis, and the catalogue's mean and spread of origin times."""
    middle, spread = spread_of(blueprint)
    region = blueprint.region
    spans = (region.east_km, region.north_km, region.depth_km)
    east, north, depth = (np.linspace(*span, number + 1) for span, number in zip(spans, cells, strict=True))
    return east, north, depth, float(middle[3]), float(spread[3])


def _system(build: Callable[..., Network], head: Head, average: Callable[[Array], Array]) -> System:
    """Trained step by step, such networks use XLA's own convolutions."""
    network = build()
    return System(network, build(by_slices=False), lambda *_: head, neural(network, head, average), not_prepared, False)


def _mean_log_mass(raws: Array) -> Array:
    """Log-weights of the mean over draws of softmaxes."""
    log_mass = jax.nn.log_softmax(raws.reshape(len(raws), -1), -1)
    return (jax.scipy.special.logsumexp(log_mass, axis=0) - jnp.log(len(raws))).reshape(raws.shape[1:])


def _mean_log_odds(raws: Array) -> Array:
    """Log-odds of the mean over draws of sigmoids."""
    yes, no = (jax.scipy.special.logsumexp(jax.nn.log_sigmoid(sign * raws), axis=0) for sign in (1, -1))
    return yes - no
