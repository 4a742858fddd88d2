"""Picks to events, with the odds that each event is real.

1. Candidates: boxes of space and time, subdivided where a bound of the odds allows an event (`candidates`).
2. Each is fitted to all picks about it as a mixture of the event and clutter (`candidate_refinement`).
3. One joint problem decides which candidates are events and which picks they have (`assignment`), in turn with
   locations for these picks; events found twice are merged (`duplicates`), and so are parts of one (`merging`).
4. What stations detect, their clutter (`clutter`), their delays and the error of travel times are learnt from these
   events (`arrival_model`), and 1 to 3 are repeated with the picks left over, all events competing again.
5. The odds are calibrated (`odds_calibration`).

There is no least interval between events. Times are in s from any zero, positions in km.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from jaxloc.data.pick_list import NO_EVENT, Associated, PickList
from jaxloc.detection.arrival_model import ArrivalModel, first_model, learnt_model, relative_rate
from jaxloc.detection.assignment import Assigned, assign, free_picks
from jaxloc.detection.candidate_refinement import (
    FINAL,
    NONE,
    Fitted,
    PickOrder,
    Problem,
    fit,
    joined,
    pick_order,
    resized,
)  # fmt: skip
from jaxloc.detection.candidates import BoxSearch, box_search, candidates
from jaxloc.detection.clutter import Arrivals, clutter_hz
from jaxloc.detection.duplicates import duplicates
from jaxloc.detection.left_over import reasons
from jaxloc.detection.merging import merged
from jaxloc.detection.odds_calibration import calibrated
from jaxloc.detection.travel_cells import travel_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel

Say = Callable[[str], None]
ROUNDS = 3  # of location and assignment in turn
LEAST_LOG_ODDS_BOX = -2.0


class Settings(NamedTuple):
    """What association may be told; all but the numbers of picks follow from the network where they are None.

    Attributes:
        cell_km: horizontal size of the smallest boxes.
        bin_s: their width in time.
        size_km: smallest and largest distance to which events are picked.
        model_share: standard deviation of travel times as a share of them, before it is learnt.
        least_picks, least_stations: of an event.
        least_log_odds: natural logarithm, calibrated, below which an event is not kept.
        farthest_sigma: residual beyond which a pick is none of an event's.
        passes: 1 learns nothing.
        chunk_s: stretch of time that is searched at once; it bounds memory.
    """

    cell_km: float | None = None
    bin_s: float | None = None
    size_km: tuple[float, float] | None = None
    model_share: float = 0.02
    least_picks: int = 4
    least_stations: int = 3
    least_log_odds: float = 0.0
    farthest_sigma: float = 4.0
    passes: int = 2
    chunk_s: float = 600.0


BEYOND = 0.75
MOST_CELLS = 40_000
CELL_ASPECT = 1.5  # height of a cell over its width


def region_around(station_km: Float[np.ndarray, "station 3"], depth_km: tuple[float, float] | None = None) -> Region:
    """`BEYOND` of the width of the network beyond it on all sides, and 0.4 of it deep (20 to 250 km).

    Picks of an event outside the region make several false events inside.
    """
    low, high = station_km[:, :2].min(0), station_km[:, :2].max(0)
    width_km = max(float((high - low).max()), 20.0)
    sides = [(float(a - BEYOND * width_km), float(b + BEYOND * width_km)) for a, b in zip(low, high, strict=True)]
    deep = (0.0, float(np.clip(0.4 * width_km, 20.0, 250.0))) if depth_km is None else depth_km
    return Region(sides[0], sides[1], deep, (0.0, 0.0))


def resolved(settings: Settings, region: Region, station_km: Float[np.ndarray, "station 3"]) -> Settings:
    """Settings with those of the network where they were None."""
    extents = np.array([high - low for low, high in region[:3]])
    cell_km = settings.cell_km
    if cell_km is None:
        apart = np.linalg.norm(station_km[:, None, :2] - station_km[:, :2], axis=-1)
        np.fill_diagonal(apart, np.inf)
        spacing_km = float(np.median(apart.min(1))) if len(apart) > 1 else 20.0
        by_memory_km = float((extents.prod() / MOST_CELLS / CELL_ASPECT) ** (1 / 3))
        cell_km = max(float(np.clip(spacing_km / 3, 1.0, 8.0)), by_memory_km)
    bin_s = cell_km / 5 if settings.bin_s is None else settings.bin_s
    size_km = settings.size_km
    if size_km is None:
        widest_km = float(np.hypot(*extents[:2]))
        size_km = (widest_km / 16, widest_km)
    return settings._replace(cell_km=cell_km, bin_s=bin_s, size_km=size_km)


def associate(
    picks: PickList,
    station_km: Float[np.ndarray, "station 3"],
    velocity: VelocityModel,
    region: Region | None = None,
    settings: Settings = Settings(),
    say: Say = lambda line: None,
) -> Associated:
    """Associate picks.

    Args:
        picks: in the order of their times, each with a positive `sigma_s`.
        station_km: east, north and depth (negative above sea level) of the stations.
        velocity: layers.
        region: where events may be; its origin times are not used. None: about the network (`region_around`).
        settings: see `Settings`.
        say: takes a line of what was chosen, and where a limit is reached.

    Raises:
        ValueError: where picks are not in order or have no sigma, or name a station that is not there.
    """
    _check(picks, station_km)
    region = region_around(station_km) if region is None else region
    settings = resolved(settings, region, station_km)
    say(_in_words(settings, region))
    travel = travel_of(velocity, region, station_km)
    least = (settings.least_picks, settings.least_stations, LEAST_LOG_ODDS_BOX)
    assert settings.cell_km is not None and settings.bin_s is not None  # noqa: PT018
    assert settings.size_km is not None
    search = box_search(travel, region, (settings.cell_km, CELL_ASPECT * settings.cell_km), settings.bin_s, least, 4)
    volume_km3 = float(np.prod([high - low for low, high in region[:3]]))
    model = first_model(picks, len(station_km), settings.size_km, volume_km3, settings.model_share)
    problem = Problem(travel, region, picks, model, settings.farthest_sigma, settings.cell_km / 5 + settings.bin_s / 2)
    found, rejected = _pass(problem, search, settings, None, say)
    for _ in range(settings.passes - 1):
        problem = problem._replace(model=_learnt(problem, found, volume_km3, search.levels[-1].shape))
        found, rejected = _pass(problem, search, settings, found, say)
    return _result(problem, found, rejected, settings.least_log_odds)


class Found(NamedTuple):
    """Events: their fits and picks."""

    fitted: Fitted
    assigned: Assigned


def _pass(
    problem: Problem, search: BoxSearch, settings: Settings, known: Found | None, say: Say
) -> tuple[Found, Fitted]:
    """Candidates from the picks that known events leave over, and all events among both; and the candidates lost."""
    free = np.ones(len(problem.picks.time_s), bool)
    if known is not None:
        free[known.assigned.pick[known.assigned.pick != NONE]] = False
    left = PickList(*(each[free] for each in problem.picks))
    model = problem.model._replace(clutter_hz=problem.model.clutter_hz[free])
    start = candidates(search, model, left, settings.chunk_s, say)
    new = fit(problem, pick_order(problem.picks, free), start)
    new = new.at(_best_of_near(new, settings))
    order = pick_order(problem.picks)
    if known is not None:
        new = joined(fit(problem, order, known.fitted.hypocentre, FINAL), new)
    new, assigned = _assigned(problem, new, settings, say)
    say(f"{len(start)} candidates, {len(new.base)} apart, {int(assigned.is_event.sum())} events")
    events, lost = _chosen(new, assigned, assigned.is_event), new.at(~assigned.is_event)
    for _ in range(ROUNDS):
        events = _relocated(problem, order, events, settings, say)
    return events, lost


def _assigned(problem: Problem, fitted: Fitted, settings: Settings, say: Say) -> tuple[Fitted, Assigned]:
    """Candidates and their picks, in turn with the sizes that candidates have by picks of no other event."""
    assigned = assign(fitted, problem.picks.time_s, settings.least_picks, settings.least_stations, say)
    for _ in range(ROUNDS - 1):
        fitted = resized(problem.model, fitted, free_picks(assigned, fitted.pick, len(problem.picks.time_s)))
        assigned = assign(fitted, problem.picks.time_s, settings.least_picks, settings.least_stations, say)
    return fitted, assigned


def _best_of_near(fitted: Fitted, settings: Settings) -> Bool[np.ndarray, " candidate"]:
    """Candidates that could be events and have none of higher odds within a small box."""
    assert settings.cell_km is not None and settings.bin_s is not None  # noqa: PT018
    scale = np.array([settings.cell_km / 3, settings.cell_km / 3, settings.cell_km / 2, settings.bin_s / 3])
    log_odds = fitted.log_odds
    keep = log_odds > LEAST_LOG_ODDS_BOX
    if not keep.any():
        return keep
    rows = np.flatnonzero(keep)
    rank = np.empty(len(rows), int)
    rank[np.argsort(-log_odds[rows], kind="stable")] = np.arange(len(rows))
    pairs = KDTree(fitted.hypocentre[rows] / scale).query_pairs(1.0, output_type="ndarray")
    keep[rows[np.where(rank[pairs[:, 0]] > rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])]] = False
    return keep


def _chosen(fitted: Fitted, assigned: Assigned, keep: np.ndarray) -> Found:
    return Found(fitted.at(keep), Assigned(*(each[keep] for each in assigned)))


def _relocated(problem: Problem, order: PickOrder, events: Found, settings: Settings, say: Say) -> Found:
    """Events located with the picks that they have, merged, and all picks assigned anew."""
    if not len(events.fitted.base):
        return events
    own = fit(problem, order, events.fitted.hypocentre, FINAL, events.assigned.pick)
    into = duplicates(
        own.hypocentre, own.covariance, events.assigned.log_odds, events.assigned.pick, problem.picks.time_s,
        problem.picks.sigma_s,
    )  # fmt: skip
    single = into == np.arange(len(into))
    one = merged(problem, order, own.at(single), events.assigned.pick[single])
    fresh, assigned = _assigned(problem, fit(problem, order, one.hypocentre[one.stays], ()), settings, say)
    return _chosen(fresh, assigned, assigned.is_event)


def _matched(problem: Problem, found: Found) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pick: its event, and there its residual and travel time in s (0 without event)."""
    number = len(problem.picks.time_s)
    event, residual_s, travel_s = np.full(number, NO_EVENT), np.zeros(number), np.zeros(number)
    row, ray = np.nonzero(found.assigned.pick != NONE)
    pick = found.assigned.pick[row, ray]
    event[pick], travel_s[pick] = row, found.fitted.travel_s[row, ray]
    residual_s[pick] = problem.picks.time_s[pick] - found.fitted.hypocentre[row, 3] - travel_s[pick]
    return event, residual_s, travel_s


