"""A batch that goes through in parts: the same numbers as at once, whatever is wrapped around it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_regression import DIM, batch, linear, start, two_arrays

from jaxloc import inference
from jaxloc.inference.microbatching import size_of, total_log_likelihood
from jaxloc.types import Variation, Weights

METHODS = {
    "point": inference.point,
    "mean_field": partial(inference.mean_field, steps=40),
    "flipout": partial(inference.mean_field, steps=40, estimator="flipout"),
    "subspace": lambda target, optimizer: inference.subspace(
        target, lambda name: name == "rest", lambda part: inference.mean_field(part, optimizer, steps=40)
    ),
}


@pytest.mark.parametrize("at_once", [1, 7, 10, 1000])
def test_total_and_slope_are_those_of_the_whole(at_once):
    """Weighted by an arbitrary factor; numbers that do not share the batch out are lowered to one that does."""
    weights = Weights(start())
    target = linear()._replace(at_once=at_once)
    whole = lambda w: 0.3 * linear().log_likelihood(w, batch()).sum()
    parts = lambda w: 0.3 * total_log_likelihood(target, w, batch())
    for got, want in zip(*(jax.value_and_grad(f)(weights) for f in (parts, whole)), strict=True):
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_an_update_is_that_of_the_whole_batch(name):
    """Also of an ensemble, whose members' fixed weights the likelihood closes over."""
    states = []
    params = {"first": jnp.array([[0.2], [0.3]]), "rest": jnp.ones((2, DIM - 1))}
    for at_once in (None, 5):
        method = inference.ensemble(METHODS[name](two_arrays()._replace(at_once=at_once), optax.sgd(0.01)), 2)
        state = method.init(jax.random.key(0), params)
        states.append(jax.jit(method.update)(jax.random.key(1), state, batch()))
    for one, other in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_events_of_different_parts_vary_apart():
    """Each part has a key of its own: four events that draw alone are four different ones."""

    def draw(weights, events):
        keys = jax.vmap(lambda i: jax.random.fold_in(weights.variation.key, i))(jnp.arange(len(events)))
        return jax.vmap(lambda key, event: jax.random.normal(key) * event * weights.params)(keys, events)

    events = jnp.array([1.0, 10.0, 100.0, 1000.0])
    target = linear()._replace(log_likelihood=draw, at_once=1)
    weights = Weights(jnp.ones(()), None, Variation(jax.random.key(5), jnp.zeros(())))
    total = lambda free: total_log_likelihood(target, weights._replace(params=free), events)
    value, slope = jax.value_and_grad(total)(jnp.ones(()))
    np.testing.assert_allclose(value, slope, rtol=1e-5)
    keys = [jax.random.fold_in(jax.random.fold_in(jax.random.key(5), part), 0) for part in range(4)]
    np.testing.assert_allclose(value, sum(jax.random.normal(key) * x for key, x in zip(keys, events, strict=True)))
    assert size_of(events) == 4
