"""Random numbers from ranges: uniform, log-uniform and by chance."""

import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key

Range = tuple[float, float]
"""Smallest and largest value."""


def uniform(key: Key[Array, ""], span: Range, shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
    """Uniform within a range."""
    return random.uniform(key, shape, minval=span[0], maxval=span[1])


def log_uniform(key: Key[Array, ""], span: Range, shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
    """Uniform in the logarithm, within a range of positive numbers."""
    return jnp.exp(random.uniform(key, shape, minval=jnp.log(span[0]), maxval=jnp.log(span[1])))


def happens(key: Key[Array, ""], chance: float, shape: tuple[int, ...] = ()) -> Bool[Array, "*shape"]:
    """True with a chance."""
    return random.bernoulli(key, chance, shape)


def one_of(key: Key[Array, ""], chances: tuple[float, ...]) -> Int[Array, ""]:
    """The index of one of several, by their relative chances."""
    return random.choice(key, len(chances), p=jnp.asarray(chances) / sum(chances))
