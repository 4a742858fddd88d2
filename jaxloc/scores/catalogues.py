"""Two catalogues of one sequence: which events are the same, and by how much their locations differ.

Events are matched one to one by origin time and epicentre, the nearest pairs first. Depth takes no part: it differs
most between programs, and by its reference (sea level, ground, mean elevation of the stations).
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

NEIGHBOURS = 5  # of each matched event, whose separations are compared
OUTSIDE = "outside the time span of the other catalogue"
NO_TIME = "no event of the other catalogue within {:g} s"
NO_PLACE = "events of the other catalogue within {:g} s are too far away"
TAKEN = "the nearest event of the other catalogue is matched with another one"


class Limits(NamedTuple):
    """How far apart one event may be in two catalogues: sqrt((s / within_s)^2 + (km / within_km)^2) is at most 1.

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


def match(
    first: Float[np.ndarray, "first 4"], second: Float[np.ndarray, "second 4"], limits: Limits = Limits()
) -> Matched:
    """Match events one to one, the nearest pairs first.

    Args:
        first: hypocentres of a catalogue, east, north and depth in km and origin time in s; depths may be NaN.
        second: those of the other one, in the same frame and on the same clock.
        limits: within which events are the same.

    Raises:
        ValueError: where a catalogue is empty, an epicentre or origin time is not finite, or a limit is not positive.
    """
    scaled = [_scaled(name, each, limits) for name, each in (("first", first), ("second", second))]
    trees = KDTree(scaled[0]), KDTree(scaled[1])
    near = trees[0].sparse_distance_matrix(trees[1], 1.0, output_type="ndarray")
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for at in np.lexsort((near["j"], near["i"], near["v"])):
        one, other = int(near["i"][at]), int(near["j"][at])
        if one not in pairs and other not in taken:
            pairs[one] = other
            taken.add(other)
    rows = np.array(sorted(pairs.items()), int).reshape(-1, 2)
    only = [
        _reasons(mine[:, 3], theirs[:, 3], np.bincount(near[column], minlength=len(mine)) > 0, used, limits)
        for mine, theirs, column, used in ((first, second, "i", rows[:, 0]), (second, first, "j", rows[:, 1]))
    ]
    return Matched(rows[:, 0], rows[:, 1], only[0], only[1])


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
