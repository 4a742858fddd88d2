"""The one place that binds Flax modules to pure functions."""

import flax.linen as nn
from jaxtyping import Array, PRNGKeyArray, PyTree

from jaxloc.networks.event_weights import of_event
from jaxloc.types import Network, Observations, Params, Weights


def bind(module: nn.Module) -> Network:
    """A linen module over the observations of one event, as `init` and `apply` without state.

    Dropout is active only where the weights carry a key. A module that keeps state beside its parameters
    (batch statistics) is refused: write it with GroupNorm or LayerNorm.

    Raises:
        ValueError: from `init`, where the module has variables that are no parameters; names them.
    """

    def init(key: PRNGKeyArray, observations: Observations) -> Params:
        return initialised(module, key, observations)

    def apply(weights: Weights, observations: Observations) -> PyTree[Array]:
        return applied(module, weights, observations)

    return Network(init, apply)


def initialised(module: nn.Module, key: PRNGKeyArray, inputs: PyTree) -> Params:
    """First parameters of any module; raises as `bind`."""
    variables = module.init({"params": key}, inputs)
    if other := sorted(set(variables) - {"params"}):
        raise ValueError(
            f"{type(module).__name__} keeps {', '.join(other)} beside its parameters; "
            "use GroupNorm or LayerNorm, so that a forward pass depends on weights and data alone"
        )
    return variables.get("params", {})


def applied(module: nn.Module, weights: Weights, inputs: PyTree) -> PyTree[Array]:
    """The output of any module; dropout is active only where the weights carry a key.

    Weights with a variation differ from call to call with its key (`event_weights`).
    """
    rngs = None if weights.key is None else {"dropout": weights.key}
    run = lambda: module.apply({"params": weights.params}, inputs, rngs=rngs)
    if weights.variation is None:
        return run()
    with nn.intercept_methods(of_event(weights.params, weights.variation)):
        return run()
