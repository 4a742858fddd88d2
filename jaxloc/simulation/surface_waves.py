"""Surface waves of shallow earthquakes, dispersed by a crust that is slower at the top."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Complex, Float, Key

from jaxloc.simulation.ranges import Range, log_uniform, uniform


class SurfaceRanges(NamedTuple):
    """Ranges of Rayleigh and Love waves; pairs are log-uniform but for speeds and `love`.

    Attributes:
        fast_km_s, slow_km_s: group velocity at low and at high frequency (Aki & Richards 2002, section 7.3), the
            latter over that of the former.
        turn_hz: frequency between the two.
        level: spectral amplitude over that of direct S at `turn_hz` from a source at the surface.
        quality: of absorption.
        ellipticity: horizontal over vertical amplitude of Rayleigh waves.
        love: speed of Love over Rayleigh waves.
    """

    fast_km_s: Range = (2.6, 3.8)
    slow_km_s: Range = (0.2, 0.8)
    turn_hz: Range = (0.2, 5.0)
    level: Range = (0.02, 3.0)
    quality: Range = (20.0, 300.0)
    ellipticity: Range = (0.5, 1.5)
    love: Range = (1.02, 1.25)


def draw_surface_waves(
    key: Key[Array, ""],
    ranges: SurfaceRanges,
    distance_km: Float[Array, ""],
    depth_km: Float[Array, ""],
    azimuth_rad: Float[Array, ""],
    frequency_hz: Float[Array, " frequency"],
    origin_s: Float[Array, ""],
    end_s: float,
) -> Complex[Array, "component frequency"]:
    """Transfer function from the spectrum of S to ground motion on Z, N, E; waves after `end_s` are left out."""
    keys = random.split(key, 8)
    fast, slow = uniform(keys[0], ranges.fast_km_s), uniform(keys[1], ranges.slow_km_s)
    turn_hz = log_uniform(keys[2], ranges.turn_hz)
    ratio = frequency_hz / turn_hz
    relative = ratio**2
    group_km_s = fast * (1 + slow * relative) / (1 + relative)
    level = log_uniform(keys[3], ranges.level, (2,)) * random.rademacher(keys[4], (2,), float)
    # Amplitude falls with depth by exp(-2 pi z / wavelength), the wavelength at some 0.9 of the speed.
    decay = jnp.exp(-2 * jnp.pi * frequency_hz * depth_km / (0.9 * group_km_s))
    delay_s = distance_km / group_km_s
    absorbed = jnp.exp(-jnp.pi * frequency_hz * delay_s / log_uniform(keys[5], ranges.quality))
    amplitude = decay * absorbed / (1 + relative)
    # Closer than a few kilometres they are not apart from S.
    amplitude = amplitude * jnp.clip(distance_km / 3 - 1, 0, 1)
    # The integral of delay over frequency, which is the phase.
    root = jnp.sqrt(slow)
    turns = distance_km / fast * (frequency_hz / slow + (1 - 1 / slow) * turn_hz / root * jnp.arctan(root * ratio))

    def train(faster: Array) -> Array:
        arrival_s = origin_s + delay_s / faster
        inside = jnp.clip(arrival_s, 0, 1) * jnp.clip((end_s - arrival_s) / 3, 0, 1)
        return amplitude * inside * jnp.exp(-2j * jnp.pi * (turns / faster + frequency_hz * origin_s))

    # In a loop, because XLA would compute trains again for each component if they were in one piece with their use.
    trains = jax.lax.map(train, jnp.append(1.0, uniform(keys[6], ranges.love)))
    rayleigh, love = level[:, None] * trains
    radial = -1j * log_uniform(keys[7], ranges.ellipticity) * rayleigh
    sine, cosine = jnp.sin(azimuth_rad), jnp.cos(azimuth_rad)
    return jnp.stack([rayleigh, radial * cosine - love * sine, radial * sine + love * cosine])
