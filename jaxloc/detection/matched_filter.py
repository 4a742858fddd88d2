"""Normalised cross-correlation of templates with continuous records, stacked over channels with moveout, in blocks.

Correlations are computed by overlap-save: the Fourier transforms of a block of all channels are shared by all
templates. Each coefficient is normalised by the standard deviation of its own window, whose mean is removed. The stack
of a template is

    z = sum(w c) / sqrt(sum(w^2 v))

over the windows that were recorded, with weights w and noise variances v of `jaxloc.detection.template_weights`: gaps
do not change its variance. A stack is complete when the last channel's samples have come, so partial sums of the
longest moveout are carried to the next block, and nothing longer than a block is kept.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Complex, Float, Int
from scipy import fft

from jaxloc.detection.sliding_windows import window_counts, window_moments
from jaxloc.detection.template_weights import noise_variance, weights
from jaxloc.detection.templates import Templates

BLOCK = 2**14
WINDOWS_AT_ONCE = 10
"""Inverse transforms at a time: their results stay in the cache of the processor."""
QUIET = 1e-6
"""Of the median variance of the seconds of a channel: windows below it have no signal, and coefficients of zero."""


class _Windows(NamedTuple):
    """Windows of templates on the device, padded to a multiple of those at once by windows of weight zero."""

    spectrum: Complex[Array, "window frequency"]
    norm: Int[Array, " window"]
    template: Int[Array, " window"]
    moveout: Int[Array, " window"]
    weight: Float[Array, " window"]
    power: Float[Array, " window"]


class _Plan(NamedTuple):
    """What is the same for all blocks.

    `norms` are lengths of windows, each with the rows of its channels; `whole` is what a block without a gap adds to
    the variance of the stacks.
    """

    windows: _Windows
    whole: Float[Array, "template sample"]
    channels: Int[np.ndarray, " channel"]
    norms: tuple[tuple[int, tuple[int, ...]], ...]
    step: int
    reach: int


class Stack(NamedTuple):
    """A stretch of the stacks of all templates; `first` is the place of its first sample in the records.

    `z` has unit variance in noise with the spectrum of the template; it is zero where no window was recorded.
    """

    first: int
    z: Float[np.ndarray, "template sample"]
    live: Bool[np.ndarray, "template sample"]


def normalised_correlation(
    records: Float[np.ndarray, "channel sample"],
    usable: Bool[np.ndarray, "channel sample"],
    values: Float[np.ndarray, "template channel length"],
    block: int = BLOCK,
) -> Float[np.ndarray, "template channel window"]:
    """Correlation coefficients of templates with all windows of the records of their channels.

    The mean of each window is removed. Coefficients are exactly zero where a window touches a sample that is not
    usable or has no signal (`QUIET`).

    Args:
        records: of each channel.
        usable: samples that were recorded.
        values: templates of one length, with means of zero.
        block: samples of a transform.

    Raises:
        ValueError: where shapes do not fit, or the templates are longer than a block or the records.
    """
    _, channels, length = values.shape
    if records.shape != usable.shape or channels != len(records) or length > min(block, records.shape[-1]):
        raise ValueError(
            f"records, usable and templates must be of the same channels, templates no longer than records and a block "
            f"of {block}, got shapes {records.shape}, {usable.shape} and {values.shape}"
        )
    step, windows = block - length + 1, records.shape[-1] - length + 1
    x, usable, floor = _prepared(records, usable, windows + step)
    spectrum = jnp.asarray(_spectra(values, block))
    norms = ((length, tuple(range(channels))),)
    parts = []
    for at in range(0, windows, step):
        cut = slice(at, at + block)
        inverse, _ = _inverse_norms(x[:, cut], usable[:, cut], floor, norms, step)
        parts.append(_coefficients_of_block(x[:, cut], inverse, spectrum))
    return np.concatenate(parts, -1)[..., :windows]


@jax.jit
def _coefficients_of_block(x: Array, inverse: Array, spectrum: Array) -> Array:
    shared = jnp.fft.rfft(x)
    one = lambda own: jnp.fft.irfft(shared * own, x.shape[-1])[:, : inverse.shape[-1]] * inverse
    return jnp.clip(lax.map(one, spectrum), -1, 1)


def _prepared(
    records: Float[np.ndarray, "channel sample"], usable: Bool[np.ndarray, "channel sample"], more: int
) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, " channel"]]:
    """Records without their means, zero where they are not usable, with `more` such samples, and variance floors."""
    number = np.maximum(usable.sum(-1, keepdims=True), 1)
    mean = np.sum(records, -1, keepdims=True, where=usable, dtype=np.float64) / number
    x = np.where(usable, records - mean, 0).astype(np.float32)
    seconds = x[:, : x.shape[-1] // 64 * 64].reshape(len(x), -1, 64)
    variance = np.where((seconds != 0).any(-1), (seconds**2).mean(-1), np.nan)
    typical = [np.nanmedian(own) if np.isfinite(own).any() else 0.0 for own in variance]
    pad = ((0, 0), (0, more))
    return np.pad(x, pad), np.pad(usable, pad), (QUIET * np.array(typical)).astype(np.float32)


def _spectra(values: Float[np.ndarray, "*batch length"], block: int) -> Complex[np.ndarray, "*batch frequency"]:
    """Conjugate transforms of windows, whose means must be zero, scaled to norm one."""
    norm = np.sqrt((np.asarray(values, np.float64) ** 2).sum(-1, keepdims=True))
    unit = (values / np.maximum(norm, 1e-30)).astype(np.float32)
    return np.conj(np.asarray(fft.rfft(unit, block), np.complex64))


@partial(jax.jit, static_argnames=("norms", "step"))
def _inverse_norms(
    x: Float[Array, "channel sample"],
    usable: Bool[Array, "channel sample"],
    floor: Float[Array, " channel"],
    norms: tuple[tuple[int, tuple[int, ...]], ...],
    step: int,
) -> tuple[Float[Array, "norm window"], Bool[Array, "norm window"]]:
    """One over the norm of each window about its mean, zero where it is not whole or has no signal; and where it is."""
    each = []
    for length, rows in norms:
        own = jnp.asarray(rows)
        spread = window_moments(x[own], length).spread[:, :step]
        whole = window_counts(~usable[own], length)[:, :step] == 0
        loud = whole & (spread > floor[own][:, None] * length)
        each.append((jnp.where(loud, lax.rsqrt(jnp.where(loud, spread, 1.0)), 0.0), loud))
    inverse, loud = (jnp.concatenate(x) for x in zip(*each, strict=True))
    return inverse, loud


def _plan(templates: Templates, block: int) -> _Plan:
    """Transforms of the windows, and the channels and norms that they need."""
    longest = int(templates.length.max())
    if longest > block // 2:
        raise ValueError(
            f"windows must be no longer than half a block of {block} samples, got {longest}; use shorter windows, or a "
            "larger block"
        )
    channel = templates.station * 3 + templates.component
    channels, row = np.unique(channel, return_inverse=True)
    pairs, norm = np.unique(np.stack([templates.length, row], 1), axis=0, return_inverse=True)
    lengths = np.unique(templates.length)
    norms = tuple((int(size), tuple(pairs[pairs[:, 0] == size, 1].tolist())) for size in lengths)
    weight = weights(templates)
    pad = lambda x: np.pad(x, [(0, -len(x) % WINDOWS_AT_ONCE)] + [(0, 0)] * (x.ndim - 1))
    # A window knows its channel by its norm, which is of one length and channel.
    columns = (
        _spectra(templates.value, block),
        norm.reshape(-1),
        templates.template,
        templates.moveout,
        weight.astype(np.float32),
        (weight**2 * noise_variance(templates)).astype(np.float32),
    )
    windows = _Windows(*(jnp.asarray(pad(column)) for column in columns))
    step, reach = block - longest + 1, int(templates.moveout.max(initial=0))
    whole = _power_of_whole(windows, len(templates.id), reach, step)
    return _Plan(windows, whole, channels, norms, step, reach)


@partial(jax.jit, static_argnames=("templates", "reach", "step"))
def _power_of_whole(windows: _Windows, templates: int, reach: int, step: int) -> Float[Array, "template sample"]:
    add = lambda sums, some: (_added(sums, lambda row: jnp.full(step, some.power[row]), some, step), None)
    return lax.scan(add, jnp.zeros((templates, reach + step), jnp.float32), _grouped(windows))[0]


def _grouped(windows: _Windows) -> _Windows:
    return jax.tree.map(lambda a: a.reshape(-1, WINDOWS_AT_ONCE, *a.shape[1:]), windows)


def _added(
    sums: Float[Array, "template sample"], value: Callable[[int], Float[Array, " step"]], some: _Windows, step: int
) -> Float[Array, "template sample"]:
    """Add what windows contribute to the stacks of their templates, earlier by their moveouts."""
    for row in range(WINDOWS_AT_ONCE):
        at = (some.template[row], sums.shape[1] - step - some.moveout[row])
        before = lax.dynamic_slice(sums, at, (1, step))
        sums = lax.dynamic_update_slice(sums, before + value(row)[None], at)
    return sums


def stacks(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    block: int = BLOCK,
) -> Iterator[Stack]:
    """Stacks of all templates over filtered records, stretch by stretch, from the first sample to the last.

    The sample of a stack is the first sample of the template's earliest window. Windows that reach beyond the records
    are missing.

    Raises:
        ValueError: where there is no template, shapes do not fit, or a window is longer than half a block.
    """
    if not len(templates.id):
        raise ValueError(
            "no templates; at least one is needed (lower the signal-to-noise ratio that windows must have)"
        )
    if records.shape != usable.shape or records.shape[0] <= templates.station.max() or records.shape[1] != 3:
        raise ValueError(
            f"records and usable must be [station, 3, sample] with stations up to {templates.station.max()}, got "
            f"shapes {records.shape} and {usable.shape}"
        )
    plan = _plan(templates, block)
    flat = lambda x: x.reshape(-1, x.shape[-1])[plan.channels]
    length = records.shape[-1]
    blocks = -(-(length + plan.reach) // plan.step)
    x, there, floor = _prepared(flat(records), flat(usable), (blocks - 1) * plan.step + block - length)
    carry = tuple(jnp.zeros((len(templates.id), plan.reach), jnp.float32) for _ in range(2))
    for number in range(blocks):
        at = number * plan.step
        cut = slice(at, at + block)
        z, live, carry = _block(carry, x[:, cut], there[:, cut], floor, plan.windows, plan.whole, plan.norms, plan.step)
        skip = max(plan.reach - at, 0)
        first = at - plan.reach + skip
        keep = slice(skip, min(plan.step, length - at + plan.reach))
        if keep.start < keep.stop:
            yield Stack(first, np.asarray(z[:, keep]), np.asarray(live[:, keep]))


@partial(jax.jit, static_argnames=("norms", "step"))
def _block(
    carry: tuple[Array, Array],
    x: Float[Array, "channel sample"],
    usable: Bool[Array, "channel sample"],
    floor: Float[Array, " channel"],
    windows: _Windows,
    whole: Float[Array, "template sample"],
    norms: tuple[tuple[int, tuple[int, ...]], ...],
    step: int,
) -> tuple[Array, Array, tuple[Array, Array]]:
    """Add the correlations of a block to the stacks; gives what is complete, and what is not as the next carry."""
    templates, reach = carry[0].shape
    inverse, loud = _inverse_norms(x, usable, floor, norms, step)
    channel_of = jnp.asarray([row for _, rows in norms for row in rows])
    shared = jnp.fft.rfft(x)
    grouped = _grouped(windows)

    def add_correlations(sums: Array, some: _Windows) -> tuple[Array, None]:
        raw = jnp.fft.irfft(shared[channel_of[some.norm]] * some.spectrum, x.shape[-1])[:, :step]
        scaled = lambda row: jnp.clip(raw[row] * inverse[some.norm[row]], -1, 1) * some.weight[row]
        return _added(sums, scaled, some, step), None

    def add_power(sums: Array, some: _Windows) -> tuple[Array, None]:
        return _added(sums, lambda row: loud[some.norm[row]] * some.power[row], some, step), None

    begin = lambda part: jnp.zeros((templates, reach + step), jnp.float32).at[:, :reach].set(part)
    total, _ = lax.scan(add_correlations, begin(carry[0]), grouped)
    power = lax.cond(
        loud.all(), lambda: begin(carry[1]) + whole, lambda: lax.scan(add_power, begin(carry[1]), grouped)[0]
    )
    done, left = slice(0, step), slice(step, None)
    live = power[:, done] > 0
    z = jnp.where(live, total[:, done] * lax.rsqrt(jnp.where(live, power[:, done], 1.0)), 0.0)
    return z, live, (total[:, left], power[:, left])
