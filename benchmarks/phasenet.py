"""PhaseNet (Zhu & Beroza 2019, GJI 216) by its published weights, to compare pickers with: benchmarks.pickers.

The graph is that of the authors' repository: five levels, kernels of 7 samples, strides of 4, 8 to 128 features; input
3,000 samples at 100 Hz of E, N, Z, each less its mean over its standard deviation; output probabilities of noise, P, S.
"""

from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

RATE_HZ, WINDOW = 100.0, 3000
LEVELS, STRIDE, EPSILON = 5, 4, 1e-3

Weights = dict[str, Array]


def read_weights(path: Path) -> Weights:
    """Arrays by layer and name, of a Keras file of weights."""
    found: Weights = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer, array = name.split("/")[-2:]
            found[f"{layer}/{array.split(':')[0]}"] = jnp.asarray(item[()])

    with h5py.File(path) as file:
        file["model_weights"].visititems(keep)  # pyright: ignore[reportAttributeAccessIssue]
    return found


def _normal(w: Weights, name: str, x: Array) -> Array:
    scale = w[f"{name}/gamma"] / jnp.sqrt(w[f"{name}/moving_variance"] + EPSILON)
    return jax.nn.relu((x - w[f"{name}/moving_mean"]) * scale + w[f"{name}/beta"])


def _convolved(w: Weights, name: str, x: Array, stride: int = 1) -> Array:
    kernel = w[f"{name}/kernel"][:, 0]
    return jax.lax.conv_general_dilated(x, kernel, (stride,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


def _risen(w: Weights, name: str, x: Array) -> Array:
    kernel = w[f"{name}/kernel"][:, 0]
    return jax.lax.conv_transpose(
        x, kernel, (STRIDE,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"), transpose_kernel=True
    )


@jax.jit
def probabilities(w: Weights, records: Float[Array, "record 3000 component"]) -> Float[Array, "record 3000 3"]:
    """Probabilities of noise, P and S at each sample of windows of Z, N, E."""
    x = records[..., ::-1]
    x = (x - x.mean(1, keepdims=True)) / jnp.where(x.std(1, keepdims=True) > 0, x.std(1, keepdims=True), 1.0)
    x = _normal(w, "input_bn", _convolved(w, "input_conv", x) + w["input_conv/bias"])
    kept = []
    for level in range(1, LEVELS + 1):
        x = _normal(w, f"down_bn1_{level}", _convolved(w, f"down_conv1_{level}", x))
        kept.append(x)
        if level < LEVELS:
            x = _normal(w, f"down_bn3_{level}", _convolved(w, f"down_conv3_{level}", x, STRIDE))
    for level in range(LEVELS - 1, 0, -1):
        x = _normal(w, f"up_bn0_{level}", _risen(w, f"up_conv0_{level}", x))
        skip = kept[level - 1]
        cut = (x.shape[1] - skip.shape[1]) // 2
        x = jnp.concatenate([skip, x[:, cut : cut + skip.shape[1]]], -1)
        x = _normal(w, f"up_bn1_{level}", _convolved(w, f"up_conv1_{level}", x))
    return jax.nn.softmax(_convolved(w, "output_conv", x) + w["output_conv/bias"], -1)


def over_record(w: Weights, record: Float[np.ndarray, "sample component"]) -> Float[np.ndarray, "sample phase"]:
    """The largest probability of P and of S at each sample, of windows that overlap by half; silence after the end."""
    number = max(len(record), WINDOW)
    starts = list(range(0, number - WINDOW, WINDOW // 2)) + [number - WINDOW]
    padded = np.pad(record, ((0, number - len(record)), (0, 0)))
    found = np.asarray(probabilities(w, jnp.asarray(np.stack([padded[s : s + WINDOW] for s in starts]))))
    best = np.zeros((number, 2))
    for start, each in zip(starts, found, strict=True):
        best[start : start + WINDOW] = np.maximum(best[start : start + WINDOW], each[:, 1:])
    return best[: len(record)]
