"""Reflectivity of one event: what a pulse of unit size at the source becomes in time, before its spectrum is put in.

All waves of one type have one spectrum, so their pulses and their coda are summed in time and transformed once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Float, Int, Key

from jaxloc.simulation.phases import NUM_WAVES, Waves
from jaxloc.simulation.propagation import Path, coda_density, envelopes
from jaxloc.simulation.ranges import Range, log_uniform, uniform

NUM_TAPS = 32  # of an interpolated pulse
NUM_AFTER = 64  # further samples for the scattered waves of a secondary phase
FIRST_WAVES = 2  # direct and head waves, with trains of their own
KAISER = 8.0  # its window's parameter: side lobes below -80 dB, flat up to 0.85 of the Nyquist frequency


class ScatteringRanges(NamedTuple):
    """Ranges of scattering; pairs are the ends of log-uniform distributions but for `direct` and `power` (uniform).

    Attributes:
        rise_s: time in which the envelope of the forward-scattered train rises, so of an emergent onset.
        direct: share of the energy in the pulse at the onset.
        coda: energy of diffuse coda in the second after the onset over that of the direct wave; P and S.
        coda_q: of coda at 1 Hz, 20 at volcanoes to 1000 in shields with its increase to some Hz (Aki & Chouet 1975;
            Sato & Fehler 2012, chapter 3), at `coda_hz`.
        coda_hz: frequency at which its decay is taken.
        power: exponent of lapse time, 1 for surface waves, 1.5 for diffuse waves, less for those trapped near stations.
        polarised: share of the forward-scattered energy with the polarisation of the direct wave.
        vertical: share of coda energy on the vertical.
        late_direct, late_s: the same as `direct` (uniform) and `rise_s` of secondary phases.
    """

    rise_s: Range = (0.01, 1.0)
    direct: Range = (0.0, 1.0)
    coda: tuple[Range, Range] = ((0.1, 5.0), (0.03, 2.0))
    coda_q: Range = (20.0, 1000.0)
    coda_hz: Range = (1.5, 6.0)
    power: Range = (0.3, 1.6)
    polarised: Range = (0.3, 1.0)
    vertical: Range = (0.15, 0.5)
    late_direct: Range = (0.0, 0.8)
    late_s: Range = (0.02, 0.3)


def white_noise(key: Key[Array, ""], number: int) -> Float[Array, " sample"]:
    """Independent samples of mean 0 and variance 1 from random bytes, in a tenth of the time of normals.

    They are uniform; filtered, they are close to normal.
    """
    bits = random.bits(key, (-(-number // 4),), jnp.uint32)
    parts = jnp.concatenate([(bits >> shift) & 255 for shift in (0, 8, 16, 24)])
    return (parts[:number].astype(jnp.float32) - 127.5) / ((256**2 - 1) / 12) ** 0.5


def pulses(sample: Float[Array, " wave"]) -> Float[Array, "wave tap"]:
    """Unit pulses at fractional sample numbers, as `NUM_TAPS` samples: a sinc in Kaiser's window.

    The tap of the whole sample is number `NUM_TAPS` / 2 - 1.
    """
    offset = jnp.arange(NUM_TAPS) - NUM_TAPS // 2 + 1.0 - (sample - jnp.floor(sample))[:, None]
    window = jnp.i0(KAISER * jnp.sqrt(jnp.maximum(1 - (offset / (NUM_TAPS / 2)) ** 2, 0.0))) / float(np.i0(KAISER))
    return jnp.sinc(offset) * window


def bursts(
    key: Key[Array, ""], sample: Float[Array, " wave"], width: Float[Array, " wave"], direct: Float[Array, " wave"]
) -> Float[Array, "wave component tap"]:
    """Pulses with a share of their energy, and after those of secondary waves the rest in a train of some samples."""
    since = jnp.arange(NUM_TAPS + NUM_AFTER) - NUM_TAPS // 2 + 1.0
    train = jnp.maximum(since, 0.0) / width[:, None] ** 2 * jnp.exp(-jnp.maximum(since, 0.0) / width[:, None])
    train = jnp.where(jnp.arange(len(sample))[:, None] < FIRST_WAVES, 0.0, train)
    white = white_noise(key, len(sample) * 3 * len(since)).reshape(len(sample), 3, len(since))
    pulse = jnp.pad(pulses(sample), ((0, 0), (0, NUM_AFTER)))
    return (jnp.sqrt(direct)[:, None] * pulse)[:, None] + jnp.sqrt((1 - direct)[:, None] * train)[:, None] * white


def added(
    sample: Float[Array, " wave"], shape: Float[Array, "wave component tap"], num_samples: int
) -> Float[Array, "component sample"]:
    """Waves summed into a trace, each at its sample number."""
    num_taps = shape.shape[-1]
    inside = (sample > -num_taps) & (sample < num_samples + num_taps)
    start = num_taps + jnp.floor(jnp.where(inside, sample, 0.0)).astype(jnp.int32) - NUM_TAPS // 2 + 1
    shape = jnp.where(inside[:, None, None], shape, 0.0)
    trace = jnp.zeros((shape.shape[1], num_samples + 3 * num_taps))
    # Slice by slice: on the CPU twice as fast as a scatter of all samples.
    for wave in range(len(sample)):
        there = jax.lax.dynamic_slice_in_dim(trace, start[wave], num_taps, 1)
        trace = jax.lax.dynamic_update_slice_in_dim(trace, there + shape[wave], start[wave], 1)
    return trace[:, num_taps : num_taps + num_samples]


class Scattering(NamedTuple):
    """Scattering at one station: the values of `path` are those of P and S.

    `direct` is the share of each wave's energy in its pulse, `width_s` that of the train after it; for direct waves and
    head waves the train is that of `path`.
    """

    path: Path
    polarised: Float[Array, ""]
    vertical: Float[Array, " phase"]
    direct: Float[Array, "phase wave"]
    width_s: Float[Array, "phase wave"]


def draw_scattering(
    key: Key[Array, ""], ranges: ScatteringRanges, first_s: Float[Array, " phase"], source_s: Float[Array, " phase"]
) -> Scattering:
    """Scattering of P and S. Sources of long duration lengthen the train: high frequencies radiate during all of it."""
    keys = random.split(key, 11)
    rise_s = log_uniform(keys[0], ranges.rise_s) * log_uniform(keys[1], (0.5, 2.0), (2,))
    rise_s = jnp.minimum(rise_s, 0.5 * jnp.diff(first_s))
    width_s = rise_s + 0.3 * source_s
    direct = jnp.clip(uniform(keys[2], ranges.direct, (2,)) * rise_s / width_s, 1e-4, 0.999)
    level = jnp.stack([log_uniform(k, ends) for k, ends in zip(random.split(keys[3]), ranges.coda, strict=True)])
    decay_s = log_uniform(keys[4], ranges.coda_q) / (2 * jnp.pi * log_uniform(keys[5], ranges.coda_hz))
    varying = {
        "free_time_s": -first_s / jnp.log(direct),
        "broadening": (width_s, 0.0),
        "coda_level": level,
        "coda_decay_s": decay_s,
        "coda_power": uniform(keys[6], ranges.power),
    }
    vertical = uniform(keys[8], ranges.vertical, (2,))
    secondary = jnp.arange(NUM_WAVES) >= FIRST_WAVES
    shares = jnp.where(secondary, uniform(keys[9], ranges.late_direct, (2, NUM_WAVES)), direct[:, None])
    widths_s = log_uniform(keys[10], ranges.late_s, (2, NUM_WAVES))
    path = jax.tree.map(lambda value: jnp.broadcast_to(value, (2,)), Path()._replace(**varying))
    return Scattering(path, uniform(keys[7], ranges.polarised), vertical, shares, widths_s)


def reflectivity(
    key: Key[Array, ""],
    scattering: Scattering,
    waves: Waves,
    first_s: Float[Array, " phase"],
    origin_s: Float[Array, ""],
    num_samples: int,
    rate_hz: float,
) -> Float[Array, "phase component sample"]:
    """Pulses and coda of P and S; times count from the first sample."""
    coda, late = random.split(key)
    sample = (origin_s + waves.time_s) * rate_hz
    shapes = jax.vmap(bursts)(random.split(late), sample, scattering.width_s * rate_hz, scattering.direct)
    pulses = jax.vmap(added, (0, 0, None))(sample, waves.motion[..., None] * shapes, num_samples)
    # XLA would generate random numbers again for each of their uses.
    white = white_noise(coda, pulses.size).reshape(pulses.shape)
    forward, diffuse = _envelopes(scattering.path, origin_s + waves.time_s, first_s, num_samples, rate_hz)
    density = jnp.zeros(pulses.shape)
    for branch in range(FIRST_WAVES):
        density = density + jax.vmap(coda_density, (0, 0, 0, 0, None))(
            waves.mean_motion[:, branch],
            forward[:, branch],
            diffuse[:, branch],
            scattering.vertical,
            scattering.polarised,
        )
    return pulses + jnp.sqrt(density / rate_hz) * white


def _envelopes(
    path: Path, onset_s: Float[Array, "phase wave"], first_s: Float[Array, " phase"], num_samples: int, rate_hz: float
) -> tuple[Float[Array, "phase branch sample"], Float[Array, "phase branch sample"]]:
    """Envelopes of the trains of direct and head waves."""

    def of_phase(phase: Int[Array, ""]) -> tuple[Array, Array]:
        after_s = jnp.arange(num_samples) / rate_hz - onset_s[phase, :FIRST_WAVES, None]
        return envelopes(after_s, first_s[phase], jax.tree.map(lambda value: jnp.asarray(value)[..., phase], path))

    # In a loop, because XLA would compute envelopes again for each component if they were in one piece with its use.
    return jax.lax.map(of_phase, jnp.arange(2))
