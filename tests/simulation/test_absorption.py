"""Causality of absorption, and its known limits."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.simulation.absorption import absorption, minimum_phase

RATE_HZ, LENGTH = 50.0, 3840
FREQUENCY_HZ = jnp.fft.rfftfreq(LENGTH, 1 / RATE_HZ)


def test_minimum_phase_of_a_recursive_filter_is_its_own():
    """1 / (1 - 0.9 z^-1) has its pole inside the unit circle."""
    response = 1 / (1 - 0.9 * np.exp(-2j * np.pi * np.arange(513) / 1024))
    phase = minimum_phase(jnp.log(jnp.abs(response)))
    np.testing.assert_allclose(phase, np.angle(response), atol=1e-4)


@pytest.mark.parametrize("power", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("star_s", [0.01, 0.15])
def test_nothing_precedes_an_absorbed_pulse(power, star_s):
    response = absorption(FREQUENCY_HZ, jnp.asarray(star_s), jnp.asarray(power), jnp.asarray(0.02))
    assert np.abs(response).max() <= 1 + 1e-6
    velocity = 1j * FREQUENCY_HZ / (1 + 1j * FREQUENCY_HZ / 2.0) ** 2 * jnp.cos(jnp.pi * FREQUENCY_HZ / RATE_HZ) ** 2
    pulse = np.fft.irfft(np.asarray(response * velocity), LENGTH)
    before, after = pulse[LENGTH // 2 : -2], pulse[: LENGTH // 2]
    assert (before**2).sum() < 1e-4 * (after**2).sum()
    assert np.abs(before).max() < 0.01 * np.abs(after).max()
