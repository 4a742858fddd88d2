"""The point estimate: the mode of the posterior over weights (maximum a posteriori)."""

from typing import NamedTuple

import jax
import optax
from jaxtyping import Array, PRNGKeyArray

from jaxloc.types import Batch, Info, Method, Params, Target, Weights


class PointState(NamedTuple):
    """Parameters and what the optimiser remembers."""

    params: Params
    optimizer: optax.OptState


def point(target: Target, optimizer: optax.GradientTransformation) -> Method:
    """Maximise log-likelihood plus log-prior, both divided by the number of events."""

    def init(key: PRNGKeyArray, params: Params) -> PointState:
        return PointState(params, optimizer.init(params))

    def loss(params: Params, batch: Batch) -> tuple[Array, Array]:
        negative = -target.log_likelihood(Weights(params), batch).mean()
        return negative - target.log_prior(params) / target.num_data, negative

    def update(key: PRNGKeyArray, state: PointState, batch: Batch) -> tuple[PointState, Info]:
        (value, negative), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, batch)
        change, memory = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, change)
        return PointState(params, memory), Info(value, negative, value - negative)

    def sample(key: PRNGKeyArray, state: PointState, n: int) -> Weights:
        return Weights(jax.tree.map(lambda x: x[None].repeat(n, 0), state.params))

    return Method(init, update, sample)
