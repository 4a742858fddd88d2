"""Convergence of samplers and of Laplace's approximation, on chains and regressions whose answer is known."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_regression import analytic, fit, linear, start

from jaxloc import inference
from jaxloc.inference.mixing import diagnosis_of
from jaxloc.inference.sample_buffer import Kept
from jaxloc.training import weight_posterior

DRAWS, WEIGHTS = 400, 50


def chain(memory, seed=0):
    """Standard normal chains of a first-order autoregression [draw, weight], started in equilibrium."""
    rng = np.random.default_rng(seed)
    at = [rng.normal(size=WEIGHTS)]
    for _ in range(DRAWS - 1):
        at.append(memory * at[-1] + np.sqrt(1 - memory**2) * rng.normal(size=WEIGHTS))
    return np.array(at, np.float32)


def kept(draws, number=None):
    return Kept(jnp.asarray(draws), jnp.asarray(len(draws) if number is None else number))


@pytest.mark.parametrize(("memory", "converged"), [(0.0, True), (0.5, True), (0.999, False)])
def test_chains_that_forget_have_converged(memory, converged):
    """n draws of memory a count as n (1 - a) / (1 + a); the 5th percentile of 50 estimates within a factor of 2."""
    found = diagnosis_of(kept(chain(memory)))
    assert bool(found.converged) is converged
    if converged:
        exact = DRAWS * (1 - memory) / (1 + memory)
        assert exact / 2 < float(found.figures["ess_p05"]) < 1.2 * exact


def test_a_chain_that_drifts_has_not_converged():
    """Halves that are two standard deviations apart: the variance of all is twice that within, R-hat about 1.7."""
    draws = chain(0.0)
    draws[DRAWS // 2 :] += 2.0
    found = diagnosis_of(kept(draws))
    assert not found.converged
    assert float(found.figures["r_hat_p95"]) == pytest.approx(np.sqrt(3.0), rel=0.15)


def test_a_full_buffer_is_read_from_its_oldest_draw():
    """The same draws, stored in turn over the oldest ones."""
    draws, written = chain(0.9), DRAWS + 37
    turned = np.roll(draws, written % DRAWS, axis=0)
    one, other = diagnosis_of(kept(draws)), diagnosis_of(kept(turned, written))
    assert {k: float(v) for k, v in one.figures.items()} == {k: float(v) for k, v in other.figures.items()}


@pytest.mark.parametrize("draws", [np.zeros((3, WEIGHTS)), np.ones((DRAWS, WEIGHTS))], ids=["few", "still"])
def test_no_statement_is_made_of_too_few_draws_or_of_a_chain_that_stands_still(draws):
    method = inference.sgld(linear(), steps=40)
    found = diagnosis_of(kept(draws.astype(np.float32)))
    record = weight_posterior.described(method._replace(diagnose=lambda state: found), None, None)
    assert record["converged"] is False
    assert record["r_hat_p95"] is None
    assert "NOT CONVERGED" in weight_posterior.line(record)


@pytest.mark.parametrize(("name", "enough"), [("nuts", 2000), ("sghmc", 20_000)])
def test_samplers_report_whether_their_draws_have_mixed(name, enough):
    """After enough steps for a regression of three weights; after 40 there are too few independent draws."""
    for steps, converged in ((enough, True), (40, False)):
        options = {"start": steps // 4} if name == "nuts" else {"steps": steps, "exploration": 0.0}
        method = getattr(inference, name)(linear(), **options)
        state, _ = fit(method, start(), steps)
        assert bool(method.diagnose(state).converged) is converged, method.diagnose(state)


@pytest.mark.parametrize("diagonal", [False, True])
def test_laplace_tells_how_far_its_mode_is(diagonal):
    """At the mode no distance; without a step towards it, that of the exact mode in posterior standard deviations."""
    method = inference.laplace(linear(), optax.adam(0.03), start=1500, diagonal=diagonal)
    state, _ = fit(method, start(), 1600)
    assert method.diagnose(state).converged
    still = inference.laplace(linear(), optax.sgd(0.0), start=0, diagonal=diagonal)
    state, _ = fit(still, start(), 100)
    found = still.diagnose(state)
    assert not found.converged
    if not diagonal:
        mean, precision, _ = analytic()
        away = mean - np.asarray(start()["kernel"], float)
        expected = np.sqrt(away @ precision @ away / len(away))
        assert float(found.figures["mode_is_away_sd"]) == pytest.approx(expected, rel=1e-3)
