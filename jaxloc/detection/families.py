"""Detections of one event by several templates, or several times by one, joined by predicted arrivals and location.

Detections are heads of families in the order of their statistics: each takes those below it that mean the same event.
Two templates mean the same event where they predict the same arrival times, not the same origin time: origin times of
templates are uncertain, and what was correlated are arrivals. All members are kept, since each gives differential
times. Work is in arrays throughout: a million detections take seconds.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree


class Sameness(NamedTuple):
    """When two detections are of the same event.

    Attributes:
        apart_s: median difference of predicted arrival times at common stations up to which they always are.
        window_s: difference up to which the weaker one is a side lobe of the stronger, if its statistic is smaller than
            `side_lobe` times that.
        side_lobe: a ratio of statistics.
        apart_km: distance of the templates' hypocentres beyond which they never are.
    """

    apart_s: float = 1.0
    window_s: float = 3.5
    side_lobe: float = 0.5
    apart_km: float = 10.0


class _Offsets(NamedTuple):
    """Of pairs of templates: how much later the second one's origin time is for the same arrivals; NaN: never the same.

    Times are counted from each template's `reference_s` after its origin, so that offsets are small.
    """

    reference_s: Float[np.ndarray, " template"]
    offset_s: Float[np.ndarray, "template template"]
    misfit_s: Float[np.ndarray, "template template"]


def families(
    template: Int[np.ndarray, " detection"],
    origin_s: Float[np.ndarray, " detection"],
    statistic: Float[np.ndarray, " detection"],
    travel_s: Float[np.ndarray, "template arrival"],
    hypocentre_km: Float[np.ndarray, "template 3"],
    sameness: Sameness = Sameness(),
) -> Int[np.ndarray, " detection"]:
    """The head of the family of each detection, as its place in the list; heads are their own.

    Of equal statistics the earlier one is the head, and of those at one time that of the first template.

    Args:
        template: of each detection.
        origin_s: its origin time.
        statistic: by which heads are chosen.
        travel_s: arrival times after the origin time at stations, by phase; NaN where a template has none.
        hypocentre_km: of templates.
        sameness: the rule.

    Raises:
        ValueError: for limits that are negative or not numbers.
    """
    if not all(limit >= 0 for limit in sameness):
        raise ValueError(f"limits of the same event must not be negative, got {sameness}")
    offsets = _offsets(np.asarray(travel_s, float), np.asarray(hypocentre_km, float), sameness)
    rank = np.empty(len(template), int)
    rank[np.lexsort((template, origin_s, -statistic))] = np.arange(len(template))
    time_s = origin_s + offsets.reference_s[template]
    higher, lower = _pairs(template, time_s, statistic, rank, offsets, sameness)
    return _claimed(higher, lower, rank)


def each_alone(
    template: Int[np.ndarray, " detection"],
    origin_s: Float[np.ndarray, " detection"],
    statistic: Float[np.ndarray, " detection"],
    sameness: Sameness = Sameness(),
) -> Bool[np.ndarray, " detection"]:
    """Which detections are heads where each template is by itself."""
    number = int(template.max(initial=0)) + 1
    alone = np.full((number, number), np.nan)  # the same arrivals, far from one another
    np.fill_diagonal(alone, 0)
    head = families(template, origin_s, statistic, alone, np.zeros((number, 3)), sameness)
    return head == np.arange(len(head))


def _offsets(travel_s: np.ndarray, hypocentre_km: np.ndarray, sameness: Sameness) -> _Offsets:
    number = len(travel_s)
    with np.errstate(invalid="ignore"):
        reference_s = np.nansum(travel_s, 1) / np.maximum(np.isfinite(travel_s).sum(1), 1)
    offset_s = np.full((number, number), np.nan, np.float32)
    misfit_s = np.full((number, number), np.nan, np.float32)
    np.fill_diagonal(offset_s, 0)
    np.fill_diagonal(misfit_s, 0)
    near = KDTree(hypocentre_km).query_pairs(sameness.apart_km, output_type="ndarray")
    relative_s = travel_s - reference_s[:, None]
    for at in range(0, len(near), 4096):
        first, second = near[at : at + 4096].T
        difference_s = relative_s[first] - relative_s[second]
        shared = np.isfinite(difference_s).any(1)
        first, second, difference_s = first[shared], second[shared], difference_s[shared]
        if not len(first):
            continue
        middle_s = np.nanmedian(difference_s, 1)
        rest_s = np.nanmedian(np.abs(difference_s - middle_s[:, None]), 1)
        offset_s[first, second], offset_s[second, first] = middle_s, -middle_s
        misfit_s[first, second] = misfit_s[second, first] = rest_s
    return _Offsets(reference_s, offset_s, misfit_s)


def _pairs(
    template: np.ndarray,
    time_s: np.ndarray,
    statistic: np.ndarray,
    rank: np.ndarray,
    offsets: _Offsets,
    sameness: Sameness,
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """All pairs of detections of the same event: the one of the higher rank, and the other."""
    order = np.argsort(time_s, kind="stable")
    time_s, of = time_s[order], template[order].astype(np.int64)
    within_s = max(sameness.apart_s, sameness.window_s)
    widest_s = within_s + float(np.nanmax(np.abs(offsets.offset_s), initial=0.0))
    offset_s, misfit_s, width = offsets.offset_s.ravel(), offsets.misfit_s.ravel(), len(offsets.offset_s)
    found, ahead = [(np.zeros(0, int), np.zeros(0, int))], 1
    first = np.arange(len(order) - 1)
    while len(first := first[: np.searchsorted(first, len(order) - ahead)]):
        between_s = time_s[first + ahead] - time_s[first]
        first, between_s = first[close := between_s <= widest_s], between_s[close]
        pair = of[first] * width + of[first + ahead]
        apart_s = np.abs(offset_s[pair] - between_s) + misfit_s[pair]
        near = np.flatnonzero(apart_s <= within_s)
        one, two, apart_s = order[first[near]], order[first[near] + ahead], apart_s[near]
        high = np.where(rank[one] < rank[two], one, two)
        low = one + two - high
        same = (apart_s <= sameness.apart_s) | (statistic[low] < sameness.side_lobe * statistic[high])
        same &= (apart_s <= sameness.apart_s) | (apart_s <= sameness.window_s)
        found.append((high[same], low[same]))
        ahead += 1
    higher, lower = (np.concatenate(x) for x in zip(*found, strict=True))
    return higher, lower


def _claimed(
    higher: Int[np.ndarray, " pair"], lower: Int[np.ndarray, " pair"], rank: Int[np.ndarray, " detection"]
) -> Int[np.ndarray, " detection"]:
    """Heads in the order of ranks, each taking what no one before it has taken, found in rounds over all pairs.

    In a round those are heads that no free detection of a higher rank has a pair with.
    """
    head = np.full(len(rank), -1)
    # The last assignment to a place counts: that by the highest rank.
    order = np.argsort(-rank[higher], kind="stable")
    higher, lower = higher[order], lower[order]
    while (free := head < 0).any():
        leading = free.copy()
        leading[lower] = False
        at = np.flatnonzero(leading)
        head[at] = at
        by_head = leading[higher]
        head[lower[by_head]] = higher[by_head]
        left = (head[higher] < 0) & (head[lower] < 0)
        higher, lower = higher[left], lower[left]
    return head
