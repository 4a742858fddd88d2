"""Systems whose network gives a volume: a probability for each voxel of the region."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxloc import heads
from jaxloc.blueprint import Blueprint, spread_of
from jaxloc.locators.neural import neural
from jaxloc.networks import zhang2020
from jaxloc.systems.system import System, not_prepared


def fully_convolutional(
    blueprint: Blueprint,
    *,
    cells: tuple[int, int, int] = (40, 48, 10),
    label_sigma_km: tuple[float, float, float] | None = None,
    max_voxels: int = heads.MAX_VOXELS,
    **settings: Any,
) -> System:
    """Zhang and others (2020): waveforms to a volume of `cells` over the blueprint's region."""
    duration_s = blueprint.num_samples / blueprint.rate_hz
    middle, spread = spread_of(blueprint.catalogue, duration_s)
    region = blueprint.region
    east, north, depth = (
        np.linspace(*span, cells[i] + 1) for i, span in enumerate((region.east_km, region.north_km, region.depth_km))
    )
    head = heads.volume(
        east,
        north,
        depth,
        float(middle[3]),
        float(spread[3]),
        label_sigma_km=label_sigma_km,
        max_voxels=max_voxels,
    )
    shape = (cells[0], cells[1], cells[2])
    network = zhang2020.network(shape, num_stations=len(blueprint.stations), **settings)
    in_steps = zhang2020.network(shape, num_stations=len(blueprint.stations), by_slices=False, **settings)

    def average(raws: Array) -> Array:
        log_mass = jax.nn.log_softmax(raws.reshape(len(raws), -1), -1)
        mean = jax.scipy.special.logsumexp(log_mass, axis=0) - jnp.log(len(raws))
        return mean.reshape(raws.shape[1:])

    return System(network, in_steps, lambda *_: head, neural(network, head, average), not_prepared, False)
