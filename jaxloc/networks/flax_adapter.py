"""The one place that binds Flax modules to pure functions."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxloc.networks.flipout import of_event
from jaxloc.types import Network, Observations, Params, Weights


def bind(module: nn.Module) -> Network:
    """A linen module over the observations of one event as stateless functions `init` and `apply`.

    Dropout is active only where the weights carry a key. A module with state other than its parameters (batch
    statistics) is refused: use GroupNorm or LayerNorm.

    Raises:
        ValueError: from `init`, where the module has variables that are not parameters; names them.
    """

    def init(key: Key[Array, ""], observations: Observations) -> Params:
        return initialised(module, key, observations)

    def apply(weights: Weights, observations: Observations) -> PyTree[Array]:
        return applied(module, weights, observations)

    def features(weights: Weights, observations: Observations) -> Float[Array, " feature"]:
        return hidden_features(module, weights, observations)

    return Network(init, apply, features)


def initialised(module: nn.Module, key: Key[Array, ""], inputs: PyTree) -> Params:
    """Initial parameters of any module; raises as `bind`."""
    variables = module.init({"params": key}, inputs)
    if other := sorted(set(variables) - {"params"}):
        raise ValueError(
            f"{type(module).__name__} has {', '.join(other)} besides its parameters; "
            "use GroupNorm or LayerNorm, so that a forward pass depends on weights and data alone"
        )
    return variables.get("params", {})


def applied(module: nn.Module, weights: Weights, inputs: PyTree) -> PyTree[Array]:
    """The output of any module; dropout is active only where the weights carry a key.

    Weights with a variation differ from call to call with its key (`jaxloc.networks.flipout`).
    """
    rngs = None if weights.key is None else {"dropout": weights.key}
    run = lambda: module.apply({"params": weights.params}, inputs, rngs=rngs)
    if weights.variation is None:
        return run()
    with nn.intercept_methods(of_event(weights.params, weights.variation)):
        return run()


def hidden_features(module: nn.Module, weights: Weights, inputs: PyTree) -> Float[Array, " feature"]:
    """Hidden features of any module: mean and standard deviation of each feature of each layer's output.

    Layers are the modules with parameters of their own that return an array with features as its last axis; moments are
    taken over all other axes (stations, time). Physical parameters say nothing of the inputs and are left out.
    """

    def is_layer(layer: nn.Module, method: str) -> bool:
        return method == "__call__" and "kernel" in layer.variables.get("params", {})

    variables = {"params": weights.params}
    _, kept = module.apply(variables, inputs, capture_intermediates=is_layer, mutable=["intermediates"])
    outputs = [leaf.reshape(-1, leaf.shape[-1]) for leaf in jax.tree.leaves(kept.get("intermediates", {}))]
    return jnp.concatenate([value for x in outputs for value in (x.mean(0), x.std(0))])
