"""The target of a weight posterior: a network's likelihood, event by event, and a prior scaled by layer width."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxloc.types import NETWORK, Batch, Head, Network, Params, Target, Weights

BIAS_SCALE = 0.3


def all_network(params: Params) -> PyTree[str]:
    """Parts of a model that is a network alone: every array holds weights."""
    return jax.tree.map(lambda _: NETWORK, params)


def prior_scale(params: Params, scale: float = 1.0, parts: PyTree[str] | None = None) -> Params:
    """Standard deviations of a normal prior: sqrt(2 / fan-in) for kernels, 0.3 for biases, one for other parts.

    The fan-in scale keeps the size of activations constant through the layers (He and others 2015), so that the prior
    predictive is the same for wide and narrow networks. `scale` multiplies that of kernels and biases: below one for a
    prior about weights trained on other data. Parameters outside of the network (`parts`, see `Target`) are in units of
    their prior.
    """

    def of_leaf(path: tuple, leaf: Float[Array, "..."], part: str) -> Array:
        if part != NETWORK:
            return jnp.ones_like(leaf)
        names = [str(getattr(p, "key", p)) for p in path]
        if names[-1] == "kernel":
            return jnp.full_like(leaf, scale * math.sqrt(2 / math.prod(leaf.shape[:-1])))
        return jnp.full_like(leaf, scale * (1.0 if names[-1] == "scale" else BIAS_SCALE))

    return jax.tree_util.tree_map_with_path(of_leaf, params, all_network(params) if parts is None else parts)


def prior_mean(params: Params, trained: Params | None = None, parts: PyTree[str] | None = None) -> Params:
    """The mean of the prior: zero, and one for the scales of normalisations; or weights of an earlier stage.

    Parameters outside of the network (`parts`, see `Target`) have a mean of zero in either case.
    """

    def of_leaf(path: tuple, leaf: Float[Array, "..."], before: Float[Array, "..."], part: str) -> Array:
        if part != NETWORK:
            return jnp.zeros_like(leaf)
        if trained is not None:
            return before
        return jnp.ones_like(leaf) if str(getattr(path[-1], "key", path[-1])) == "scale" else jnp.zeros_like(leaf)

    before, labels = params if trained is None else trained, all_network(params) if parts is None else parts
    return jax.tree_util.tree_map_with_path(of_leaf, params, before, labels)


def target(
    network: Network, head: Head, mean: Params, scale: Params, num_data: int, parts: PyTree[str] | None = None
) -> Target:
    """The target of fitting `network` under `head` to `num_data` events, with a normal prior on every parameter.

    Raises:
        ValueError: where there are no events.
    """
    if num_data < 1:
        raise ValueError(f"num_data must be the number of training events, at least 1, got {num_data}")

    def of_event(weights: Weights, event: Batch) -> Float[Array, ""]:
        return head.log_likelihood(network.apply(weights, event.observations), event.labels)

    return with_normal_prior(by_event(of_event), mean, scale, num_data, parts)


def by_event(
    of_event: Callable[[Weights, Any], Float[Array, ""]],
) -> Callable[[Weights, Any], Float[Array, " event"]]:
    """A log-likelihood of one event to that of a batch; variation by event has its own key in each."""

    def of_batch(weights: Weights, batch: Any) -> Float[Array, " event"]:
        def one(number: Int[Array, ""], event: Any) -> Float[Array, ""]:
            return of_event(_of_event(weights, number), event)

        return jax.vmap(one)(jnp.arange(len(jax.tree.leaves(batch)[0])), batch)

    return of_batch


def _of_event(weights: Weights, number: Int[Array, ""]) -> Weights:
    if weights.variation is None:
        return weights
    key = jax.random.fold_in(weights.variation.key, number)
    return weights._replace(variation=weights.variation._replace(key=key))


def with_normal_prior(
    log_likelihood: Callable[[Weights, Any], Float[Array, " event"]],
    mean: Params,
    scale: Params,
    num_data: int,
    parts: PyTree[str] | None = None,
) -> Target:
    """The target of any likelihood, one number an event, with a normal prior on every parameter."""

    def log_prior(params: Params) -> Float[Array, ""]:
        def of_leaf(x: Float[Array, "..."], m: Float[Array, "..."], s: Float[Array, "..."]) -> Array:
            return (-0.5 * ((x - m) / s) ** 2 - jnp.log(s) - 0.5 * math.log(2 * math.pi)).sum()

        return sum(jax.tree.leaves(jax.tree.map(of_leaf, params, mean, scale)), start=jnp.zeros(()))

    return Target(log_likelihood, log_prior, mean, scale, num_data, mean, parts=parts)
