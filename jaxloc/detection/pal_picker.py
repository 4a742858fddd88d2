"""The picker of PAL (Zhou, Yue, Fang, Zhou, Zhao & Ghosh 2022, SRL 93): pairs of P and S on the record of one station.

Triggers are where the energy of the vertical component in 0.8 s exceeds 12 times that in the 6 s before; at each, P and
S are found (`jaxloc.detection.pal_onsets`), their quality is checked (`jaxloc.detection.pal_quality`), and the next
trigger is at least 5 s after S.

Differs from the paper: triggers are used from 7.5 s after the start of the record on, so that each window is inside
it; the step back from S counts from S, where the published program of 2021 counted from the end of the window;
amplitude ratios without a denominator fail the check. PAL gives no errors of its times: `to_picks` takes them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.data.pick_list import PickList
from jaxloc.detection.pal_onsets import Lengths, Z, p_onset, s_onset, sta_lta
from jaxloc.detection.pal_quality import Quality, quality_of, s_amplitude
from jaxloc.detection.pal_records import prepared
from jaxloc.detection.station_pairs import of_pairs, origin_of_pair

SIGMA_S = (0.1, 0.2)
"""Standard deviations of P and S that `to_picks` gives by default."""


class Settings(NamedTuple):
    """Settings of the picker; the defaults are those of PAL's class. Windows are (short, long) or (before, after).

    Attributes:
        trigger_s, threshold: windows and least ratio of energies of a trigger.
        p_s, p_search_s: windows of P, and where it is searched about the trigger.
        s_s, s_range_s: windows of S, and how long after P the largest amplitude is searched.
        polarisation_s, filtered_s: window of the polarisation, and how long after P it is used.
        kurtosis_s: long and short window.
        lowest_hz: of the dominant frequency.
        largest_ratios: of a swing, of early to late P, and of P to S (`Quality`).
        amplitude_s: before P and after S.
        dead_s: between a pair and the next trigger.
        bandpass_hz, taper_s, longest_fill_s: see `prepared`.
        vp_km_s, vs_km_s: for the origin time of a pair.
    """

    trigger_s: tuple[float, float] = (0.8, 6.0)
    threshold: float = 12.0
    p_s: tuple[float, float] = (0.4, 2.0)
    p_search_s: tuple[float, float] = (0.5, 1.0)
    s_s: tuple[float, float] = (1.0, 2.0)
    s_range_s: float = 10.0
    polarisation_s: float = 1.0
    filtered_s: float = 2.0
    kurtosis_s: tuple[float, float] = (5.0, 1.0)
    lowest_hz: float = 2.5
    largest_ratios: tuple[float, float, float] = (6.0, 10.0, 2.0)
    amplitude_s: tuple[float, float] = (1.0, 5.0)
    dead_s: float = 5.0
    bandpass_hz: tuple[float, float] = (1.0, 40.0)
    taper_s: float = 5.0
    longest_fill_s: float = 5.0
    vp_km_s: float = 6.0
    vs_km_s: float = 3.45


RIDGECREST = Settings(largest_ratios=(5.0, 8.0, 3.0), bandpass_hz=(1.0, 20.0), vp_km_s=5.9, vs_km_s=3.4)
"""The published example, Ridgecrest 2019; speeds as in its files of picks."""


class StationPicks(NamedTuple):
    """Pairs of one station in the order of P, in s from the first sample, and how many triggers were refused and why.

    Attributes:
        p_s, s_s: arrival times.
        origin_s: of the pair.
        amplitude: of displacement about S, in the unit of the record times s.
        snr: ratio of energies of the trigger.
        dominant_hz: after P.
        refused: number of triggers by reason.
    """

    p_s: Float[np.ndarray, " pair"]
    s_s: Float[np.ndarray, " pair"]
    origin_s: Float[np.ndarray, " pair"]
    amplitude: Float[np.ndarray, " pair"]
    snr: Float[np.ndarray, " pair"]
    dominant_hz: Float[np.ndarray, " pair"]
    refused: Mapping[str, int]


class _Pair(NamedTuple):
    """Onsets at a trigger, in samples, and why they are refused ("" for those that are not)."""

    p: int
    s: int
    amplitude: float
    snr: float
    dominant_hz: float
    reason: str


def pick_station(
    record: Float[np.ndarray, "3 sample"], rate_hz: float, settings: Settings = Settings()
) -> StationPicks:
    """Pairs of P and S on one record.

    Args:
        record: Z, N and E of ground velocity, unfiltered; gaps are runs of equal samples, or NaN. A component that is
            all zero is replaced by another.
        rate_hz: sampling rate.
        settings: of the picker.

    Raises:
        ValueError: where the record has not three components or is shorter than the windows; or as `lengths_of` and
            `prepared`.
    """
    lengths = lengths_of(settings, rate_hz)
    lead = lengths.p_search[0] + lengths.p[1] + lengths.kurtosis[0]
    least = lead + lengths.s_range
    if record.ndim != 2 or len(record) != 3 or record.shape[1] <= least:
        raise ValueError(
            f"a record must have 3 components and more than {least} samples, got an array of {record.shape}"
        )
    if not np.nan_to_num(record).any():
        return _joined([], rate_hz, settings)
    ready = prepared(record, rate_hz, settings.bandpass_hz, settings.taper_s, settings.longest_fill_s)
    return _joined(_pairs(ready, rate_hz, settings, lengths, lead), rate_hz, settings)


def lengths_of(settings: Settings, rate_hz: float) -> Lengths:
    """The windows in samples.

    Raises:
        ValueError: where one has no sample at this rate, or the search of S is shorter than the filter before it.
    """
    s = settings
    windows = (s.trigger_s, s.p_s, s.p_search_s, s.s_s, s.s_range_s, s.polarisation_s, s.filtered_s, s.kurtosis_s)
    shortest_s = min(np.min(window) for window in windows)
    if not rate_hz > 0 or int(shortest_s * rate_hz) < 2:
        raise ValueError(
            f"each window must have at least 2 samples, got one of {shortest_s:g} s at {rate_hz:g} Hz; use longer ones"
        )
    if s.filtered_s + s.polarisation_s > s.s_range_s:
        raise ValueError(
            f"s_range_s must be at least filtered_s + polarisation_s = {s.filtered_s + s.polarisation_s:g}, "
            f"got {s.s_range_s:g}"
        )
    return Lengths(*(_samples(window, rate_hz) for window in windows))


def _samples(window: float | tuple[float, float], rate_hz: float) -> Any:
    if isinstance(window, tuple):
        return tuple(_samples(each, rate_hz) for each in window)
    return int(window * rate_hz + 1e-6)


def _pairs(
    ready: Float[np.ndarray, "3 sample"], rate_hz: float, settings: Settings, lengths: Lengths, lead: int
) -> list[_Pair]:
    """What is found at the triggers of a prepared record, one after the other."""
    ratio = sta_lta(ready[Z] ** 2, *lengths.trigger)
    triggers = np.flatnonzero(ratio > settings.threshold)
    triggers = triggers[triggers >= lead]
    pairs: list[_Pair] = []
    place = 0
    while place < len(triggers):
        trigger = int(triggers[place])
        p = p_onset(ready[Z] ** 2, trigger, lengths)
        if p + lengths.s_range > ready.shape[1]:
            break
        pairs.append(_pair_at(ready, ratio, trigger, p, rate_hz, settings, lengths))
        last = max(trigger, p, pairs[-1].s) + round(settings.dead_s * rate_hz)
        place = int(np.searchsorted(triggers, last, "right"))
    return pairs


def _pair_at(
    ready: Float[np.ndarray, "3 sample"],
    ratio: Float[np.ndarray, " sample"],
    trigger: int,
    p: int,
    rate_hz: float,
    settings: Settings,
    lengths: Lengths,
) -> _Pair:
    s = s_onset(ready, p, lengths)
    quality = quality_of(ready, p, s, rate_hz, lengths.polarisation)
    before, after = (round(x * rate_hz) for x in settings.amplitude_s)
    amplitude = s_amplitude(ready[:, max(p - before, 0) : s + after], rate_hz)
    near = slice(trigger - lengths.p_search[0] - lengths.p[1], trigger + lengths.p_search[1] + lengths.p[0])
    return _Pair(p, s, amplitude, float(ratio[near].max()), quality.dominant_hz, refusal(quality, settings))


def refusal(quality: Quality, settings: Settings) -> str:
    """Why a pair of onsets is refused; "" where it is not."""
    if not quality.dominant_hz > settings.lowest_hz:
        return f"dominant frequency not above {settings.lowest_hz:g} Hz"
    names = ("swing over the next one", "early over late P", "P over S")
    for name, value, limit in zip(names, quality[1:], settings.largest_ratios, strict=True):
        if not value < limit:
            return f"amplitude ratio of {name} not below {limit:g}"
    return ""


def _joined(pairs: Sequence[_Pair], rate_hz: float, settings: Settings) -> StationPicks:
    good = np.array([pair[:-1] for pair in pairs if not pair.reason], float).reshape(-1, 5)
    p_s, s_s = good[:, 0] / rate_hz, good[:, 1] / rate_hz
    origin_s = origin_of_pair(p_s, s_s, settings.vp_km_s, settings.vs_km_s)
    amplitude, snr, dominant_hz = good[:, 2:].T
    refused = Counter(pair.reason for pair in pairs if pair.reason)
    return StationPicks(p_s, s_s, origin_s, amplitude, snr, dominant_hz, refused)


def to_picks(
    picked: Sequence[StationPicks],
    start_s: Float[np.ndarray, " station"],
    sigma_s: tuple[float, float] = SIGMA_S,
) -> PickList:
    """The pairs of all stations as one list of picks.

    Args:
        picked: of each station, in the order of the list of stations.
        start_s: times of the first samples of their records, from the zero of the picks.
        sigma_s: standard deviations of P and S.
    """
    station = np.repeat(np.arange(len(picked)), [len(each.p_s) for each in picked])
    p_s, s_s, amplitude = (
        np.concatenate([np.zeros(0), *(getattr(each, name) for each in picked)]) for name in ("p_s", "s_s", "amplitude")
    )
    return of_pairs(station, p_s + start_s[station], s_s + start_s[station], amplitude, sigma_s)
