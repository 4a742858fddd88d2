"""The log-likelihood of a whole batch, a few of its events at a time.

Activations over long records exceed a CPU's cache, and moving them takes longer than computing. With a few events
forward and backward at a time their arrays stay in the cache, and memory is that of these few. The gradient is
computed in the forward pass: the total is one number, so its gradient can be scaled by the incoming cotangent, and
nothing is stored or recomputed.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxloc.types import Batch, Target, Weights

LogLikelihood = Callable[[Weights, Batch], Float[Array, " event"]]


def total_log_likelihood(target: Target, weights: Weights, batch: Batch) -> Float[Array, ""]:
    """The sum over a batch's events, `target.at_once` of them at a time, or the largest divisor of the batch."""
    number = size_of(batch)
    size = max(n for n in range(1, min(target.at_once or number, number) + 1) if number % n == 0)
    if size == number:
        return target.log_likelihood(weights, batch).sum()
    parts = jax.tree.map(lambda x: x.reshape(number // size, size, *x.shape[1:]), batch)
    return _total(target.log_likelihood, weights, parts)


def size_of(batch: Batch) -> int:
    """The number of events of a batch."""
    return len(jax.tree.leaves(batch)[0])


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _total(log_likelihood: LogLikelihood, weights: Weights, parts: Batch) -> Float[Array, ""]:
    return jax.lax.map(
        lambda each: log_likelihood(_of_part(weights, weights, each[0]), each[1]).sum(), _numbered(parts)
    ).sum()


def _forward(log_likelihood: LogLikelihood, weights: Weights, parts: Batch) -> tuple[Float[Array, ""], Weights]:
    numbers = _without_keys(weights)

    def add(
        sums: tuple[Float[Array, ""], Weights], each: tuple[Int[Array, ""], Batch]
    ) -> tuple[tuple[Float[Array, ""], Weights], None]:
        of_part = lambda free: log_likelihood(_of_part(free, weights, each[0]), each[1]).sum()
        return jax.tree.map(jnp.add, sums, jax.value_and_grad(of_part)(numbers)), None

    nothing = jax.tree.map(jnp.zeros_like, (jnp.zeros(()), numbers))
    return jax.lax.scan(add, nothing, _numbered(parts))[0]


def _backward(log_likelihood: LogLikelihood, gradient: Weights, by_total: Float[Array, ""]) -> tuple[Weights, None]:
    return jax.tree.map(lambda x: by_total * x, gradient), None


_total.defvjp(_forward, _backward)


def _numbered(parts: Batch) -> tuple[Array, Batch]:
    return jnp.arange(size_of(parts)), parts


def _without_keys(weights: Weights) -> Weights:
    """The differentiable part of the weights."""
    varied = weights.variation
    return Weights(weights.params, None, varied and varied._replace(key=None))  # pyright: ignore[reportArgumentType]


def _of_part(free: Weights, weights: Weights, number: Int[Array, ""]) -> Weights:
    """Weights with their keys restored; variation by event has its own key in each part."""
    if free.variation is None or weights.variation is None:
        return free._replace(key=weights.key)
    key = jax.random.fold_in(weights.variation.key, number)
    return Weights(free.params, weights.key, free.variation._replace(key=key))
