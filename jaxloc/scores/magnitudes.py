"""Statistics of magnitudes: b-value, magnitude of completeness, and how magnitudes of two catalogues differ.

The b-value is the maximum likelihood estimate of Aki (1965) with Utsu's (1966) correction for bins, its error that of
Shi & Bolt (1982). Completeness is the maximum curvature of the distribution (Wiemer & Wyss 2000), to which Woessner &
Wiemer (2005) add 0.2, or the smallest magnitude from which the b-value is stable (Cao & Gao 2002).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.scores.bootstrap import interval

BIN = 0.1
CORRECTION = 0.2  # Woessner & Wiemer 2005
STABLE_OVER = 0.5  # magnitudes over which b-values are averaged, as long as Woessner & Wiemer (2005) do
FEWEST = 50  # events of a b-value
ALMOST = 1e-6  # of a magnitude: bins end in numbers that floats miss


class BValue(NamedTuple):
    """The b-value of the events from a magnitude on, its standard error, and the number of events."""

    b: float
    error: float
    number: int


def b_value(magnitude: Float[np.ndarray, " event"], least: float, bin: float = BIN) -> BValue:
    """The b-value of the magnitudes from `least` (the middle of its bin) on; NaN for fewer than two.

    Args:
        magnitude: of all events, rounded to bins; NaN is left out.
        least: magnitude of completeness.
        bin: width of the bins; 0 for magnitudes that are not rounded.
    """
    above = magnitude[magnitude >= least - bin / 2 - ALMOST]
    number = len(above)
    excess = float(above.mean() - (least - bin / 2)) if number else 0.0
    if number < 2 or excess <= 0:
        return BValue(np.nan, np.nan, number)
    b = np.log10(np.e) / excess
    error = np.log(10) * b**2 * np.sqrt(((above - above.mean()) ** 2).sum() / (number * (number - 1)))
    return BValue(float(b), float(error), number)


def maximum_curvature(magnitude: Float[np.ndarray, " event"], bin: float = BIN, correction: float = 0.0) -> float:
    """The bin with the most events, plus a correction; NaN without magnitudes."""
    step = np.rint(magnitude[np.isfinite(magnitude)] / bin).astype(int)
    if not len(step):
        return np.nan
    return float((step.min() + np.argmax(np.bincount(step - step.min()))) * bin + correction)


def stable_b(magnitude: Float[np.ndarray, " event"], bin: float = BIN, fewest: int = FEWEST) -> float:
    """The smallest magnitude whose b-value differs by at most its error from the mean over the next half magnitude.

    NaN where there is none with so many events.
    """
    known = magnitude[np.isfinite(magnitude)]
    if len(known) < fewest:
        return np.nan
    steps = np.arange(np.rint(known.min() / bin), np.rint(known.max() / bin) + 1)
    values = [b_value(known, step * bin, bin) for step in steps]
    ahead = round(STABLE_OVER / bin)
    for place, (step, value) in enumerate(zip(steps, values, strict=True)):
        following = values[place : place + ahead + 1]
        if len(following) <= ahead or following[-1].number < fewest:
            break
        if abs(np.mean([each.b for each in following]) - value.b) <= value.error:
            return float(step * bin)
    return np.nan


def bootstrapped(
    statistic: Callable[[Float[np.ndarray, " event"]], float],
    values: Float[np.ndarray, " event"],
    *,
    seed: int = 20,
    num_resamples: int = 200,
) -> dict[str, float]:
    """A statistic of events with the 95 % interval of resampled events, over those resamples that have it."""
    values = values[np.isfinite(values)]
    if not len(values):
        return {"value": np.nan, "low": np.nan, "high": np.nan}
    rng = np.random.default_rng(seed)
    found = np.array([statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(num_resamples)])
    found = found[np.isfinite(found)]
    low, high = interval(found) if len(found) else (np.nan, np.nan)
    return {"value": statistic(values), "low": low, "high": high}


def completeness(magnitude: Float[np.ndarray, " event"], bin: float = BIN) -> dict[str, dict[str, float]]:
    """Magnitudes of completeness with bootstrap intervals, and the b-value above the corrected maximum curvature."""
    rounded = np.rint(magnitude[np.isfinite(magnitude)] / bin) * bin
    least = maximum_curvature(rounded, bin, CORRECTION)
    b = b_value(rounded, least, bin)
    return {
        "maximum curvature": bootstrapped(lambda m: maximum_curvature(m, bin), rounded),
        "maximum curvature + 0.2": bootstrapped(lambda m: maximum_curvature(m, bin, CORRECTION), rounded),
        "stable b-value": bootstrapped(lambda m: stable_b(m, bin), rounded),
        "b-value": {"value": b.b, "low": b.b - 1.96 * b.error, "high": b.b + 1.96 * b.error, "events": float(b.number)},
    }


def magnitude_differences(first: Float[np.ndarray, " pair"], second: Float[np.ndarray, " pair"]) -> dict[str, float]:
    """Median of first minus second, its spread as a standard deviation (1.48 MAD), and their number."""
    apart = (first - second)[np.isfinite(first - second)]
    if not len(apart):
        return {"bias": np.nan, "spread": np.nan, "events": 0.0}
    bias = float(np.median(apart))
    return {"bias": bias, "spread": float(1.4826 * np.median(np.abs(apart - bias))), "events": float(len(apart))}
