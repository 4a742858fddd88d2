"""The head of one station's record: distance, direction, depth and travel time, to a posterior over hypocentres.

Raw outputs, in this order (`numbers`): mean and width of distance and of P's travel time; if depth is predicted, the
gradient of travel time with distance, and mean, width and gradient of depth; directions as pairs (north, east), and
their log-weights except the last if there are several; then the P pick and S-P time in s, and whether each is known.

* Distance is normal, truncated at zero. With an S pick, raw zeros give the S-P rule: the distance at the climatology's
  mean depth with a quarter of it as standard deviation; without, the climatology of distances.
* Travel time and depth are normal given distance. Origin time is the P pick less the travel time; without a P pick, and
  for depth that is not predicted, the climatology.
* Directions are von Mises: a pair is the concentration times the unit vector of the mean direction, so a pair of zeros
  is uniform. A mixture of two can represent a direction and its opposite.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import i0e, log_ndtr, logsumexp
from jaxtyping import Array, Bool, Float

from jaxloc.distributions.polar import Polar, distance_and_azimuth
from jaxloc.distributions.rings import MIN_KM, ring_density
from jaxloc.heads.labels import of_label
from jaxloc.types import Head, Label

LIMIT = 20.0  # of raw numbers
SHARPEST = 1000.0  # concentration: a standard deviation of 1.8 degrees
FLOOR_KM, FLOOR_S = 0.1, 0.02
LOWEST = 3.0  # standard deviations that a distance's mean may be below zero
REACH = 3.0  # standard deviations that nodes of a posterior reach
UNIT = math.log(math.e - 1)  # softplus of it is one


class Beforehand(NamedTuple):
    """The climatology (means and standard deviations of distance, depth and origin time) and wave speeds."""

    distance_km: tuple[float, float]
    depth_km: tuple[float, float]
    origin_s: tuple[float, float]
    vp_km_s: float = 6.0
    vp_vs: float = 1.73


class Prediction(NamedTuple):
    """Prediction for a record: normals of distance, and of depth and travel time given it; directions; the P pick."""

    distance: Float[Array, " 2"]
    travel: Float[Array, " 3"]
    depth: Float[Array, " 3"]
    pairs: Float[Array, "direction 2"]
    log_share: Float[Array, " direction"]
    p_s: Float[Array, ""]
    timed: Float[Array, ""]


def numbers(directions: int = 1, depth: bool = True) -> tuple[int, int]:
    """Numbers of raw outputs of distance, travel time and depth, and of directions."""
    return (8 if depth else 4), 3 * directions - 1


def station(
    before: Beforehand, directions: int = 1, depth: bool = True, nodes: tuple[int, int] = (6, 8)
) -> Callable[[Float[Array, " 3"]], Head]:
    """The head of a record at a place, [east, north, depth] in km.

    The log-likelihood is that of the label's distance, direction, depth and travel time, as a density over the plane,
    as far as they are known.

    Args:
        before: the climatology.
        directions: number of von Mises components.
        depth: whether depth is predicted.
        nodes: distances, and azimuths of each direction, of the posterior's components.
    """
    far, towards = numbers(directions, depth)

    def read(raw: Float[Array, " raw"]) -> Prediction:
        return _read(raw, before, far, directions)

    def at(station_km: Float[Array, " 3"]) -> Head:
        def distribution(raw: Float[Array, " raw"]) -> dict[str, dist.Distribution]:
            return {"hypocentre": ring_density(_polar(read(raw), before, nodes), station_km)}

        @of_label("hypocentre")
        def log_likelihood(raw: Float[Array, " raw"], label: Label) -> Float[Array, ""]:
            value, mask = label
            return _log_density(read(raw), jnp.where(mask, value, 0.0), mask, station_km)

        return Head(far + towards + 4, distribution, log_likelihood)

    return at


def _read(raw: Float[Array, " raw"], before: Beforehand, far: int, directions: int) -> Prediction:
    p_s, wait_s, timed, both = raw[-4:]
    limited = LIMIT * jnp.tanh(raw[:far] / LIMIT)
    limited = limited if far == 8 else jnp.concatenate([limited, jnp.zeros(4)])
    both_picked = both > 0.5
    slant_km = wait_s * before.vp_km_s / (before.vp_vs - 1)
    flat_km = jnp.sqrt(jnp.maximum(slant_km**2 - before.depth_km[0] ** 2, (slant_km / 3) ** 2) + 1e-6)
    centre_km = jnp.where(both_picked, flat_km, before.distance_km[0])
    scale_km = jnp.where(both_picked, 0.25 * slant_km + 1.0, before.distance_km[1])
    typical_s = math.hypot(before.distance_km[0], before.depth_km[0]) / before.vp_km_s
    centre_s = jnp.where(both_picked, wait_s / (before.vp_vs - 1), typical_s)
    scale_s = jnp.where(both_picked, 0.1 * centre_s + 0.1, before.distance_km[1] / before.vp_km_s)
    depth_sd_km = before.depth_km[1]
    sd_km = _width(limited[1], scale_km) + FLOOR_KM
    middle_km = jnp.maximum(centre_km + scale_km * limited[0], -LOWEST * sd_km)
    travel = [centre_s + scale_s * limited[2], _width(limited[3], scale_s) + FLOOR_S, scale_s * limited[4]]
    depth = [before.depth_km[0] + depth_sd_km * limited[5], _width(limited[6], depth_sd_km) + FLOOR_KM]
    pairs = raw[far : far + 2 * directions].reshape(directions, 2)
    shares = jnp.append(raw[far + 2 * directions : -4], 0.0)
    return Prediction(
        jnp.stack([middle_km, sd_km]),
        jnp.stack(travel),
        jnp.stack([*depth, depth_sd_km * limited[7]]),
        _bounded(pairs),
        jax.nn.log_softmax(shares),
        p_s,
        timed,
    )


def _width(raw: Float[Array, ""], scale: Float[Array, ""] | float) -> Float[Array, ""]:
    return scale * jax.nn.softplus(raw + UNIT)


def _bounded(pairs: Float[Array, "direction 2"]) -> Float[Array, "direction 2"]:
    size = jnp.sqrt((pairs**2).sum(-1, keepdims=True) + 1e-12)
    return pairs / size * SHARPEST * jnp.tanh(size / SHARPEST)


def _log_density(
    prediction: Prediction, value: Float[Array, " 4"], mask: Bool[Array, " 4"], station_km: Float[Array, " 3"]
) -> Float[Array, ""]:
    """Log-density of the known ones of distance, direction, depth and travel time; unknown distances at their mean."""
    placed = mask[:2].all()
    distance_km, azimuth_rad = distance_and_azimuth(station_km, value)
    middle_km, sd_km = prediction.distance
    distance_km = jnp.where(placed, distance_km, middle_km)
    away = (distance_km - middle_km) / sd_km
    plane = _log_normal(away, sd_km) - log_ndtr(middle_km / sd_km) - jnp.log(jnp.maximum(distance_km, MIN_KM))
    towards = jnp.stack([jnp.cos(azimuth_rad), jnp.sin(azimuth_rad)])
    concentration = jnp.sqrt((prediction.pairs**2).sum(-1) + 1e-12)
    of_each = prediction.pairs @ towards - concentration - jnp.log(i0e(concentration)) - math.log(2 * math.pi)
    plane += logsumexp(prediction.log_share + of_each)
    depth = _given(value[2], prediction.depth, away)
    travel = _given(prediction.p_s - value[3], prediction.travel, away)
    timed = mask[3] & (prediction.timed > 0.5)
    return jnp.where(placed, plane, 0.0) + jnp.where(mask[2], depth, 0.0) + jnp.where(timed, travel, 0.0)


def _given(value: Float[Array, ""], normal: Float[Array, " 3"], away: Float[Array, ""]) -> Float[Array, ""]:
    middle, sd, gradient = normal
    return _log_normal((value - middle - gradient * away) / sd, sd)


def _log_normal(white: Float[Array, ""], sd: Float[Array, ""]) -> Float[Array, ""]:
    return -0.5 * white**2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi)


def _polar(prediction: Prediction, before: Beforehand, nodes: tuple[int, int]) -> Polar:
    """Distances and azimuths in equal steps, each with half a step as its standard deviation."""
    middle_km, sd_km = prediction.distance
    nearest_km = jnp.maximum(middle_km - REACH * sd_km, 0.0)
    farthest_km = jnp.maximum(middle_km, 0.0) + REACH * sd_km
    step_km = (farthest_km - nearest_km) / nodes[0]
    distance_km = nearest_km + step_km * (jnp.arange(nodes[0]) + 0.5)
    own_km = jnp.sqrt(sd_km**2 - step_km**2 / 4)  # the rest of the variance is that of the steps
    of_distance = -0.5 * ((distance_km - middle_km) / own_km) ** 2
    azimuth_rad, azimuth_sd_rad, of_azimuth = jax.vmap(lambda pair: _around(pair, nodes[1]))(prediction.pairs)
    of_azimuth = (prediction.log_share[:, None] + of_azimuth).ravel()
    away = (distance_km - middle_km) / sd_km
    timed = prediction.timed > 0.5
    travel_s, travel_sd_s, gradient_s = prediction.travel
    flat = jnp.ones_like(away)
    return Polar(
        of_distance[:, None] + of_azimuth,
        distance_km,
        flat * step_km / 2,
        azimuth_rad.ravel(),
        azimuth_sd_rad.ravel(),
        prediction.depth[0] + prediction.depth[2] * away,
        flat * prediction.depth[1],
        jnp.where(timed, prediction.p_s - travel_s - gradient_s * away, before.origin_s[0]),
        flat * jnp.where(timed, travel_sd_s, before.origin_s[1]),
    )


def _around(pair: Float[Array, " 2"], number: int) -> tuple[Array, Array, Array]:
    """Azimuths about a von Mises distribution's mean, their standard deviations and log-weights."""
    concentration = jnp.sqrt((pair**2).sum() + 1e-12)
    reach = jnp.minimum(REACH / jnp.sqrt(concentration), jnp.pi)
    step = 2 * reach / number
    away = step * (jnp.arange(number) + 0.5) - reach
    own = concentration / (1 - concentration * step**2 / 4)
    middle = jnp.arctan2(pair[1], pair[0])
    weight = jax.nn.log_softmax(own * (jnp.cos(away) - 1))
    return middle + away, jnp.full(number, step / 2), weight
