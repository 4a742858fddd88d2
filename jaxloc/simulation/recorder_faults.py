"""What goes wrong between the sensor and the archive: wiring, dead channels, spikes, steps, clipping, gaps.

Each fault is a function of traces [component, sample] and happens with a chance of its own, in the order of the signal
path: wiring, channels, electronics, digitiser, transmission.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import random
from jax.lax import optimization_barrier
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.simulation.ranges import Range, happens, log_uniform, one_of, uniform

NUM_SPIKES = 3
NUM_GAPS = 2
FILLINGS = ("zero", "constant", "linear", "repeated packet")
CHANNELS = (
    "all",
    "vertical alone",
    "one horizontal alone",
    "one dead",
    "one with noise alone",
    "copies of the vertical",
)
ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1))
"""Orders of components: the right one, exchanged horizontals, and those that move the vertical."""


class FaultRanges(NamedTuple):
    """Chances of faults in a record and their sizes; rms is that of the quietest second of the component.

    Attributes:
        gain_chance, gain_db: of components with gains of their own, lower by up to some dB.
        inverted_chance: of each component.
        order_chances: of `ORDERS`.
        channel_chances: of `CHANNELS`.
        noisy: rms of the noise of a bad channel over that of the record, log-uniform.
        spike_chance, spike_rms, spike_samples: height and length of up to `NUM_SPIKES` spikes.
        step_chance, step_rms, step_s: a step and its exponential return.
        drift_chance, drift_rms: an offset and a linear drift over the record.
        clip_chance, clip_level, soft_chance: clipping at a share of the peak, log-uniform; soft is a tanh.
        coarse_chance, coarse_rms: resolution in rms.
        gap_chance, gap_s, gap_all_chance, filling_chances: up to `NUM_GAPS` gaps, of all components or one, and
            `FILLINGS`.
        short_chance, short_s: a record that is shorter than the window, with zeros about it, and its length.

    Sources of the kinds: Havskov & Alguacil (2016, Instrumentation in Earthquake Seismology, 2nd ed.); Ringler and
    others (2010, Seismol. Res. Lett. 81) on quality metrics of permanent networks. There is no published table of
    rates; the chances are choices, larger than at good stations.
    """

    gain_chance: float = 0.1
    gain_db: Range = (0.0, 20.0)
    inverted_chance: float = 0.02
    order_chances: tuple[float, ...] = (0.96, 0.01, 0.01, 0.01, 0.005, 0.005)
    channel_chances: tuple[float, ...] = (0.78, 0.12, 0.02, 0.03, 0.03, 0.02)
    noisy: Range = (0.1, 10.0)
    spike_chance: float = 0.05
    spike_rms: Range = (3.0, 1000.0)
    spike_samples: Range = (1.0, 5.0)
    step_chance: float = 0.03
    step_rms: Range = (3.0, 1000.0)
    step_s: Range = (0.1, 120.0)
    drift_chance: float = 0.1
    drift_rms: Range = (1.0, 1000.0)
    clip_chance: float = 0.05
    clip_level: Range = (0.02, 0.9)
    soft_chance: float = 0.3
    coarse_chance: float = 0.1
    coarse_rms: Range = (1e-3, 3.0)
    gap_chance: float = 0.1
    gap_s: Range = (0.05, 10.0)
    gap_all_chance: float = 0.8
    filling_chances: tuple[float, ...] = (0.4, 0.2, 0.25, 0.15)
    short_chance: float = 0.15
    short_s: Range = (8.0, 60.0)


class Recorded(NamedTuple):
    """A record with its faults, and what labels must know of them.

    Attributes:
        waveforms: absent and dead components, and padding, are zero.
        component_present: False for absent and dead components.
        vertical_sign: 1 where upward motion is positive on the first component, -1 where it is inverted, 0 where that
            component is not the vertical or has none of its signal: first motions are then unknown.
        horizontals_true: both horizontals are there, in order, with their signs and equal gains, so that the direction
            of motion is in the record.
        lost: samples that were not recorded: gaps, whatever fills them, padding, and absent components.
    """

    waveforms: Float[Array, "sample component"]
    component_present: Bool[Array, " component"]
    vertical_sign: Float[Array, ""]
    horizontals_true: Bool[Array, ""]
    lost: Bool[Array, "sample component"]


def recorded(
    key: Key[Array, ""],
    ranges: FaultRanges,
    waveforms: Float[Array, "sample component"],
    rate_hz: float,
    lsb: float | Float[Array, ""] = 0.0,
) -> Recorded:
    """The record that reaches the archive.

    Args:
        key: of one record.
        ranges: chances and sizes of faults.
        waveforms: output of the instrument, components Z and two horizontals, of any unit.
        rate_hz: sampling rate.
        lsb: resolution of the digitiser in the unit of the waveforms; 0 where it is fine.
    """
    wiring_key, channel_key, noisy_key, *electric_keys, clip_key, gap_key, short_key = random.split(key, 9)
    wired = wiring(wiring_key, ranges)
    traces = wired.sign_gain[:, None] * waveforms.T[wired.order]
    kind, only = _channels(channel_key, ranges)
    traces = _bad_channel(noisy_key, ranges, traces, kind, only)
    rms = quiet_rms(traces, rate_hz)
    traces, rms = optimization_barrier((traces, rms))
    traces = traces + rms[:, None] * (
        spikes(electric_keys[0], ranges, traces.shape[-1])
        + step(electric_keys[1], ranges, traces.shape[-1], rate_hz)
        + drift(electric_keys[2], ranges, traces.shape[-1])
    )
    traces = optimization_barrier(digitised(clip_key, ranges, traces, rms, lsb))
    present = _present(kind, only)
    traces, lost = with_gaps(gap_key, ranges, traces, rate_hz)
    padding = outside(short_key, ranges, traces.shape[-1], rate_hz) | ~present[:, None]
    vertical = (wired.order[0] == 0) & present[0] & ~((kind == 4) & (only == 0))
    true = wired.horizontals_true & ((kind == 0) | ((kind >= 3) & (kind <= 4) & (only == 0)))
    sign = jnp.where(vertical, jnp.sign(wired.sign_gain[0]), 0.0)
    return Recorded(jnp.where(padding, 0.0, traces).T, present, sign, true, (lost | padding).T)


class Wiring(NamedTuple):
    """Which component arrives where, with which factor."""

    order: Int[Array, " component"]
    sign_gain: Float[Array, " component"]
    horizontals_true: Bool[Array, ""]


def wiring(key: Key[Array, ""], ranges: FaultRanges) -> Wiring:
    """Exchanged and inverted components, and gains of their own."""
    order_key, sign_key, there_key, gain_key = random.split(key, 4)
    which = one_of(order_key, ranges.order_chances)
    inverted = happens(sign_key, ranges.inverted_chance, (3,))
    mismatch = happens(there_key, ranges.gain_chance)
    gain_db = uniform(gain_key, ranges.gain_db, (3,)) * mismatch
    sign_gain = jnp.where(inverted, -1.0, 1.0) * 10 ** (-gain_db / 20)
    return Wiring(jnp.asarray(ORDERS)[which], sign_gain, (which == 0) & ~inverted.any() & ~mismatch)


def _channels(key: Key[Array, ""], ranges: FaultRanges) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """The kind, by index of `CHANNELS`, and the component that it is about."""
    kind_key, only_key = random.split(key)
    kind = one_of(kind_key, ranges.channel_chances)
    component = random.randint(only_key, (), 0, 3)
    return kind, jnp.where(kind == 2, 1 + component % 2, jnp.where((kind == 3) | (kind == 4), component, 0))


def _present(kind: Int[Array, ""], only: Int[Array, ""]) -> Bool[Array, " component"]:
    component = jnp.arange(3)
    alone = (kind == 1) | (kind == 2)
    return jnp.where(alone, component == only, (kind != 3) | (component != only))


def _bad_channel(
    key: Key[Array, ""],
    ranges: FaultRanges,
    traces: Float[Array, "component sample"],
    kind: Int[Array, ""],
    only: Int[Array, ""],
) -> Float[Array, "component sample"]:
    """Noise in place of a component, or the vertical in place of the horizontals."""
    level_key, white_key = random.split(key)
    level = log_uniform(level_key, ranges.noisy) * jnp.sqrt((traces**2).mean())
    white = level * random.normal(white_key, traces.shape[-1:])
    noisy = (kind == 4) & (jnp.arange(3) == only)
    traces = jnp.where(kind == 5, traces[:1], traces)
    return jnp.where(noisy[:, None], white, traces)


def quiet_rms(traces: Float[Array, "component sample"], rate_hz: float) -> Float[Array, " component"]:
    """Standard deviation of the quietest second of each component."""
    length = round(rate_hz)
    number = traces.shape[-1] // length
    if number == 0:
        return traces.std(-1)
    return traces[:, : number * length].reshape(3, number, length).std(-1).min(-1)


def spikes(key: Key[Array, ""], ranges: FaultRanges, num_samples: int) -> Float[Array, "component sample"]:
    """Rectangular spikes in rms, each on one component or all."""
    keys = random.split(key, 7)
    shape = (NUM_SPIKES, 1, 1)
    there = happens(keys[0], ranges.spike_chance) & happens(keys[1], 0.5, shape).at[0].set(True)
    height = log_uniform(keys[2], ranges.spike_rms, shape) * random.rademacher(keys[3], shape, float) * there
    since = jnp.arange(num_samples) - random.randint(keys[4], shape, 0, num_samples)
    length = jnp.round(uniform(keys[5], ranges.spike_samples, shape))
    return (height * ((since >= 0) & (since < length)) * _on_components(keys[6], NUM_SPIKES)).sum(0)


def _on_components(key: Key[Array, ""], number: int) -> Float[Array, "{number} 3 1"]:
    """1 on one component, or on all of them with equal chance."""
    which = random.randint(key, (number, 1, 1), 0, 6)
    return ((which >= 3) | (which == jnp.arange(3)[:, None])).astype(float)


def step(
    key: Key[Array, ""], ranges: FaultRanges, num_samples: int, rate_hz: float
) -> Float[Array, "component sample"]:
    """A step in rms that returns exponentially, as a sensor's feedback does; positive or negative on each component."""
    keys = random.split(key, 6)
    height = log_uniform(keys[0], ranges.step_rms) * happens(keys[1], ranges.step_chance)
    since_s = jnp.arange(num_samples) / rate_hz - uniform(keys[2], (0.0, num_samples / rate_hz))
    shape = jnp.where(since_s >= 0, jnp.exp(-jnp.maximum(since_s, 0) / log_uniform(keys[3], ranges.step_s)), 0.0)
    return height * uniform(keys[4], (-1.0, 1.0), (3, 1)) * _on_components(keys[5], 1)[0] * shape


