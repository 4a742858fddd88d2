"""Iterations of hypoDD: weights, links dropped for good, least squares, events above the ground, new locations.

Waldhauser & Ellsworth (2000), BSSA 90, 1353-1368; program hypoDD 2.1. Clusters are relocated in one system.
"""

# pyright: reportArgumentType=false
# Arrays are NumPy's, in double precision on the host.

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array, diags_array

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.double_difference_solvers import Solution, solve_lsqr, solve_svd
from jaxloc.physics.double_differences import (
    Equations,
    IterationSet,
    arrivals,
    design,
    residuals_s,
    separations_km,
    weighted_rms_s,
    weighted_variance_s2,
    weights,
)
from jaxloc.physics.iteration_sets import CATALOGUE_KM, CROSS_KM
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.physics.topography import Ground, surface_depth_km

SOLVERS, AIR_QUAKES = ("svd", "lsqr"), ("remove", "reset")
NONE_LEFT = "no differential time is left; widen the cutoffs of residuals and distances of the sets"


class NoneLeftError(ValueError):
    """All differential times were cut off by their residuals or distances."""


class Settings(NamedTuple):
    """How to relocate.

    `sets` are hypoDD's iteration sets; None: `jaxloc.physics.iteration_sets.default_sets`, with the cutoffs of distance
    `catalogue_km` and `cross_km` and the `damping` (None: theirs). `solver` is one of `SOLVERS`. Clusters are events
    that pairs of `cluster_links` links or more connect (OBSCC + OBSCT; 0: any pair). Events that come above `top_km`
    are removed with their links or reset to their depth before (IAQ 1 and 0). Events that begin outside of `region` or
    leave it are removed with their links: travel times end there (None: they do not). The `ground`, where there is one,
    is in place of `top_km`, and events are not reset to a depth above it. `common_sd` is the standard deviation of the
    error that all starting locations of a cluster share, in km and s; `draws` the number of joint draws.
    """

    sets: Sequence[IterationSet] | None = None
    solver: str = "lsqr"
    cluster_links: int = 8
    air_quakes: str = "remove"
    top_km: float = 0.0
    common_sd: tuple[float, float, float, float] = (1.0, 1.0, 2.0, 0.3)
    draws: int = 500
    catalogue_km: float = CATALOGUE_KM
    cross_km: float = CROSS_KM
    damping: float | None = None
    region: Region | None = None
    ground: Ground | None = None


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


class State(NamedTuple):
    """Between iterations: locations, links that are left, clusters of the events that take part, reasons."""

    hypocentre: Float[np.ndarray, "event 4"]
    links: Equations
    cluster: Int[np.ndarray, " event"]
    lost: dict[int, str]


def iterate(
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
    top_km = _top_km(moved, settings)
    air = (moved[:, 2] < top_km) & (state.cluster >= 0)
    outside = beyond(moved, settings) & (state.cluster >= 0) & ~air
    stays = outside.any() or (air.any() and settings.air_quakes == "remove")
    sd = np.sqrt(solution.variance * weighted_variance_s2(after_s, weight, 4 * int((state.cluster >= 0).sum())))
    row = _row(state, after_s, weight, solution, air, updated=not stays)
    if outside.any():
        return _without_events(state, outside, start, "left the travel times' region"), row, sd
    if not row.updated:
        return _without_events(state, air, start, "came above the ground (air quake)"), row, sd
    before_km = state.hypocentre[:, 2] if settings.ground is None else np.maximum(state.hypocentre[:, 2], top_km)
    moved[air, 2] = before_km[air]
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


def _top_km(hypocentre: Float[np.ndarray, "event 4"], settings: Settings) -> Float[np.ndarray, " event"]:
    """The depth above which an event is in the air."""
    if settings.ground is None:
        return np.full(len(hypocentre), settings.top_km)
    return np.asarray(surface_depth_km(settings.ground, jnp.asarray(hypocentre[:, :3], jnp.float32)), float)


def beyond(hypocentre: Float[np.ndarray, "event 4"], settings: Settings) -> Bool[np.ndarray, " event"]:
    """Events outside of the region; those above it are left to the rules for air quakes."""
    if settings.region is None:
        return np.zeros(len(hypocentre), bool)
    low, high = np.array(settings.region[:3]).T
    return np.asarray(((hypocentre[:, :3] < [*low[:2], -np.inf]) | (hypocentre[:, :3] > high)).any(1))


def _without_events(
    state: State, gone: Bool[np.ndarray, " event"], start: Float[np.ndarray, "event 4"], reason: str
) -> State:
    lost = state.lost | {int(i): reason for i in np.flatnonzero(gone)}
    cluster = np.where(gone, -1, state.cluster)
    kept = (cluster[state.links.first] >= 0) & (cluster[state.links.second] >= 0)
    state = State(np.where(gone[:, None], start, state.hypocentre), state.links, cluster, lost)
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
