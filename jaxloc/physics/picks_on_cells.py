"""The posterior of a hypocentre on cells of space, given picks: origin time is integrated out at each cell."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.pick_likelihood import NODES, OriginTime, PickErrors, Residuals, over_origin, residuals
from jaxloc.types import Observations, Posterior

MAX_ELEMENTS = 2**22  # of point x pick x time held at once (16 MiB in float32)

TravelTimes = Callable[[Float[Array, "station 3"]], Callable[[Float[Array, "point 3"]], Array]]
"""Stations to a function from points to travel times of P and S in s, [point, station, phase]."""


class Picks(NamedTuple):
    """The picks of one event, stations and phases in one axis."""

    time_s: Float[Array, " pick"]
    sd_s: Float[Array, " pick"]
    mask: Bool[Array, " pick"]


class Question(NamedTuple):
    """Travel times, region, prior and likelihood, the same for every event."""

    times: TravelTimes
    region: Region
    log_prior: LogDensity
    errors: PickErrors


def posterior_of(
    question: Question,
    observations: Observations,
    middle_km: Float[Array, "cell 3"],
    edge_km: Float[Array, "3 3"],
    size: Float[Array, " cell"] | float = 1.0,
) -> Posterior:
    """One component a cell, origin time integrated out; there are no weights, so there is no epistemic part.

    Components have half the cell's size as standard deviations, which leaves a ripple of one per cent in the density.
    """
    size = jnp.broadcast_to(size, middle_km.shape[:1])
    at = _with_slope(_origin_of(question, observations))
    origin, slope_s_km = _each(at, observations, middle_km, jnp.zeros(len(middle_km)))
    log_density, origin = _log_density(question, middle_km, origin)
    mean = jnp.concatenate([middle_km, origin.mean_s[:, None]], -1)
    edges_km = edge_km * size[:, None, None]
    tril = jnp.zeros((len(mean), 4, 4)).at[:, :3, :3].set(edges_km / 2)
    tril = tril.at[:, 3, :3].set(jnp.einsum("ci,cij->cj", slope_s_km, edges_km) / 2)
    tril = tril.at[:, 3, 3].set(jnp.sqrt(origin.variance_s2))
    mixture = gaussian_mixture(log_density + 3 * jnp.log(size), mean, tril)
    whole = covariance(mixture)
    return Posterior(mixture, jnp.zeros_like(whole), whole)


def log_density_at(
    question: Question,
    observations: Observations,
    middle_km: Float[Array, "cell 3"],
    blur_s: Float[Array, " cell"],
) -> Float[Array, " cell"]:
    """Log-density with the errors of picks widened by `blur_s`, as coarse cells need."""
    at = _origin_of(question, observations)
    return _log_density(question, middle_km, _each(at, observations, middle_km, blur_s))[0]


def _origin_of(question: Question, observations: Observations) -> Callable[[Array, Array], OriginTime]:
    """One point in km and its blur in s to the likelihood there, with origin time integrated out."""
    picks, travel_s = picks_of(observations), question.times(observations.station_km)

    def origin(point_km: Float[Array, " 3"], blur_s: Float[Array, ""]) -> OriginTime:
        seen = residuals_at(question.errors, picks, travel_s, point_km[None], blur_s)
        return jax.tree.map(lambda x: x[0], over_origin(question.errors, seen))

    return origin


def _with_slope(
    origin_of: Callable[[Array, Array], OriginTime],
) -> Callable[[Array, Array], tuple[OriginTime, Float[Array, " 3"]]]:
    """Also the slope of the mean origin time in s/km, zero where there is none."""

    def mean_s(point_km: Float[Array, " 3"], blur_s: Float[Array, ""]) -> tuple[Float[Array, ""], OriginTime]:
        origin = origin_of(point_km, blur_s)
        return origin.mean_s, origin

    def both(point_km: Float[Array, " 3"], blur_s: Float[Array, ""]) -> tuple[OriginTime, Float[Array, " 3"]]:
        slope_s_km, origin = jax.grad(mean_s, has_aux=True)(point_km, blur_s)
        return origin, jnp.nan_to_num(slope_s_km)

    return both


def _each(
    at: Callable[[Array, Array], Any],
    observations: Observations,
    middle_km: Float[Array, "cell 3"],
    blur_s: Float[Array, " cell"],
) -> Any:
    """A function of one cell and its blur at all cells, in equal chunks that bound the memory.

    A last chunk of another size would be compiled once more.
    """
    cells, most = len(middle_km), max(1, MAX_ELEMENTS // (len(picks_of(observations).time_s) * NODES))
    chunks = -(-cells // most)
    size = -(-cells // chunks)
    index = jnp.minimum(jnp.arange(chunks * size), cells - 1)
    found = jax.lax.map(lambda cell: at(*cell), (middle_km[index], blur_s[index]), batch_size=size)
    return jax.tree.map(lambda x: x[:cells], found)


def _log_density(
    question: Question, middle_km: Float[Array, "cell 3"], origin: OriginTime
) -> tuple[Float[Array, " cell"], OriginTime]:
    """At the middles of cells: log-density, and origin time within the region."""
    origin = _within(origin, question.region.origin_s)
    prior = question.log_prior(middle_km, origin.mean_s[:, None], jnp.zeros(()))[:, 0]
    return origin.log_evidence + prior, origin


def picks_of(observations: Observations) -> Picks:
    """The picks of one event.

    Raises:
        ValueError: where observations hold no picks.
    """
    time_s, sd_s, mask = observations.picks_s, observations.pick_sigma_s, observations.pick_mask
    if time_s is None or sd_s is None or mask is None:
        raise ValueError("observations have no picks; a grid search must have picks_s, pick_sigma_s and pick_mask")
    mask = mask & observations.station_mask[:, None]
    return Picks(time_s.reshape(-1), sd_s.reshape(-1), mask.reshape(-1))


def residuals_at(
    errors: PickErrors,
    picks: Picks,
    travel_s: Callable,
    points: Float[Array, "point 3"],
    blur_s: Float[Array, ""] | float,
) -> Residuals:
    """Picks less travel times from points in km, their errors widened by `blur_s`."""
    return residuals(errors, *picks, travel_s(points).reshape(len(points), -1), blur_s)


def _within(origin: OriginTime, range_s: tuple[float, float]) -> OriginTime:
    """Origin times no less certain than the region: without a pick, anywhere in it."""
    low, high = range_s
    widest = (high - low) ** 2 / 12
    mean = jnp.where(jnp.isfinite(origin.variance_s2), origin.mean_s, (low + high) / 2)
    return origin._replace(mean_s=mean, variance_s2=jnp.minimum(origin.variance_s2, widest))
