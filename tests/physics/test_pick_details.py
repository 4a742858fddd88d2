"""Picks read from arrival densities that are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.arrival_likelihood import Arrivals
from jaxloc.physics.readings import pick_details

RATE_HZ, SAMPLES = 50.0, 600


def density(time_s: float, sd_s: float, probability: float) -> np.ndarray:
    """A normal density over samples, and what is left for no arrival."""
    at = np.exp(-0.5 * ((np.arange(SAMPLES) / RATE_HZ - time_s) / sd_s) ** 2)
    return np.log(np.append(probability * at / at.sum(), 1 - probability) + 1e-30)


@pytest.mark.parametrize(("time_s", "sd_s", "probability"), [(3.0, 0.05, 0.95), (7.31, 0.1, 0.7), (5.0, 0.08, 0.4)])
def test_time_width_and_probability_are_those_of_the_density(time_s: float, sd_s: float, probability: float) -> None:
    """Half a window is four to eight standard deviations: nothing of the density is outside."""
    log_mass = jnp.asarray(np.broadcast_to(density(time_s, sd_s, probability), (2, 2, SAMPLES + 1)))
    arrivals = Arrivals(log_mass, jnp.asarray(RATE_HZ), jnp.array([1.0, 0.0]), None)
    found = pick_details(arrivals)
    np.testing.assert_allclose(found.time_s, time_s, atol=1e-3)
    np.testing.assert_allclose(found.sigma_s, np.hypot(sd_s, 1 / RATE_HZ / np.sqrt(12)), rtol=0.01)
    np.testing.assert_allclose(found.probability, probability, atol=1e-3)
    np.testing.assert_array_equal(found.sure, [[probability > 0.6] * 2, [False] * 2])
