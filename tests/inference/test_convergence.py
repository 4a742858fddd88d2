"""Variational posteriors run until they have converged, and one that has not says so."""

from functools import lru_cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
from linear_regression import DIM, EVENTS, analytic, batch, fit, linear, start
from marks import slow_if

from jaxloc import inference
from jaxloc.inference import convergence
from jaxloc.inference.convergence import CRITERION
from jaxloc.networks.flax_adapter import applied, initialised
from jaxloc.training import weight_posterior
from jaxloc.types import Weights

DRAWS, ROWS = 400, 40


class Small(nn.Module):
    """A network of 31 weights."""

    @nn.compact
    def __call__(self, x):
        """One number of one."""
        return nn.Dense(1)(nn.tanh(nn.Dense(10)(x)))[0]


def regression():
    """A target over the small network, its first parameters, its rows, and inputs in a gap and outside of the data."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(-2, -0.8, ROWS // 2), rng.uniform(0.8, 2, ROWS // 2)])[:, None].astype(np.float32)
    rows = jnp.asarray(x), jnp.asarray(np.sin(2 * x[:, 0]) + 0.2 * rng.normal(size=ROWS), jnp.float32)
    params = initialised(Small(), jax.random.key(0), rows[0][0])
    of_row = lambda weights, row: dist.Normal(applied(Small(), weights, row[0]), 0.2).log_prob(row[1])
    centre, scale = inference.prior_mean(params), inference.prior_scale(params)
    target = inference.with_normal_prior(inference.by_event(of_row), centre, scale, ROWS)
    return target, params, rows, jnp.array([[-1.4], [0.0], [1.4], [3.0]])


@lru_cache
def predicted(problem, steps):
    """Predictions [draw, input] of mean field after a stage of so many steps, and its diagnosis."""
    if problem == "linear":
        target, params, events, inputs = linear(), start(), batch(), jnp.eye(DIM)
        predict = lambda params: inputs @ params["kernel"]
    else:
        target, params, events, inputs = regression()
        predict = lambda params: jax.vmap(lambda x: applied(Small(), Weights(params), x))(inputs)
    method = inference.mean_field(target, optax.adam(0.03), steps=steps)
    state, _ = fit(method, params, steps, events)
    draws = jax.jit(method.sample, static_argnums=2)(jax.random.key(steps), state, DRAWS).params
    return np.asarray(jax.lax.map(predict, draws)), method.diagnose(state), state


@pytest.mark.parametrize(("problem", "steps"), slow_if([("network", 6000)], [("linear", 2000), ("network", 6000)]))
def test_a_longer_run_predicts_the_same(problem, steps):
    """Means within four Monte Carlo errors and a tenth of an sd; sds, known within 5 per cent each, within a fifth."""
    one, found, _ = predicted(problem, steps)
    other, longer, _ = predicted(problem, 2 * steps)
    assert found.converged
    assert longer.converged
    error = np.sqrt((one.var(0) + other.var(0)) / DRAWS)
    assert (np.abs(one.mean(0) - other.mean(0)) < 4 * error + 0.1 * other.std(0)).all()
    np.testing.assert_allclose(one.std(0), other.std(0), rtol=0.2)


def test_weights_have_standard_deviations_of_their_own():
    """Of a network some weights are determined by data and others are not; at the start all have the prior's."""
    _, found, state = predicted("network", 6000)
    sd = np.exp(np.asarray(state.fitted["log_sd"]))
    assert np.std(np.log(sd)) > 0.3
    assert sd.max() > 0.5
    assert sd.min() < 0.3
    width = found.figures["sigma_over_prior"]
    np.testing.assert_allclose(
        [width["p05"], width["median"], width["p95"]], np.quantile(sd, [0.05, 0.5, 0.95]), rtol=1e-4
    )


@pytest.mark.parametrize(
    "family", [inference.mean_field, partial(inference.low_rank, rank=2), inference.full_covariance]
)
def test_a_stage_that_is_too_short_is_reported(family):
    """From a fiftieth of the prior's width twenty steps change little."""
    method = inference.ensemble(family(linear(), optax.adam(0.03), steps=20, initial_scale=0.02), 1)
    state, _ = fit(method, jax.tree.map(lambda x: x[None], start()), 20)
    found = method.diagnose(state)
    assert not found.converged.any()
    record = weight_posterior.described(method, state, np.array([-300.0, -280.0]))
    assert record["converged"] is False
    assert record["criterion"] == CRITERION
    assert record["elbo_minus_prior_elbo"] == {"value": -290.0, "standard_error": 10.0}
    line = weight_posterior.line(record)
    assert "NOT CONVERGED after 20 steps" in line
    assert "-290.0 nats an event against the prior's" in line
    assert "\n" not in line


