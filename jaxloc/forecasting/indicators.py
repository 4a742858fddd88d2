"""The eight seismicity indicators of Panakkat and Adeli (2007, 2009), of the events of one window.

With N_i the number of events of at least the magnitude M_i of event i, and n events in the window:

    time_days    t_n - t_1
    magnitude    mean of M_i
    root_energy  sum of sqrt(E_i) a day, log10 E = 11.8 + 1.5 M in erg (Gutenberg and Richter 1956)
    b_value      minus the slope of log10 N_i over M_i, by least squares; or by Aki (1965) and Utsu (1965)
    misfit       sum of (log10 N_i - (a - b M_i))^2 over n - 1
    deficit      largest magnitude less the largest expected, a / b
    recurrence   mean time between characteristic events, in days
    aperiodicity standard deviation of these times over their mean

The magnitude band of characteristic events is not certain from the publications; it is a setting. Indicators that a
window is too short for are masked, not zero. The deficit, with b in the denominator, is clipped.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

NAMES = ("time_days", "magnitude", "root_energy", "b_value", "misfit", "deficit", "recurrence", "aperiodicity")
LOGARITHMIC = ("time_days", "root_energy", "recurrence")
MAX_DEFICIT = 3.0  # magnitudes
BIN = 0.1  # bin width of the catalogue's magnitudes, for Utsu's correction


class Settings(NamedTuple):
    """Magnitudes of characteristic events (from, to), and the b-value estimator: "least_squares" or "aki_utsu"."""

    characteristic: tuple[float, float] = (4.0, 10.0)
    b_value: str = "least_squares"


class Indicators(NamedTuple):
    """The eight indicators in the order of `NAMES`, and the mask of known ones; unknown ones are zero."""

    value: Float[np.ndarray, "*window 8"]
    known: Bool[np.ndarray, "*window 8"]


def indicators(
    day: Float[np.ndarray, " event"], magnitude: Float[np.ndarray, " event"], settings: Settings = Settings()
) -> Indicators:
    """The indicators of a window's events, in order of time (days).

    Raises:
        ValueError: for an unknown estimator of the b-value.
    """
    found = {
        **_of_energy(day, magnitude),
        **_of_sizes(magnitude, settings.b_value),
        **_of_returns(day, magnitude, settings.characteristic),
    }
    value = np.array([found.get(name, np.nan) for name in NAMES])
    known = np.isfinite(value)
    return Indicators(np.where(known, value, 0.0), known)


def features(found: Indicators) -> Float[np.ndarray, "*window 8"]:
    """Logarithms of times and energy; unknown ones stay zero."""
    logarithmic = np.isin(NAMES, LOGARITHMIC)
    positive = np.where(found.known & logarithmic, np.maximum(found.value, 1e-6), 1.0)
    return np.where(logarithmic, np.log10(positive), found.value)


def _of_energy(day: Float[np.ndarray, " event"], magnitude: Float[np.ndarray, " event"]) -> dict[str, float]:
    if len(day) < 2 or day[-1] <= day[0]:
        return {"magnitude": magnitude.mean()} if len(day) else {}
    time_days = day[-1] - day[0]
    root_energy = (10 ** (5.9 + 0.75 * magnitude)).sum() / time_days
    return {"time_days": time_days, "magnitude": magnitude.mean(), "root_energy": root_energy}


def _of_sizes(magnitude: Float[np.ndarray, " event"], way: str) -> dict[str, float]:
    if way not in ("least_squares", "aki_utsu"):
        raise ValueError(f'b_value must be "least_squares" or "aki_utsu", got {way!r}')
    if len(magnitude) < 3 or magnitude.max() == magnitude.min():
        return {}
    log_number = np.log10(len(magnitude) - np.searchsorted(np.sort(magnitude), magnitude))
    if way == "least_squares":
        slope, a = np.polyfit(magnitude, log_number, 1)
        b = -slope
    else:
        b = np.log10(np.e) / (magnitude.mean() - (magnitude.min() - BIN / 2))
        a = np.log10(len(magnitude)) + b * magnitude.min()
    misfit = ((log_number - (a - b * magnitude)) ** 2).sum() / (len(magnitude) - 1)
    deficit = np.clip(magnitude.max() - a / max(b, 1e-3), -MAX_DEFICIT, MAX_DEFICIT)
    return {"b_value": b, "misfit": misfit, "deficit": deficit}


def _of_returns(
    day: Float[np.ndarray, " event"], magnitude: Float[np.ndarray, " event"], band: tuple[float, float]
) -> dict[str, float]:
    times = np.diff(day[(magnitude >= band[0]) & (magnitude < band[1])])
    if len(times) == 0 or times.mean() <= 0:
        return {}
    mean = {"recurrence": times.mean()}
    return mean | {"aperiodicity": times.std() / times.mean()} if len(times) > 1 else mean
