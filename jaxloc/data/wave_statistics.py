"""Statistics of records about predicted arrivals: do they begin where P does, and is there another event?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.onsets import by_largest, running_sum, short_and_long

BEFORE_S = (3.0, 0.3)  # before an arrival: noise, or the coda of P
AFTER_S = 1.0
OTHER_S = 1.5  # an onset nearer to a predicted arrival belongs to it


class WaveStatistics(NamedTuple):
    """Of the record of each station; NaN where it has none, or the arrival is not in it.

    Attributes:
        log_rise: log of the energy in the second after each predicted arrival over that in the seconds before it.
        log_p_s: log of the energy after P over that after S.
        log_pitch: log of the frequency in Hz after P, by its zero crossings.
        log_other: log-ratio of short-term to long-term energy of the strongest onset before P or well after S.
    """

    log_rise: Float[np.ndarray, "*event station phase"]
    log_p_s: Float[np.ndarray, "*event station"]
    log_pitch: Float[np.ndarray, "*event station"]
    log_other: Float[np.ndarray, "*event station"]


def wave_statistics(
    waveforms: Float[np.ndarray, "event station component sample"],
    rate_hz: float,
    arrival_s: Float[np.ndarray, "event station phase"],
    active: Bool[np.ndarray, "event station"],
) -> WaveStatistics:
    """Statistics of a batch of events.

    Args:
        waveforms: of any unit; each record is scaled by its largest sample.
        rate_hz: sampling rate.
        arrival_s: predicted P and S, in s after the first sample.
        active: stations with a record.
    """
    scaled, recorded = by_largest(waveforms)
    energy = (scaled**2).sum(-2)
    energy = energy + 1e-7 * energy.mean(-1, keepdims=True) + 1e-30
    total = running_sum(energy)
    there = np.asarray(active, bool) & recorded
    p_s, s_s = arrival_s[..., 0], arrival_s[..., 1]

    def mean(
        start_s: Float[np.ndarray, "event station"], end_s: Float[np.ndarray, "event station"]
    ) -> Float[np.ndarray, "event station"]:
        """Mean energy between two times; NaN outside the record."""
        first, last = (np.round(x * rate_hz) for x in (start_s, end_s))
        use = there & (first >= 0) & (last <= energy.shape[-1]) & (last > first)
        first, last = (np.clip(np.nan_to_num(x), 0, energy.shape[-1]).astype(int)[..., None] for x in (first, last))
        sums = np.take_along_axis(total, last, -1) - np.take_along_axis(total, first, -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(use, (sums / np.maximum(last - first, 1))[..., 0], np.nan)

    after = [mean(at, at + AFTER_S) for at in (p_s, s_s)]
    before = [mean(np.maximum(at - BEFORE_S[0], 0.0), at - BEFORE_S[1]) for at in (p_s, s_s)]
    rise = np.stack([np.log(a / b) for a, b in zip(after, before, strict=True)], -1)
    return WaveStatistics(
        rise,
        np.log(after[0] / after[1]),
        _log_pitch(scaled, rate_hz, p_s, there),
        _log_other(total, rate_hz, p_s, s_s, there),
    )


def _log_pitch(
    scaled: Float[np.ndarray, "event station component sample"],
    rate_hz: float,
    p_s: Float[np.ndarray, "event station"],
    there: Bool[np.ndarray, "event station"],
) -> Float[np.ndarray, "event station"]:
    """Zero crossings of the vertical in the three seconds after P."""
    upward = scaled[..., 0, :] > 0
    crossings = np.cumsum(upward[..., 1:] != upward[..., :-1], -1)
    first = np.round(p_s * rate_hz)
    length = max(2, round(3.0 * rate_hz))
    use = there & (first >= 0) & (first + length < crossings.shape[-1]) & (np.abs(scaled[..., 0, :]).max(-1) > 0)
    first = np.clip(np.nan_to_num(first), 0, crossings.shape[-1] - length - 1).astype(int)[..., None]
    number = np.take_along_axis(crossings, first + length, -1) - np.take_along_axis(crossings, first, -1)
    return np.where(use, np.log((number[..., 0] + 0.5) * rate_hz / (2 * length)), np.nan)


def _log_other(
    total: Float[np.ndarray, "event station sample+1"],
    rate_hz: float,
    p_s: Float[np.ndarray, "event station"],
    s_s: Float[np.ndarray, "event station"],
    there: Bool[np.ndarray, "event station"],
) -> Float[np.ndarray, "event station"]:
    """The strongest onset that is neither P nor S nor between them."""
    means = short_and_long(total, rate_hz)
    ratio = np.log((means.after + 1e-12) / (means.before + 1e-12))
    time_s = means.at / rate_hz
    own = (time_s > p_s[..., None] - OTHER_S) & (time_s < s_s[..., None] + OTHER_S)
    return np.where(there & (~own).any(-1), np.where(own, -np.inf, ratio).max(-1), np.nan)
