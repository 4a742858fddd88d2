"""Samples at the limit of a recorder, where an amplitude is too small by an unknown amount."""

import numpy as np
from jaxtyping import Bool, Float

FLAT_RUN = 3
"""Equal samples in a row at the largest or smallest value from which on a record counts as clipped there."""
FEWEST_STEPS = 200
"""Peak to peak in quantisation steps: signals of fewer have flat tops without being clipped."""
FULL_SCALE_COUNTS = 2.0**23
FULL_SCALE_SHARE = (0.98, 1.02)
"""Peaks within these shares of a 24-bit recorder's full scale count as clipped."""


def clipped_samples(counts: Float[np.ndarray, " sample"]) -> Bool[np.ndarray, " sample"]:
    """True at samples of raw counts where the recorder or the sensor had reached its limit.

    These are runs of at least `FLAT_RUN` equal samples at the largest or the smallest value of the record, and samples
    near the full scale of 24 bits. Sensors that limit softly, without a flat top below full scale, are not recognised.

    Args:
        counts: without filter or resampling; NaN where nothing was recorded.
    """
    known = np.isfinite(counts)
    if known.sum() < FLAT_RUN:
        return np.zeros(len(counts), bool)
    low, high = counts[known].min(), counts[known].max()
    near_limit = np.zeros(len(counts), bool)
    for limit in (low, high):
        if FULL_SCALE_SHARE[0] <= abs(limit) / FULL_SCALE_COUNTS <= FULL_SCALE_SHARE[1]:
            near_limit |= (
                known
                & (np.sign(counts) == np.sign(limit))
                & (np.abs(counts) >= FULL_SCALE_SHARE[0] * FULL_SCALE_COUNTS)
            )
    steps = np.abs(np.diff(counts[known]))
    steps = steps[steps > 0]
    if not len(steps) or high - low < FEWEST_STEPS * steps.min():
        return near_limit
    return near_limit | _flat(counts == high) | _flat(counts == low)


def _flat(at_limit: Bool[np.ndarray, " sample"]) -> Bool[np.ndarray, " sample"]:
    """Runs of at least `FLAT_RUN` true samples."""
    edges = np.diff(np.concatenate([[0], at_limit.astype(np.int8), [0]]))
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    flat = np.zeros(len(at_limit), bool)
    for begin, end in zip(first, last, strict=True):
        flat[begin:end] = end - begin >= FLAT_RUN
    return flat
