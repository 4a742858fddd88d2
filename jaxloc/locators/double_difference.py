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
from jaxtyping import Array, Float, Int, Key

from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.physics.double_difference_iterations import (
    AIR_QUAKES,
    NONE_LEFT,
    SOLVERS,
    Iteration,
    NoneLeftError,
    Settings,
    State,
    beyond,
    iterate,
)
from jaxloc.physics.double_difference_posterior import (
    Start,
    efficient_scale,
    normal_equations,
    perturbed,
    solve,
)
from jaxloc.physics.double_differences import (
    Equations,
    IterationSet,
    Links,
    arrivals,
    curvature,
    equations,
    residuals_s,
    separations_km,
    weights,
)
from jaxloc.physics.event_pairs import PairSettings, clusters, pair_events
from jaxloc.physics.iteration_sets import default_sets
from jaxloc.physics.link_errors import LinkErrors, fit_errors
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.types import Locator, Observations, Posterior


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
    if (outside := beyond(start, settings)).any():
        cluster = np.where(outside, -1, cluster)
        lost |= {int(i): "begins outside of the travel times' region" for i in np.flatnonzero(outside)}
    taken = (cluster[all_links.first] >= 0) & (cluster[all_links.second] >= 0)
    state = State(start, all_links.take(taken), cluster, lost)
    if not len(state.links.first):
        raise ValueError(
            f"no pair of events has {settings.cluster_links} links; reduce cluster_links or pair more events"
        )
    state = state._replace(links=state.links.take(cluster[state.links.first] == cluster[state.links.second]))
    sets = settings.sets or default_sets(links, settings.catalogue_km, settings.cross_km, settings.damping)
    table, sd = [], np.full(start.shape, np.nan)
    for one in (each for each in sets for _ in range(each.iterations)):
        updated = False
        while not updated:
            state, row, sd = iterate(times, station_km, state, one, settings, start)
            table.append(row)
            updated = row.updated
    of_start = Start(start, covariance, np.diag(np.square(settings.common_sd)))
    found = _posterior(key, times, station_km, state, sets[-1], of_start, settings.draws)
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
    if settings.sets is not None and min((each.iterations for each in settings.sets), default=0) < 1:
        raise ValueError("sets must have one iteration each at least")
    if settings.draws < 10 or min(settings.common_sd) <= 0:
        raise ValueError(f"draws must be 10 or more and common_sd positive, got {settings.draws}, {settings.common_sd}")


def _unlinked(links: Equations, event: int, settings: Settings) -> str:
    number = int(((links.first == event) | (links.second == event)).sum())
    if not number:
        return "no differential time"
    return f"{number} differential times, no pair with {settings.cluster_links} of them"


def _posterior(
    key: Key[Array, ""],
    times: TravelTimes,
    station_km: Float[np.ndarray, "station 3"],
    state: State,
    last: IterationSet,
    start: Start,
    draws: int,
) -> tuple[Posterior, Int[np.ndarray, "event kind phase"], Float[np.ndarray, "event kind"], LinkErrors]:
    """The posterior about hypoDD's locations, with the last weights; and what it was made of."""
    links, hypocentre, rng = state.links, state.hypocentre, np.random.default_rng(np.asarray(random.key_data(key)))
    calculated = arrivals(times, hypocentre[:, :3], station_km)
    residual_s, apart_km = residuals_s(links, hypocentre, calculated), separations_km(links, hypocentre)
    weight, robust = weights(links, residual_s, apart_km, last)
    if not (weight > 0).any():
        raise NoneLeftError(NONE_LEFT)
    errors = fit_errors(links, residual_s, robust, apart_km, _inflation(links, weight))
    scale = efficient_scale(rng, links, calculated, weight, errors, hypocentre[:, :3])
    at = hypocentre
    normal = normal_equations(links, calculated, weight, start, state.cluster, scale)
    change = solve(normal, (normal.back @ residual_s)[:, None], (start.hypocentre - hypocentre)[..., None])[..., 0]
    at = hypocentre + change
    yielding = weight * np.sqrt(curvature(links, residual_s, robust, last))
    of_errors = normal_equations(links, calculated, yielding, start, state.cluster, scale)
    of_errors = of_errors._replace(back=normal.back)
    sample = perturbed(rng, of_errors, links, errors, start._replace(hypocentre=at), draws)
    sample = jnp.asarray(at[:, None] + sample - sample.mean(1, keepdims=True), jnp.float32)
    return _as_posterior(jnp.asarray(at, jnp.float32), sample), *_of_events(links, residual_s, len(at)), errors


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
