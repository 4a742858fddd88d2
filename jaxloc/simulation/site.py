"""What is below one station: amplification with resonances, and how its sensor stands."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Complex, Float, Key

from jaxloc.simulation.ranges import Range, happens, log_uniform, uniform

NUM_RESONANCES = 5


class SiteRanges(NamedTuple):
    """Ranges of site effects.

    Attributes:
        resonance_chance: of each of `NUM_RESONANCES`.
        resonance_hz: log-uniform; vertical motion resonates at `vertical_ratio` times that (uniform).
        damping: of a resonance, log-uniform.
        amplification_db: of horizontals at a resonance, 0 to 30 dB (Field & Jacob 1995, BSSA 85, on sediments), and
            `vertical_share` of it on the vertical.
        tilt_chance, tilt_rad: of a sensor that does not stand upright, as at the sea floor, and the angle.
    """

    resonance_chance: float = 0.3
    resonance_hz: Range = (0.5, 20.0)
    vertical_ratio: Range = (1.0, 2.5)
    damping: Range = (0.03, 0.4)
    amplification_db: Range = (0.0, 30.0)
    vertical_share: Range = (0.0, 0.8)
    tilt_chance: float = 0.05
    tilt_rad: Range = (0.02, 0.52)


def draw_amplification(
    key: Key[Array, ""], ranges: SiteRanges, frequency_hz: Float[Array, " frequency"]
) -> Complex[Array, "component frequency"]:
    """Causal response of the site on Z, N and E: 1 and a few damped oscillators."""
    keys = random.split(key, 6)
    there = happens(keys[0], ranges.resonance_chance, (NUM_RESONANCES,))
    level_db = uniform(keys[1], ranges.amplification_db, (NUM_RESONANCES,))
    centre_hz = log_uniform(keys[2], ranges.resonance_hz, (NUM_RESONANCES,))
    damping = log_uniform(keys[3], ranges.damping, (NUM_RESONANCES,))
    share = uniform(keys[4], ranges.vertical_share, (NUM_RESONANCES,))
    ratio = uniform(keys[5], ranges.vertical_ratio, (NUM_RESONANCES,))

    def response(of_direction: tuple[Array, Array]) -> Array:
        level_db, centre_hz = of_direction
        height = there * (10 ** (level_db / 20) - 1)
        relative = frequency_hz / centre_hz[:, None]
        band = 2j * damping[:, None] * relative
        return 1 + (height[:, None] * band / (1 - relative**2 + band)).sum(0)

    # In a loop, because XLA would compute responses again for each component if they were in one piece with their use.
    both = jnp.stack([share * level_db, level_db]), jnp.stack([ratio * centre_hz, centre_hz])
    vertical, horizontal = jax.lax.map(response, both)
    return jnp.stack([vertical, horizontal, horizontal])


def draw_tilt(key: Key[Array, ""], ranges: SiteRanges) -> Float[Array, "component component"]:
    """Rotation of Z, N, E by a small angle about a horizontal axis, or none."""
    there, angle, about = random.split(key, 3)
    tilt = jnp.where(happens(there, ranges.tilt_chance), uniform(angle, ranges.tilt_rad), 0.0)
    azimuth = random.uniform(about, maxval=2 * jnp.pi)
    axis = tilt * jnp.stack([jnp.zeros(()), jnp.cos(azimuth), jnp.sin(azimuth)])
    turning = jnp.cross(jnp.eye(3), axis)
    return jax.scipy.linalg.expm(turning)
