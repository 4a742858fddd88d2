"""Double difference: relative relocation of many events by differences of arrival times, with hypoDD's equations.

Waldhauser & Ellsworth (2000), BSSA 90, 1353-1368; program hypoDD 2.1 with its weights, iteration sets, solvers (SVD
with a centroid constraint, damped LSQR) and its rules for events above the ground (air quakes). hypoDD's locations are
`Relocated.hypocentre`. The posterior is of the last iteration's weighted problem with a prior on each starting location
(`jaxloc.physics.double_difference_posterior`): relative positions as the links have them, and a common shift that
stays uncertain. hypoDD's own errors of the SVD are `Relocated.hypodd_sd`.

Differs from the program: clusters are relocated in one system; travel times are exact first arrivals with derivatives
by automatic differentiation; an event that is removed keeps its starting location as a prior-only posterior, and the
reason.
"""

# pyright: reportArgumentType=false
# Arrays are NumPy's until they reach the device.

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key
from scipy.sparse import csr_array, diags_array

from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.physics.double_difference_posterior import (
    Start,
    efficient_scale,
    normal_equations,
    perturbed,
    solve,
)
from jaxloc.physics.double_difference_solvers import Solution, solve_lsqr, solve_svd
from jaxloc.physics.double_differences import (
    Equations,
    IterationSet,
    Links,
    arrivals,
    curvature,
    design,
    equations,
    residuals_s,
    separations_km,
    weighted_rms_s,
    weighted_variance_s2,
    weights,
)
from jaxloc.physics.event_pairs import PairSettings, clusters, pair_events
from jaxloc.physics.link_errors import LinkErrors, fit_errors
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.types import Locator, Observations, Posterior

SOLVERS, AIR_QUAKES = ("svd", "lsqr"), ("remove", "reset")
NONE_LEFT = "no differential time is left; widen the cutoffs of residuals and distances of the sets"
SETS = (IterationSet(2), IterationSet(3, residual_catalogue=8.0), IterationSet(3, residual_catalogue=6.0))


class NoneLeftError(ValueError):
    """All differential times were cut off by their residuals or distances."""


class Settings(NamedTuple):
    """How to relocate.

    `sets` are hypoDD's iteration sets, `solver` one of `SOLVERS`. Clusters are events that pairs of `cluster_links`
    links or more connect (OBSCC + OBSCT; 0: any pair). Events that come above `top_km` are removed with their links or
    reset to their depth before (IAQ 1 and 0). `common_sd` is the standard deviation of the error that all starting
    locations of a cluster share, in km and s; `draws` the number of joint draws.
    """

    sets: Sequence[IterationSet] = SETS
    solver: str = "lsqr"
    cluster_links: int = 8
    air_quakes: str = "remove"
    top_km: float = 0.0
    common_sd: tuple[float, float, float, float] = (1.0, 1.0, 2.0, 0.3)
    draws: int = 500


class Iteration(NamedTuple):
    """One iteration: what was used, weighted rms of both kinds of links after it in s, mean absolute shifts.

    An iteration in which events came above the ground changes no location, as in hypoDD: `updated` is False.
    """

    events: int
    catalogue_links: int
    cross_links: int
    rms_catalogue_s: float
    rms_cross_s: float
    shift_km: tuple[float, float, float]
    shift_s: float
    condition: float
    air_quakes: int
    updated: bool


class Relocated(NamedTuple):
    """The result: posterior, hypoDD's locations and errors, iterations, and why an event was not relocated.

    `hypodd_sd` are hypoDD's standard deviations (without the factor 1.96), NaN where the solver is LSQR. `lost` has the
    reason by row of the event. `links` is how many links of each kind an event has in the end, `errors` what the
    posterior takes as errors of data, `rms_s` the rms residual of an event's links of each kind.
    """

    posterior: Posterior
    hypocentre: Float[np.ndarray, "event 4"]
    hypodd_sd: Float[np.ndarray, "event 4"]
    iterations: tuple[Iteration, ...]
    lost: dict[int, str]
    cluster: Int[np.ndarray, " event"]
    links: Int[np.ndarray, "event kind phase"]
    rms_s: Float[np.ndarray, "event kind"]
    errors: LinkErrors


