"""Weight posteriors with correlations, on a linear-Gaussian regression whose posterior is known exactly."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import observations, quick_jit
from linear_regression import DIM, EVENTS, NOISE, PRIOR, analytic, batch, data, falling, fit, linear, start, two_arrays

from jaxloc import inference
from jaxloc.inference.laplace import best_width, log_evidence
from jaxloc.inference.target import with_normal_prior
from jaxloc.networks import kriegerowski2019
from jaxloc.types import Target

DRAWS = 40000


def draws_of(method, steps, number=DRAWS):
    state, _ = fit(method, start(), steps)
    return np.asarray(jax.jit(method.sample, static_argnums=2)(jax.random.key(2), state, number).params["kernel"])


def assert_is_the_posterior(draws, mean, covariance, of_mean=0.1, of_covariance=0.1):
    """In units of the posterior's own ellipsoid, where the mean is zero and the covariance one."""
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    white = (draws - mean) @ whiten.T
    np.testing.assert_allclose(white.mean(0), 0, atol=of_mean)
    np.testing.assert_allclose(np.cov(white.T), np.eye(DIM), atol=of_covariance)


@pytest.mark.parametrize("family", [inference.full_covariance, partial(inference.low_rank, rank=DIM)])
def test_families_with_correlations_reach_the_analytic_posterior(family):
    """The best multivariate normal is the posterior. Noise of the last steps: a tenth of a standard deviation."""
    mean, precision, _ = analytic()
    assert_is_the_posterior(
        draws_of(family(linear(), optax.adam(0.03), steps=4000), 4000), mean, np.linalg.inv(precision)
    )


@pytest.mark.parametrize("family", [inference.full_covariance, inference.low_rank])
def test_the_bound_of_a_family_with_correlations_is_the_evidence(family):
    _, info = fit(family(linear(), optax.adam(0.03), steps=4000), start(), 4000)
    losses = np.asarray(info.loss, float)[-1000:] * EVENTS
    assert losses.mean() == pytest.approx(-analytic()[2], abs=4 * losses.std() / np.sqrt(len(losses)) + 0.05)


def test_laplace_is_exact_where_the_posterior_is_normal():
    """The Hessian of a quadratic is the same everywhere: four standard errors of 40,000 draws, 0.02."""
    mean, precision, evidence = analytic()
    method = inference.laplace(linear(), falling(400), start=400)
    assert_is_the_posterior(draws_of(method, 402), mean, np.linalg.inv(precision), 0.03, 0.03)
    state, info = fit(method, start(), 402)
    log_likelihood = -info.negative_log_likelihood[-1] * EVENTS
    assert log_evidence(linear(), state, log_likelihood) == pytest.approx(evidence, abs=0.01)


def evidence_of(scale):
    """The log-evidence of the regression, with prior standard deviations `scale`."""
    x, y = data()
    cov = NOISE**2 * np.eye(EVENTS) + scale**2 * x @ x.T
    return -0.5 * (y @ np.linalg.solve(cov, y) + np.linalg.slogdet(cov)[1] + EVENTS * np.log(2 * np.pi))


def test_laplace_finds_the_prior_of_the_highest_evidence():
    """From a prior four times too narrow: the best of widths two per cent apart, and the posterior under it."""
    x, y = data()
    narrow = with_normal_prior(linear().log_likelihood, linear().prior_mean, {"kernel": jnp.full(DIM, 0.2)}, EVENTS)
    method = inference.laplace(narrow, falling(400), start=400, learn_prior=True)
    state, info = fit(method, start(), 402)
    log_likelihood = -info.negative_log_likelihood[-1] * EVENTS
    for width in (0.5, 1.0, 3.0):
        assert log_evidence(narrow, state, log_likelihood, width) == pytest.approx(evidence_of(0.2 * width), abs=0.02)
    scales = np.exp(np.linspace(-3, 3, 3001))
    best = scales[np.argmax([evidence_of(scale) for scale in scales])]
    assert np.log(0.2 * best_width(narrow, state)) == pytest.approx(np.log(best), abs=0.02)
    precision = x.T @ x / NOISE**2 + np.eye(DIM) / best**2
    mean = np.linalg.solve(precision, x.T @ y / NOISE**2)
    draws = np.asarray(method.sample(jax.random.key(2), state, DRAWS).params["kernel"])
    assert_is_the_posterior(draws, mean, np.linalg.inv(precision), 0.03, 0.03)


def test_diagonal_laplace_has_the_diagonal_of_the_precision():
    """Hutchinson's estimate over 400 directions errs by a few per cent."""
    mean, precision, _ = analytic()
    draws = draws_of(inference.laplace(linear(), falling(400), start=400, diagonal=True), 800)
    sd = 1 / np.sqrt(np.diag(precision))
    np.testing.assert_allclose((draws.mean(0) - mean) / sd, 0, atol=0.03)
    np.testing.assert_allclose(draws.std(0) / sd, 1, atol=0.05)


def test_laplace_draws_the_mode_before_it_has_seen_curvature():
    method = inference.laplace(linear(), falling(50), start=100)
    assert np.ptp(draws_of(method, 50, 5), axis=0).max() == 0


