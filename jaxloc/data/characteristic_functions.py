"""Characteristic functions: one positive-going number at each sample that is large where a wave arrives.

P is read on the vertical component, S on the horizontal ones. Windows lie on both sides of the sample, so that a
function peaks at an onset and not a window after it, and count recorded samples alone: a gap, a component that is all
zero and the ends of a record bring no onset of their own.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

VERTICAL, HORIZONTAL = slice(0, 1), slice(1, 3)
BY_PHASE = (VERTICAL, HORIZONTAL)
KINDS = ("sta_lta", "kurtosis", "amplitude")
LEAST_SHARE = 0.5  # of the samples of each window that must be recorded
RELATIVE_FLOOR = 1e-6  # of the largest energy: quieter than that is silence


class Windows(NamedTuple):
    """Lengths in s of the windows after and before an onset, of P and S."""

    short_s: tuple[float, float] = (0.3, 0.3)
    long_s: tuple[float, float] = (4.0, 1.0)


class Characteristic(NamedTuple):
    """Characteristic functions of P and S at each station, and the samples at which they exist."""

    value: Float[Array, "station phase sample"]
    mask: Bool[Array, "station phase sample"]


def characteristic_functions(
    waveforms: Float[Array, "station component sample"],
    sample_mask: Bool[Array, "station sample"] | None,
    rate_hz: float,
    kind: str = "sta_lta",
    windows: Windows = Windows(),
) -> Characteristic:
    """Characteristic functions of the records of one event.

    Args:
        waveforms: Z, N and E of each station; components that a station lacks are all zero.
        sample_mask: samples that were recorded; None: all of them. Samples that are exactly zero on all components of
            a phase count as not recorded.
        rate_hz: sampling rate.
        kind: "sta_lta": log of the mean energy after over that before (Allen 1978, BSSA 68; Grigoli and others 2013,
            GJI 195); "kurtosis": what the window after the sample adds to the kurtosis, where it adds (Langet and
            others 2014, BSSA 104); "amplitude": the amplitude over its largest value (Kao & Shan 2004, GJI 157).
        windows: their lengths; the amplitude has none.

    Raises:
        ValueError: for an unknown kind, or a window that is shorter than a sample; names it.

    Differs from the papers: windows do not overlap and are not causal, S is read from the energy of both horizontals
    without a rotation, and the ratio is taken as its logarithm.
    """
    check(kind, windows, rate_hz)
    each = [
        _of_phase(waveforms[:, part], sample_mask, _OF_KIND[kind], round(short_s * rate_hz), round(long_s * rate_hz))
        for part, short_s, long_s in zip(BY_PHASE, *windows, strict=True)
    ]
    return Characteristic(*(jnp.stack(x, 1) for x in zip(*each, strict=True)))


def check(kind: str, windows: Windows, rate_hz: float) -> None:
    """Refuse an unknown kind and windows without a sample; raises as `characteristic_functions`."""
    if kind not in KINDS:
        raise ValueError(f"kind of characteristic function must be one of {', '.join(KINDS)}, got {kind!r}")
    shortest_s = min(*windows.short_s, *windows.long_s)
    if not shortest_s * rate_hz >= 1:
        raise ValueError(
            f"windows must have at least one sample at {rate_hz:g} Hz, got one of {shortest_s:g} s; use longer ones"
        )


class _Trace(NamedTuple):
    """The components of one phase with a mean of zero and largest value of one, and which samples there are."""

    value: Float[Array, "station part sample"]
    mask: Bool[Array, "station sample"]


_Kind = Callable[[_Trace, int, int], tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]]


def _of_phase(
    records: Float[Array, "station part sample"],
    sample_mask: Bool[Array, "station sample"] | None,
    kind: _Kind,
    short: int,
    long: int,
) -> tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]:
    mask = (records != 0).any(1)
    if sample_mask is not None:
        mask = mask & sample_mask
    there = mask[:, None] & (records != 0).any(-1, keepdims=True)
    mean = (records * there).sum(-1, keepdims=True) / jnp.maximum(there.sum(-1, keepdims=True), 1)
    centred = jnp.where(there, records - mean, 0.0)
    largest = jnp.abs(centred).max((1, 2), keepdims=True)
    value, exists = kind(_Trace(centred / jnp.where(largest > 0, largest, 1.0), mask), short, long)
    exists = exists & mask & (largest[..., 0] > 0)
    return jnp.where(exists, value, 0.0), exists


def _log_ratio(
    trace: _Trace, short: int, long: int
) -> tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]:
    energy = (trace.value**2).sum(1)
    after, some = _mean_after(energy, trace.mask, short)
    before, more = _mean_before(energy, trace.mask, long)
    floor = RELATIVE_FLOOR * energy.max(-1, keepdims=True)
    return jnp.log((after + floor) / (before + floor)), some & more


def _kurtosis_gain(
    trace: _Trace, short: int, long: int
) -> tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]:
    def kurtosis(length: int) -> tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]:
        """Of the `length` samples before each."""
        present = jnp.maximum((trace.value != 0).any(-1).sum(-1), 1)[:, None]
        second, fourth = (_mean_before((trace.value**n).sum(1) / present, trace.mask, length) for n in (2, 4))
        return fourth[0] / jnp.maximum(second[0] ** 2, RELATIVE_FLOOR**2), second[1]

    before, some = kurtosis(long)
    later, more = (_earlier(x, -short) for x in kurtosis(long))
    return jnp.maximum(later - before, 0.0), some & more


def _amplitude(
    trace: _Trace, short: int, long: int
) -> tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]:
    size = jnp.sqrt((trace.value**2).sum(1))
    return size / jnp.maximum(size.max(-1, keepdims=True), RELATIVE_FLOOR), trace.mask


_OF_KIND: dict[str, _Kind] = {"sta_lta": _log_ratio, "kurtosis": _kurtosis_gain, "amplitude": _amplitude}


def _mean_after(
    value: Float[Array, "station sample"], mask: Bool[Array, "station sample"], length: int
) -> tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]:
    """Mean of the recorded samples from each one on, and whether they are enough."""
    number = window_sum(mask.astype(value.dtype), length)
    return window_sum(jnp.where(mask, value, 0.0), length) / jnp.maximum(number, 1), number >= LEAST_SHARE * length


def _mean_before(
    value: Float[Array, "station sample"], mask: Bool[Array, "station sample"], length: int
) -> tuple[Float[Array, "station sample"], Bool[Array, "station sample"]]:
    mean, enough = _mean_after(_earlier(value, length), _earlier(mask, length), length)
    return mean, enough


def window_sum(value: Float[Array, "*batch sample"], length: int) -> Float[Array, "*batch sample"]:
    """Sums of `length` samples from each one on, zero after the last.

    Sums of 1, 2, 4, ... samples are added up: differences of running sums would lose the noise before an event in the
    rounding of single precision.
    """
    total, reached, power, size = jnp.zeros_like(value), 0, value, 1
    while size <= length:
        if length & size:
            total, reached = total + _earlier(power, -reached), reached + size
        power, size = power + _earlier(power, -size), 2 * size
    return total


def _earlier(value: Array, by: int) -> Array:
    """At each sample what is `by` samples earlier (later, where it is negative); zero outside the record."""
    samples = value.shape[-1]
    keep = min(abs(by), samples)
    if by >= 0:
        return jnp.concatenate([jnp.zeros_like(value[..., :keep]), value[..., : samples - keep]], -1)
    return jnp.concatenate([value[..., keep:], jnp.zeros_like(value[..., :keep])], -1)