def _learnt(problem: Problem, found: Found, volume_km3: float, shape: tuple[int, int, int]) -> ArrivalModel:
    event, residual_s, travel_s = _matched(problem, found)
    matched = (found.assigned.pick != NONE).reshape(len(found.fitted.base), -1, 2)
    clutter = clutter_hz(
        problem.picks, event, found.assigned.log_odds, _arrivals(found, matched), len(problem.model.size_km)
    )
    return learnt_model(
        problem.model, problem.picks, event, found.fitted.distance_km, matched, residual_s, travel_s,
        found.fitted.size, volume_km3, relative_rate(found.fitted.hypocentre, problem.region, shape),
        clutter,
    )  # fmt: skip


def _arrivals(found: Found, matched: Bool[np.ndarray, "event station phase"]) -> Arrivals:
    """P and S of each event at the stations that picked either."""
    event, station = np.nonzero(matched.any(-1))
    event, station, phase = np.repeat(event, 2), np.repeat(station, 2), np.tile([0, 1], len(event))
    time_s = found.fitted.hypocentre[event, 3] + found.fitted.travel_s[event, 2 * station + phase]
    return Arrivals(event, station, phase, time_s, found.fitted.size[event])


def _result(problem: Problem, found: Found, rejected: Fitted, least_log_odds: float) -> Associated:
    share = (found.assigned.pick != NONE).sum() / max(len(problem.picks.time_s), 1)
    log_odds = calibrated(found.assigned.log_odds, share)
    keep = log_odds >= least_log_odds
    rejected = joined(rejected, found.fitted.at(~keep))
    order = np.argsort(found.fitted.hypocentre[:, 3], kind="stable")
    order = order[keep[order]]
    found = _chosen(found.fitted, found.assigned, order)
    event, _, _ = _matched(problem, found)
    return Associated(
        found.fitted.hypocentre,
        found.fitted.covariance,
        log_odds[order],
        event,
        reasons(problem, found.fitted, found.assigned.pick, rejected, event),
    )


