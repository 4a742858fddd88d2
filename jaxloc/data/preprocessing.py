"""What every reader does to waveforms before anything sees them: order, clean, demean, resample, filter.

NumPy and SciPy; the last two axes are component and sample, any axes before them are batch. `num_valid` is
the number of samples of each trace that were recorded; whatever lies behind them is padding and stays zero.
"""

from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int
from scipy import signal

POSITION_OF = {"Z": 0, "N": 1, "1": 1, "E": 2, "2": 2}
"""Where a component letter goes in Z, N, E; unoriented horizontals 1 and 2 stand in for N and E."""


def order_components(
    waveforms: Float[np.ndarray, "*batch component sample"], order: str
) -> Float[np.ndarray, "*batch 3 sample"]:
    """Bring components to Z, N, E as float32; a component that is missing is zero.

    Letters other than Z, N, E, 1, 2 (a hydrophone's H, say) are left out.

    Raises:
        ValueError: where no letter of `order` is known, or there are fewer components than letters.
    """
    places = [(POSITION_OF[letter], i) for i, letter in enumerate(order.upper()) if letter in POSITION_OF]
    if not places:
        raise ValueError(f"component order {order!r} names none of Z, N, E, 1, 2; give it as e.g. 'ZNE'")
    if waveforms.shape[-2] < len(order):
        raise ValueError(f"component order {order!r} needs {len(order)} components, got {waveforms.shape[-2]}")
    if order.upper() == "ZNE" and waveforms.shape[-2] == 3:
        return waveforms.astype(np.float32, copy=False)
    ordered = np.zeros((*waveforms.shape[:-2], 3, waveforms.shape[-1]), np.float32)
    # Backwards, so that of two candidates for one place (N and 1) the first named wins.
    for place, i in reversed(places):
        ordered[..., place, :] = waveforms[..., i, :]
    return ordered


def clean(
    waveforms: Float[np.ndarray, "trace component sample"], num_valid: Int[np.ndarray, " trace"] | None = None
) -> Float[np.ndarray, "trace component sample"]:
    """Samples that are not finite and channels that are constant become zero."""
    finite = np.isfinite(waveforms)
    if not finite.all():
        waveforms = np.where(finite, waveforms, 0)
    if waveforms.shape[-1] == 0:
        return waveforms
    valid = _valid(waveforms, num_valid)
    if valid is None:
        constant = waveforms.max(-1) == waveforms.min(-1)
    else:
        constant = np.where(valid, waveforms, -np.inf).max(-1) <= np.where(valid, waveforms, np.inf).min(-1)
    dead = constant & np.any(waveforms != 0, axis=-1)
    return np.where(dead[..., None], 0, waveforms).astype(waveforms.dtype) if dead.any() else waveforms


def is_dead(waveforms: Float[np.ndarray, "*batch component sample"]) -> np.ndarray:
    """True where all components of a trace are zero throughout; call it on cleaned waveforms."""
    return ~np.any(waveforms != 0, axis=(-2, -1))


def demean(
    waveforms: Float[np.ndarray, "trace component sample"], num_valid: Int[np.ndarray, " trace"] | None = None
) -> Float[np.ndarray, "trace component sample"]:
    """Take the mean of the recorded samples away from each channel; padding stays zero."""
    valid = _valid(waveforms, num_valid)
    if valid is None:
        return waveforms - waveforms.mean(-1, keepdims=True, dtype=np.float64).astype(waveforms.dtype)
    count = np.maximum(valid.sum(-1, keepdims=True), 1)
    mean = np.sum(waveforms, axis=-1, keepdims=True, where=valid, dtype=np.float64) / count
    return np.where(valid, waveforms - mean.astype(waveforms.dtype), 0).astype(waveforms.dtype)


def _valid(waveforms: np.ndarray, num_valid: np.ndarray | None) -> np.ndarray | None:
    length = waveforms.shape[-1]
    if num_valid is None or np.all(num_valid >= length):
        return None
    return (np.arange(length) < num_valid[:, None])[:, None, :]


def resample(
    waveforms: Float[np.ndarray, "*batch sample"], from_hz: float, to_hz: float
) -> Float[np.ndarray, "*batch resampled"]:
    """Change the sampling rate by a rational ratio with an anti-aliasing FIR filter of zero phase.

    The ratio is the nearest with a denominator up to 1000, so 99.999 Hz counts as 100 Hz. The result has
    ceil(n * ratio) samples.

    Raises:
        ValueError: where a rate is not a positive number, or the two are more than 1000 times apart.
    """
    for rate in (from_hz, to_hz):
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"sampling rate must be a positive number of Hz, got {rate}")
    ratio = Fraction(float(to_hz) / float(from_hz)).limit_denominator(1000)
    if ratio == 1:
        return waveforms
    if ratio == 0 or ratio > 1000:
        raise ValueError(f"cannot resample from {from_hz} Hz to {to_hz} Hz: more than 1000 times apart")
    resampled = signal.resample_poly(waveforms, ratio.numerator, ratio.denominator, axis=-1)
    return resampled.astype(waveforms.dtype, copy=False)


def resampled_length(num_samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """How many samples `resample` gives for traces of `num_samples`."""
    ratio = Fraction(float(to_hz) / float(from_hz)).limit_denominator(1000)
    return -(-np.asarray(num_samples) * ratio.numerator // ratio.denominator)


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