def test_the_gradient_of_log_sd_is_one_less_variance_times_precision():
    """At the mode, with scales that stay: the mean over weights, within four standard errors of the last window."""
    mean, precision, _ = analytic()
    for width in (0.02, 0.5):
        method = inference.mean_field(
            linear(), optax.sgd(0.0), steps=2000, initial_scale=width, scale_rate=1e-9, temperature=2.0
        )
        state, _ = fit(method, {"kernel": jnp.asarray(mean, jnp.float32)}, 2000)
        found = method.diagnose(state).figures["gradient_of_log_sd"]
        scale = np.asarray(linear().prior_scale["kernel"])
        tempered = (np.diag(precision) - 1 / scale**2) / 2 + 1 / scale**2
        want = (1 - (width * scale) ** 2 * tempered).mean()
        assert found["mean"] == pytest.approx(want, abs=4 * float(found["standard_error"]) + 1e-3)


def test_the_prior_as_a_state_has_its_losses():
    """No divergence, and the expected loss under the prior by 4,000 draws, within four standard errors."""
    method = inference.mean_field(linear(), optax.adam(0.03), steps=40)
    state, _ = fit(method, start(), 40)
    prior, update = method.at_prior(state), jax.jit(method.update)
    losses = jax.lax.map(lambda key: update(key, prior, batch())[1], jax.random.split(jax.random.key(0), 4000))
    np.testing.assert_allclose(losses.divergence, 0, atol=1e-6)
    draws = jax.random.normal(jax.random.key(1), (4000, DIM)) * linear().prior_scale["kernel"]
    each = jax.vmap(lambda w: -linear().log_likelihood(Weights({"kernel": w}), batch()).mean())(draws)
    error = np.sqrt((each.var() + losses.loss.var()) / 4000)
    assert abs(each.mean() - losses.loss.mean()) < 4 * error


def test_a_stage_ends_where_it_has_converged_and_updates_change_nothing_after_that():
    steps = 2000
    method = inference.full_covariance(linear(), optax.adam(0.03), steps=steps)
    state, _ = fit(method, start(), steps)
    assert method.finished(state)
    assert int(state.progress.decay) < convergence.plan_of(steps).latest
    after, _ = jax.jit(method.update)(jax.random.key(7), state, batch())
    for one, other in zip(jax.tree.leaves(state.fitted), jax.tree.leaves(after.fitted), strict=True):
        np.testing.assert_array_equal(one, other)


def test_plans_fill_their_steps():
    for steps in (1, 3, 10, 57, 1000):
        plan = convergence.plan_of(steps)
        begun = convergence.begun(plan, 2)
        assert plan.first <= plan.latest
        assert plan.latest + convergence.DECAY * plan.window <= max(steps, convergence.DECAY * plan.window)
        assert not convergence.finished(plan, begun)
        assert not convergence.converged(begun)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        convergence.plan_of(0)


def test_moments_are_those_of_all_values():
    values = np.random.default_rng(0).normal(3.0, 2.0, (50, 2)).astype(np.float32)
    found = convergence.no_moments((2,))
    for value in values:
        found = found.with_one(value)
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.variance, values.var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(found.error, values.std(0, ddof=1) / np.sqrt(50), rtol=1e-5)


def test_scales_start_from_what_gradients_imply():
    """The Fisher information of 40 events at the mode, by batches of eight: conditional widths within a third."""
    mean, precision, _ = analytic()
    steps = 1000
    method = inference.mean_field(linear(), optax.sgd(0.0), steps=steps)
    state = method.init(jax.random.key(0), {"kernel": jnp.asarray(mean, jnp.float32)})

    @jax.jit
    def run(state):
        def step(state, key):
            index = jax.random.choice(key, EVENTS, (8,))
            return method.update(key, state, jax.tree.map(lambda x: x[index], batch()))[0], None

        return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), steps // 10))[0]

    scale = np.asarray(linear().prior_scale["kernel"])
    found = np.exp(np.asarray(run(state).fitted["log_sd"])) * scale
    np.testing.assert_allclose(np.log(found * np.sqrt(np.diag(precision))), 0, atol=0.33)
