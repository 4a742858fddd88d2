"""Sums over sliding windows in single precision without cancellation.

A difference of running sums loses all digits where a loud event lies earlier in the record. Here windows are built by
doubling: moments of two neighbouring windows make those of their union (Chan, Golub & LeVeque 1983, Am. Stat. 37, eq.
2.1), of which every term is positive, so that the relative error is that of log2(length) additions.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Moments(NamedTuple):
    """Sums of samples and sums of squares about the mean of windows, by the first sample of each window."""

    total: Float[Array, "*batch window"]
    spread: Float[Array, "*batch window"]


def window_moments(x: Float[Array, "*batch sample"], length: int) -> Moments:
    """Moments of all whole windows of `length` samples.

    Raises:
        ValueError: for a length below one or beyond that of the record.
    """
    if not 1 <= length <= x.shape[-1]:
        raise ValueError(f"a window must have 1 to {x.shape[-1]} samples, those of the record, got {length}")
    doubled, size = Moments(x, jnp.zeros_like(x)), 1
    whole, done = None, 0
    while size <= length:
        if length & size:
            whole = doubled if whole is None else _union(whole, doubled, done, size)
            done += size
        if 2 * size <= length:
            doubled = _union(doubled, doubled, size, size)
        size *= 2
    assert whole is not None  # length has at least one bit
    return whole


def _union(first: Moments, second: Moments, ahead: int, size: int) -> Moments:
    """Windows of `ahead` samples with those of `size` samples that follow them."""
    number = second.total.shape[-1] - ahead
    one, two = Moments(*(x[..., :number] for x in first)), Moments(*(x[..., ahead:] for x in second))
    apart = two.total / size - one.total / ahead
    weight = ahead * size / (ahead + size)
    return Moments(one.total + two.total, one.spread + two.spread + weight * apart**2)


def window_counts(mask: Bool[Array, "*batch sample"], length: int) -> Int[Array, "*batch window"]:
    """How many samples of each whole window are True: whole numbers, so that running sums are exact."""
    running = jnp.cumsum(mask.astype(jnp.int32), -1)
    before = jnp.pad(running, [(0, 0)] * (mask.ndim - 1) + [(1, 0)])[..., : mask.shape[-1] - length + 1]
    return running[..., length - 1 :] - before
