"""Stored draws of a sampler: a ring buffer of fixed size, so that states have one shape."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


class Kept(NamedTuple):
    """The last stored weights (in units of their prior), and how many were stored in all."""

    weights: Float[Array, "keep weight"]
    number: Int[Array, ""]


def nothing(keep: int, size: int) -> Kept:
    """Room for `keep` draws of `size` weights.

    Raises:
        ValueError: where `keep` is below one.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1 draw, got {keep}")
    return Kept(jnp.zeros((keep, size)), jnp.zeros((), jnp.int32))


def keep_if(due: Bool[Array, ""], z: Float[Array, " weight"], kept: Kept) -> Kept:
    """`z` in place of the oldest draw, where one is due."""
    slot = kept.number % len(kept.weights)
    # The choice is over one row: a choice between whole buffers would copy them at every step.
    weights = kept.weights.at[slot].set(jnp.where(due, z, kept.weights[slot]))
    return Kept(weights, kept.number + due)


def sample_kept(
    key: Key[Array, ""], kept: Kept, current: Float[Array, " weight"], n: int
) -> Float[Array, "draw weight"]:
    """`n` stored draws, evenly spaced from a random one on, cyclically; `current` before any is stored."""
    there = jnp.minimum(kept.number, len(kept.weights))
    among = jnp.maximum(there, 1)
    first = jax.random.randint(key, (), 0, among)
    index = (first + jnp.maximum(among // n, 1) * jnp.arange(n)) % among
    return jnp.where(there > 0, kept.weights[index], current)
