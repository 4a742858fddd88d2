"""Statistics of records with known P and S, by which simulated records are compared with real ones."""

import numpy as np
from jaxtyping import Float
from scipy import signal

STATISTICS = {
    "slope_low_db": "noise slope 1-6 Hz, dB/decade",
    "slope_high_db": "noise slope 6-30 Hz, dB/decade",
    "kurtosis": "excess kurtosis of noise",
    "horizontal_noise_db": "horizontal over vertical noise, dB",
    "microseism_db": "noise .25-1 Hz over 1-10 Hz, dB",
    "p_snr_db": "signal over noise of P, dB",
    "p_centroid_hz": "centroid of P, Hz",
    "s_centroid_hz": "centroid of S, Hz",
    "s_over_p_db": "S over P, dB",
    "s_onset_db": "S over the coda of P, dB",
    "s_minus_p_s": "S-P, s",
    "coda_5_db": "coda after 5 s over S, dB",
    "coda_10_db": "coda after 10 s over S, dB",
}
"""Names of the statistics and what they are."""

HIGH_PASS_HZ = 1.0
NOISE_S, GUARD_S = (2.0, 10.0), 0.3  # shortest and longest noise window, and its distance from P
ONSET_S = 1.0
USABLE = 0.44  # of the sampling rate: where resampling has cut
SEGMENT_S = 2.56


def record_statistics(
    waveforms: Float[np.ndarray, "component sample"], rate_hz: float, p_s: float, s_s: float
) -> dict[str, float]:
    """The statistics of one record, NaN where it is too short or a component is missing.

    Noise slopes, kurtosis and P are of the vertical, S and coda of both horizontals; all but slopes and the microseism
    are above 1 Hz (a causal Butterworth filter of order 2). Power ratios are of means over a second after an
    onset, or up to S for P.

    Args:
        waveforms: components Z and two horizontals, of any unit; those that are missing are zero.
        rate_hz: sampling rate.
        p_s: arrival of P from the first sample.
        s_s: arrival of S; NaN where unknown.
    """
    raw = np.where((waveforms != 0).any(-1, keepdims=True), waveforms, np.nan).astype(float)
    raw = raw - raw.mean(-1, keepdims=True)
    quick = np.asarray(signal.sosfilt(signal.butter(2, HIGH_PASS_HZ, "high", fs=rate_hz, output="sos"), raw, axis=-1))

    def part(traces: Float[np.ndarray, "*component sample"], start_s: float, end_s: float) -> np.ndarray:
        first, last = (round(t * rate_hz) if np.isfinite(t) else -1 for t in (start_s, end_s))
        if first < 0 or last > traces.shape[-1] or last - first < 2:
            return np.full((*traces.shape[:-1], 2), np.nan)
        return traces[..., first:last]

    power = lambda start_s, end_s: (part(quick, start_s, end_s) ** 2).mean(-1)
    start_s, end_s = max(p_s - NOISE_S[1], min(1.0, p_s)), p_s - GUARD_S
    long_enough = end_s - start_s >= NOISE_S[0]
    start_s = start_s if long_enough else np.nan
    gap_s = s_s - p_s
    p_end_s = p_s + (min(ONSET_S, 0.9 * gap_s) if np.isfinite(gap_s) else ONSET_S)
    noise, p, s = power(start_s, end_s), power(p_s, p_end_s), power(s_s, s_s + ONSET_S)
    before_s = power(s_s - min(ONSET_S, 0.5 * gap_s) - 0.1, s_s - 0.1) if gap_s > 0.3 else np.full(3, np.nan)
    across = lambda each: each[1:].mean()
    return {
        **_spectrum(part(raw[0], start_s, end_s), rate_hz),
        "kurtosis": _kurtosis(part(quick[0], start_s, end_s)),
        "horizontal_noise_db": _db(across(noise), noise[0]),
        "p_snr_db": _db(p[0], noise[0]),
        "p_centroid_hz": _centroid_hz(part(quick[:1], p_s, p_s + max(1.0, 2 * (p_end_s - p_s))), rate_hz),
        "s_centroid_hz": _centroid_hz(part(quick[1:], s_s, s_s + 2 * ONSET_S), rate_hz),
        "s_over_p_db": _db(across(s), p[0]),
        "s_onset_db": _db(across(s), across(before_s)),
        "s_minus_p_s": gap_s,
        "coda_5_db": _db(across(power(s_s + 5, s_s + 6)), across(s)),
        "coda_10_db": _db(across(power(s_s + 10, s_s + 11)), across(s)),
    }


def _db(above: float, below: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * np.log10(np.divide(above, below))
    return float(ratio) if np.isfinite(ratio) else np.nan


def _kurtosis(trace: Float[np.ndarray, " sample"]) -> float:
    square = (trace - trace.mean()) ** 2
    return float((square**2).mean() / square.mean() ** 2 - 3) if square.mean() > 0 else np.nan


def _spectrum(trace: Float[np.ndarray, " sample"], rate_hz: float) -> dict[str, float]:
    """Slopes and the microseism of noise, of Welch's power density."""
    length = round(SEGMENT_S * rate_hz)
    names = ("slope_low_db", "slope_high_db", "microseism_db")
    if not np.isfinite(trace).all() or len(trace) < 0.7 * length or not trace.std() > 0:
        return dict.fromkeys(names, np.nan)
    hz, density = signal.welch(signal.detrend(trace), rate_hz, nperseg=min(length, len(trace)), detrend="linear")
    inside = lambda low_hz, high_hz: (hz >= low_hz) & (hz <= high_hz)

    def slope_db(low_hz: float, high_hz: float) -> float:
        use = inside(low_hz, high_hz) & (density > 0)
        return float(np.polyfit(np.log10(hz[use]), 10 * np.log10(density[use]), 1)[0]) if use.sum() > 3 else np.nan

    low = _db(density[inside(0.25, 1.0)].sum(), density[inside(1.0, 10.0)].sum())
    return dict(zip(names, (slope_db(1.0, 6.0), slope_db(6.0, min(30.0, USABLE * rate_hz)), low), strict=True))


def _centroid_hz(traces: Float[np.ndarray, "component sample"], rate_hz: float) -> float:
    """Mean frequency by power."""
    power = (np.abs(np.fft.rfft(traces * np.hanning(traces.shape[-1]))) ** 2).sum(0)
    hz = np.fft.rfftfreq(traces.shape[-1], 1 / rate_hz)
    return float((hz * power).sum() / power.sum()) if power.sum() > 0 else np.nan
