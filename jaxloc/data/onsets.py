"""Onsets of energy in waveforms, without a network: is there anything in a record that begins and then decays?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

SHORT_S = 1.0
LONG_S = 4.0
LEAST_LOG_RATIO = 1.6  # energy grows by a factor of 5 within a second
FEWEST_STATIONS = 3  # with an onset, or all stations where there are fewer
RELATIVE_FLOOR = 1e-6  # of the mean energy: silence before a record is no onset of any strength


class Onsets(NamedTuple):
    """The strongest onset of each station's record.

    Attributes:
        log_ratio: log of the energy in the second after over that in the four seconds before the onset.
        reversed_log_ratio: the same of the record reversed in time: larger where energy ends more sharply than it
            begins, as it does in no earthquake.
        onset_s: time of the onset, in s after the first sample.
        active: whether the station has a record.
    """

    log_ratio: Float[np.ndarray, "*event station"]
    reversed_log_ratio: Float[np.ndarray, "*event station"]
    onset_s: Float[np.ndarray, "*event station"]
    active: Bool[np.ndarray, "*event station"]


def onsets_of(
    waveforms: Float[np.ndarray, "*event station component sample"],
    rate_hz: float,
    sample_mask: Bool[np.ndarray, "*event station sample"] | None = None,
) -> Onsets:
    """The strongest onset of each record by the ratio of short-term to long-term energy (Allen 1978, BSSA 68).

    Each record is scaled by its largest sample first, so that records of any unit are compared alike. The end or the
    beginning of an unrecorded stretch (`sample_mask` False) is no onset.
    """
    scaled, active = by_largest(waveforms)
    energy = (scaled**2).sum(-2)
    mask = np.ones(energy.shape, bool) if sample_mask is None else np.asarray(sample_mask)
    log_ratio, onset_s = _strongest(energy, mask, rate_hz)
    back, _ = _strongest(energy[..., ::-1], mask[..., ::-1], rate_hz)
    log_ratio, back, onset_s = (np.where(active, x, 0.0) for x in (log_ratio, back, onset_s))
    return Onsets(log_ratio, back, onset_s, active)


def _strongest(
    energy: Float[np.ndarray, "*event sample"], mask: Bool[np.ndarray, "*event sample"], rate_hz: float
) -> tuple[np.ndarray, np.ndarray]:
    samples = energy.shape[-1]
    total, missing = running_sum(energy), running_sum(~mask)
    means = short_and_long(total, rate_hz)
    if len(means.at) < 2:
        return np.zeros(energy.shape[:-1]), np.zeros(energy.shape[:-1])
    floor = RELATIVE_FLOOR * total[..., -1:] / samples + 1e-300
    whole = missing[..., means.end] == missing[..., means.begin]
    ratio = np.where(whole, np.log((means.after + floor) / (means.before + floor)), 0.0)
    return ratio.max(-1), means.at[ratio.argmax(-1)] / rate_hz


def by_largest(
    waveforms: Float[np.ndarray, "*event station component sample"],
) -> tuple[Float[np.ndarray, "*event station component sample"], Bool[np.ndarray, "*event station"]]:
    """Each station's record divided by its largest absolute sample, and whether it has a record."""
    waveforms = np.asarray(waveforms, float)
    largest = np.abs(waveforms).max((-1, -2))
    active = largest > 0
    return waveforms / np.where(active, largest, 1.0)[..., None, None], active


class ShortAndLong(NamedTuple):
    """Mean energy from each sample `at` to `end`, a second later, and from `begin`, four seconds earlier, to it."""

    at: Int[np.ndarray, " at"]
    begin: Int[np.ndarray, " at"]
    end: Int[np.ndarray, " at"]
    after: Float[np.ndarray, "*batch at"]
    before: Float[np.ndarray, "*batch at"]


def short_and_long(total: Float[np.ndarray, "*batch sample+1"], rate_hz: float) -> ShortAndLong:
    """Short-term and long-term means of energy from its running sum; of no sample where the record is too short."""
    short, long = (max(1, round(length_s * rate_hz)) for length_s in (SHORT_S, LONG_S))
    at = np.arange(short, total.shape[-1] - short)
    begin, end = np.maximum(at - long, 0), at + short
    after = (total[..., end] - total[..., at]) / short
    return ShortAndLong(at, begin, end, after, (total[..., at] - total[..., begin]) / (at - begin))


def running_sum(value: Shaped[np.ndarray, "*batch sample"]) -> Float[np.ndarray, "*batch sample+1"]:
    """Sums of all samples before each, and of all."""
    return np.concatenate([np.zeros((*value.shape[:-1], 1)), np.cumsum(value, -1)], -1)


def no_event(onsets: Onsets) -> str:
    """Why records contain no event; empty where they may contain one."""
    number = int(onsets.active.sum())
    if number == 0:
        return "no station has a record"
    strong = onsets.active & (onsets.log_ratio > LEAST_LOG_RATIO)
    needed = min(FEWEST_STATIONS, number)
    if strong.sum() < needed:
        return f"{strong.sum()} of {number} stations have an onset of energy by a factor of 5; at least {needed} must"
    if np.median((onsets.log_ratio - onsets.reversed_log_ratio)[strong]) <= 0:
        return "energy ends more sharply than it begins, as in a record reversed in time"
    return ""


def first_onset_s(onsets: Onsets) -> float:
    """The second earliest onset of one event, or the earliest of fewer than four stations; NaN without any."""
    strong = np.sort(onsets.onset_s[onsets.active & (onsets.log_ratio > LEAST_LOG_RATIO)])
    return float("nan") if not len(strong) else float(strong[1 if len(strong) > 3 else 0])
