"""Pairs of events that follow each other within some seconds."""

import numpy as np
from jaxtyping import Float, Int

from jaxloc.detection.row_ranges import rows_within


def pairs_within(
    time_s: Float[np.ndarray, " event"], reach_s: float
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Rows of each event, and of those at most `reach_s` after it."""
    order = np.argsort(time_s, kind="stable")
    ordered_s = time_s[order]
    until = np.searchsorted(ordered_s, ordered_s + reach_s, "right")
    first, second = rows_within(np.arange(1, len(order) + 1), until)
    return order[first], order[second]
