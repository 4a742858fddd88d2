"""Amplitudes of local magnitudes, and why a station has none.

The amplitude of a component is half of the largest peak to peak within `SWING_S` (a half cycle of up to 2 s, so that
drifts of longer period do not count) from P to 4 s after S; noise is measured alike in the 5 s before P. The amplitude
of a station is the mean of its horizontal components (IASPEI 2013).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import maximum_filter1d, minimum_filter1d

AFTER_S_S = 4.0
BEFORE_P_S = 0.3  # the window begins, and the noise ends, so long before P
NOISE_S, SHORTEST_NOISE_S = 5.0, 2.0
SWING_S = 1.0
SMALLEST_SNR = 3.0
HORIZONTAL = (1, 2)  # of Z, N, E


class Amplitudes(NamedTuple):
    """Amplitudes of an event in the records' unit; NaN where there is a reason.

    Attributes:
        amplitude: mean of the horizontals.
        snr: its ratio to the noise, NaN where it was not measured.
        reasons: why a station has no amplitude; "" where it has one.
    """

    amplitude: Float[np.ndarray, " station"]
    snr: Float[np.ndarray, " station"]
    reasons: tuple[str, ...]


def horizontal_amplitudes(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    rate_hz: float,
    arrival_s: Float[np.ndarray, "station 2"],
    clipped: Bool[np.ndarray, "station component sample"] | None = None,
) -> Amplitudes:
    """Amplitudes of all stations.

    Args:
        records: components Z, N, E of Wood-Anderson records, or of whatever amplitude is measured.
        usable: True where a sample was recorded, far enough from gaps and ends of the record.
        rate_hz: sampling rate.
        arrival_s: P and S from the first sample, picked or predicted; NaN where unknown.
        clipped: True where the recorder was at its limit.

    Raises:
        ValueError: where shapes do not belong together.
    """
    check_records(records, usable, arrival_s)
    at_limit = np.zeros(usable.shape, bool) if clipped is None else clipped
    measured = [
        _station(records[i], usable[i], at_limit[i], rate_hz, float(arrival_s[i, 0]), float(arrival_s[i, 1]))
        for i in range(len(records))
    ]
    amplitude, snr, reasons = zip(*measured, strict=True) if measured else ((), (), ())
    return Amplitudes(np.array(amplitude, float), np.array(snr, float), tuple(reasons))


def check_records(records: np.ndarray, usable: np.ndarray, arrival_s: np.ndarray) -> None:
    """Refuse records, masks and arrivals whose shapes do not belong together.

    Raises:
        ValueError: names the shapes.
    """
    if records.ndim != 3 or records.shape[1] != 3:
        raise ValueError(f"records must be [station, 3 components Z N E, sample], got shape {records.shape}")
    if usable.shape != records.shape:
        raise ValueError(f"usable must have the shape of the records, {records.shape}, got {usable.shape}")
    if arrival_s.shape != (len(records), 2):
        raise ValueError(f"arrival_s must be [station, 2] of {len(records)} stations, got shape {arrival_s.shape}")


def _station(
    records: Float[np.ndarray, "3 sample"],
    usable: Bool[np.ndarray, "3 sample"],
    clipped: Bool[np.ndarray, "3 sample"],
    rate_hz: float,
    p_s: float,
    s_s: float,
) -> tuple[float, float, str]:
    nothing = lambda why: (np.nan, np.nan, why)
    if not (np.isfinite(p_s) and np.isfinite(s_s) and s_s >= p_s):
        return nothing("no arrival times of P and S")
    present = [c for c in HORIZONTAL if usable[c].any()]
    if not present:
        return nothing("no horizontal component")
    begin, end = round((p_s - BEFORE_P_S) * rate_hz), round((s_s + AFTER_S_S) * rate_hz)
    length = records.shape[-1]
    if begin < 0 or end > length:
        where = "before its begin" if begin < 0 else "after its end"
        return nothing(f"the window from P to {AFTER_S_S:g} s after S reaches {where} of the record")
    if clipped[present, begin:end].any():
        return nothing("clipped between P and the end of the S window")
    if not usable[present, begin:end].all():
        return nothing("samples missing between P and the end of the S window")
    first = max(begin - round(NOISE_S * rate_hz), 0)
    quiet = np.asarray(usable[present, first:begin].all(0))
    first = begin - (len(quiet) if quiet.all() else int(np.argmin(quiet[::-1])))
    if begin - first < SHORTEST_NOISE_S * rate_hz:
        return nothing(f"{(begin - first) / rate_hz:.1f} s of noise before P, {SHORTEST_NOISE_S:g} s are needed")
    amplitude = np.mean([half_swing(records[c, begin:end], rate_hz) for c in present])
    noise = np.mean([half_swing(records[c, first:begin], rate_hz) for c in present])
    snr = float(amplitude / noise) if noise > 0 else np.inf
    if amplitude == 0 or not np.isfinite(amplitude):
        return nothing("no signal")
    if snr < SMALLEST_SNR:
        return np.nan, snr, f"signal-to-noise ratio {snr:.1f}, below {SMALLEST_SNR:g}"
    return float(amplitude), snr, ""


def half_swing(record: Float[np.ndarray, " sample"], rate_hz: float) -> float:
    """Half of the largest difference of two samples at most `SWING_S` apart."""
    size = min(round(SWING_S * rate_hz) + 1, len(record))
    swing = maximum_filter1d(record, size, mode="nearest") - minimum_filter1d(record, size, mode="nearest")
    return float(swing.max() / 2)
