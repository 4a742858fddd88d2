"""The ground's surface above sea level: earthquakes are below it, also where the region reaches above sea level."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from jaxloc.physics.adaptive_grid import LogDensity

SOFT = (0.02, 0.1)  # width of the surface in km, and as a share of the spacing of points, as that of a region's edges


class Ground(NamedTuple):
    """Elevation of the ground in km above sea level at the nodes of a regular grid, linear between them.

    Beyond the grid it is that of the nearest edge.
    """

    elevation_km: Float[Array, "east north"]
    first_km: Float[Array, " 2"]
    spacing_km: Float[Array, " 2"]


def ground(
    east_km: Float[np.ndarray, " east"],
    north_km: Float[np.ndarray, " north"],
    elevation_km: Float[np.ndarray, "east north"],
) -> Ground:
    """A checked grid of elevations above sea level, in km.

    Raises:
        ValueError: where shapes differ, coordinates are not equidistant and increasing, or an elevation is not finite
            or none that the earth has (in m, say).
    """
    east_km, north_km, elevation_km = (np.asarray(values, float) for values in (east_km, north_km, elevation_km))
    if elevation_km.shape != (east_km.size, north_km.size) or min(elevation_km.shape) < 2:
        raise ValueError(
            f"elevation_km must have one value for each east and north, at least two of each; got {elevation_km.shape} "
            f"for {east_km.size} and {north_km.size}"
        )
    for name, axis in (("east_km", east_km), ("north_km", north_km)):
        step = np.diff(axis)
        if not (step > 0).all() or np.ptp(step) > 1e-3 * step.mean():
            raise ValueError(f"{name} must increase in equal steps, got steps from {step.min():g} to {step.max():g} km")
    if not (np.isfinite(elevation_km) & (np.abs(elevation_km) < 12)).all():
        worst = elevation_km.ravel()[np.argmax(np.nan_to_num(np.abs(elevation_km), nan=np.inf))]
        raise ValueError(f"elevations must be finite and within 12 km of sea level, got {worst:g} km; are they in m?")
    spacing_km = jnp.array([east_km[1] - east_km[0], north_km[1] - north_km[0]])
    return Ground(jnp.asarray(elevation_km), jnp.array([east_km[0], north_km[0]]), spacing_km)


def surface_depth_km(ground: Ground, place_km: Float[Array, "*batch xyz"]) -> Float[Array, " *batch"]:
    """Depth of the ground's surface below sea level at places: negative on land."""
    node = (place_km[..., :2] - ground.first_km) / ground.spacing_km
    return -map_coordinates(ground.elevation_km, [node[..., 0], node[..., 1]], 1, mode="nearest")


def below_ground(log_prior: LogDensity, ground: Ground) -> LogDensity:
    """A prior without its part in the air; the surface is as soft as the edges of a region (`log_prior_of`).

    A station in a borehole, or sources between it and the surface, need nothing more: both have their own depths.
    """

    def value(
        points: Float[Array, "point 3"], origin_s: Float[Array, "point time"], spacing_km: Float[Array, ""]
    ) -> Float[Array, "point time"]:
        below_km = points[:, 2] - surface_depth_km(ground, points)
        inside = jax.nn.log_sigmoid(below_km / (SOFT[0] + SOFT[1] * spacing_km))
        return log_prior(points, origin_s, spacing_km) + inside[:, None]

    return value