class State(NamedTuple):
    """Between iterations: locations, links that are left, clusters of the events that take part, reasons."""

    hypocentre: Float[np.ndarray, "event 4"]
    links: Equations
    cluster: Int[np.ndarray, " event"]
    lost: dict[int, str]


def double_difference(
    key: Key[Array, ""],
    times: TravelTimes,
    station_km: Float[np.ndarray, "station 3"],
    start: Float[np.ndarray, "event 4"],
    start_covariance: Float[np.ndarray, "event 4 4"],
    links: Sequence[Links],
    settings: Settings = Settings(),
) -> Relocated:
    """Relocate events by differential times.

    Args:
        key: of the posterior's draws; locations do not depend on it.
        times: travel times (`jaxloc.physics.layered_times.layered_times`), differentiable in the hypocentre.
        station_km: east, north and depth of the stations.
        start: hypocentres to start from, east, north, depth in km and origin time in s on the clock of the links.
        start_covariance: of the errors of each starting location that others do not share.
        links: differential times, by kind.
        settings: iterations, solver, clusters and errors.

    Raises:
        ValueError: where links, starting locations or settings are wrong, no cluster is left, or the solver SVD is
            asked for a problem too large.
    """
    start, covariance = np.asarray(start, float), np.asarray(start_covariance, float)
    _check(start, covariance, settings)
    all_links = equations(links, len(start), len(station_km))
    cluster = clusters(all_links.first, all_links.second, len(start), settings.cluster_links)
    lost = {int(i): _unlinked(all_links, i, settings) for i in np.flatnonzero(cluster < 0)}
    state = State(start, all_links.take(cluster[all_links.first] >= 0), cluster, lost)
    if not len(state.links.first):
        raise ValueError(
            f"no pair of events has {settings.cluster_links} links; reduce cluster_links or pair more events"
        )
    state = state._replace(links=state.links.take(cluster[state.links.first] == cluster[state.links.second]))
    table, sd = [], np.full(start.shape, np.nan)
    for one in (each for each in settings.sets for _ in range(each.iterations)):
        updated = False
        while not updated:
            state, row, sd = _iterate(times, station_km, state, one, settings, start)
            table.append(row)
            updated = row.updated
    found = _posterior(key, times, station_km, state, settings, Start(start, covariance, _common(settings)))
    return Relocated(
        found[0], state.hypocentre, sd, tuple(table), state.lost, state.cluster, found[1], found[2], found[3]
    )


def _check(start: np.ndarray, covariance: np.ndarray, settings: Settings) -> None:
    if start.ndim != 2 or start.shape[1] != 4 or not np.isfinite(start).all():
        raise ValueError(f"starting hypocentres must be finite, [event, 4], got shape {start.shape}")
    if covariance.shape != (len(start), 4, 4) or not (np.linalg.eigvalsh(covariance) > 0).all():
        raise ValueError(
            f"start_covariance must be positive definite, [{len(start)}, 4, 4], got shape {covariance.shape}; "
            "give events of unknown error a wide one"
        )
    if settings.solver not in SOLVERS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {settings.solver!r}")
    if settings.air_quakes not in AIR_QUAKES:
        raise ValueError(f"air_quakes must be one of {', '.join(AIR_QUAKES)}, got {settings.air_quakes!r}")
    if not settings.sets or min(each.iterations for each in settings.sets) < 1:
        raise ValueError("sets must have one iteration each at least")
    if settings.draws < 10 or min(settings.common_sd) <= 0:
        raise ValueError(f"draws must be 10 or more and common_sd positive, got {settings.draws}, {settings.common_sd}")


def _common(settings: Settings) -> Float[np.ndarray, "4 4"]:
    return np.diag(np.square(settings.common_sd))


def _unlinked(links: Equations, event: int, settings: Settings) -> str:
    number = int(((links.first == event) | (links.second == event)).sum())
    if not number:
        return "no differential time"
    return f"{number} differential times, no pair with {settings.cluster_links} of them"