def test_laplace_over_batches_averages_their_curvature():
    method = inference.laplace(linear(), optax.sgd(0.0), start=0)
    state = method.init(jax.random.key(0), start())
    for rows in (slice(0, 20), slice(20, 40)):
        half = jax.tree.map(lambda x, rows=rows: x[rows], batch())
        state, _ = method.update(jax.random.key(0), state, half)
    want = PRIOR**2 * data()[0].T @ data()[0] / NOISE**2
    np.testing.assert_allclose(state.curvature, want, rtol=1e-4, atol=1e-3)


def test_swag_has_the_moments_of_the_path_it_collected():
    """Half of the covariance of the path on the diagonal, half in full: exact, by steps taken by hand."""
    begin, steps = 300, 320
    method = inference.swag(linear(), optax.adam(0.05), start=begin, rank=20)
    state, params, path = method.init(jax.random.key(0), start()), [], []
    update = jax.jit(method.update)
    halves = [jax.tree.map(lambda x, rows=rows: x[rows], batch()) for rows in (slice(0, 20), slice(20, 40))]
    for step in range(steps):
        state, _ = update(jax.random.key(step), state, halves[step % 2])
        if step + 1 >= begin:
            params.append(np.asarray(state.point.params["kernel"], float))
            path.append(params[-1] - np.mean(params, 0))
    assert int(state.collected) == len(params) == 21
    path = np.array(path[1:])
    want = np.diag(np.var(params, 0)) / 2 + path.T @ path / (2 * 19)
    found = np.asarray(jax.jit(method.sample, static_argnums=2)(jax.random.key(2), state, DRAWS).params["kernel"])
    assert_is_the_posterior(found, np.mean(params, 0), want, 0.03, 0.05)


def test_a_subspace_has_the_conditional_posterior_and_leaves_the_rest():
    held = 0.9
    method = inference.subspace(
        two_arrays(), lambda name: name == "rest", lambda part: inference.laplace(part, falling(400), start=400)
    )
    state, _ = fit(method, {"first": jnp.array([held]), "rest": jnp.zeros(DIM - 1)}, 402)
    draws = jax.jit(method.sample, static_argnums=2)(jax.random.key(2), state, DRAWS).params
    assert (draws["first"] == np.float32(held)).all()
    mean, precision, _ = analytic()
    inner = np.linalg.inv(precision[1:, 1:])
    want = mean[1:] - inner @ precision[1:, 0] * (held - mean[0])
    whiten = np.linalg.inv(np.linalg.cholesky(inner))
    white = (np.asarray(draws["rest"]) - want) @ whiten.T
    np.testing.assert_allclose(white.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(white.T), np.eye(DIM - 1), atol=0.03)


def test_dropout_draws_differ_by_what_is_dropped():
    network = kriegerowski2019.network(14, width=4, dropout=0.5)
    one = observations()
    params = quick_jit(network.init)(jax.random.key(0), one)
    no_likelihood = Target(lambda w, b: jnp.zeros(1), lambda p: jnp.zeros(()), params, params, 1, params)
    method = inference.dropout(no_likelihood, optax.sgd(0.0))
    state = quick_jit(method.init)(jax.random.key(0), params)
    draws = quick_jit(lambda state: method.sample(jax.random.key(1), state, 3))(state)
    out = quick_jit(lambda w: jax.lax.map(lambda draw: network.apply(draw, one), w))(draws)
    assert np.abs(out[0] - out[1]).max() > 1e-3
    same = inference.point(no_likelihood, optax.sgd(0.0)).sample(jax.random.key(1), state, 2)
    still = quick_jit(lambda w: jax.lax.map(lambda draw: network.apply(draw, one), w))(same)
    np.testing.assert_array_equal(still[0], still[1])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda aim: inference.full_covariance(aim, optax.sgd(0.1), steps=1), r"6,000 weights .* use low_rank"),
        (lambda aim: inference.laplace(aim, optax.sgd(0.1), start=1), r"6,000 weights.*use diagonal"),
        (
            lambda aim: inference.laplace(
                linear()._replace(parts={"kernel": "physics"}), optax.sgd(0.1), start=1, learn_prior=True
            ),
            r"change the prior of parameters outside of the network \(physics\)",
        ),
        (lambda aim: inference.low_rank(aim, optax.sgd(0.1), steps=1, rank=0), "rank must be at least 1, got 0"),
        (lambda aim: inference.swag(aim, optax.sgd(0.1), start=1, rank=1), "got 1 and 1"),
        (
            lambda aim: inference.subspace(aim, lambda name: False, lambda part: inference.point(part, optax.sgd(0.1))),
            r"no array of weights is selected; posterior\.subspace must match one of kernel",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused(action, message):
    wide = {"kernel": jnp.zeros(6000)}
    aim = Target(lambda w, b: jnp.zeros(1), lambda p: jnp.zeros(()), wide, wide, 1, wide)
    with pytest.raises(ValueError, match=message):
        action(aim)
