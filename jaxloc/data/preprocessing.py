"""What every reader does to waveforms: onto a common time grid, resampled, filtered from the first recorded sample.

NumPy and SciPy; the last axis is the sample, any axes before it are batch. Masks mark which samples were recorded
(`jaxloc.data.gaps`); the others are bridged before these functions see them.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, signal

HALF_WIDTH = 32
"""Samples on either side that the interpolator between samples uses."""
SMALLEST_SHIFT = 0.01
"""Samples; records that are off the grid by less are left as they are."""
SETTLING_PERIODS = 3.0
LONGEST_SETTLING_S = 10.0


def grid_position(
    delay_s: Float[np.ndarray, " trace"], from_hz: float, to_hz: float
) -> tuple[Int[np.ndarray, " trace"], Int[np.ndarray, " trace"], Float[np.ndarray, " trace"]]:
    """Where records that start `delay_s` after sample zero of a grid of `to_hz` get onto it.

    Returns:
        The first grid point at or after the start of each record, how many samples of the record (of `from_hz`) lie
        before it, and by what part of a sample the grid point lies after the last of those, 0 to 1.
    """
    place = np.asarray(delay_s, float) * to_hz
    nearest = np.rint(place)
    on_grid = np.abs(place - nearest) / to_hz * from_hz < SMALLEST_SHIFT
    first = np.where(on_grid, nearest, np.ceil(place)).astype(int)
    offset = np.where(on_grid, 0.0, (first / to_hz - delay_s) * from_hz)
    whole = np.floor(offset + SMALLEST_SHIFT)
    part = np.where(offset - whole < SMALLEST_SHIFT, 0.0, offset - whole)
    return first, whole.astype(int), part


def between_samples(waveforms: Float[np.ndarray, "*batch sample"], part: float) -> Float[np.ndarray, "*batch sample"]:
    """The band-limited signal `part` of a sample (0 to 1) after each sample, by a Kaiser-windowed sinc.

    Good to 1e-3 of the amplitude up to 0.9 of the Nyquist frequency; the ends are held constant.
    """
    if part == 0:
        return waveforms
    lag = part - np.arange(-HALF_WIDTH, HALF_WIDTH + 1)
    inside = np.clip(1 - (lag / (HALF_WIDTH + 1)) ** 2, 0, None)
    weights = np.sinc(lag) * np.i0(6.0 * np.sqrt(inside))
    return ndimage.correlate1d(waveforms, weights / weights.sum(), axis=-1, mode="nearest")


def resample(
    waveforms: Float[np.ndarray, "*batch sample"], from_hz: float, to_hz: float
) -> Float[np.ndarray, "*batch resampled"]:
    """Change the sampling rate by a rational ratio with an anti-aliasing FIR filter of zero phase.

    The ratio is the nearest with a denominator up to 1000, so 99.999 Hz counts as 100 Hz. The result has
    ceil(n * ratio) samples; beyond the ends the record is held constant.

    Raises:
        ValueError: where a rate is not a positive number, or the two are more than 1000 times apart.
    """
    ratio = _ratio(from_hz, to_hz)
    if ratio == 1:
        return waveforms
    resampled = signal.resample_poly(waveforms, ratio.numerator, ratio.denominator, axis=-1, padtype="edge")
    return resampled.astype(waveforms.dtype, copy=False)


def _ratio(from_hz: float, to_hz: float) -> Fraction:
    for rate in (from_hz, to_hz):
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"sampling rate must be a positive number of Hz, got {rate}")
    ratio = Fraction(float(to_hz) / float(from_hz)).limit_denominator(1000)
    if ratio == 0 or ratio > 1000:
        raise ValueError(
            f"cannot resample from {from_hz} Hz to {to_hz} Hz: more than 1000 times apart; correct the rate"
        )
    return ratio


def drift_samples(num_samples: int, from_hz: float, to_hz: float) -> float:
    """By how many samples the end of a resampled record is misplaced, since `resample` rounds the ratio."""
    return abs(num_samples * (float(_ratio(from_hz, to_hz)) - to_hz / from_hz))


def low_passed(
    waveforms: Float[np.ndarray, " sample"], rate_hz: float, corner_hz: float
) -> Float[np.ndarray, " sample"]:
    """Zero-phase low-pass by a FIR filter of 80 dB that passes up to 0.8 of the corner; the ends are held constant."""
    taps, beta = signal.kaiserord(80.0, 0.4 * corner_hz / rate_hz)
    window: Any = ("kaiser", beta)
    fir = signal.firwin(taps | 1, 0.9 * corner_hz, window=window, fs=rate_hz)
    padded = np.pad(np.asarray(waveforms, float), len(fir) // 2, mode="edge")
    return signal.oaconvolve(padded, fir, mode="valid")


def resampled_length(num_samples: Int[np.ndarray, "*batch"], from_hz: float, to_hz: float) -> Int[np.ndarray, "*batch"]:
    """How many samples `resample` gives for traces of `num_samples`."""
    ratio = _ratio(from_hz, to_hz)
    return -(-np.asarray(num_samples) * ratio.numerator // ratio.denominator)


def onto_grid(
    waveforms: Float[np.ndarray, "*batch sample"],
    recorded: Bool[np.ndarray, "*batch sample"],
    from_hz: float,
    to_hz: float,
    skip: int,
    part: float,
) -> tuple[Float[np.ndarray, "*batch resampled"], Bool[np.ndarray, "*batch resampled"]]:
    """Records, and which of their samples were recorded, from their own samples to the grid of `grid_position`.

    A sample of the result counts as recorded where those of the record on either side of it were.
    """
    moved = resample(between_samples(waveforms, part)[..., skip:], from_hz, to_hz)
    if part:
        recorded = recorded & np.roll(recorded, -1, -1)
        recorded[..., -1] = False
    recorded = recorded[..., skip:]
    if not recorded.shape[-1]:
        return moved, np.zeros(moved.shape, bool)
    nearest = np.arange(moved.shape[-1]) * float(1 / _ratio(from_hz, to_hz))
    before, after = np.floor(nearest + 1e-6).astype(int), np.ceil(nearest - 1e-6).astype(int)
    last = recorded.shape[-1] - 1
    return moved, recorded[..., np.minimum(before, last)] & recorded[..., np.minimum(after, last)]


def check_band(bandpass_hz: tuple[float, float], rate_hz: float) -> None:
    """Refuse a pass band that is empty or reaches the Nyquist frequency.

    Raises:
        ValueError: unless 0 < low < high < rate_hz / 2.
    """
    low, high = bandpass_hz
    if not 0 < low < high < rate_hz / 2:
        raise ValueError(
            f"bandpass_hz must be (low, high) with 0 < low < high < {rate_hz / 2:g} Hz "
            f"(half of the sampling rate), got {tuple(bandpass_hz)}"
        )


def bandpass(
    waveforms: Float[np.ndarray, "*batch sample"],
    rate_hz: float,
    bandpass_hz: tuple[float, float],
    order: int = 4,
    zero_phase: bool = False,
) -> Float[np.ndarray, "*batch sample"]:
    """Butterworth band-pass. Causal unless `zero_phase`, so no energy comes before an onset.

    Raises:
        ValueError: as `check_band`.
    """
    check_band(bandpass_hz, rate_hz)
    sos = signal.butter(order, bandpass_hz, "bandpass", fs=rate_hz, output="sos")
    # Double precision: a corner far below the sampling rate puts poles close to the unit circle.
    double = np.asarray(waveforms, np.float64)
    filtered = signal.sosfiltfilt(sos, double, axis=-1) if zero_phase else signal.sosfilt(sos, double, axis=-1)
    return filtered.astype(waveforms.dtype)


def bandpass_settled(
    waveforms: Float[np.ndarray, "*batch sample"],
    recorded: Bool[np.ndarray, "*batch sample"],
    rate_hz: float,
    bandpass_hz: tuple[float, float],
) -> Float[np.ndarray, "*batch sample"]:
    """Causal band-pass that has settled at the first recorded sample, so that neither offset nor drift rings there.

    A straight line through the recorded samples is subtracted, and each record is continued before its first sample by
    its point reflection, over three periods of the lower corner, at most 10 s. Samples before the first are zero.

    Raises:
        ValueError: as `check_band`.
    """
    check_band(bandpass_hz, rate_hz)
    settling = round(min(SETTLING_PERIODS / bandpass_hz[0], LONGEST_SETTLING_S) * rate_hz)
    out = np.zeros_like(waveforms)
    firsts = np.where(recorded.any(-1), recorded.argmax(-1), waveforms.shape[-1])
    for first in np.unique(firsts[firsts < waveforms.shape[-1]]):
        alike = firsts == first
        rest = detrend(waveforms[alike][..., first:], recorded[alike][..., first:])
        head = 2 * rest[..., :1] - rest[..., settling:0:-1]
        whole = np.concatenate([head, rest], -1)
        filtered = bandpass(whole - whole[..., :1], rate_hz, bandpass_hz)
        out[alike, first:] = filtered[..., head.shape[-1] :]
    return out


def detrend(
    waveforms: Float[np.ndarray, "trace sample"], recorded: Bool[np.ndarray, "trace sample"]
) -> Float[np.ndarray, "trace sample"]:
    """Subtract the straight line that fits the recorded samples of each trace best (least squares)."""
    time = np.arange(waveforms.shape[-1], dtype=np.float64)
    number = np.maximum(recorded.sum(-1, keepdims=True), 1)
    mean_time = (time * recorded).sum(-1, keepdims=True) / number
    mean = np.sum(waveforms, axis=-1, keepdims=True, where=recorded, dtype=np.float64) / number
    around = (time - mean_time) * recorded
    slope = (around * (waveforms - mean)).sum(-1, keepdims=True) / np.maximum((around**2).sum(-1, keepdims=True), 1e-9)
    return (waveforms - mean - slope * (time - mean_time)).astype(waveforms.dtype)
