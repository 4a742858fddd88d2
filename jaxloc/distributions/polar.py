"""Distances and directions from one station, and the moments of the hypocentres that they describe.

Azimuths are back-azimuths: from the station to the event, clockwise from north, in radians.
`jaxloc.distributions.rings` has the density.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.distributions.gaussian_mixture import Components, triangular
from jaxloc.geometry import distance_km as distance_between_km

FULL_CIRCLE = 2 * jnp.pi


class Polar(NamedTuple):
    """A prediction at one station: weights of distances x azimuths, each of these with its standard deviation.

    Depth and origin time, each with its standard deviation, are normal given the distance: one number, or one for each
    distance. Weights need not add up to one.
    """

    log_weight: Float[Array, "distance azimuth"]
    distance_km: Float[Array, " distance"]
    distance_sd_km: Float[Array, " distance"]
    azimuth_rad: Float[Array, " azimuth"]
    azimuth_sd_rad: Float[Array, " azimuth"]
    depth_km: Float[Array, "*distance"]
    depth_sd_km: Float[Array, "*distance"]
    origin_s: Float[Array, "*distance"]
    origin_sd_s: Float[Array, "*distance"]


def hypocentres(polar: Polar, station_km: Float[Array, " 3"]) -> Components:
    """A Gaussian for each distance and azimuth, over (east, north, depth, origin time), with its two moments.

    A component's mean and covariance are those of points whose distance and azimuth err independently, the azimuth as
    a normal. The density of such points is bent: `jaxloc.distributions.rings` has it.

    Args:
        polar: distances and azimuths.
        station_km: place of the station; depths are below the frame's datum, not below the station.

    Raises:
        ValueError: where weights, distances and azimuths do not fit together.
    """
    shape = (polar.distance_km.shape[0], polar.azimuth_rad.shape[0])
    if polar.log_weight.shape != shape:
        raise ValueError(f"log_weight must be distances x azimuths, {shape}, got {polar.log_weight.shape}")
    by_distance = lambda *each: jnp.stack([jnp.broadcast_to(x, shape[:1]) for x in each], -1)
    middle = polar.distance_km, by_distance(polar.depth_km, polar.origin_s)
    width = polar.distance_sd_km, by_distance(polar.depth_sd_km, polar.origin_sd_s)
    of_azimuths = jax.vmap(_component, (None, None, 0, 0))
    place, rows = jax.vmap(of_azimuths, (0, 0, None, None))(middle, width, polar.azimuth_rad, polar.azimuth_sd_rad)
    mean = place.reshape(-1, 4).at[:, :2].add(station_km[:2])
    return Components(jax.nn.log_softmax(polar.log_weight.ravel()), mean, triangular(rows.reshape(-1, 4, 4)))


def _component(
    middle: tuple[Float[Array, ""], Float[Array, " 2"]],
    width: tuple[Float[Array, ""], Float[Array, " 2"]],
    azimuth_rad: Float[Array, ""],
    azimuth_sd_rad: Float[Array, ""],
) -> tuple[Float[Array, " 4"], Float[Array, "4 4"]]:
    """Mean from the station, and a matrix whose rows' products are the covariance: radial, tangential, depth, origin.

    With r of mean d and variance s^2, and an angle of standard deviation a about the azimuth: the mean along it is
    d exp(-a^2/2), variances are (d^2 + s^2)(1 + exp(-2 a^2))/2 - d^2 exp(-a^2) along and (d^2 + s^2)(1 - exp(-2 a^2))/2
    across. The first is d^2 (1 - exp(-a^2))^2 / 2 + s^2 (1 + exp(-2 a^2))/2, without a difference of near equals.
    """
    (distance_km, others), (distance_sd_km, others_sd) = middle, width
    lost = -jnp.expm1(-(azimuth_sd_rad**2))
    lost_twice = -jnp.expm1(-2 * azimuth_sd_rad**2)
    radial = jnp.sqrt(distance_km**2 * lost**2 / 2 + distance_sd_km**2 * (1 - lost_twice / 2))
    tangential = jnp.sqrt((distance_km**2 + distance_sd_km**2) * lost_twice / 2)
    east, north = jnp.sin(azimuth_rad), jnp.cos(azimuth_rad)
    along = distance_km * jnp.exp(-(azimuth_sd_rad**2) / 2)
    across = jnp.array([[east * radial, north * tangential], [north * radial, -east * tangential]])
    rows = jnp.zeros((4, 4)).at[:2, :2].set(across).at[jnp.arange(2, 4), jnp.arange(2, 4)].set(others_sd)
    return jnp.concatenate([along * jnp.stack([east, north]), others]), rows


def distance_and_azimuth(
    station_km: Float[Array, "*batch 3"], hypocentre: Float[Array, "*batch coordinate"]
) -> tuple[Float[Array, " *batch"], Float[Array, " *batch"]]:
    """Epicentral distance in km, and back-azimuth within 0 - 2 pi, zero where the event is under the station."""
    east, north = (hypocentre[..., i] - station_km[..., i] for i in range(2))
    apart = (east != 0) | (north != 0)  # the slope of an angle at no distance is no number
    angle = jnp.arctan2(jnp.where(apart, east, 0.0), jnp.where(apart, north, 1.0))
    azimuth_rad = jnp.mod(angle, FULL_CIRCLE)
    # An angle just below zero is rounded to the full circle, which is north as well.
    azimuth_rad = jnp.where(azimuth_rad >= FULL_CIRCLE, 0.0, azimuth_rad)
    return distance_between_km(station_km, hypocentre), azimuth_rad


class Direction(NamedTuple):
    """A distribution over directions summed up: its circular mean within 0 - 2 pi and standard deviation in radians.

    `resultant` is the length of the mean of unit vectors: 1 where all point the same way, 0 where none does.
    """

    mean_rad: Float[Array, " *batch"]
    sd_rad: Float[Array, " *batch"]
    resultant: Float[Array, " *batch"]


def circular(weight: Float[Array, "*batch azimuth"], azimuth_rad: Float[Array, "*batch azimuth"]) -> Direction:
    """Circular mean and standard deviation, sqrt(-2 ln R), of weighted directions (Mardia and Jupp 2000, sect. 2.3).

    A normal of standard deviation s, wrapped, has just that; directions without a preference have a large one.
    """
    share = weight / weight.sum(-1, keepdims=True)
    east, north = (share * jnp.sin(azimuth_rad)).sum(-1), (share * jnp.cos(azimuth_rad)).sum(-1)
    resultant = jnp.minimum(jnp.hypot(east, north), 1.0)
    mean_rad = jnp.mod(jnp.arctan2(east, north), FULL_CIRCLE)
    least = jnp.finfo(resultant.dtype).tiny
    return Direction(mean_rad, jnp.sqrt(-2 * jnp.log(jnp.maximum(resultant, least))), resultant)
