"""What may be set of the evidence lower bound, on a linear-Gaussian regression whose evidence is known exactly."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_regression import DIM, EVENTS, NOISE, PRIOR, data, fit, linear, start, two_arrays
from scipy.optimize import minimize_scalar

from jaxloc import inference
from jaxloc.inference.elbo import learnt_prior_scale
from jaxloc.inference.target import with_normal_prior
from jaxloc.types import NETWORK

STEPS = 4000


def log_evidence(scale):
    """Of weights with prior standard deviations `scale`."""
    x, y = data()
    cov = NOISE**2 * np.eye(EVENTS) + x @ np.diag(np.broadcast_to(scale, DIM) ** 2) @ x.T
    return -0.5 * (y @ np.linalg.solve(cov, y) + np.linalg.slogdet(cov)[1] + EVENTS * np.log(2 * np.pi))


@pytest.mark.parametrize("family", [inference.full_covariance, partial(inference.low_rank, rank=DIM)])
def test_the_learnt_prior_is_that_of_the_highest_evidence(family):
    """These families hold the posterior, so that the bound over the prior's width is the evidence itself.

    From 0.2 to 0.90 where it is highest, but for the noise of the last steps: 0.03 of its logarithm.
    """
    best = np.exp(minimize_scalar(lambda log: -log_evidence(np.exp(log)), bounds=(-3, 3), method="bounded").x)
    one = linear()
    narrow = with_normal_prior(one.log_likelihood, one.prior_mean, {"kernel": jnp.full(DIM, 0.2)}, EVENTS)
    state, info = fit(family(narrow, optax.adam(0.03), steps=STEPS, learn_prior=True), start(), STEPS)
    scale = np.asarray(learnt_prior_scale(narrow, state)["kernel"])
    np.testing.assert_allclose(np.log(scale / best), 0, atol=0.03)
    losses = np.asarray(info.loss, float)[-1000:] * EVENTS
    assert losses.mean() == pytest.approx(-log_evidence(best), abs=4 * losses.std() / np.sqrt(1000) + 0.05)


def test_each_array_has_a_prior_of_its_own():
    """Against the highest evidence on a grid of both widths."""
    middle = {"first": np.zeros(1, np.float32), "rest": np.zeros(DIM - 1, np.float32)}
    method = inference.full_covariance(two_arrays(), optax.adam(0.03), steps=STEPS, learn_prior=True)
    state, _ = fit(method, middle, STEPS)
    found = learnt_prior_scale(two_arrays(), state)
    joint = lambda logs: -log_evidence(np.exp(logs)[[0, 1, 1]])
    grid = np.linspace(-1.5, 1, 51)
    one, other = np.unravel_index(np.argmin([[joint(np.array([a, b])) for b in grid] for a in grid]), (51, 51))
    # Half a step of the grid, and the noise of the last steps.
    assert np.log(found["first"][0]) == pytest.approx(grid[one], abs=0.025 + 0.05)
    assert np.log(found["rest"][1]) == pytest.approx(grid[other], abs=0.025 + 0.05)
    assert found["rest"][0] == found["rest"][1]


def test_physics_keeps_its_prior():
    one = linear()
    params = {"kernel": one.prior_mean["kernel"], "physics": {"kernel": one.prior_mean["kernel"]}}
    scale = jax.tree.map(lambda x: x + PRIOR, params)
    likelihood = lambda weights, events: one.log_likelihood(weights._replace(params=weights.params["physics"]), events)
    aim = with_normal_prior(likelihood, params, scale, EVENTS, {"kernel": NETWORK, "physics": {"kernel": "physics"}})
    state, _ = fit(inference.mean_field(aim, optax.adam(0.05), steps=50, learn_prior=True), params, 50)
    found = learnt_prior_scale(aim, state)
    np.testing.assert_allclose(found["physics"]["kernel"], PRIOR, rtol=1e-6)
    # Nothing is known of the other: the prior goes where its posterior is, which is narrow at first.
    assert (found["kernel"] < 0.9 * PRIOR).all()


def test_the_divergence_counts_for_less_at_first():
    """With as good as no weight, the first steps fit the data alone; the end is the same."""
    annealed, plain = (
        fit(inference.mean_field(linear(), optax.adam(0.03), steps=STEPS, warm_up=steps), start(), STEPS)[1]
        for steps in (STEPS // 2, 0)
    )
    np.testing.assert_allclose(annealed.loss, annealed.negative_log_likelihood + annealed.divergence, rtol=1e-5)
    late = slice(-1000, None)
    error = np.asarray(annealed.loss, float)[late].std() / np.sqrt(1000)
    assert annealed.loss[late].mean() == pytest.approx(float(plain.loss[late].mean()), abs=8 * error)
    # At a quarter of the warm-up the divergence weighs a quarter: the posterior goes further from the prior.
    early = slice(400, 600)
    assert annealed.divergence[early].mean() > plain.divergence[early].mean() + 0.02


def test_losses_of_the_warm_up_contain_the_whole_divergence():
    """The first step starts from one state, with it or without: it tells the same."""
    (_, one), (_, other) = (
        fit(inference.mean_field(linear(), optax.adam(0.01), steps=40, warm_up=steps), start(), 1) for steps in (0, 10)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def prior_that_was_not_learnt():
    method = inference.mean_field(linear(), optax.adam(0.01), steps=40)
    return learnt_prior_scale(linear(), method.init(jax.random.key(0), start()))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (prior_that_was_not_learnt, "use learn_prior=true to fit its scale"),
        (lambda: inference.mean_field(linear(), optax.adam(0.01), steps=40, warm_up=-1), "at least 0, got -1"),
    ],
)
def test_unlearnt_priors_and_negative_warm_ups_are_refused(action, message):
    with pytest.raises(ValueError, match=message):
        action()
