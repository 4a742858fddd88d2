"""The wrapper from one event to batches: chunks, padding, keys."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.locators.neural import with_weights
from jaxloc.locators.over_events import over_events
from jaxloc.types import Posterior, Weights

ZERO = jnp.zeros((4, 4))


def at(place):
    return Posterior(gaussian_mixture(jnp.zeros(1), place[None], jnp.eye(4)[None]), ZERO, jnp.eye(4))


def by_chance(key, observations):
    """The first station's position and a random number."""
    return at(jnp.append(observations.station_km[0], jax.random.normal(key)))


def by_weights(weights, observations):
    return at(jnp.append(observations.station_km[0], weights.params.mean()))


@pytest.mark.parametrize("chunk", [1, 2, 3, 8])
def test_each_event_has_its_own_key_whatever_the_chunk(chunk):
    number, key, done = 5, jax.random.key(3), []
    seen = cases.batch(number).observations
    seen = seen._replace(station_km=seen.station_km + jnp.arange(number)[:, None, None])
    found = over_events(by_chance, chunk=chunk, on_event=done.append)(key, seen).hypocentre.mean
    expected = jax.vmap(jax.random.normal)(jax.random.split(key, number))
    np.testing.assert_allclose(found[:, 3], expected, rtol=1e-6)
    np.testing.assert_allclose(found[:, :3], seen.station_km[:, 0], rtol=1e-6)
    assert done == [min(i, number) for i in range(chunk, number + chunk, chunk)]


@pytest.mark.parametrize("chunk", [2, 3])
def test_weights_are_sampled_once_a_call_for_all_events(chunk):
    sampled = []

    def sample(key):
        sampled.append(key)
        return Weights(quick_jit(lambda k: jax.random.normal(k, (4,)))(key))

    seen = cases.batch(5).observations
    found = with_weights(by_weights, sample, chunk=chunk)(jax.random.key(2), seen).hypocentre.mean[:, 3]
    assert len(sampled) == 1
    np.testing.assert_allclose(found, jax.random.normal(jax.random.key(2), (4,)).mean(), rtol=1e-5)


def test_a_function_of_one_event_is_compiled_once():
    traces = []

    def locate(key, observations):
        traces.append(1)
        return by_chance(key, observations)

    locator = over_events(locate, chunk=2)
    for number in (1, 2, 5):
        locator(jax.random.key(0), cases.batch(number).observations)
    assert len(traces) == 1


@pytest.mark.parametrize(
    "locator",
    [over_events(by_chance), with_weights(by_weights, lambda key: Weights(jnp.zeros(1)))],
    ids=["chance", "weights"],
)
def test_no_event_is_refused(locator):
    with pytest.raises(ValueError, match="no event to locate; observations must"):
        locator(jax.random.key(0), jax.tree.map(lambda x: x[:0], cases.batch().observations))
