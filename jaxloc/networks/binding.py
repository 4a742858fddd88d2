"""The one place that binds Flax modules to pure functions."""

import flax.linen as nn
from jaxtyping import Array, PRNGKeyArray, PyTree

from jaxloc.types import Network, Observations, Params, Weights


def bind(module: nn.Module) -> Network:
    """A linen module over the observations of one event, as `init` and `apply` without state.

    Dropout is active only where the weights carry a key. A module that keeps state beside its parameters
    (batch statistics) is refused: write it with GroupNorm or LayerNorm.

    Raises:
        ValueError: from `init`, where the module has variables that are no parameters; names them.
    """

    def init(key: PRNGKeyArray, observations: Observations) -> Params:
        variables = module.init({"params": key}, observations)
        if other := sorted(set(variables) - {"params"}):
            raise ValueError(
                f"{type(module).__name__} keeps {', '.join(other)} beside its parameters; "
                "use GroupNorm or LayerNorm, so that a forward pass depends on weights and data alone"
            )
        return variables.get("params", {})

    def apply(weights: Weights, observations: Observations) -> PyTree[Array]:
        rngs = None if weights.key is None else {"dropout": weights.key}
        return module.apply({"params": weights.params}, observations, rngs=rngs)

    return Network(init, apply)