def drift(key: Key[Array, ""], ranges: FaultRanges, num_samples: int) -> Float[Array, "component sample"]:
    """An offset and a drift in rms, of each component."""
    there_key, size_key, share_key = random.split(key, 3)
    size = log_uniform(size_key, ranges.drift_rms) * happens(there_key, ranges.drift_chance)
    offset, slope = uniform(share_key, (-1.0, 1.0), (2, 3, 1))
    return size * (offset + slope * jnp.linspace(0.0, 1.0, num_samples))


def digitised(
    key: Key[Array, ""],
    ranges: FaultRanges,
    traces: Float[Array, "component sample"],
    rms: Float[Array, " component"],
    lsb: float | Float[Array, ""],
) -> Float[Array, "component sample"]:
    """Clipped, and rounded to the resolution."""
    keys = random.split(key, 5)
    peak = jnp.abs(traces).max()
    clipping = happens(keys[0], ranges.clip_chance)
    limit = peak * jnp.where(clipping, log_uniform(keys[1], ranges.clip_level), 1.0) + 1e-30
    soft = clipping & happens(keys[2], ranges.soft_chance)
    traces = jnp.where(soft, limit * jnp.tanh(traces / limit), jnp.clip(traces, -limit, limit))
    coarse = log_uniform(keys[3], ranges.coarse_rms) * rms.mean() * happens(keys[4], ranges.coarse_chance)
    resolution = jnp.maximum(coarse, lsb)
    safe = jnp.where(resolution > 0, resolution, 1.0)
    return jnp.where(resolution > 0, safe * jnp.round(traces / safe), traces)