def _iterate(
    times: TravelTimes,
    station_km: Float[np.ndarray, "station 3"],
    state: State,
    one: IterationSet,
    settings: Settings,
    start: Float[np.ndarray, "event 4"],
) -> tuple[State, Iteration, Float[np.ndarray, "event 4"]]:
    """Weights, dropped links, least squares, air quakes, new locations: one iteration of hypoDD."""
    calculated = arrivals(times, state.hypocentre[:, :3], station_km)
    residual_s = residuals_s(state.links, state.hypocentre, calculated)
    weight, _ = weights(state.links, residual_s, separations_km(state.links, state.hypocentre), one)
    state, kept = _without(state, weight > 0, start)
    weight, residual_s = weight[kept], residual_s[kept]
    matrix = design(state.links, calculated, len(start))
    solution = _solve(matrix, residual_s, weight, state.cluster, one, settings)
    after_s = residual_s - matrix @ solution.change.ravel()
    moved = state.hypocentre + solution.change
    air = (moved[:, 2] < settings.top_km) & (state.cluster >= 0)
    sd = np.sqrt(solution.variance * weighted_variance_s2(after_s, weight, 4 * int((state.cluster >= 0).sum())))
    row = _row(state, after_s, weight, solution, air, updated=not (air.any() and settings.air_quakes == "remove"))
    if not row.updated:
        return _without_air(state, air, start), row, sd
    moved[air, 2] = state.hypocentre[air, 2]
    return state._replace(hypocentre=moved), row, sd


def _solve(
    matrix: csr_array,
    residual_s: Float[np.ndarray, " link"],
    weight: Float[np.ndarray, " link"],
    cluster: Int[np.ndarray, " event"],
    one: IterationSet,
    settings: Settings,
) -> Solution:
    weighted, data_s = csr_array(diags_array(weight) @ matrix), residual_s * weight
    if settings.solver == "svd":
        return solve_svd(weighted, data_s, cluster)
    return solve_lsqr(weighted, data_s, cluster, one.damping)


def _without(
    state: State, kept: Bool[np.ndarray, " link"], start: Float[np.ndarray, "event 4"]
) -> tuple[State, Bool[np.ndarray, " link"]]:
    """Links below the least weight are dropped for good, and events that have none left."""
    links = state.links.take(kept)
    if not len(links.first):
        raise NoneLeftError(NONE_LEFT)
    linked = np.zeros(len(start), bool)
    linked[links.first] = linked[links.second] = True
    gone = ~linked & (state.cluster >= 0)
    lost = state.lost | {
        int(i): "all differential times were cut off by residual or distance" for i in np.flatnonzero(gone)
    }
    hypocentre = np.where(gone[:, None], start, state.hypocentre)
    return State(hypocentre, links, np.where(gone, -1, state.cluster), lost), kept


def _without_air(state: State, air: Bool[np.ndarray, " event"], start: Float[np.ndarray, "event 4"]) -> State:
    lost = state.lost | {int(i): "came above the ground (air quake)" for i in np.flatnonzero(air)}
    cluster = np.where(air, -1, state.cluster)
    kept = (cluster[state.links.first] >= 0) & (cluster[state.links.second] >= 0)
    state = State(np.where(air[:, None], start, state.hypocentre), state.links, cluster, lost)
    return _without(state, kept, start)[0]


def _row(
    state: State,
    after_s: Float[np.ndarray, " link"],
    weight: Float[np.ndarray, " link"],
    solution: Solution,
    air: Bool[np.ndarray, " event"],
    updated: bool,
) -> Iteration:
    cross = state.links.kind == 1
    part = state.cluster >= 0
    shift = np.abs(solution.change[part]).mean(0)
    return Iteration(
        int(part.sum()),
        int((~cross).sum()),
        int(cross.sum()),
        weighted_rms_s(after_s[~cross], weight[~cross]),
        weighted_rms_s(after_s[cross], weight[cross]),
        tuple(map(float, shift[:3])),
        float(shift[3]),
        solution.condition,
        int(air.sum()),
        updated,
    )


