"""Pairs of events that follow each other within some seconds."""

import numpy as np
from jaxtyping import Float, Int


def pairs_within(
    time_s: Float[np.ndarray, " event"], reach_s: Float[np.ndarray, " event"] | float
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Rows of each event, and of those at most `reach_s` (its own) after it."""
    order = np.argsort(time_s, kind="stable")
    ordered_s, reach_s = time_s[order], np.broadcast_to(reach_s, time_s.shape)[order]
    own = np.arange(len(order))
    count = np.maximum(np.searchsorted(ordered_s, ordered_s + reach_s, "right") - own - 1, 0)
    first = np.repeat(own, count)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
    return order[first], order[second]
