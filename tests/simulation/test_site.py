"""Amplification and tilt of a station against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from jaxloc.simulation.site import SiteRanges, draw_amplification, draw_tilt
from jaxloc.simulation.surface_waves import SurfaceRanges, draw_surface_waves

FREQUENCY_HZ = jnp.fft.rfftfreq(3840, 0.02)


def test_horizontals_are_amplified_as_much_as_wanted_at_a_resonance():
    """Oscillators that coincide add up: five of 20 dB are 1 + 5 x 9."""
    ranges = SiteRanges(
        resonance_chance=1.0, resonance_hz=(5.0, 5.0 + 1e-4), damping=(0.05, 0.05001), amplification_db=(20.0, 20.001)
    )
    response = draw_amplification(random.key(0), ranges, FREQUENCY_HZ)
    np.testing.assert_allclose(jnp.abs(response[1]).max(), 1 + 5 * 9, rtol=0.02)
    assert abs(float(FREQUENCY_HZ[jnp.abs(response[1]).argmax()]) - 5.0) < 0.05
    np.testing.assert_allclose(response[:, 0], 1.0, atol=1e-5)


def test_amplification_is_causal():
    ranges = SiteRanges(resonance_chance=1.0)
    band = jnp.cos(jnp.pi * FREQUENCY_HZ / 50.0) ** 2
    responses = jax.vmap(lambda key: draw_amplification(key, ranges, FREQUENCY_HZ))(random.split(random.key(1), 20))
    pulses = np.fft.irfft(np.asarray(responses * band), 3840)
    before = np.abs(pulses[..., 1920:-5]).max(-1)
    assert (before < 0.03 * np.abs(pulses).max(-1)).all()


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_tilt_is_a_rotation_by_an_angle_within_the_range(chance):
    ranges = SiteRanges(tilt_chance=chance)
    turned = jax.vmap(lambda key: draw_tilt(key, ranges))(random.split(random.key(2), 200))
    np.testing.assert_allclose(turned @ jnp.swapaxes(turned, 1, 2), np.broadcast_to(np.eye(3), (200, 3, 3)), atol=1e-5)
    angle = np.arccos(np.clip(turned[:, 0, 0], -1, 1))
    low, high = ranges.tilt_rad if chance else (0.0, 0.0)
    assert (angle > low - 1e-3).all()
    assert (angle < high + 1e-3).all()


def test_surface_waves_arrive_with_the_group_velocity_of_their_frequency():
    """The long periods travel at the fast speed: 100 km at 3 km/s after an origin at 10 s."""
    ranges = SurfaceRanges(
        fast_km_s=(3.0, 3.0001), slow_km_s=(0.5, 0.5001), turn_hz=(2.0, 2.0001), quality=(1e4, 1.01e4),
        love=(1.0, 1.0001),
    )  # fmt: skip
    spectrum = draw_surface_waves(
        random.key(3), ranges, jnp.asarray(100.0), jnp.asarray(0.1), jnp.asarray(0.0), FREQUENCY_HZ, jnp.asarray(10.0),
        76.8,
    )  # fmt: skip
    for centre_hz in (0.3, 2.0):
        band = jnp.exp(-0.5 * ((FREQUENCY_HZ - centre_hz) / 0.1) ** 2)
        trace = np.fft.irfft(np.asarray(spectrum[0] * band), 3840)
        energy = trace**2
        arrival_s = (np.arange(3840) * 0.02 * energy).sum() / energy.sum()
        squared = (centre_hz / 2.0) ** 2
        expected_s = 10 + 100 * (1 + squared) / (3 * (1 + 0.5 * squared))
        assert abs(arrival_s - expected_s) < 1.0
