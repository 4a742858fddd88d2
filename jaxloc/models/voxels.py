"""What models share whose network gives a volume: a probability for each voxel of the region."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxloc.locators.neural import neural
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.types import Head, Network

Cells = tuple[int, int, int]
"""Number of voxels along east, north and depth."""


def cell_edges(spec: ModelSpec, cells: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """Cell edges along each axis in km, and the catalogue's mean and standard deviation of origin times in s."""
    centre, spread = spread_of(spec)
    spans = (spec.region.east_km, spec.region.north_km, spec.region.depth_km)
    east, north, depth = (np.linspace(*span, number + 1) for span, number in zip(spans, cells, strict=True))
    return east, north, depth, float(centre[3]), float(spread[3])


def of_volume(
    build: Callable[..., Network], head: Head, average: Callable[[Float[Array, "draw output"]], Float[Array, " output"]]
) -> Model:
    """A model of volumes; steps that are compiled one by one use XLA's own convolutions.

    Args:
        build: the network; `by_slices=False` in the form with XLA's convolutions.
        head: volumes to densities.
        average: raw outputs with a leading draw axis to those of the mean density.
    """
    network = build()
    locate = neural(network, head, average)
    return Model(network, head, locate, step_network=build(by_slices=False))


def mean_log_mass(raws: Float[Array, "draw *voxel"]) -> Float[Array, "*voxel"]:
    """Log-weights of the mean over draws of softmaxes."""
    log_mass = jax.nn.log_softmax(raws.reshape(len(raws), -1), -1)
    return (jax.scipy.special.logsumexp(log_mass, axis=0) - jnp.log(len(raws))).reshape(raws.shape[1:])


def mean_log_odds(raws: Float[Array, "draw *voxel"]) -> Float[Array, "*voxel"]:
    """Log-odds of the mean over draws of sigmoids."""
    yes, no = (jax.scipy.special.logsumexp(jax.nn.log_sigmoid(sign * raws), axis=0) for sign in (1, -1))
    return yes - no
