"""Two catalogues of one sequence: which events are the same, and by how much their locations differ.

Events are matched one to one by origin time and epicentre so that the sum of all squared distances is the smallest (the
assignment problem of Kuhn 1955), which a busy minute needs: nearest pairs first would take the partner of a neighbour.
Depth takes no part: it differs most between programs, and by its reference (sea level, ground, mean elevation of the
stations).
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree

NEIGHBOURS = 5  # of each matched event, whose separations are compared
OUTSIDE = "outside the time span of the other catalogue"
NO_TIME = "no event of the other catalogue within {:g} s"
NO_PLACE = "events of the other catalogue within {:g} s are too far away"
TAKEN = "the nearest event of the other catalogue is matched with another one"


class Limits(NamedTuple):
    """How far apart one event may be in two catalogues, in origin time and in epicentre.

    Origin times and epicentres of one event from the same picks differ by less than a second and some km, or by more
    where few stations are on one side; events of a swarm follow one another by some seconds.
    """

    within_s: float = 3.0
    within_km: float = 20.0


class Matched(NamedTuple):
    """Rows of the same events in both catalogues, and the reason for each row that has no counterpart."""

    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]
    only_first: dict[int, str]
    only_second: dict[int, str]


class Difference(NamedTuple):
    """Median, median absolute deviation from it, and 90th percentile of absolute values."""

    median: float
    mad: float
    ninety: float


class Near(NamedTuple):
    """Pairs of events within the limits: their rows, and how far apart they are."""

    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]
    apart_s: Float[np.ndarray, " pair"]
    apart_km: Float[np.ndarray, " pair"]


def match(
    first: Float[np.ndarray, "first 4"],
    second: Float[np.ndarray, "second 4"],
    limits: Limits = Limits(),
    errors: tuple[Float[np.ndarray, "first 2"], Float[np.ndarray, "second 2"]] | None = None,
) -> Matched:
    """Match events one to one with the smallest sum of squared distances.

    A pair costs (s / sd of both)^2 + (km / sd of both)^2, and two events without a partner cost as much as a pair that
    is apart by both limits.

    Args:
        first: hypocentres of a catalogue, east, north and depth in km and origin time in s; depths may be NaN.
        second: those of the other one, in the same frame and on the same clock.
        limits: within which events are the same.
        errors: standard deviations of origin times in s and of epicentres in km, positive; None: the limits, alike for
            all events.

    Raises:
        ValueError: where a catalogue is empty, an epicentre or origin time is not finite, or a limit is not positive.
    """
    near = near_pairs(first, second, limits)
    rows = _assigned(near, len(first), len(second), *_costs(near, limits, errors))
    only = [
        _reasons(mine[:, 3], theirs[:, 3], np.bincount(column, minlength=len(mine)) > 0, used, limits)
        for mine, theirs, column, used in (
            (first, second, near.first, rows[:, 0]),
            (second, first, near.second, rows[:, 1]),
        )
    ]
    return Matched(rows[:, 0], rows[:, 1], only[0], only[1])


def near_pairs(
    first: Float[np.ndarray, "first 4"], second: Float[np.ndarray, "second 4"], limits: Limits = Limits()
) -> Near:
    """All pairs of events within the limits; raises as `match`."""
    scaled = [_scaled(name, each, limits) for name, each in (("first", first), ("second", second))]
    trees = KDTree(scaled[0]), KDTree(scaled[1])
    pairs = trees[0].sparse_distance_matrix(trees[1], 1.0, p=np.inf, output_type="ndarray")
    rows = pairs["i"].astype(int), pairs["j"].astype(int)
    apart = first[rows[0]] - second[rows[1]]
    apart_km = np.hypot(apart[:, 0], apart[:, 1])
    kept = apart_km <= limits.within_km
    return Near(rows[0][kept], rows[1][kept], np.abs(apart[kept, 3]), apart_km[kept])


def _costs(
    near: Near,
    limits: Limits,
    errors: tuple[Float[np.ndarray, "first 2"], Float[np.ndarray, "second 2"]] | None,
) -> tuple[Float[np.ndarray, " pair"], float]:
    """Cost of each pair, and of two events without a partner."""
    variance = np.square(np.array([limits]))
    if errors is not None:
        variance = np.square(errors[0][near.first]) + np.square(errors[1][near.second])
    cost = near.apart_s**2 / variance[:, 0] + near.apart_km**2 / variance[:, 1]
    return cost, float((np.square(limits) / variance).sum(-1).max(initial=0.0))


def _assigned(
    near: Near, num_first: int, num_second: int, cost: Float[np.ndarray, " pair"], alone: float
) -> Int[np.ndarray, "pair 2"]:
    """Rows of the pairs of the cheapest assignment: each event of the first may have a partner of its own, or none."""
    nobody = np.arange(num_first)
    # A sparse matrix takes a zero for no entry: all entries are larger by 1, which changes no order.
    value = np.concatenate([cost, np.full(num_first, alone)]) + 1.0
    at = np.concatenate([near.first, nobody]), np.concatenate([near.second, num_second + nobody])
    matrix = coo_array((value, at), shape=(num_first, num_second + num_first)).tocsr()
    one, other = min_weight_full_bipartite_matching(matrix)
    real = other < num_second
    return np.stack([one[real], other[real]], -1).astype(int)


def _scaled(name: str, hypocentre: Float[np.ndarray, "event 4"], limits: Limits) -> Float[np.ndarray, "event 3"]:
    if min(limits) <= 0:
        raise ValueError(f"within_s and within_km must be positive, got {limits.within_s:g} and {limits.within_km:g}")
    scaled = hypocentre[:, [3, 0, 1]] / [limits.within_s, limits.within_km, limits.within_km]
    if not len(scaled) or not np.isfinite(scaled).all():
        raise ValueError(
            f"events of the {name} catalogue must have epicentre and origin time, got {len(scaled)} events, "
            f"{int((~np.isfinite(scaled)).any(1).sum())} of them without"
        )
    return scaled


def _reasons(
    origin_s: Float[np.ndarray, " event"],
    other_s: Float[np.ndarray, " other"],
    near: Bool[np.ndarray, " event"],
    used: Int[np.ndarray, " pair"],
    limits: Limits,
) -> dict[int, str]:
    """Why events have no counterpart; `near` are those with an event of the other catalogue within the limits."""
    other_s = np.sort(other_s)
    around = np.searchsorted(other_s, origin_s + limits.within_s) > np.searchsorted(other_s, origin_s - limits.within_s)
    outside = (origin_s < other_s[0] - limits.within_s) | (origin_s > other_s[-1] + limits.within_s)
    cases = ((near, TAKEN), (around, NO_PLACE), (outside, OUTSIDE))
    rows = np.setdiff1d(np.arange(len(origin_s)), used)
    return {
        int(row): next((text for case, text in cases if case[row]), NO_TIME).format(limits.within_s) for row in rows
    }


def counted(reasons: dict[int, str]) -> list[tuple[str, int]]:
    """Reasons with their numbers of events, the most frequent first."""
    return Counter(reasons.values()).most_common()


def differences(
    first: Float[np.ndarray, "first 4"], second: Float[np.ndarray, "second 4"], matched: Matched
) -> dict[str, Difference]:
    """How matched events differ, second minus first, by quantity with its unit.

    Epicentres and separations are distances, without sign. `epicentre, median shift removed` has what is left when the
    medians of both components are taken out, `neighbours` the difference between the separations of each event from
    its nearest matched ones (in the second catalogue): relative locations, on which common shifts have no effect.
    """
    one, other = first[matched.first], second[matched.second]
    apart = other - one
    left = apart[:, :2] - np.median(apart[:, :2], 0) if len(apart) else apart[:, :2]
    between = _between_neighbours(one, other)
    return {
        "epicentre (km)": difference(np.hypot(*apart[:, :2].T)),
        "epicentre, median shift removed (km)": difference(np.hypot(*left.T)),
        "east (km)": difference(apart[:, 0]),
        "north (km)": difference(apart[:, 1]),
        "depth (km)": difference(apart[:, 2]),
        "origin time (s)": difference(apart[:, 3]),
        "neighbours, horizontally (km)": difference(np.hypot(*between[:, :2].T)),
        "neighbours, in depth (km)": difference(np.abs(between[:, 2])),
    }


def _between_neighbours(
    one: Float[np.ndarray, "pair 4"], other: Float[np.ndarray, "pair 4"]
) -> Float[np.ndarray, "separation 4"]:
    """Differences of separations from the nearest events, one row a neighbour of an event of known depths."""
    known = np.isfinite(one[:, 2]) & np.isfinite(other[:, 2])
    one, other = one[known], other[known]
    number = min(NEIGHBOURS, len(one) - 1)
    if number < 1:
        return np.zeros((0, 4))
    near = np.asarray(KDTree(other[:, :3]).query(other[:, :3], number + 1)[1])
    apart = other - one
    row = np.repeat(np.arange(len(one)), number + 1)
    pairs = row != near.ravel()
    return apart[row[pairs]] - apart[near.ravel()[pairs]]


def difference(values: Float[np.ndarray, " event"]) -> Difference:
    """Median, median absolute deviation and 90th percentile of absolute values, of those that are known."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Difference(np.nan, np.nan, np.nan)
    median = np.median(values)
    return Difference(
        float(median), float(np.median(np.abs(values - median))), float(np.percentile(np.abs(values), 90))
    )
