"""The rate of clutter at each pick, learnt from a first pass.

It is steady over a quarter of an hour at a station and phase, raised for some time after the arrivals of an event there
(coda, converted phases, an S that is picked as P), and lower for picks of a high probability. Triggered picks are told
from steady ones as Marsan & Lengliné (2008, Science 319, doi:10.1126/science.1148783) do with aftershocks: each pick is
shared among its possible causes by their rates, and the rates are counted anew, in turn.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxloc.data.pick_list import PickList
from jaxloc.detection.row_ranges import rows_within

RATE_WINDOW_S = 900.0  # steady clutter varies on this scale
LEAST_WINDOW_S = 60.0
LEAST_SHARE = 0.1  # of all picks that are steady clutter
LAG_S = np.array([-0.5, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
"""Edges of the times after an arrival in which the rate of triggered picks is constant."""
CONFIDENT = 10.0  # log odds of events whose picks are arrivals, and after whose arrivals clutter is raised
TURNS = 5
PRIOR_ARRIVALS = 20.0  # weight of the rate after events of all sizes against that of each
PROBABILITY_BINS = 8
PRIOR_PICKS = 10.0


class Arrivals(NamedTuple):
    """Arrivals of events at the stations that picked them, P and S of each.

    `size` is the place of the event in the sizes of the model.
    """

    event: Int[np.ndarray, " arrival"]
    station: Int[np.ndarray, " arrival"]
    phase: Int[np.ndarray, " arrival"]
    time_s: Float[np.ndarray, " arrival"]
    size: Int[np.ndarray, " arrival"]


class _After(NamedTuple):
    """Picks after arrivals: pairs, and the class of rate (size, phase of the pick and of the arrival, lag) of each."""

    arrival: np.ndarray
    pick: np.ndarray
    rate: np.ndarray


def clutter_hz(
    picks: PickList,
    event: Int[np.ndarray, " pick"],
    log_odds: Float[np.ndarray, " event"],
    arrivals: Arrivals,
    num_sizes: int,
) -> Float[np.ndarray, " pick"]:
    """Rate of clutter at each pick over the density of arrivals of such a probability.

    Only events of higher odds than that which has a pick raise the rate there: an event's own arrivals do not, nor do
    those of a part that was split off.

    Args:
        picks: all picks.
        event: of each pick.
        log_odds: of the events.
        arrivals: of the events.
        num_sizes: of the model.
    """
    owner_odds = np.append(log_odds, -np.inf)[event]  # NO_EVENT is -1, the last
    sure = owner_odds >= CONFIDENT
    parents = Arrivals(*(each[log_odds[arrivals.event] >= CONFIDENT] for each in arrivals))
    after = _after(picks, parents)
    other = event[after.pick] != parents.event[after.arrival]
    after = _After(*(each[other] for each in after))
    steady_hz, rate_hz = _rates(picks, ~sure, parents, after, num_sizes)
    stronger = log_odds[parents.event[after.arrival]] > owner_odds[after.pick]
    raised_hz = np.bincount(
        after.pick[stronger], rate_hz[parents.size[after.arrival], after.rate][stronger], len(event)
    )
    ratio = _density_ratio(picks, ~sure, sure)
    return (steady_hz + raised_hz) * ratio


def local_rate_hz(picks: PickList, weight: Float[np.ndarray, " pick"]) -> Float[np.ndarray, " pick"]:
    """Rate of picks, by their weights, of the same station and phase, within `RATE_WINDOW_S` about each pick."""
    if not len(picks.time_s):
        return np.zeros(0)
    time_s, group = picks.time_s - picks.time_s[0], picks.station * 2 + picks.phase
    span_s = time_s[-1] + 4 * RATE_WINDOW_S
    keys = group * span_s + time_s
    order = np.argsort(keys, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    low_s = np.maximum(time_s - RATE_WINDOW_S, 0.0)
    high_s = np.minimum(time_s + RATE_WINDOW_S, time_s[-1])
    first = np.searchsorted(keys[order], group * span_s + low_s)
    last = np.searchsorted(keys[order], group * span_s + high_s, "right")
    return (total[last] - total[first] + 1) / np.maximum(high_s - low_s, LEAST_WINDOW_S)


def _after(picks: PickList, arrivals: Arrivals) -> _After:
    """All picks of a station within the lags of an arrival there."""
    order = np.lexsort((picks.time_s, picks.station))
    zero_s = picks.time_s[0] if len(order) else 0.0
    span_s = (float(np.ptp(picks.time_s)) if len(order) else 0.0) + 1e4
    key = (picks.station * span_s + picks.time_s - zero_s)[order]
    at = arrivals.station * span_s + np.clip(arrivals.time_s - zero_s, -5e3, span_s - 6e3)
    first, last = np.searchsorted(key, at + LAG_S[0]), np.searchsorted(key, at + LAG_S[-1])
    arrival, row = rows_within(first, last)
    pick = order[row]
    lag = np.searchsorted(LAG_S, picks.time_s[pick] - arrivals.time_s[arrival], "right") - 1
    lag = np.clip(lag, 0, len(LAG_S) - 2)
    rate = (picks.phase[pick] * 2 + arrivals.phase[arrival]) * (len(LAG_S) - 1) + lag
    return _After(arrival, pick, rate)


def _rates(
    picks: PickList, is_clutter: np.ndarray, arrivals: Arrivals, after: _After, num_sizes: int
) -> tuple[Float[np.ndarray, " pick"], Float[np.ndarray, "size rate"]]:
    """The steady rate at each pick, and those after arrivals, in Hz."""
    lags = len(LAG_S) - 1
    number = np.bincount(arrivals.size * 2 + arrivals.phase, minlength=2 * num_sizes).reshape(num_sizes, 1, 2, 1)
    exposure_s = np.broadcast_to(number * np.diff(LAG_S), (num_sizes, 2, 2, lags)).reshape(num_sizes, -1)
    prior_s = PRIOR_ARRIVALS * np.tile(np.diff(LAG_S), 4)
    least_hz = LEAST_SHARE * local_rate_hz(picks, np.ones(len(is_clutter)))
    steady_hz = np.maximum(local_rate_hz(picks, is_clutter.astype(float)), least_hz)
    rate_hz = np.full((num_sizes, 4 * lags), float(np.median(steady_hz)) if len(steady_hz) else 0.0)
    size = arrivals.size[after.arrival]
    for _ in range(TURNS):
        cause_hz = rate_hz[size, after.rate]
        total_hz = steady_hz + np.bincount(after.pick, cause_hz, len(steady_hz))
        share = is_clutter[after.pick] * cause_hz / total_hz[after.pick]
        count = np.bincount(size * 4 * lags + after.rate, share, num_sizes * 4 * lags).reshape(num_sizes, -1)
        pooled_hz = count.sum(0) / np.maximum(exposure_s.sum(0), prior_s)
        rate_hz = (count + pooled_hz * prior_s) / (exposure_s + prior_s)
        steady_hz = np.maximum(local_rate_hz(picks, is_clutter * steady_hz / total_hz), least_hz)
    return steady_hz, rate_hz


def _density_ratio(picks: PickList, is_clutter: np.ndarray, is_arrival: np.ndarray) -> Float[np.ndarray, " pick"]:
    """Density of the probability of clutter over that of arrivals, at the probability of each pick."""
    ratio = np.ones(len(is_clutter))
    for phase in range(2):
        rows = np.flatnonzero(picks.phase == phase)
        if not len(rows):
            continue
        value = picks.probability[rows]
        edges = np.unique(np.quantile(value, np.linspace(0, 1, PROBABILITY_BINS + 1)[1:-1]))
        place = np.searchsorted(edges, value, "right")
        number = np.bincount(place, minlength=len(edges) + 1)
        shares = []
        for which in (is_clutter, is_arrival):
            count = np.bincount(place[which[rows]], minlength=len(number)) + PRIOR_PICKS * number / number.sum()
            shares.append(count / count.sum())
        ratio[rows] = shares[0][place] / shares[1][place]
    return ratio