def with_gaps(
    key: Key[Array, ""], ranges: FaultRanges, traces: Float[Array, "component sample"], rate_hz: float
) -> tuple[Float[Array, "component sample"], Bool[Array, "component sample"]]:
    """Traces with filled gaps, and which samples are lost."""
    there_key, again_key, *keys = random.split(key, 2 + NUM_GAPS)
    there = happens(there_key, ranges.gap_chance) & happens(again_key, 0.5, (NUM_GAPS,)).at[0].set(True)
    lost = jnp.zeros(traces.shape, bool)
    for number, one in enumerate(keys):
        traces, gone = _with_gap(one, ranges, traces, rate_hz, there[number])
        lost = lost | gone
    return traces, lost


def _with_gap(
    key: Key[Array, ""],
    ranges: FaultRanges,
    traces: Float[Array, "component sample"],
    rate_hz: float,
    there: Bool[Array, ""],
) -> tuple[Float[Array, "component sample"], Bool[Array, "component sample"]]:
    length_key, at_key, filling_key, all_key, component_key = random.split(key, 5)
    last = traces.shape[-1] - 1
    length = jnp.clip(jnp.round(log_uniform(length_key, ranges.gap_s) * rate_hz).astype(int), 1, last // 2)
    start = random.randint(at_key, (), length, last - length)
    before, after = jnp.take(traces, start - 1, axis=1)[:, None], jnp.take(traces, start + length, axis=1)[:, None]
    sample = jnp.arange(last + 1)
    share = (sample - start + 1) / (length + 1)
    packet = jnp.roll(traces, length, 1)
    filling = one_of(filling_key, ranges.filling_chances)
    straight = before + (after - before) * jnp.where(filling == 2, share, 0.0)
    filled = jnp.where(filling == 0, 0.0, jnp.where(filling == 3, packet, straight))
    on = happens(all_key, ranges.gap_all_chance) | (random.randint(component_key, (), 0, 3) == jnp.arange(3))
    gone = there & on[:, None] & (sample >= start) & (sample < start + length)
    return jnp.where(gone, filled, traces), gone


def outside(key: Key[Array, ""], ranges: FaultRanges, num_samples: int, rate_hz: float) -> Bool[Array, " sample"]:
    """Samples before and after a record that is shorter than the window."""
    there_key, length_key, at_key = random.split(key, 3)
    window_s = num_samples / rate_hz
    length_s = jnp.where(happens(there_key, ranges.short_chance), uniform(length_key, ranges.short_s), window_s)
    room_s = jnp.maximum(window_s - length_s, 0.0)
    since_s = jnp.arange(num_samples) / rate_hz - room_s * random.uniform(at_key)
    return (since_s < 0) | (since_s >= length_s)
