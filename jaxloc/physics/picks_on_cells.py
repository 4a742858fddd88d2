"""The posterior of a hypocentre on cells of space, given picks: origin time is integrated out at each cell."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxloc.distributions.gaussian_mixture import gaussian_mixture, without_weights
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.cell_refinement import AtCells, Cells, refined, regular
from jaxloc.physics.model_errors import ModelErrors, shared_errors_s, widened_s
from jaxloc.physics.pick_errors import Correlation, PickErrors, Residuals, correlation_of, model_variance_s2, residuals
from jaxloc.physics.pick_likelihood import NODES, OriginTime, origin_near, over_origin, roughly_over_origin
from jaxloc.physics.priors import SMOOTHING_SPEED_KM_S
from jaxloc.types import Observations, Posterior

BLUR = 0.4  # of a cell's edge, turned into seconds
FEW_PICKS = 10  # with more picks the blur grows, since their likelihood is sharper
ROUGH_CELLS, ROUGH_SPLITS = (8, 8, 4), (8, 8, 8, 8, 8)
MAX_ELEMENTS = 2**22  # of point x pick x time held at once (16 MiB in float32)

TravelTimes = Callable[[Float[Array, "station 3"]], Callable[[Float[Array, "point 3"]], Array]]
"""Stations to a function from points to travel times of P and S in s, [point, station, phase]."""


class Picks(NamedTuple):
    """The picks of one event, stations and phases in one axis; `at` is where they are in it, None for all of it."""

    time_s: Float[Array, " pick"]
    sd_s: Float[Array, " pick"]
    mask: Bool[Array, " pick"]
    at: Int[Array, " pick"] | None = None
    correlation: Correlation | None = None


class Seen(NamedTuple):
    """The picks of one event, with their correlations, and travel times to its stations."""

    picks: Picks
    travel_s: Callable[[Float[Array, "point 3"]], Array]


class Question(NamedTuple):
    """Travel times, region, prior and likelihood, the same for every event.

    No event has more picks than `most_picks`, by default one for each station and phase. `shared` are errors of the
    velocity model that all arrivals of an event share; None: there are none.
    """

    times: TravelTimes
    region: Region
    log_prior: LogDensity
    errors: PickErrors
    most_picks: int | None = None
    shared: ModelErrors | None = None


def posterior_of(question: Question, seen: Seen, cells: Cells) -> Posterior:
    """One component a cell, origin time integrated out; there are no weights, so there is no epistemic part.

    Components have half the cell's size as standard deviations, which leaves a ripple of one per cent in the density.
    Within a cell the origin time changes by the cell's trend, or where there is none by its slope at the middle.
    """
    blur_s, edges_km = jnp.zeros(len(cells.middle_km)), cells.edge_km * cells.size[:, None, None]
    if cells.trend is None:
        at = _origin_with_slope(question, seen)
        origin, slope_s_km = _each(at, question, seen, cells.middle_km, blur_s)
        trend_s = jnp.einsum("ci,cij->cj", slope_s_km, edges_km)
    else:
        origin = _each(_origin_of(question, seen), question, seen, cells.middle_km, blur_s)
        trend_s = cells.trend
    log_density, origin = _log_density(question, cells.middle_km, origin)
    mean = jnp.concatenate([cells.middle_km, origin.mean_s[:, None]], -1)
    tril = jnp.zeros((len(mean), 4, 4)).at[:, :3, :3].set(edges_km / 2)
    tril = tril.at[:, 3, :3].set(trend_s / 2)
    tril = tril.at[:, 3, 3].set(jnp.sqrt(origin.variance_s2))
    mixture = gaussian_mixture(log_density + 3 * jnp.log(cells.size), mean, tril)
    return without_weights(mixture)


def log_density_at(
    question: Question,
    seen: Seen,
    middle_km: Float[Array, "cell 3"],
    blur_s: Float[Array, " cell"],
) -> tuple[Float[Array, " cell"], Float[Array, " cell"]]:
    """Log-density with the errors of picks widened by `blur_s`, as coarse cells need, and mean origin time."""
    at = _origin_quickly(question, seen)
    log_density, origin = _log_density(question, middle_km, _each(at, question, seen, middle_km, blur_s))
    return log_density, origin.mean_s


def _origin_quickly(question: Question, seen: Seen) -> Callable[[Array, Array], OriginTime]:
    """As `_origin_of`; of pairs of picks, origin time is the mean of theirs, and of no known variance."""

    def origin(points_km: Float[Array, "cell 3"], blur_s: Float[Array, " cell"]) -> OriginTime:
        return roughly_over_origin(question.errors, residuals_at(question.errors, *seen, points_km, blur_s))

    return origin


def _origin_of(question: Question, seen: Seen) -> Callable[[Array, Array], OriginTime]:
    """Points in km and their blur in s to the likelihood there, with origin time integrated out."""

    def origin(points_km: Float[Array, "cell 3"], blur_s: Float[Array, " cell"]) -> OriginTime:
        return over_origin(question.errors, residuals_at(question.errors, *seen, points_km, blur_s))

    return origin


def _origin_with_slope(
    question: Question, seen: Seen
) -> Callable[[Array, Array], tuple[OriginTime, Float[Array, "cell 3"]]]:
    """As `_origin_of`; also the slope of the mean origin time in s/km, zero where there is none."""
    picks, travel_s = seen

    def both(points_km: Float[Array, "cell 3"], blur_s: Float[Array, " cell"]) -> tuple[OriginTime, Array]:
        at_points_s, back = jax.vjp(lambda points: travel_at(picks, travel_s, points), points_km)
        residuals_of = lambda travel_s: residuals(question.errors, *picks[:3], travel_s, blur_s, picks.correlation)
        found = over_origin(question.errors, residuals_of(at_points_s))
        origin_s = lambda travel_s: origin_near(question.errors, residuals_of(travel_s), found).sum()
        (slope_s_km,) = back(jax.grad(origin_s)(at_points_s))
        return found, jnp.nan_to_num(slope_s_km)

    return both


def _each(
    at: Callable[[Array, Array], Any],
    question: Question,
    seen: Seen,
    middle_km: Float[Array, "cell 3"],
    blur_s: Float[Array, " cell"],
) -> Any:
    """A function of cells and their blur at all cells, in equal chunks that bound the memory.

    A last chunk of another size would be compiled once more.
    """
    cells, most = len(middle_km), max(1, MAX_ELEMENTS // (len(seen.picks.time_s) * NODES))
    chunks = -(-cells // most)
    if chunks == 1:
        return at(middle_km, blur_s)
    size = -(-cells // chunks)
    index = jnp.minimum(jnp.arange(chunks * size), cells - 1).reshape(chunks, size)
    found = jax.lax.map(lambda rows: at(middle_km[rows], blur_s[rows]), index)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:cells], found)


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


def seen_by(question: Question, observations: Observations) -> Seen:
    """The picks of one event without the gaps between them, with their correlations, and travel times.

    Correlations of residuals are those beneath the station with the earliest pick, in the middle of the region's depth;
    with errors that arrivals share, those where the event roughly is (`_roughly_at`).

    Raises:
        ValueError: as `picks_of`.
    """
    picks, errors, travel_s = picks_of(observations), question.errors, question.times(observations.station_km)
    slots = len(picks.time_s)
    stated_s = picks.sd_s.reshape(-1, 2)
    factor, late = jnp.array([errors.p_factor, errors.s_factor]), jnp.array([errors.p_late, errors.s_late])
    on_time_s = picks.time_s - (late * stated_s).reshape(-1)
    picks = picks._replace(time_s=on_time_s, sd_s=(factor * stated_s).reshape(-1))
    if errors.kind == "edt_ot_wt" or (question.most_picks is not None and question.most_picks < slots):
        at = jnp.argsort(jnp.where(picks.mask, picks.time_s, jnp.inf))[: question.most_picks]
        picks = Picks(picks.time_s[at], picks.sd_s[at], picks.mask[at], at)
    if not (errors.corr_km or errors.corr_ps or question.shared):
        return Seen(picks, travel_s)
    at = jnp.arange(slots) if picks.at is None else picks.at
    phases = slots // observations.station_km.shape[-2]
    station_km = observations.station_km[at // phases]
    if question.shared is None:
        earliest = jnp.argmin(jnp.where(picks.mask, picks.time_s, jnp.inf))
        place_km, shared_s = station_km[earliest].at[2].set(sum(question.region.depth_km) / 2), None
    else:
        place_km = _roughly_at(question, Seen(picks, travel_s))
        of_all_s = shared_errors_s(question.shared, place_km, observations.station_km, stated_s)
        shared_s = of_all_s.reshape(slots, -1)[at]
    from_there_s = travel_at(picks, travel_s, place_km[None])[0]
    if shared_s is not None:
        of_model_s2 = model_variance_s2(errors, from_there_s)
        whole_s = jnp.sqrt(picks.sd_s**2 + of_model_s2)
        wide_s = widened_s(picks.time_s - from_there_s, whole_s, picks.mask, shared_s)
        picks = picks._replace(sd_s=jnp.sqrt(wide_s**2 - of_model_s2))
    correlation = correlation_of(errors, station_km, at % phases, picks.sd_s, picks.mask, from_there_s, shared_s)
    return Seen(picks._replace(correlation=correlation), travel_s)


def _roughly_at(question: Question, seen: Seen) -> Float[Array, " 3"]:
    """Where the event is likeliest, by cells refined a few times, were the errors of its picks independent."""
    smooth = smoothed(question, seen)
    cells = refined(smooth, regular(question.region, ROUGH_CELLS), ROUGH_CELLS, ROUGH_SPLITS)
    log_density, _ = smooth(cells.middle_km, jnp.zeros(len(cells.middle_km)))
    return jax.lax.stop_gradient(cells.middle_km[jnp.argmax(log_density)])


def smoothed(question: Question, seen: Seen) -> AtCells:
    """The log-density of cells, smoothed to their edges so that no narrow peak falls between the middles of cells."""
    more = jnp.sqrt(jnp.maximum(seen.picks.mask.sum() / FEW_PICKS, 1.0))

    def at_cells(middle_km: Float[Array, "cell 3"], edge_km: Float[Array, " cell"]) -> tuple[Array, Array]:
        return log_density_at(question, seen, middle_km, BLUR * edge_km / SMOOTHING_SPEED_KM_S * more)

    return at_cells


def residuals_at(
    errors: PickErrors,
    picks: Picks,
    travel_s: Callable,
    points: Float[Array, "point 3"],
    blur_s: Float[Array, " *point"] | float,
) -> Residuals:
    """Picks less travel times from points in km, their errors widened by `blur_s`."""
    return residuals(errors, *picks[:3], travel_at(picks, travel_s, points), blur_s, picks.correlation)


def travel_at(picks: Picks, travel_s: Callable, points: Float[Array, "point 3"]) -> Float[Array, "point pick"]:
    """Travel times of the picks from points in km."""
    all_s = travel_s(points).reshape(len(points), -1)
    return all_s if picks.at is None else all_s[:, picks.at]


def _within(origin: OriginTime, range_s: tuple[float, float]) -> OriginTime:
    """Origin times no less certain than the region: without a pick, anywhere in it."""
    low, high = range_s
    widest = (high - low) ** 2 / 12
    mean = jnp.where(jnp.isfinite(origin.variance_s2), origin.mean_s, (low + high) / 2)
    return origin._replace(mean_s=mean, variance_s2=jnp.minimum(origin.variance_s2, widest))
