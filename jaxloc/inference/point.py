"""The point estimate: the mode of the posterior over weights (maximum a posteriori); and Monte Carlo dropout."""

from typing import NamedTuple

import jax
import optax
from jaxtyping import Array, Key

from jaxloc.inference.microbatching import size_of, total_log_likelihood
from jaxloc.types import Batch, Info, Method, Params, Target, Weights


class PointState(NamedTuple):
    """Parameters and the state of the optimiser."""

    params: Params
    optimizer: optax.OptState


def point(target: Target, optimizer: optax.GradientTransformation) -> Method:
    """Maximise log-likelihood plus log-prior, both divided by the number of events."""
    return _point(target, optimizer, random=False)


def dropout(target: Target, optimizer: optax.GradientTransformation) -> Method:
    """Monte Carlo dropout: a network that drops features, in training and in prediction (Gal and Ghahramani 2016).

    The rate is a setting of the network; without dropout all draws are equal.
    """
    return _point(target, optimizer, random=True)


def _point(target: Target, optimizer: optax.GradientTransformation, random: bool) -> Method:

    def init(key: Key[Array, ""], params: Params) -> PointState:
        return PointState(params, optimizer.init(params))

    def loss(params: Params, key: Key[Array, ""], batch: Batch) -> tuple[Array, Array]:
        negative = -total_log_likelihood(target, Weights(params, key if random else None), batch) / size_of(batch)
        return negative - target.log_prior(params) / target.num_data, negative

    def update(key: Key[Array, ""], state: PointState, batch: Batch) -> tuple[PointState, Info]:
        (value, negative), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, key, batch)
        change, memory = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, change)
        return PointState(params, memory), Info(value, negative, value - negative)

    def sample(key: Key[Array, ""], state: PointState, n: int) -> Weights:
        params = jax.tree.map(lambda x: x[None].repeat(n, 0), state.params)
        return Weights(params, jax.random.split(key, n) if random else None)

    return Method(init, update, sample)
