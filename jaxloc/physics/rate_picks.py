"""Picks of records from arrival rates: any number of them, each with its time, standard deviation and probability."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.signal import find_peaks

from jaxloc.physics.readings import READ_S
from jaxloc.types import PHASES

LEAST_PROBABILITY = 0.3


class RatePicks(NamedTuple):
    """Picks of one record in the order of their times.

    `probability` is that of an arrival within `READ_S` of `time_s`; `phase` is the place in `PHASES`.
    """

    phase: Int[np.ndarray, " pick"]
    time_s: Float[np.ndarray, " pick"]
    sigma_s: Float[np.ndarray, " pick"]
    probability: Float[np.ndarray, " pick"]


def picks_of_rates(
    log_rate: Float[np.ndarray, "sample phase"], rate_hz: float, least_probability: float = LEAST_PROBABILITY
) -> RatePicks:
    """Picks where the expected number of arrivals within `READ_S` has a maximum of a probability that is high enough.

    Time and standard deviation are the mean and that of the rate within this window.

    Args:
        log_rate: natural logarithm of arrivals per second, by sample.
        rate_hz: samples per second.
        least_probability: of a pick.
    """
    half = max(round(READ_S * rate_hz), 1)
    number = np.exp(np.asarray(log_rate, float)) / rate_hz
    found = [_of_phase(number[:, phase], rate_hz, half, least_probability, phase) for phase in range(len(PHASES))]
    joined = RatePicks(*(np.concatenate(each) for each in zip(*found, strict=True)))
    order = np.argsort(joined.time_s, kind="stable")
    return RatePicks(*(each[order] for each in joined))


def _of_phase(
    number: Float[np.ndarray, " sample"], rate_hz: float, half: int, least_probability: float, phase: int
) -> RatePicks:
    total = np.cumsum(np.pad(number, (half + 1, half)))
    near = total[2 * half + 1 :] - total[: -2 * half - 1]
    peaks, _ = find_peaks(np.pad(near, 1), height=-np.log1p(-least_probability), distance=half)
    peaks = peaks - 1
    rows = np.clip(peaks[:, None] + np.arange(-half, half + 1), 0, len(number) - 1)
    inside = (peaks[:, None] + np.arange(-half, half + 1) == rows) * number[rows]
    weight = inside / np.maximum(inside.sum(1, keepdims=True), 1e-30)
    mean = (weight * rows).sum(1)
    variance = (weight * (rows - mean[:, None]) ** 2).sum(1) + 1 / 12  # and that within a sample
    probability = -np.expm1(-near[peaks])
    return RatePicks(np.full(len(peaks), phase), mean / rate_hz, np.sqrt(variance) / rate_hz, probability)