def _check(picks: PickList, station_km: Float[np.ndarray, "station 3"]) -> None:
    if len(picks.time_s) and (np.diff(picks.time_s) < 0).any():
        raise ValueError("picks must be in the order of their times; sort them by time_s")
    bad = ~(np.isfinite(picks.sigma_s) & (picks.sigma_s > 0))
    if bad.any():
        raise ValueError(
            f"sigma_s of a pick must be positive, got {picks.sigma_s[bad][0]} for pick {int(np.argmax(bad))}; give one "
            "to picks without"
        )
    unknown = (picks.station < 0) | (picks.station >= len(station_km))
    if unknown.any():
        raise ValueError(f"there are {len(station_km)} stations, and a pick names row {picks.station[unknown][0]}")


def _in_words(settings: Settings, region: Region) -> str:
    assert settings.size_km
    (west, east), (south, north), (top, bottom) = region[:3]
    return (
        f"region {east - west:.0f} x {north - south:.0f} km, depth {top:.0f} to {bottom:.0f} km; smallest boxes "
        f"{settings.cell_km:.1f} km and {settings.bin_s:.2f} s; events are picked up to {settings.size_km[0]:.0f} to "
        f"{settings.size_km[1]:.0f} km; at least {settings.least_picks} picks at {settings.least_stations} stations"
    )
