"""Amplitude spectra of P and S of an event at its stations, where they exceed the noise before P.

A window begins a tenth of its length before an arrival and ends `window_s` after it; this tenth and as much at its end
are tapered. Spectra are the root of the power of all components together, averaged in bins of about equal width in
log-frequency, less the noise's power. A row is used in the band
where its amplitude is three times the noise's (`usable_band`).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.ndimage import median_filter
from scipy.signal.windows import tukey

from jaxloc.detection.amplitudes import check_records
from jaxloc.types import PHASES

WINDOW_S = 5.0
LEAD = 0.1  # of the window's length
SMALLEST_SNR = 3.0
FEWEST_BINS = 6
HIGHEST = 0.8  # of the Nyquist frequency
NUM_BINS = 32
CYCLES = 2.0  # of the lowest frequency in a window
TINY = 1e-300
SMOOTHED = 5  # bins
LEAST_SIGNAL = 0.1  # of the power in a bin, which noise cannot exceed


class Spectra(NamedTuple):
    """Spectra of one event, or a batch with a leading axis; a row is a phase of a station (P of all, then S of all).

    Attributes:
        log_amplitude: natural logarithm of displacement in m s, without noise; 0 where not used.
        used: bins that exceed the noise.
        frequency_hz: of the bins.
        distance_km: hypocentral.
        travel_s: travel time.
        phase: 0 for P, 1 for S.
    """

    log_amplitude: Float[Array | np.ndarray, "*event row bin"]
    used: Bool[Array | np.ndarray, "*event row bin"]
    frequency_hz: Float[Array | np.ndarray, "*event bin"]
    distance_km: Float[Array | np.ndarray, "*event row"]
    travel_s: Float[Array | np.ndarray, "*event row"]
    phase: Int[Array | np.ndarray, "*event row"]


def event_spectra(
    displacement_m: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    rate_hz: float,
    arrival_s: Float[np.ndarray, "station 2"],
    travel_s: Float[np.ndarray, "station 2"],
    distance_km: Float[np.ndarray, " station"],
    *,
    window_s: float = WINDOW_S,
    lowest_hz: float = 0.5,
    clipped: Bool[np.ndarray, "station component sample"] | None = None,
) -> tuple[Spectra, tuple[str, ...]]:
    """Spectra of P and S, and why a row has none ("" where it has one).

    P has none where S follows within its window.

    Args:
        displacement_m: ground displacement, Z, N, E.
        usable: samples that were recorded and are free of edge effects.
        rate_hz: sampling rate.
        arrival_s: P and S from the first sample; NaN where unknown.
        travel_s: travel times of P and S.
        distance_km: hypocentral distances.
        window_s: length of windows after an arrival.
        lowest_hz: from which the records are not filtered.
        clipped: samples at which the recorder was at its limit.

    Raises:
        ValueError: where shapes do not belong together, or no frequency lies between the lowest and the highest.
    """
    check_records(displacement_m, usable, arrival_s)
    lowest_hz = max(lowest_hz, CYCLES / window_s)
    grid = _grid(round((1 + LEAD) * window_s * rate_hz), rate_hz, lowest_hz)
    at_limit = np.zeros(usable.shape, bool) if clipped is None else clipped
    number = len(arrival_s)
    log_amplitude, used = (np.zeros((2 * number, len(grid.frequency_hz)), kind) for kind in (float, bool))
    reasons = []
    for row in range(2 * number):
        phase, i = divmod(row, number)
        times = float(arrival_s[i, 0]), float(arrival_s[i, 1])
        found, why = _row(displacement_m[i], usable[i], at_limit[i], rate_hz, times, phase, window_s, grid)
        if found is not None:
            log_amplitude[row], used[row] = found
        reasons.append(why)
    phase = np.repeat(np.arange(2), number)
    known = np.where(np.isfinite(travel_s), travel_s, 1.0).T.ravel()
    spectra = Spectra(log_amplitude, used, grid.frequency_hz, np.tile(distance_km, 2), known, phase)
    return spectra, tuple(reasons)


class _Grid(NamedTuple):
    """A taper, the bin of each frequency of its transform (-1: none), their mean frequencies, and the time step."""

    taper: np.ndarray
    bin: np.ndarray
    frequency_hz: np.ndarray
    step_s: float


@lru_cache(8)
def _grid(length: int, rate_hz: float, lowest_hz: float) -> _Grid:
    frequency_hz = np.fft.rfftfreq(length, 1 / rate_hz)
    edges_hz = np.geomspace(lowest_hz, HIGHEST * rate_hz / 2, NUM_BINS + 1)
    if not edges_hz[0] < edges_hz[-1]:
        raise ValueError(f"no frequency lies between {lowest_hz:g} Hz and {edges_hz[-1]:g} Hz; records must be faster")
    place = np.digitize(frequency_hz, edges_hz) - 1
    place[(frequency_hz < edges_hz[0]) | (frequency_hz >= edges_hz[-1])] = -1
    filled, dense = np.unique(place[place >= 0], return_inverse=True)
    place[place >= 0] = dense
    means = np.array([frequency_hz[place == i].mean() for i in range(len(filled))])
    return _Grid(tukey(length, 2 * LEAD / (1 + LEAD)), place, means, 1 / rate_hz)


def _row(
    records: Float[np.ndarray, "3 sample"],
    usable: Bool[np.ndarray, "3 sample"],
    clipped: Bool[np.ndarray, "3 sample"],
    rate_hz: float,
    times_s: tuple[float, float],
    phase: int,
    window_s: float,
    grid: _Grid,
) -> tuple[tuple[np.ndarray, np.ndarray] | None, str]:
    p_s, s_s = times_s
    name, length = PHASES[phase], len(grid.taper)
    if not np.isfinite(times_s).all():
        return None, "no arrival times of P and S"
    if phase == 0 and s_s - p_s < window_s:
        return None, f"S follows P after {s_s - p_s:.1f} s, within the window of {window_s:g} s"
    first = round((times_s[phase] - LEAD * window_s) * rate_hz)
    quiet = round((p_s - LEAD * window_s) * rate_hz) - length
    if quiet < 0 or first + length > records.shape[-1]:
        return None, f"the record is too short for windows of {window_s:g} s at {name} and before P"
    present = usable.any(-1)
    if not present.any():
        return None, "no record"
    if clipped[:, quiet : first + length].any():
        return None, "clipped"
    windows = slice(first, first + length), slice(quiet, quiet + length)
    if not all(usable[present, window].all() for window in windows):
        return None, f"samples missing in the window of {name} or of noise"
    signal, noise = (_power(records[present, window], grid) for window in windows)
    used = usable_band(signal, noise)
    if used.sum() < FEWEST_BINS:
        return None, f"{name} exceeds the noise in {used.sum()} of {len(used)} frequency bins, {FEWEST_BINS} are needed"
    logarithm = 0.5 * np.log(np.maximum(signal - noise, LEAST_SIGNAL * signal))
    return (np.where(used, logarithm, 0.0), used), ""


def usable_band(signal: Float[np.ndarray, " bin"], noise: Float[np.ndarray, " bin"]) -> Bool[np.ndarray, " bin"]:
    """The longest run of bins where the median over `SMOOTHED` bins of signal over noise exceeds `SMALLEST_SNR`.

    Bins are not chosen one by one: those that scatter upwards would be preferred, and magnitudes be too large.

    Args:
        signal: power of a window.
        noise: power of the noise in as long a window.
    """
    ratio = median_filter(np.log(signal + TINY) - np.log(noise + TINY), SMOOTHED, mode="nearest")
    edges = np.diff(np.concatenate([[0], (ratio > 2 * np.log(SMALLEST_SNR)).astype(np.int8), [0]]))
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    band = np.zeros(len(signal), bool)
    if len(first):
        longest = int((last - first).argmax())
        band[first[longest] : last[longest]] = True
    return band


def _power(windows: Float[np.ndarray, "component sample"], grid: _Grid) -> Float[np.ndarray, " bin"]:
    """Power of all components in m2 s2, averaged in bins."""
    centred = windows - windows.mean(-1, keepdims=True)
    power = (np.abs(np.fft.rfft(centred * grid.taper)) ** 2).sum(0) * grid.step_s**2
    inside = grid.bin >= 0
    number = np.bincount(grid.bin[inside])
    return np.bincount(grid.bin[inside], power[inside]) / number
