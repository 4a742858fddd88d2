"""Ground motion as a few packets: noise or a tone within an envelope, in a band, resonant, dispersed, polarised.

Filters are causal, so that packets begin where their envelopes do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.lax import optimization_barrier
from jaxtyping import Array, Complex, Float, Key, UInt32

NUM_HARMONICS = 3
TAPERED = 0.1  # share of the traces at their end
FAR = 1e3  # in a band's flank: powers of it stay within float32


class Packet(NamedTuple):
    """One packet. Times are in s from the first sample.

    Attributes:
        amplitude: of the ground velocity before filters.
        onset_s, rise_s, flat_s, decay_s: a rise like (1 - exp(-t / rise))², a plateau, an exponential decay; or, where
            `bell_s` is positive, a Gaussian bell of that standard deviation about `onset_s`.
        low_hz, high_hz: corners of a causal band of two and four poles.
        resonance_hz, sharpness: peaks at multiples of a frequency, whose half width is it over twice the sharpness; 0
            for none.
        polarised: share of the amplitude that all components have in common; the rest is independent.
        vertical, azimuth_rad: direction of motion: cosine from the vertical, and angle of its horizontal part.
        elliptic: 1 where horizontals are by a quarter of a period ahead, as in Rayleigh waves.
    """

    amplitude: Float[Array, ""] | float = 0.0
    onset_s: Float[Array, ""] | float = 0.0
    rise_s: Float[Array, ""] | float = 0.0
    flat_s: Float[Array, ""] | float = 0.0
    decay_s: Float[Array, ""] | float = 1.0
    bell_s: Float[Array, ""] | float = 0.0
    low_hz: Float[Array, ""] | float = 1.0
    high_hz: Float[Array, ""] | float = 10.0
    resonance_hz: Float[Array, ""] | float = 1.0
    sharpness: Float[Array, ""] | float = 0.0
    polarised: Float[Array, ""] | float = 0.0
    vertical: Float[Array, ""] | float = 0.577
    azimuth_rad: Float[Array, ""] | float = 0.785
    elliptic: Float[Array, ""] | float = 0.0


class Carrier(NamedTuple):
    """A tone, or a random binary signal.

    Attributes:
        tone_hz, overtone: frequency, and amplitude of each harmonic over that of the one before.
        speed: of the source over that of the wave, for a Doppler glide; 0 for none.
        closest_s, pass_s: time of the closest approach, and the time in which the source moves as far as it is then
            away.
        clock_s: interval of a random binary signal, which replaces the tone; 0 for none.
    """

    tone_hz: Float[Array, ""] | float = 1.0
    overtone: Float[Array, ""] | float = 0.0
    speed: Float[Array, ""] | float = 0.0
    closest_s: Float[Array, ""] | float = 0.0
    pass_s: Float[Array, ""] | float = 1.0
    clock_s: Float[Array, ""] | float = 0.0


class Recipe(NamedTuple):
    """Two packets of noise and one of a carrier.

    Attributes:
        first, second, third: packets of noise, noise and the carrier.
        dispersion_s: of the first: how much later it is at each e-fold of frequency.
        step_hz, pulse_s: the first in pulses, so many a second, with that decay time; 0 Hz for none.
        carrier: of the third.
    """

    first: Packet = Packet()
    second: Packet = Packet()
    third: Packet = Packet()
    dispersion_s: Float[Array, ""] | float = 0.0
    step_hz: Float[Array, ""] | float = 0.0
    pulse_s: Float[Array, ""] | float = 0.05
    carrier: Carrier = Carrier()


def rendered(key: Key[Array, ""], recipe: Recipe, num_samples: int, rate_hz: float) -> Float[Array, "component sample"]:
    """Ground velocity of a recipe, components Z and two horizontals, of any amplitude.

    It fades in the last tenth, where filters would otherwise carry it over to the first sample: cut the record out of a
    longer one.
    """
    noise_key, sign_key = random.split(key)
    # XLA would compute what lies before each barrier again for each use.
    recipe, noise = optimization_barrier(
        (jax.tree.map(jnp.asarray, recipe), random.normal(noise_key, (3, num_samples)))
    )
    second = jnp.arange(num_samples) / rate_hz
    hz = jnp.asarray(np.fft.rfftfreq(num_samples, 1 / rate_hz), jnp.float32)
    fade = jnp.asarray(np.clip((1 - np.arange(num_samples) / num_samples) / TAPERED, 0, 1), jnp.float32)
    pulses = jnp.where(recipe.step_hz > 0, _pulses(recipe, second), 1.0)
    packets = (recipe.first, recipe.second, recipe.third)
    envelopes = [fade * envelope(packet, second) for packet in packets]
    tone = _carried(sign_key, recipe.carrier, second, rate_hz)
    dispersed = _dispersed(recipe.dispersion_s, recipe.first, hz)
    filters = [_band(packet, hz) for packet in packets]
    envelopes, pulses, tone, filters = optimization_barrier(
        (envelopes, pulses, tone, [filters[0] * dispersed, *filters[1:]])
    )
    traces = (
        envelopes[0] * pulses * _mixed(recipe.first, noise),
        envelopes[1] * _mixed(recipe.second, jnp.roll(noise, 1, 0)),
        envelopes[2] * tone * _size(recipe.third),
    )
    spectra = [jnp.fft.rfft(trace) * _quarter(packet) for packet, trace in zip(packets, traces, strict=True)]
    return jnp.fft.irfft(sum(band * spectrum for band, spectrum in zip(filters, spectra, strict=True)), num_samples)


def envelope(packet: Packet, second: Float[Array, " sample"]) -> Float[Array, " sample"]:
    """The envelope of a packet."""
    since = second - packet.onset_s
    rise = 1 - jnp.exp(-jnp.maximum(since, 0) / jnp.maximum(packet.rise_s, 1e-3))
    decay = jnp.exp(-jnp.maximum(since - packet.flat_s, 0) / packet.decay_s)
    bell = jnp.exp(-0.5 * (since / jnp.maximum(packet.bell_s, 1e-3)) ** 2)
    return packet.amplitude * jnp.where(packet.bell_s > 0, bell, rise**2 * decay)


def _size(packet: Packet) -> Float[Array, "component 1"]:
    """The share of each component in the motion."""
    across = jnp.sqrt(1 - packet.vertical**2)
    return jnp.stack([packet.vertical, across * jnp.cos(packet.azimuth_rad), across * jnp.sin(packet.azimuth_rad)])[
        :, None
    ]


def _quarter(packet: Packet) -> Complex[Array, "component 1"]:
    """Horizontals of elliptic motion by a quarter of a period earlier."""
    return jnp.where(packet.elliptic > 0, jnp.asarray([1, 1j, 1j]), 1 + 0j)[:, None]


def _mixed(packet: Packet, noise: Float[Array, "component sample"]) -> Float[Array, "component sample"]:
    """Noise in common and of each component."""
    size = _size(packet)
    return packet.polarised * size * noise[:1] + (1 - packet.polarised) * jnp.abs(size) * noise


def _band(packet: Packet, hz: Float[Array, " frequency"]) -> Complex[Array, " frequency"]:
    """The band and the resonances."""
    below = 1 / (1 - 1j * jnp.minimum(packet.low_hz / jnp.maximum(hz, 1e-6), FAR))
    above = 1 / (1 + 1j * jnp.minimum(hz / packet.high_hz, FAR))
    harmonic = hz / packet.resonance_hz
    away = jnp.where(harmonic < 0.5, harmonic - 1, harmonic - jnp.round(harmonic))
    peaks = 1 / (1 + 2j * packet.sharpness * away)
    return below**2 * (above**2) ** 2 * peaks * (hz > 0)


def _dispersed(dispersion_s: Array | float, packet: Packet, hz: Float[Array, " frequency"]) -> Array:
    """The phase whose group delay is dispersion ln(f / high_hz)."""
    relative = jnp.maximum(hz / packet.high_hz, 1e-6)
    cycles = dispersion_s * hz * (jnp.log(relative) - 1)
    return sine(cycles + 0.25) - 1j * sine(cycles)


def _pulses(recipe: Recipe, second: Float[Array, " sample"]) -> Float[Array, " sample"]:
    """Footsteps: pulses at regular times."""
    period_s = 1 / jnp.maximum(recipe.step_hz, 1e-3)
    return jnp.exp(-jnp.mod(second - recipe.first.onset_s, period_s) / recipe.pulse_s)


def _carried(
    key: Key[Array, ""], carrier: Carrier, second: Float[Array, " sample"], rate_hz: float
) -> Float[Array, " sample"]:
    """The tone with those harmonics that lie below the Nyquist frequency, or the random binary signal."""
    away = (second - carrier.closest_s) / carrier.pass_s
    distance = jnp.sqrt(1 + away**2)
    cycles = carrier.tone_hz * (second - carrier.speed * carrier.pass_s * distance)
    hz = carrier.tone_hz * (1 - carrier.speed * away / distance)
    harmonics = [
        carrier.overtone**n * sine((n + 1) * cycles) * ((n + 1) * hz < 0.45 * rate_hz) for n in range(NUM_HARMONICS)
    ]
    tone = sum(harmonics) * jnp.where(carrier.speed > 0, 1 / distance, 1.0)
    tick = (second / jnp.maximum(carrier.clock_s, 1 / rate_hz)).astype(jnp.uint32)
    return jnp.where(carrier.clock_s > 0, random_signs(random.bits(key), tick), tone)


def random_signs(seed: UInt32[Array, ""], tick: UInt32[Array, " sample"]) -> Float[Array, " sample"]:
    """1 or -1 for each number, always the same for the same one: the last steps of MurmurHash3, without a gather."""
    mixed = tick * np.uint32(0x9E3779B1) + seed
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = (mixed ^ (mixed >> shift)) * np.uint32(factor)
    return jnp.where((mixed ^ (mixed >> 16)) & 1, 1.0, -1.0)


def sine(cycles: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The sine of 2 pi cycles within .001, by a parabola and its square: a tenth of the time of `jnp.sin`."""
    part = cycles - jnp.round(cycles)
    parabola = 8 * part * (1 - 2 * jnp.abs(part))
    return parabola * (0.775 + 0.225 * jnp.abs(parabola))


def of_unit_peak(traces: Float[Array, "component sample"]) -> Float[Array, "component sample"]:
    """Traces whose largest sample on any component is 1; silent ones stay silent."""
    peak = jnp.abs(traces).max()
    return traces / jnp.where(peak > 0, peak, 1.0)
