"""A distance correction of one's own, fitted to amplitudes of many events at many stations, with its held-out error."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.detection.magnitude_curves import MagnitudeCurve, correction

RIDGE_SD = 0.5
"""Prior standard deviation of station corrections, in magnitudes, over that of a reading (0.2)."""
READING_SD = 0.2
FEWEST_EVENTS, FEWEST_READINGS = 10, 30
ROUNDS, TUNING = 10, 1.345
"""Rounds of reweighting, and Huber's limit in standard deviations."""


class CurveFit(NamedTuple):
    """A fitted curve, and root mean squares of residuals that it leaves at events that it was not fitted to.

    Attributes:
        curve: with station corrections of zero mean.
        held_out: root mean square of the station magnitudes of a held-out event about those of its other stations.
        held_out_start: the same of the curve that was started from.
        covariance: of `log_distance` and `distance`.
    """

    curve: MagnitudeCurve
    held_out: float
    held_out_start: float
    covariance: Float[np.ndarray, "2 2"]


def fit_curve(
    amplitude_mm: Float[np.ndarray, "event station"],
    distance_km: Float[np.ndarray, "event station"],
    codes: tuple[str, ...],
    start: MagnitudeCurve,
    folds: int = 5,
) -> CurveFit:
    """Fit `log_distance`, `distance` and station corrections; the level is that of `start` at its reference distance.

    Magnitudes of the events are fitted along with them. Outliers have less weight (Huber).

    Args:
        amplitude_mm: Wood-Anderson amplitudes; NaN where there is none.
        distance_km: hypocentral distances.
        codes: of the stations.
        start: whose reference distance, level and `near` terms are kept.
        folds: in which events are held out, to measure the error.

    Raises:
        ValueError: where there are too few events or readings.
    """
    known = np.isfinite(amplitude_mm) & np.isfinite(distance_km) & (np.nan_to_num(amplitude_mm) > 0)
    known &= (known.sum(1) > 1)[:, None]
    events = np.flatnonzero(known.any(1))
    if len(events) < FEWEST_EVENTS or known.sum() < FEWEST_READINGS:
        raise ValueError(
            f"a magnitude curve needs {FEWEST_EVENTS} events and {FEWEST_READINGS} readings at two stations or more, "
            f"got {len(events)} and {known.sum()}"
        )
    log_amplitude = np.log10(np.where(known, amplitude_mm, 1.0))
    whole, covariance = _fitted(log_amplitude, distance_km, known, codes, start)
    misfits, before = [], []
    for fold in range(folds):
        out = events[fold::folds]
        inside = known.copy()
        inside[out] = False
        curve, _ = _fitted(log_amplitude, distance_km, inside, codes, start)
        misfits.append(_about_others(log_amplitude, distance_km, known, codes, curve, out))
        before.append(_about_others(log_amplitude, distance_km, known, codes, start, out))
    rms = lambda parts: float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))
    return CurveFit(whole, rms(misfits), rms(before), covariance)


def _fitted(
    log_amplitude: Float[np.ndarray, "event station"],
    distance_km: Float[np.ndarray, "event station"],
    known: Bool[np.ndarray, "event station"],
    codes: tuple[str, ...],
    start: MagnitudeCurve,
) -> tuple[MagnitudeCurve, Float[np.ndarray, "2 2"]]:
    """Weighted least squares: log A + m + c exp(-d R) = M - a log10(R / r) - b (R - r) - S."""
    event, station = np.nonzero(known)
    far = distance_km[known]
    kept = start._replace(log_distance=0.0, distance=0.0, station={})
    target = log_amplitude[known] + correction(kept, far)
    events, place = np.unique(event, return_inverse=True)
    design = np.zeros((len(far), 2 + len(codes) + len(events)))
    design[:, 0], design[:, 1] = -np.log10(far / start.reference_km), -(far - start.reference_km)
    design[np.arange(len(far)), 2 + station] = -1
    design[np.arange(len(far)), 2 + len(codes) + place] = 1
    ridge = np.zeros((len(codes), design.shape[1]))
    ridge[:, 2 : 2 + len(codes)] = np.eye(len(codes)) * READING_SD / RIDGE_SD
    weight, sd, rows, solution = np.ones(len(far)), 1.0, design, np.zeros(design.shape[1])
    for _ in range(ROUNDS):
        root = np.sqrt(weight)[:, None]
        rows = np.concatenate([design * root, ridge])
        solution = np.linalg.lstsq(rows, np.concatenate([target * root[:, 0], np.zeros(len(codes))]), rcond=None)[0]
        misfit = target - design @ solution
        sd = 1.4826 * np.median(np.abs(misfit)) + 1e-12
        weight = np.minimum(1.0, TUNING * sd / (np.abs(misfit) + 1e-12))
    seen = np.asarray(known.any(0))
    corrections = solution[2 : 2 + len(codes)] - solution[2 : 2 + len(codes)][seen].mean()
    station_terms = {code: float(c) for code, c, s in zip(codes, corrections, seen, strict=True) if s}
    covariance = sd**2 * np.linalg.pinv(rows.T @ rows)[:2, :2]
    about = f"fitted to {len(far)} readings of {len(events)} events"
    return start._replace(
        name="own",
        reference=about,
        log_distance=float(solution[0]),
        distance=float(solution[1]),
        station=station_terms,
    ), covariance


def _about_others(
    log_amplitude: Float[np.ndarray, "event station"],
    distance_km: Float[np.ndarray, "event station"],
    known: Bool[np.ndarray, "event station"],
    codes: tuple[str, ...],
    curve: MagnitudeCurve,
    events: Int[np.ndarray, " out"],
) -> Float[np.ndarray, " reading"]:
    """Station magnitudes of events less the mean of the event's other stations."""
    terms = np.array([curve.station.get(code, 0.0) for code in codes])
    magnitudes = log_amplitude + correction(curve, np.where(known, distance_km, 1.0)) + terms
    parts = [magnitudes[i][known[i]] for i in events]
    return np.concatenate([(part - part.mean()) * len(part) / (len(part) - 1) for part in parts])
