"""Flipout and local reparameterisation: different weights of linear layers for each event, for quieter gradients.

With one draw of weights for all events of a batch, the noise of the draw is correlated between events. Two estimators
decorrelate it; both are exact, since the marginal distribution of the weights for one event is unchanged.

* Flipout (Wen and others 2018): mean + change becomes mean + change x random signs, one for each input channel and one
  for each feature, common to all uses of the layer in an event (samples, stations, calls). Normals about the mean are
  invariant. A kernel that is used at many positions is formed for the event, so that the layer runs once; otherwise the
  layer runs for the mean and for the change, with signs on inputs and outputs.
* Local reparameterisation (Kingma and others 2015): outputs are normal, with variances from squared inputs and squared
  standard deviations. For dense layers applied once an event. Outputs that share weights (samples of a convolution,
  stations of a common layer) are dependent; such layers use flipout.

All other layers use the draw itself: normalisations, physical parameters, other layer types, and layers inside lifted
transformations (`nn.remat`, `nn.scan`, weight normalisation) whose arrays are no longer those of the parameters.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float

from jaxloc.networks.layers import Conv1D, Conv2D, goes_by_slices
from jaxloc.prng import drawn_apart
from jaxloc.types import Params, Variation

LINEAR = (nn.Dense, nn.Conv, Conv1D, Conv2D)
MANY_PLACES = 8  # number of positions from which forming a kernel costs less than running a layer twice
Path = tuple[str, ...]
Arrays = dict[str, Float[Array, "..."]]
"""Kernel and bias of a layer."""


class Layer(NamedTuple):
    """The arrays and signs of one linear layer in one event."""

    drawn: Arrays
    change: Arrays
    variance: Arrays | None
    input_signs: Float[Array, " channel"]
    output_signs: Float[Array, " feature"]
    noise: Float[Array, " feature"]


def of_event(params: Params, variation: Variation) -> Callable[..., Any]:
    """An interceptor for `flax.linen.intercept_methods` that applies one event's weights to linear layers.

    The interceptor is for one call of one module. It raises a ValueError where local reparameterisation applies to a
    dense layer that is called again, since its outputs would be sampled as if from other weights.
    """
    layers = _layers(params, variation)
    roots, called = [], set()

    def intercept(proceed: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        module, scope = context.module, _scope(context.module)
        roots.append(scope.root)  # the first is that of the whole network
        layer = layers.get(scope.path)
        if layer is None or context.method_name != "__call__" or not _is_that_of(layer, module, args):
            return proceed(*args, **kwargs)
        once = scope.root is roots[0] and math.prod(args[0].shape[:-1]) == 1
        if layer.variance is None or not once or not isinstance(module, nn.Dense):
            return _flipped(module, layer, args[0])
        if scope.path in called:
            raise ValueError(
                f"the dense layer {'/'.join(scope.path)!r} is called more than once an event, so that its "
                "outputs are not independent; use estimator=flipout"
            )
        called.add(scope.path)
        return _local(module, layer, args[0])

    return intercept


def _layers(params: Params, variation: Variation) -> dict[Path, Layer]:
    """All layers with a kernel that varies, by path."""
    drawn, change = _by_path(params), _by_path(variation.change)
    sd = None if variation.sd is None else _by_path(variation.sd)
    paths = [
        path[:-1] for path, array in change.items() if path[-1] == "kernel" and array is not None and array.ndim > 1
    ]
    sizes = [n for path in paths for n in drawn[(*path, "kernel")].shape[-2:]]
    key_signs, key_noise = jax.random.split(variation.key)
    ends = np.cumsum(sizes)[:-1]
    signs = jnp.split(drawn_apart(jax.random.rademacher, key_signs, (sum(sizes),)).astype(jnp.float32), ends)
    noise = signs if sd is None else jnp.split(drawn_apart(jax.random.normal, key_noise, (sum(sizes),)), ends)
    layers = {}
    for number, path in enumerate(paths):
        arrays = {at[-1]: array for at, array in drawn.items() if at[:-1] == path}
        variance = None if sd is None else {name: x**2 for name, x in _known(sd, path, arrays).items()}
        inputs, outputs = 2 * number, 2 * number + 1
        layers[path] = Layer(
            arrays, _known(change, path, arrays), variance, signs[inputs], signs[outputs], noise[outputs]
        )
    return layers


def _by_path(tree: Params) -> dict[Path, Any]:
    return dict(flatten_dict(tree))


def _scope(module: nn.Module) -> Any:
    return module.scope


def _known(tree: dict[Path, Float[Array, "..."] | None], path: Path, arrays: Arrays) -> Arrays:
    """The arrays of one layer, zero where there are none."""
    found = {name: tree[(*path, name)] for name in arrays}
    return {name: jnp.zeros_like(arrays[name]) if array is None else array for name, array in found.items()}


def _is_that_of(layer: Layer, module: nn.Module, args: tuple) -> bool:
    """Whether the module is linear, has the same arrays as the layer, and all input channels in each group."""
    return (
        isinstance(module, LINEAR)
        and len(args) == 1
        and args[0].shape[-1] == layer.drawn["kernel"].shape[-2]
        and all(module.get_variable("params", name) is array for name, array in layer.drawn.items())
    )


def _flipped(module: nn.Module, layer: Layer, inputs: Float[Array, "*place feature"]) -> Array:
    middle = jax.tree.map(jnp.subtract, layer.drawn, layer.change)
    if math.prod(inputs.shape[:-1]) < MANY_PLACES or not _multiplies(module):
        change = _run(module, layer.change, inputs * layer.input_signs)
        return _run(module, middle, inputs) + change * layer.output_signs
    flipped = {name: array * layer.output_signs for name, array in layer.change.items()}
    flipped["kernel"] *= layer.input_signs[:, None]
    return _run(module, jax.tree.map(jnp.add, middle, flipped), inputs)


def _local(module: nn.Module, layer: Layer, inputs: Float[Array, "*place feature"]) -> Array:
    mean = _run(module, jax.tree.map(jnp.subtract, layer.drawn, layer.change), inputs)
    variance = _run(module, layer.variance or {}, inputs**2)
    some = variance > 0  # none where all inputs are zero: the root has no gradient there
    return mean + layer.noise * jnp.where(some, jnp.sqrt(jnp.where(some, variance, 1.0)), 0.0)


def _multiplies(module: nn.Module) -> bool:
    """Whether the layer is a matrix product. Convolutions with a kernel for every event are slow."""
    return goes_by_slices(module) if isinstance(module, Conv1D | Conv2D) else isinstance(module, nn.Dense)


def _run(module: nn.Module, arrays: Arrays, inputs: Float[Array, "*place feature"]) -> Array:
    """The layer alone, with other arrays."""
    outputs: Any = module.clone(parent=None).apply({"params": arrays}, inputs)
    return outputs
