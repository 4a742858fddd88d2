import jax.numpy as jnp
import numpy as np
from jax import random
from numpyro.distributions import MultivariateNormal

from jaxloc.types import Posterior

COMMON_KM, OWN_KM, DRAWS = 3.0, 0.1, 4000


def _posterior(jointly):
    total = jnp.broadcast_to(jnp.eye(4) * (COMMON_KM**2 + OWN_KM**2), (3, 4, 4))
    mean = jnp.arange(12.0).reshape(3, 4)
    return Posterior(MultivariateNormal(mean, total), jnp.zeros_like(total), total, {}, jointly)


def test_what_events_have_in_common_cancels_in_their_difference():
    common, own = random.split(random.key(0))
    draws = COMMON_KM * random.normal(common, (1, DRAWS, 4)) + OWN_KM * random.normal(own, (3, DRAWS, 4))
    difference = _posterior(draws).difference(jnp.array([0, 2]), jnp.array([1, 0]))
    np.testing.assert_array_equal(difference.mean, [[-4.0] * 4, [8.0] * 4])
    # A standard deviation of DRAWS draws has a relative standard error of 0.011; five of them.
    np.testing.assert_allclose(jnp.sqrt(difference.variance), 2**0.5 * OWN_KM, rtol=0.06)


def test_events_located_one_by_one_are_independent():
    difference = _posterior(None).difference(jnp.array([0]), jnp.array([1]))
    np.testing.assert_allclose(difference.variance, 2 * (COMMON_KM**2 + OWN_KM**2))
