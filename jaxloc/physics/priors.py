"""Prior densities of hypocentres: a region with soft edges, and depth as in a catalogue nearby."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxloc.physics import adaptive_grid
from jaxloc.physics.adaptive_grid import LogDensity

SAME_KM = 1e-3  # hypocentres closer than this are one
CRUSTAL_DEPTH_KM = (10.0, 10.0)  # mean and standard deviation of depth where no earlier event is known
FREE_DEPTH_KM = (10.0, 15.0)  # the same, wider than the crust, where arrivals alone should settle the depth
FLAT_KM = 1e4  # standard deviation of a depth prior that is flat over any region


DepthPrior = Callable[
    [Float[Array, "point 2"], Float[Array, " 3"] | None], tuple[Float[Array, " point"], Float[Array, " point"]]
]
"""Epicentres to the mean and standard deviation of depth there, in km, as known without one given hypocentre."""


Known = tuple[Float[np.ndarray, " 4"], Float[np.ndarray, " 4"]]
"""Mean and standard deviation of each coordinate of hypocentres."""


def unknown_coordinates(duration_s: float) -> Known:
    """What stands for coordinates that no event of a catalogue has, in windows of `duration_s`: nearly flat."""
    origin_s = duration_s / 4
    return np.array([0.0, 0.0, CRUSTAL_DEPTH_KM[0], origin_s]), np.array([100.0, 100.0, CRUSTAL_DEPTH_KM[1], origin_s])


def same_everywhere(mean_km: float, sd_km: float) -> DepthPrior:
    """The same normal distribution of depth at every epicentre."""
    return lambda epicentre_km, _: (jnp.full(len(epicentre_km), mean_km), jnp.full(len(epicentre_km), sd_km))


def as_nearby(
    hypocentres_km: Float[np.ndarray, "event 3"], reach_km: float, mean_km: float, sd_km: float, weight: float = 3.0
) -> DepthPrior:
    """Depths as those of a catalogue's events nearby: mean and spread under a Gaussian kernel of width `reach_km`.

    `weight` events of the given mean and spread count everywhere, so that a place without events has these. What
    is asked for without a hypocentre does not count the events there: none may learn from its own depth, but
    for its part in the given mean and spread.
    """
    known = jnp.asarray(hypocentres_km, jnp.float32)

    def nearby(
        epicentre_km: Float[Array, "point 2"], without_km: Float[Array, " 3"] | None
    ) -> tuple[Float[Array, " point"], Float[Array, " point"]]:
        squared = ((epicentre_km[:, None] - known[:, :2]) ** 2).sum(-1)
        share = jnp.exp(-0.5 * squared / reach_km**2)
        if without_km is not None:
            share = jnp.where((jnp.abs(known - without_km) < SAME_KM).all(-1), 0.0, share)
        total = share.sum(-1) + weight
        mean = (share @ known[:, 2] + weight * mean_km) / total
        apart = (share * (known[:, 2] - mean[:, None]) ** 2).sum(-1) + weight * (sd_km**2 + (mean_km - mean) ** 2)
        return mean, jnp.sqrt(apart / total)

    return nearby


def log_prior_of(
    region: adaptive_grid.Region, depth: DepthPrior, without_km: Float[Array, " 3"] | None = None
) -> LogDensity:
    """Flat over the region but for depth, with soft edges as wide as the spacing of the points.

    Depth is as known without the hypocentre `without_km`, to learn from an event that is itself in the catalogue.
    """
    low, high = (jnp.array(side) for side in zip(*region, strict=True))

    def value(
        points: Float[Array, "point 3"], origin_s: Float[Array, "point time"], spacing_km: Float[Array, ""]
    ) -> Float[Array, "point time"]:
        soft_km = 0.02 + 0.1 * spacing_km
        space = _inside(points, low[:3], high[:3], soft_km).sum(-1)
        mean_km, sd_km = depth(points[:, :2], without_km)
        normal = -0.5 * ((points[:, 2] - mean_km) / sd_km) ** 2 - jnp.log(sd_km)
        return (space + normal)[:, None] + _inside(origin_s, low[3], high[3], soft_km / SMOOTHING_SPEED_KM_S)

    return value


def _inside(
    value: Float[Array, "point coordinate"],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    soft: Float[Array, "..."],
) -> Float[Array, "point coordinate"]:
    return jax.nn.log_sigmoid((value - low) / soft) + jax.nn.log_sigmoid((high - value) / soft)


SMOOTHING_SPEED_KM_S = 6.0  # turns a lattice's spacing in km into the smoothing in s that it needs