def _posterior(
    key: Key[Array, ""],
    times: TravelTimes,
    station_km: Float[np.ndarray, "station 3"],
    state: State,
    settings: Settings,
    start: Start,
) -> tuple[Posterior, Int[np.ndarray, "event kind phase"], Float[np.ndarray, "event kind"], LinkErrors]:
    """The posterior about hypoDD's locations, with the last weights; and what it was made of."""
    links, hypocentre, rng = state.links, state.hypocentre, np.random.default_rng(np.asarray(random.key_data(key)))
    calculated = arrivals(times, hypocentre[:, :3], station_km)
    residual_s, apart_km = residuals_s(links, hypocentre, calculated), separations_km(links, hypocentre)
    weight, robust = weights(links, residual_s, apart_km, settings.sets[-1])
    if not (weight > 0).any():
        raise NoneLeftError(NONE_LEFT)
    errors = fit_errors(links, residual_s, robust, apart_km, _inflation(links, weight))
    scale = efficient_scale(rng, links, calculated, weight, errors, hypocentre[:, :3])
    at = hypocentre
    normal = normal_equations(links, calculated, weight, start, state.cluster, scale)
    change = solve(normal, (normal.back @ residual_s)[:, None], (start.hypocentre - hypocentre)[..., None])[..., 0]
    at = hypocentre + change
    yielding = weight * np.sqrt(curvature(links, residual_s, robust, settings.sets[-1]))
    of_errors = normal_equations(links, calculated, yielding, start, state.cluster, scale)
    of_errors = of_errors._replace(back=normal.back)
    draws = perturbed(rng, of_errors, links, errors, start._replace(hypocentre=at), settings.draws)
    draws = jnp.asarray(at[:, None] + draws - draws.mean(1, keepdims=True), jnp.float32)
    return _as_posterior(jnp.asarray(at, jnp.float32), draws), *_of_events(links, residual_s, len(at)), errors


def _inflation(links: Equations, weight: Float[np.ndarray, " link"]) -> float:
    """Data over degrees of freedom, counted in picks (and cross-correlations, as many as there are picks at most)."""
    used = weight > 0
    rows = np.stack([links.first, links.second], -1)[used]
    name = (rows * (links.station.max() + 1) + links.station[used, None]) * 2 + links.phase[used, None]
    data, unknowns = min(len(np.unique(name)), used.sum()), 4 * len(np.unique(rows))
    return float(data / max(data - unknowns, 0.1 * data))


def _of_events(
    links: Equations, residual_s: Float[np.ndarray, " link"], number: int
) -> tuple[Int[np.ndarray, "event kind phase"], Float[np.ndarray, "event kind"]]:
    counts, squares = np.zeros((number, 2, 2), int), np.zeros((number, 2))
    for event in (links.first, links.second):
        np.add.at(counts, (event, links.kind, links.phase), 1)
        np.add.at(squares, (event, links.kind), residual_s**2)
    total = counts.sum(2)
    return counts, np.where(total > 0, np.sqrt(squares / np.maximum(total, 1)), np.nan)


def _as_posterior(mean: Float[Array, "event 4"], draws: Float[Array, "event draw 4"]) -> Posterior:
    centred = draws - mean[:, None]
    covariance = jnp.einsum("edi,edj->eij", centred, centred) / (draws.shape[1] - 1)
    tril = jnp.linalg.cholesky(covariance)
    mixture = gaussian_mixture(jnp.zeros((len(mean), 1)), mean[:, None], tril[:, None])
    return Posterior(mixture, jnp.zeros_like(covariance), covariance, jointly=draws)


def relocating(
    start: Locator,
    times: TravelTimes,
    pairs: PairSettings = PairSettings(neighbours=20),
    settings: Settings = Settings(air_quakes="reset"),
) -> Locator:
    """A locator that relocates the events of a batch, all at once, by the differences of their picks.

    Events without a pair keep the error of `start`, and the common one of `settings`; a batch without a pair is as
    `start` locates it. Starting locations are of the same picks: their errors must be several times those of the
    differences, or the picks count twice. A batch whose differences were all cut off stays as well.

    Args:
        start: a locator for locations to start from.
        times: travel times, differentiable in the hypocentre.
        pairs: how events are paired.
        settings: of the relocation.
    """

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        of_start, of_draws = random.split(key)
        first = start(of_start, observations)
        mean = np.asarray(first.mean, float)
        paired = pair_events(observations, mean, pairs)
        if not (clusters(*paired.times[:2], len(mean), settings.cluster_links) >= 0).any():
            return first
        station_km, covariance = np.asarray(observations.station_km[0], float), np.asarray(first.covariance, float)
        links = [Links("catalogue", paired.times)]
        try:
            return double_difference(of_draws, times, station_km, mean, covariance, links, settings).posterior
        except NoneLeftError:
            return first

    return locate
