"""SWAG: a normal distribution fitted to the path of the optimiser at a constant learning rate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key

from jaxloc.inference.optimizer import ConstantRate
from jaxloc.inference.point import PointState, point
from jaxloc.types import Batch, Info, Method, Params, Target, Weights


class SwagState(NamedTuple):
    """The current point estimate, and mean, variance and last deviations of the collected weights."""

    point: PointState
    step: Int[Array, ""]
    collected: Int[Array, ""]
    mean: Float[Array, " weight"]
    variance: Float[Array, " weight"]
    deviations: Float[Array, "rank weight"]


def swag(target: Target, optimizer: ConstantRate, *, start: int, every: int = 1, rank: int = 20) -> Method:
    """Stochastic weight averaging, Gaussian (Maddox and others 2019, arXiv:1902.02476, algorithm 1).

    Half of the covariance is the diagonal, half the last `rank` deviations from the running mean. Before anything is
    collected, draws are the point estimate. The width of the path follows from the learning rate, not from the number
    of
    events: it approximates the posterior only with a rate that does not decay.

    Args:
        target: likelihood and prior.
        optimizer: an optax optimiser whose rate does not fall to zero.
        start: step from which weights are collected.
        every: steps from one collection to the next.
        rank: number of stored deviations.

    Raises:
        ValueError: where rank is below two, or `every` below one.
    """
    if rank < 2 or every < 1:
        raise ValueError(f"rank must be at least 2 and every at least 1, got {rank} and {every}")
    learner = point(target, optimizer)
    _, unravel = ravel_pytree(target.prior_mean)

    def init(key: Key[Array, ""], params: Params) -> SwagState:
        flat, _ = ravel_pytree(params)
        zero = jnp.zeros((), jnp.int32)
        return SwagState(
            learner.init(key, params), zero, zero, flat, jnp.zeros_like(flat), jnp.zeros((rank, flat.size))
        )

    def collect(state: SwagState) -> SwagState:
        flat, _ = ravel_pytree(state.point.params)
        share = 1 / (state.collected + 1)
        mean = state.mean + share * (flat - state.mean)
        # Welford (1962): the difference of the mean square and the squared mean is lost in rounding.
        variance = state.variance + share * ((flat - state.mean) * (flat - mean) - state.variance)
        deviations = state.deviations.at[state.collected % rank].set(flat - mean)
        return state._replace(collected=state.collected + 1, mean=mean, variance=variance, deviations=deviations)

    def wait(state: SwagState) -> SwagState:
        flat, _ = ravel_pytree(state.point.params)
        return state._replace(mean=jnp.where(state.collected > 0, state.mean, flat))

    def update(key: Key[Array, ""], state: SwagState, batch: Batch) -> tuple[SwagState, Info]:
        updated, info = learner.update(key, state.point, batch)
        state = state._replace(point=updated, step=state.step + 1)
        due = (state.step >= start) & ((state.step - start) % every == 0)
        return jax.lax.cond(due, collect, wait, state), info

    def sample(key: Key[Array, ""], state: SwagState, n: int) -> Weights:
        sd = jnp.sqrt(jnp.maximum(state.variance, 0) / 2)
        kept = jnp.maximum(jnp.minimum(state.collected, rank), 2)
        key_diagonal, key_path = jax.random.split(key)
        noise = sd * jax.random.normal(key_diagonal, (n, sd.size))
        path = jax.random.normal(key_path, (n, rank)) @ state.deviations / jnp.sqrt(2 * (kept - 1))
        return Weights(jax.vmap(unravel)(state.mean + noise + path))

    return Method(init, update, sample)
