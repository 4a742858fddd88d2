"""Layers that are fast on a CPU inside `lax.scan` and over weight draws.

XLA on the CPU runs `lax.conv` slowly inside a loop body and, vmapped over weights, as a grouped convolution.
There, `Conv1D` and `Conv2D` use concatenated shifted slices and one matrix product (im2col) instead. A training step
(gradient included, batch 16, two cores, ms a step and scratch memory) measured:

    layer                              im2col  scan          lax.conv  loop / scan
    2d 3x3, 30 x 320 x 16 -> 16          187   120  177 MB         38 /  785   20 MB
    2d 3x3, 30 x  80 x 32 -> 32           54    41   89 MB         35 / 2032   10 MB
    2d 3x3,  5 x   5 x 128 -> 128          4     4    4 MB          3 /   61    2 MB
    1d 10 stride 2, 30 x 1280 x 3 -> 8    82    82   74 MB         83 /  513   27 MB

In a Python loop `lax.conv` is up to five times faster and smaller; in a scan im2col is 3.7 to 50 times faster. Training
uses a scan, hence `by_slices` follows the backend by default.
"""

import functools
import itertools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key


def convolve(
    inputs: Float[Array, "*batch_and_space channel"],
    kernel: Float[Array, "*window channel feature"],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
    by_slices: bool,
) -> Float[Array, "*batch_and_space feature"]:
    """Cross-correlation over the axes before the last, as many as the kernel has.

    `padding` is "SAME" or "VALID" as in XLA: SAME with a stride pads more at the end. `by_slices` computes it by
    shifted slices and a matrix product, otherwise by `lax.conv_general_dilated`.

    Raises:
        ValueError: for another padding; names it.
    """
    if padding not in ("SAME", "VALID"):
        raise ValueError(f'padding must be "SAME" or "VALID", got {padding!r}')
    window = kernel.shape[:-2]
    lead, space = inputs.shape[: -len(window) - 1], inputs.shape[-len(window) - 1 : -1]
    flat = inputs.reshape(-1, *space, inputs.shape[-1])
    span = tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))
    pads = lax.padtype_to_pads(space, span, strides, padding)
    if by_slices:
        outputs = _by_slices(flat, kernel, strides, dilation, span, pads)
    else:
        letters = "HW"[: len(window)]
        outputs = lax.conv_general_dilated(
            flat,
            kernel,
            strides,
            pads,
            rhs_dilation=dilation,
            dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        )
    return outputs.reshape(*lead, *outputs.shape[1:])


