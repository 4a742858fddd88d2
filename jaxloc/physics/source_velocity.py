"""What an error of the velocity model does to locations of many events that path terms were fitted to.

Path terms take up what a wrong model adds to travel times at each station, but not how travel times change with the
place of the source: speeds about sources that are wrong by a share stretch the separations of near events by that
share, all stations alike. Such stretches are alike within a distance and differ beyond it, so that places err by a
smooth field whose differences grow with the separation at first: a Gaussian process with a squared exponential kernel
of that length and of a standard deviation of length times share. Depths err more: at a fixed ray parameter the vertical
slowness cos(i) / v of a ray changes with speed by 1 / cos(i)^2 times its share. Origin times err together by the share
of travel times.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

ALIKE_KM = 5.0  # distance within which rock is alike: correlation lengths of crustal velocities are 1 to 10 km
STRETCH = (
    1.0,
    1.0,
    2.0,
)  # of east, north and depth over the share of speeds; depth: 1 / cos(i)^2 of rays at 45 degrees


class SourceError(NamedTuple):
    """Covariance of places but for `STRETCH`, and the error of each origin time at one sd of speed."""

    place_km2: Float[np.ndarray, "event event"]
    origin_s: Float[np.ndarray, " event"]


def source_error(
    place_km: Float[np.ndarray, "event 3"], travel_s: Float[np.ndarray, " event"], speed: float
) -> SourceError:
    """Of events at places, whose picks have these travel times in the mean, for a relative error of speeds."""
    squares = (place_km**2).sum(1)
    apart_km2 = np.maximum(squares[:, None] + squares - 2 * place_km @ place_km.T, 0.0)
    return SourceError((speed * ALIKE_KM) ** 2 * np.exp(-0.5 * apart_km2 / ALIKE_KM**2), speed * travel_s)


def with_error(
    rng: np.random.Generator,
    covariance: Float[np.ndarray, "event 4 event 4"],
    draws: Float[np.ndarray, "event 4 draw"],
    error: SourceError,
) -> tuple[Float[np.ndarray, "event 4 event 4"], Float[np.ndarray, "event 4 draw"]]:
    """Covariance and draws of hypocentres with the error on top."""
    covariance, draws = covariance.copy(), draws.copy()
    # The kernel is smooth and its matrix nearly singular: a metre and a half of noise keeps its root.
    root = np.linalg.cholesky(error.place_km2 + 2e-6 * np.eye(len(error.place_km2)))
    for axis, stretch in enumerate(STRETCH):
        covariance[:, axis, :, axis] += stretch**2 * error.place_km2
        draws[:, axis] += stretch * (root @ rng.normal(size=(len(root), draws.shape[-1])))
    covariance[:, 3, :, 3] += np.outer(error.origin_s, error.origin_s)
    draws[:, 3] += np.outer(error.origin_s, rng.normal(size=draws.shape[-1]))
    return covariance, draws
