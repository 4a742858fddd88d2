"""P and S of one event at one station as a pair, which gives a distance and an origin time by itself."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.pick_list import PickList

P, S = 0, 1  # places in `jaxloc.types.PHASES`

LATE_S = "this P has no S within {:g} s"
NO_S = "the next pick of the station is no S"
NO_P = "this S has no P before it that is free"


class Pairs(NamedTuple):
    """Pairs of P and S in the order of their origin times.

    Attributes:
        station: row of the list of stations.
        p_s, s_s: arrival times, from the zero of the picks.
        origin_s: origin time that P, S and constant speeds give.
        amplitude: of the S pick, else of the P pick; NaN for none.
        rows: of P and of S in the list of picks.
    """

    station: Int[np.ndarray, " pair"]
    p_s: Float[np.ndarray, " pair"]
    s_s: Float[np.ndarray, " pair"]
    origin_s: Float[np.ndarray, " pair"]
    amplitude: Float[np.ndarray, " pair"]
    rows: Int[np.ndarray, "pair 2"]


def origin_of_pair(
    p_s: Float[np.ndarray, "*pair"], s_s: Float[np.ndarray, "*pair"], vp_km_s: float, vs_km_s: float
) -> Float[np.ndarray, "*pair"]:
    """Origin time of straight rays: t_P - d / V_P with d = (t_S - t_P) / (1/V_S - 1/V_P)."""
    return p_s - (s_s - p_s) / (1 / vs_km_s - 1 / vp_km_s) / vp_km_s


def pairs_of(picks: PickList, vp_km_s: float, vs_km_s: float, longest_s: float) -> tuple[Pairs, tuple[str, ...]]:
    """The pairs in a list of picks, and of each pick why it is in none ("" for those that are).

    A pair is a P and the S that is the next pick of the same station, at most `longest_s` later. So the pairs of a
    picker that gives P and S together come back as they were, unless two events overlap at a station; of the picks of
    other pickers, a P without S is of no use to an association by pairs.

    Raises:
        ValueError: unless 0 < vs_km_s < vp_km_s and longest_s > 0.
    """
    if not 0 < vs_km_s < vp_km_s:
        raise ValueError(f"speeds must have 0 < vs_km_s < vp_km_s, got {vs_km_s:g} and {vp_km_s:g} km/s")
    if not longest_s > 0:
        raise ValueError(f"the longest S-P time must be positive, got {longest_s:g} s")
    order = np.lexsort((picks.phase, picks.time_s, picks.station))
    station, phase, time_s = (np.asarray(x)[order] for x in (picks.station, picks.phase, picks.time_s))
    follows = (station[1:] == station[:-1]) & (phase[:-1] == P) & (phase[1:] == S)
    first = np.flatnonzero(follows & (np.diff(time_s) <= longest_s))
    rows = np.stack([order[first], order[first + 1]], -1)
    p_s, s_s = picks.time_s[rows].T
    amplitude = np.where(np.isnan(picks.amplitude[rows[:, 1]]), *picks.amplitude[rows].T)
    origin_s = origin_of_pair(p_s, s_s, vp_km_s, vs_km_s)
    by_origin = np.lexsort((p_s, picks.station[rows[:, 0]], origin_s))
    pairs = Pairs(picks.station[rows[:, 0]], p_s, s_s, origin_s, amplitude, rows)
    late = np.isin(np.arange(len(order)), order[:-1][follows])
    return Pairs(*(x[by_origin] for x in pairs)), _alone(picks, rows, late, longest_s)


def _alone(
    picks: PickList, rows: Int[np.ndarray, "pair 2"], late: Bool[np.ndarray, " pick"], longest_s: float
) -> tuple[str, ...]:
    reason = np.where(picks.phase == S, NO_P, np.where(late, LATE_S.format(longest_s), NO_S)).astype(object)
    reason[rows.ravel()] = ""
    return tuple(reason.tolist())


def of_pairs(
    station: Int[np.ndarray, " pair"],
    p_s: Float[np.ndarray, " pair"],
    s_s: Float[np.ndarray, " pair"],
    amplitude: Float[np.ndarray, " pair"],
    sigma_s: tuple[float, float],
) -> PickList:
    """The list of picks of pairs, in the order of their times; the amplitude goes with both picks.

    Args:
        station: row of the list of stations.
        p_s, s_s: arrival times.
        amplitude: of the S wave.
        sigma_s: standard deviations of P and of S, which pickers by pairs do not give.
    """
    number = len(p_s)
    time_s = np.concatenate([p_s, s_s])
    order = np.argsort(time_s, kind="stable")
    return PickList(
        np.tile(station, 2)[order],
        np.repeat([P, S], number)[order],
        time_s[order],
        np.repeat(np.asarray(sigma_s, float), number)[order],
        np.ones(2 * number),
        np.tile(amplitude, 2)[order],
    )