def _by_slices(
    inputs: Float[Array, "batch *space channel"],
    kernel: Float[Array, "*window channel feature"],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    span: tuple[int, ...],
    pads: Sequence[tuple[int, int]],
) -> Float[Array, "batch *space feature"]:
    padded = jnp.pad(inputs, [(0, 0), *pads, (0, 0)])
    batch, *space, channels = padded.shape
    reach = [(n - w) // s * s + 1 for n, w, s in zip(space, span, strides, strict=True)]
    slices = []
    for tap in itertools.product(*map(range, kernel.shape[:-2])):
        start = [t * d for t, d in zip(tap, dilation, strict=True)]
        stop = [a + r for a, r in zip(start, reach, strict=True)]
        slices.append(lax.slice(padded, [0, *start, 0], [batch, *stop, channels], [1, *strides, 1]))
    columns = slices[0] if len(slices) == 1 else jnp.concatenate(slices, -1)
    return columns @ kernel.reshape(-1, kernel.shape[-1])


def _he_normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Array:
    """He's normal initialisation, sampled as a matrix: XLA compiles random numbers in four axes ten times as long."""
    return nn.initializers.he_normal()(key, (math.prod(shape[:-1]), shape[-1])).reshape(shape)


def goes_by_slices(module: "Conv1D | Conv2D") -> bool:
    """Whether a layer is a matrix product of shifted slices: its setting, or on the CPU only."""
    return jax.default_backend() == "cpu" if module.by_slices is None else module.by_slices


def _convolution(
    module: "Conv1D | Conv2D",
    inputs: Float[Array, "*place feature"],
    window: tuple[int, ...],
    strides: tuple,
    dilation: tuple,
) -> Array:
    shape = (*window, inputs.shape[-1], module.features)
    kernel = module.param("kernel", _he_normal, shape)
    outputs = convolve(inputs, kernel, strides, dilation, module.padding, goes_by_slices(module))
    if not module.use_bias:
        return outputs
    return outputs + module.param("bias", nn.initializers.zeros, (module.features,))


class Conv1D(nn.Module):
    """Convolution along time, [*batch, sample, channel] to [*batch, sample, feature]; He-normal kernels.

    Parameters are named and shaped as those of `flax.linen.Conv`. `by_slices` None: on the CPU only.
    """

    features: int
    kernel_size: int
    strides: int = 1
    dilation: int = 1
    padding: str = "SAME"
    use_bias: bool = True
    by_slices: bool | None = None

    @nn.compact
    def __call__(self, inputs: Float[Array, "*batch sample channel"]) -> Float[Array, "*batch out feature"]:
        """Convolve to `out` samples."""
        return _convolution(self, inputs, (self.kernel_size,), (self.strides,), (self.dilation,))


class Conv2D(nn.Module):
    """Convolution over an image, [*batch, row, column, channel]; else as `Conv1D`."""

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    use_bias: bool = True
    by_slices: bool | None = None

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "*batch row column channel"]
    ) -> Float[Array, "*batch row_out column_out feature"]:
        """Convolve to `row_out` x `column_out` pixels."""
        return _convolution(self, inputs, self.kernel_size, self.strides, self.dilation)


class Dropout(nn.Module):
    """Dropout that is active only where a key of the collection "dropout" is given."""

    rate: float

    @nn.compact
    def __call__(self, inputs: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Drop at `rate` and rescale the others, or return the inputs."""
        return nn.Dropout(self.rate, deterministic=not self.has_rng("dropout"))(inputs)


class Norm(nn.Module):
    """A normalisation within one event: "group" (`max_groups` at most), "layer" (over channels) or "none".

    None of them stores statistics, so that the forward pass is a pure function of weights and data.
    """

    kind: str = "group"
    max_groups: int = 4

    @nn.compact
    def __call__(self, inputs: Float[Array, "*space channel"]) -> Float[Array, "*space channel"]:
        """Normalise; a ValueError names an unknown kind."""
        if self.kind == "group":
            groups = max(g for g in range(1, self.max_groups + 1) if inputs.shape[-1] % g == 0)
            return nn.GroupNorm(num_groups=groups)(inputs[None])[0]
        if self.kind == "layer":
            return nn.LayerNorm()(inputs)
        if self.kind == "none":
            return inputs
        raise ValueError(f'norm must be "group", "layer" or "none", got {self.kind!r}')


def max_pool(
    inputs: Float[Array, "row column channel"], window: tuple[int, int]
) -> Float[Array, "row_out column_out channel"]:
    """Maximum of each window of rows x columns, without overlap; the last ones may be truncated."""
    rows, columns, _ = inputs.shape
    out = [-(-n // w) for n, w in zip((rows, columns), window, strict=True)]
    short = [o * w - n for o, w, n in zip(out, window, (rows, columns), strict=True)]
    padded = jnp.pad(inputs, [(0, short[0]), (0, short[1]), (0, 0)], constant_values=-jnp.inf)
    places = itertools.product(*map(range, window))
    # Not one maximum over an axis: see `largest`.
    return functools.reduce(jnp.maximum, [padded[row :: window[0], column :: window[1]] for row, column in places])


def largest(inputs: Float[Array, "*shape"], axis: int) -> Float[Array, "*rest"]:
    """The maximum along an axis, with a gradient that is always finite.

    JAX divides the gradient of a maximum between all elements that equal it. Where XLA recomputes the elements with
    other rounding, none may equal it, and the gradient is not a number.
    """
    place = jnp.argmax(lax.stop_gradient(inputs), axis, keepdims=True)
    return jnp.take_along_axis(inputs, place, axis).squeeze(axis)
