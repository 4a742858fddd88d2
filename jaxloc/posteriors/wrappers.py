"""Wrappers: a method made into another one."""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from jaxloc.types import Batch, Info, Method, Params, State, Weights


def ensemble(method: Method, size: int) -> Method:
    """Several members of any method, side by side (Lakshminarayanan and others 2017).

    `init` takes parameters with a leading member axis: members differ by where they start. On a CPU
    members take their step one after the other, which is faster there; elsewhere by `vmap`.
    `sample` goes round the members.

    Raises:
        ValueError: where `size` is below one.
    """
    if size < 1:
        raise ValueError(f"an ensemble needs at least 1 member, got {size}")

    def init(key: PRNGKeyArray, params: Params) -> State:
        return jax.vmap(method.init)(jax.random.split(key, size), params)

    def update(key: PRNGKeyArray, state: State, batch: Batch) -> tuple[State, Info]:
        keys = jax.random.split(key, size)
        if size == 1:  # no loop: XLA's fast convolutions on the CPU do not work inside of one
            state, info = method.update(keys[0], jax.tree.map(lambda x: x[0], state), batch)
            return jax.tree.map(lambda x: x[None], state), info
        if jax.default_backend() == "cpu":
            state, info = jax.lax.map(lambda each: method.update(each[0], each[1], batch), (keys, state))
        else:
            state, info = jax.vmap(lambda k, s: method.update(k, s, batch))(keys, state)
        return state, jax.tree.map(jnp.mean, info)

    def sample(key: PRNGKeyArray, state: State, n: int) -> Weights:
        rounds = -(-n // size)
        draws = jax.vmap(lambda k, s: method.sample(k, s, rounds))(jax.random.split(key, size), state)
        return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:])[:n], draws)

    return Method(init, update, sample)
