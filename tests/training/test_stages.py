"""Stages one after the other: where each starts, what its prior is centred on, what has no effect."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc import prng
from jaxloc.models.model import Model, as_labelled
from jaxloc.training import stages
from jaxloc.types import Method, Weights


def configured(steps, prior_from, members=2):
    named = {f"stage_{i}": {"steps": number} for i, number in enumerate(steps)}
    return {"seed": 0, "posterior": {"members": members, "prior_from": prior_from}, "stages": named}


def sampling(state):
    """A method whose draws are its state, one more for each member."""
    sample = lambda key, state, n: Weights({"w": state + jnp.arange(n, dtype=jnp.float32)})
    return Method(init=None, update=None, sample=sample), jnp.float32(state)


@pytest.mark.parametrize(
    ("steps", "prior_from", "seen"),
    [
        ((3, 3, 3), "stage_0", [(0, None), (10, 10), (20, 10)]),
        ((3, 3, 3), "stage_1", [(0, None), (10, None), (20, 20)]),
        ((3, 0, 3), "stage_0", [(0, None), (10, 10)]),
        ((3, 3), None, [(0, None), (10, None)]),
    ],
)
def test_each_stage_starts_where_the_one_before_ended(steps, prior_from, seen):
    found = []

    def fit_one(number, name, settings, params, prior):
        assert settings["steps"] == 3
        found.append((float(params["w"][0]), None if prior is None else float(prior["w"])))
        return sampling(10.0 * len(found))

    _, state = stages.through(configured(steps, prior_from), {"w": jnp.zeros(2)}, fit_one)
    assert found == seen
    assert state == 10.0 * len(seen)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: stages.through(configured((0, 0), None), {}, None),
            r"stages\.NAME\.steps must be positive",
        ),
        (
            lambda: prng.stream("luck", 0),
            "no such stream of random numbers: 'luck'; use one of initial parameters",
        ),
    ],
)
def test_stages_without_steps_and_unknown_streams_are_refused(action, message):
    with pytest.raises(ValueError, match=message):
        action()


class Anything(NamedTuple):
    """Stands for a head."""

    weights: tuple[float, float] = (1.0, 1.0)


ONE_HEAD = Anything()
WEIGHTED = Model(None, ONE_HEAD, None, prepare=lambda *a: (None, as_labelled), weighted=lambda *weights: ONE_HEAD)
FIXED = Model(None, ONE_HEAD, None)
SETTINGS = {"arrival_weight": 1.0, "hypocentre_weight": 1.0, "relabel": False}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arrival_weight": 0.3}, r"stages\.learn\.arrival_weight=0\.3 has no effect"),
        ({"hypocentre_weight": 0.0}, r"stages\.learn\.hypocentre_weight=0\.0 has no effect"),
        ({"relabel": True}, r"stages\.learn\.relabel=true has no effect"),
    ],
)
def test_settings_that_a_model_takes_no_account_of_are_refused(change, says):
    stages._check_effect(WEIGHTED, "learn", SETTINGS | change)
    stages._check_effect(FIXED, "learn", SETTINGS)
    with pytest.raises(ValueError, match=says):
        stages._check_effect(FIXED, "learn", SETTINGS | change)


def test_streams_of_random_numbers_are_named():
    np.testing.assert_array_equal(
        jax.random.key_data(prng.stream("scores", 0)), jax.random.key_data(jax.random.key(20))
    )
