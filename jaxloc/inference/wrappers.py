"""Wrappers of methods: ensembles, and posteriors over a part of the weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from jaxloc.types import Batch, Diagnosis, Info, Method, Params, State, Target, Weights


def ensemble(method: Method, size: int, *, in_loop: bool = True) -> Method:
    """An ensemble of members of any method (Lakshminarayanan and others 2017).

    `init` takes parameters with a leading member axis: members differ by their initial weights. On a CPU members are
    updated one after the other, which is faster there; on other devices by `vmap`. `sample` cycles through the members.

    Args:
        method: of one member.
        size: number of members.
        in_loop: on a CPU, whether to loop over the members; unrolled steps take longer to compile and allow XLA's
            fast convolutions, which do not work inside loops.

    Raises:
        ValueError: where `size` is below one.
    """
    if size < 1:
        raise ValueError(f"an ensemble needs at least 1 member, got {size}")

    def init(key: Key[Array, ""], params: Params) -> State:
        return jax.vmap(method.init)(jax.random.split(key, size), params)

    def update(key: Key[Array, ""], state: State, batch: Batch) -> tuple[State, Info]:
        keys = jax.random.split(key, size)
        one = lambda each: method.update(each[0], each[1], batch)
        on_cpu = jax.default_backend() == "cpu"
        if size == 1 or (on_cpu and not in_loop):
            stepped = [one(jax.tree.map(lambda x, i=i: x[i], (keys, state))) for i in range(size)]
            state, info = jax.tree.map(lambda *members: jnp.stack(members), *stepped)
        elif on_cpu:
            state, info = jax.lax.map(one, (keys, state))
        else:
            state, info = jax.vmap(lambda k, s: method.update(k, s, batch))(keys, state)
        return state, jax.tree.map(jnp.mean, info)

    def sample(key: Key[Array, ""], state: State, n: int) -> Weights:
        rounds = -(-n // size)
        draws = jax.vmap(lambda k, s: method.sample(k, s, rounds))(jax.random.split(key, size), state)
        return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:])[:n], draws)

    finished, diagnose, at_prior = method.finished, method.diagnose, method.at_prior

    def all_finished(state: State) -> Bool[Array, ""]:
        assert finished is not None
        return jax.vmap(finished)(state).all()

    def each_diagnosed(state: State) -> Diagnosis:
        assert diagnose is not None
        each = [diagnose(jax.tree.map(lambda x, i=i: x[i], state)) for i in range(size)]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *((one.converged, one.figures) for one in each))
        return Diagnosis(stacked[0], each[0].criterion, stacked[1])

    return Method(
        init,
        update,
        sample,
        finished and all_finished,
        diagnose and each_diagnosed,
        at_prior and jax.vmap(at_prior),
    )


class SubspaceState(NamedTuple):
    """The fixed arrays, and the state of the method over the others."""

    fixed: list[Array]
    inner: State


def subspace(target: Target, selected: Callable[[str], bool], method: Callable[[Target], Method]) -> Method:
    """Any method over a part of the weights: a last layer, or any sub-tree; the others are fixed.

    Args:
        target: likelihood and prior of all weights.
        selected: whether an array has a posterior, by its path ("trace/Dense_0/kernel").
        method: a target to a method, for instance `lambda goal: laplace(goal, optimizer, start=100)`.

    Raises:
        ValueError: where no array is selected; lists all paths.
    """
    paths, tree = jax.tree_util.tree_flatten_with_path(target.prior_mean)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    chosen = [selected(name) for name in names]
    if not any(chosen):
        raise ValueError(f"no array of weights is selected; posterior.subspace must match one of {', '.join(names)}")

    def part(params: Params, of: bool) -> list[Array]:
        return [leaf for leaf, yes in zip(tree.flatten_up_to(params), chosen, strict=True) if yes == of]

    def whole(free: list[Float[Array, "..."]], fixed: list[Float[Array, "..."]]) -> Params:
        parts = {True: iter(free), False: iter(fixed)}
        return tree.unflatten([next(parts[yes]) for yes in chosen])

    def of_all(weights: Weights, fixed: list[Float[Array, "..."]]) -> Weights:
        """All weights of a draw; fixed ones vary in no event."""
        still: list[Any] = [None] * len(fixed)
        variation = weights.variation
        if variation is not None:
            sd = variation.sd and whole(variation.sd, still)
            variation = variation._replace(change=whole(variation.change, still), sd=sd)
        return Weights(whole(weights.params, fixed), weights.key, variation)

    def inside(fixed: list[Float[Array, "..."]]) -> Method:
        own = Target(
            lambda weights, batch: target.log_likelihood(of_all(weights, fixed), batch),
            lambda free: target.log_prior(whole(free, fixed)),
            part(target.prior_mean, True),
            part(target.prior_scale, True),
            target.num_data,
            part(target.template, True),
            target.at_once,
            part(target.parts, True) if target.parts is not None else None,
        )
        return method(own)

    def init(key: Key[Array, ""], params: Params) -> SubspaceState:
        fixed = part(params, False)
        return SubspaceState(fixed, inside(fixed).init(key, part(params, True)))

    def update(key: Key[Array, ""], state: SubspaceState, batch: Batch) -> tuple[SubspaceState, Info]:
        inner, info = inside(state.fixed).update(key, state.inner, batch)
        return state._replace(inner=inner), info

    def sample(key: Key[Array, ""], state: SubspaceState, n: int) -> Weights:
        draws = inside(state.fixed).sample(key, state.inner, n)
        fixed = [leaf[None].repeat(n, 0) for leaf in state.fixed]
        return Weights(whole(draws.params, fixed), draws.key)

    like = inside(part(target.template, False))  # whether there is a criterion, and a state's own, need no values
    finished, diagnose, at_prior = like.finished, like.diagnose, like.at_prior
    return Method(
        init,
        update,
        sample,
        finished and (lambda state: finished(state.inner)),
        diagnose and (lambda state: diagnose(state.inner)),
        at_prior and (lambda state: state._replace(inner=at_prior(state.inner))),
    )
