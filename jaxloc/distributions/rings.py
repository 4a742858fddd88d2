"""Densities around a station: distances and directions as a station knows them, which form a ring or a piece of one.

`Polar` is a mixture over nodes of distance and azimuth. In the coordinates of the station a node is a normal of
distance, truncated at zero, and a wrapped normal of azimuth; the density over east and north is theirs divided by the
distance. So a station that knows the distance alone has a ring, of the width of its distances.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float, Key

from jaxloc.distributions.any_distribution import ByEvent, Density, by_event
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, covariance, marginal
from jaxloc.distributions.polar import Polar, distance_and_azimuth, hypocentres

MIN_KM = 0.05  # distance below which the density over the plane is constant
TURNS = 2 * math.pi * np.arange(-2.0, 3.0, dtype=np.float32)  # of a wrapped normal


class Ring(NamedTuple):
    """Nodes around a station, and how many of the coordinates are meant: the first two, three, or all."""

    polar: Polar
    station_km: Float[Array, " 3"]
    coordinates: Float[Array, " coordinate"]


def ring_density(polar: Polar, station_km: Float[Array, " 3"]) -> ByEvent:
    """The density over hypocentres of one event.

    Raises:
        ValueError: where weights, distances and azimuths do not fit together.
    """
    shape = (polar.distance_km.shape[0], polar.azimuth_rad.shape[0])
    if polar.log_weight.shape != shape:
        raise ValueError(f"log_weight must be distances x azimuths, {shape}, got {polar.log_weight.shape}")
    by_distance = lambda x: jnp.broadcast_to(x, shape[:1])
    whole = jax.nn.log_softmax(polar.log_weight.ravel()).reshape(shape)
    return by_event(RINGS, Ring(Polar(whole, *polar[1:5], *map(by_distance, polar[5:])), station_km, jnp.zeros(4)))


def _sample(of: Ring, key: Key[Array, ""], number: int) -> Float[Array, "sample d"]:
    polar, shape = of.polar, of.polar.log_weight.shape
    key_node, key_distance, key_normal = jax.random.split(key, 3)
    cumulative = jnp.cumsum(jnp.exp(polar.log_weight).ravel())
    uniform = jax.random.uniform(key_node, (number,)) * cumulative[-1]
    flat = jnp.minimum(jnp.searchsorted(cumulative, uniform, side="right"), cumulative.shape[0] - 1)
    i, j = jnp.unravel_index(flat, shape)
    nearest = -polar.distance_km / polar.distance_sd_km
    away = jax.random.truncated_normal(key_distance, nearest[i], jnp.inf, (number,))
    azimuth, depth, origin = jax.random.normal(key_normal, (3, number))
    distance_km = jnp.maximum(polar.distance_km[i] + polar.distance_sd_km[i] * away, 0.0)
    azimuth_rad = polar.azimuth_rad[j] + polar.azimuth_sd_rad[j] * azimuth
    east, north = (distance_km * of_angle(azimuth_rad) for of_angle in (jnp.sin, jnp.cos))
    depth_km = polar.depth_km[i] + polar.depth_sd_km[i] * depth
    origin_s = polar.origin_s[i] + polar.origin_sd_s[i] * origin
    whole = jnp.stack([of.station_km[0] + east, of.station_km[1] + north, depth_km, origin_s], -1)
    return whole[:, : of.coordinates.shape[0]]


def _log_prob(of: Ring, points: Float[Array, "point d"]) -> Float[Array, " point"]:
    """Weights times kernels of distance (with depth and origin time) and azimuth, each relative to its largest."""
    polar = of.polar
    distance_km, azimuth_rad = distance_and_azimuth(of.station_km, points)
    near = _log_normal(distance_km[:, None], polar.distance_km, polar.distance_sd_km)
    near -= log_ndtr(polar.distance_km / polar.distance_sd_km) + jnp.log(jnp.maximum(distance_km, MIN_KM))[:, None]
    others = ((polar.depth_km, polar.depth_sd_km), (polar.origin_s, polar.origin_sd_s))
    for i, (middle, sd) in zip(range(2, points.shape[-1]), others, strict=False):
        near += _log_normal(points[:, i, None], middle, sd)
    turned = azimuth_rad[:, None, None] + TURNS
    toward = jax.nn.logsumexp(_log_normal(turned, polar.azimuth_rad[:, None], polar.azimuth_sd_rad[:, None]), -1)
    peak, best = near.max(-1), toward.max(-1)
    share = jnp.exp(near - peak[:, None]) @ jnp.exp(polar.log_weight) * jnp.exp(toward - best[:, None])
    return peak + best + jnp.log(jnp.maximum(share.sum(-1), jnp.finfo(share.dtype).tiny))


def _log_normal(
    value: Float[Array, "..."], middle: Float[Array, "..."], sd: Float[Array, "..."]
) -> Float[Array, "..."]:
    return -0.5 * ((value - middle) / sd) ** 2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi)


def pieces(of: Ring) -> HypocentreMixture:
    """The Gaussian mixture that has a component for each node, with the node's first two moments."""
    polar = of.polar
    start = polar.distance_km / polar.distance_sd_km
    hazard = jnp.exp(-0.5 * start**2 - 0.5 * math.log(2 * math.pi) - log_ndtr(start))
    mean = polar.distance_km + polar.distance_sd_km * hazard
    sd = polar.distance_sd_km * jnp.sqrt(jnp.maximum(1 - hazard * (hazard + start), 1e-6))
    whole = hypocentres(polar._replace(distance_km=mean, distance_sd_km=sd), of.station_km)
    return marginal(HypocentreMixture(whole), tuple(range(of.coordinates.shape[0])))


def _mean(of: Ring) -> Float[Array, " d"]:
    return pieces(of).mean


def _covariance(of: Ring) -> Float[Array, "d d"]:
    return covariance(pieces(of))


def _marginal(of: Ring, dims: tuple[int, ...]) -> dist.Distribution | None:
    """Exact for the first coordinates, depth and origin time; of east or north, nodes have their two moments."""
    if len(dims) == 1:
        return marginal(pieces(of), dims)
    if dims != tuple(range(len(dims))):
        return None
    return by_event(RINGS, of._replace(coordinates=of.coordinates[: len(dims)]))


def _widened(of: Ring, blur: Float[Array, " d"]) -> Ring:
    """Wider by the blur along distance, across it, in depth and in origin time."""
    polar, wide = of.polar, jnp.hypot
    across = blur[0] / jnp.maximum(polar.distance_km.mean(), blur[0] + MIN_KM)
    return of._replace(
        polar=polar._replace(
            distance_sd_km=wide(polar.distance_sd_km, blur[0]),
            azimuth_sd_rad=wide(polar.azimuth_sd_rad, across),
            depth_sd_km=wide(polar.depth_sd_km, blur[2]),
            origin_sd_s=wide(polar.origin_sd_s, blur[3]),
        )
    )


RINGS = Density(_sample, _log_prob, _mean, _covariance, _marginal, pieces, None, _widened)
