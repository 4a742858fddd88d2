"""Distance from a station, azimuth and depth: coordinates in which the posterior of one or two stations is a box."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

ARC_KM = 30.0  # of azimuth in rad: turns it into km
NOWHERE = 1e4  # log-density of proposals for coordinates that are no place: their weight vanishes


class About(NamedTuple):
    """A station, and whether coordinates are about it; otherwise they are east, north and depth."""

    centre_km: Float[Array, " 3"]
    polar: Bool[Array, ""]


def from_km(about: About | None, point_km: Float[Array, "point 3"]) -> Float[Array, "point 3"]:
    """Distance from the station, azimuth times `ARC_KM`, and depth."""
    if about is None:
        return point_km
    apart = point_km - about.centre_km
    distance = jnp.sqrt((apart**2).sum(-1) + 1e-12)
    polar = jnp.stack([distance, ARC_KM * jnp.arctan2(apart[:, 1], apart[:, 0]), point_km[:, 2]], -1)
    return jnp.where(about.polar, polar, point_km)


def to_km(
    about: About | None, place: Float[Array, "point 3"]
) -> tuple[Float[Array, "point 3"], Float[Array, " point"]]:
    """Points, and the log of the volume in km^3 that a unit of the coordinates has there; `-NOWHERE` for no place.

    At a given depth r dr = R dR, so that a volume is R dR d(azimuth) d(depth).
    """
    if about is None:
        return place, jnp.zeros(len(place))
    distance, azimuth, depth = place[:, 0], place[:, 1] / ARC_KM, place[:, 2]
    squared = distance**2 - (depth - about.centre_km[2]) ** 2
    across = jnp.sqrt(jnp.maximum(squared, 0.0))
    east = about.centre_km[0] + across * jnp.cos(azimuth)
    north = about.centre_km[1] + across * jnp.sin(azimuth)
    there = (squared > 0) & (distance > 0) & (jnp.abs(azimuth) <= jnp.pi)
    log_volume = jnp.where(there, jnp.log(jnp.maximum(distance, 1e-6) / ARC_KM), -NOWHERE)
    point = jnp.stack([east, north, depth], -1)
    return jnp.where(about.polar, point, place), jnp.where(about.polar, log_volume, 0.0)
