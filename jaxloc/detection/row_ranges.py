"""Ranges of rows of different lengths, one behind the other."""

import numpy as np
from jaxtyping import Int


def rows_within(
    first: Int[np.ndarray, " range"], last: Int[np.ndarray, " range"]
) -> tuple[Int[np.ndarray, " row"], Int[np.ndarray, " row"]]:
    """Of all rows from `first` up to before `last`: the range that each is in, and the row."""
    number = last - first
    owner = np.repeat(np.arange(len(first)), number)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number) + first[owner]
