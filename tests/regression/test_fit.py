"""Any module with any likelihood: known regressions, and uncertainty where there are no data."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from jaxloc import inference, regression
from jaxloc.inference.convergence import CRITERION
from jaxloc.regression.fit import _fitted

NOISE = 0.3


def linear_data(number=200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(number, 2))
    return x, x @ np.array([0.5, -0.8]) + NOISE * rng.normal(size=number)


def test_a_linear_regression_has_its_exact_predictive_density():
    """Kernel prior sqrt(2 / 2) = 1 and bias prior 0.3: the posterior is normal, and so is the prediction."""
    x, y = linear_data()
    likelihood = lambda raw: dist.Normal(raw[0], NOISE)
    full = inference.full_covariance
    settings = {"steps": 2000, "batch_size": 200, "standardise": False}
    fitted = regression.fit(jax.random.key(0), nn.Dense(1), likelihood, x, y, full, **settings)
    new = np.array([[0.0, 0.0], [4.0, 4.0], [-3.0, 5.0]])
    with_bias = lambda rows: np.concatenate([rows, np.ones((len(rows), 1))], 1)
    precision = with_bias(x).T @ with_bias(x) / NOISE**2 + np.diag([1, 1, 1 / 0.3**2])
    mean = with_bias(new) @ np.linalg.solve(precision, with_bias(x).T @ y / NOISE**2)
    sd = np.sqrt(np.einsum("ni,ij,nj->n", with_bias(new), np.linalg.inv(precision), with_bias(new)) + NOISE**2)
    want = dist.Normal(jnp.asarray(mean), jnp.asarray(sd)).log_prob(jnp.asarray(mean + sd))
    found = regression.log_density(fitted, jax.random.key(1), new, mean + sd, 2000)
    np.testing.assert_allclose(found, want, atol=0.05)
    told = regression.diagnose(fitted, x)
    assert told.criterion == CRITERION
    assert told.figures["steps"] == 2000
    centres = regression.predict(fitted, jax.random.key(2), new, 2000).mean
    assert centres.shape == (2000, 3)
    np.testing.assert_allclose(centres.mean(0), mean, atol=0.02)
    in_parts = regression.predict(
        fitted._replace(recipe=fitted.recipe._replace(at_once=2)), jax.random.key(2), new, 2000
    ).mean
    np.testing.assert_allclose(in_parts, centres, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", [inference.mean_field, inference.point, partial(inference.sghmc, keep=50)])
def test_the_likelihood_may_be_any_distribution(method):
    """Counts whose logarithm is linear: the rates are found within a few per cent."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (500, 1))
    counts = rng.poisson(np.exp(1 + x[:, 0]))
    likelihood = lambda raw: dist.Poisson(jnp.exp(raw[0]))
    settings = {"steps": 1500, "prior_scale": 3.0, "held_out": 0.0}
    fitted = regression.fit(jax.random.key(0), nn.Dense(1), likelihood, x, counts, method, **settings)
    rates = regression.predict(fitted, jax.random.key(1), np.array([[-1.0], [1.0]]), 50).mean.mean(0)
    np.testing.assert_allclose(rates, [1.0, np.exp(2)], rtol=0.12)


@pytest.mark.slow
def test_uncertainty_grows_where_there_are_no_data():
    """Low rank, on two clusters with a gap between them: the predictive sd is larger outside the data than on them."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(-2, -1, 60), rng.uniform(0.5, 2, 60)])[:, None]
    y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=120)
    module = nn.Sequential([nn.Dense(30), nn.tanh, nn.Dense(1)])
    likelihood = lambda raw: dist.Normal(raw[0], 0.1)
    full = inference.full_covariance
    fitted = regression.fit(
        jax.random.key(0), module, likelihood, x, y, full, steps=3000, prior_scale=2.0, standardise=False
    )
    new = np.array([[-1.5], [1.25], [5.0], [-5.0]])
    spread = regression.predict(fitted, jax.random.key(1), new, 500).mean.std(0)
    assert spread[2:].min() > 1.5 * spread[:2].max()


WIDE = nn.Sequential([nn.Dense(50), nn.relu, nn.Dense(2)])


def normal(raw):
    return dist.Normal(raw[0], jax.nn.softplus(raw[1]) + 1e-3)


def curve(number, scale=1.0, offset=0.0):
    """A curve with noise of known width in two clusters, and the curve without noise between and on them."""
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(-2, -0.8, number // 2), rng.uniform(0.8, 2, number // 2)])[:, None]
    return x, offset + scale * (np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=len(x)))


@pytest.mark.parametrize(("scale", "offset"), [(10.0, 450.0), (0.01, 0.97)])
def test_raw_targets_have_the_fit_of_standardised_ones(scale, offset):
    """Means and widths of the prior's predictions, in their units, up to the floor of the likelihood's width."""
    x, y = curve(100, scale, offset)
    fitted = regression.fit(jax.random.key(0), WIDE, normal, x, y, inference.point, steps=1)
    centre, spread = fitted.units.centre, fitted.units.scale
    assert centre[0] == pytest.approx(y.mean(), rel=1e-4)
    assert normal(centre).scale == pytest.approx(y.std(), rel=1e-2)
    assert spread[0] == pytest.approx(y.std(), rel=1e-2)
    assert normal(centre + spread).scale < 4 * y.std()


def test_units_of_counts():
    """The logarithm of their mean rate, and the relative spread of counts about it."""
    counts = np.random.default_rng(0).poisson(20.0, 300)
    likelihood = lambda raw: dist.Poisson(jnp.exp(raw[0]))
    fitted = regression.fit(jax.random.key(0), nn.Dense(1), likelihood, np.zeros((300, 1)), counts, steps=4, members=1)
    assert jnp.exp(fitted.units.centre[0]) == pytest.approx(counts.mean(), rel=1e-3)
    assert fitted.units.scale[0] == pytest.approx(counts.std() / counts.mean(), rel=1e-2)


@pytest.mark.parametrize(
    "method",
    [
        partial(inference.nuts, keep=3),
        *(pytest.param(each, marks=pytest.mark.slow) for each in (inference.sgld, inference.stein, inference.swag)),
        lambda target, optimizer: inference.mean_field(target, optimizer, steps=40),
    ],
)
def test_any_posterior_is_named_and_no_more(method):
    x, y = curve(20)
    fitted = regression.fit(jax.random.key(0), nn.Dense(2), normal, x, y, method, steps=10)
    assert np.isfinite(regression.log_density(fitted, jax.random.key(1), x, y, 4)).all()
    assert regression.predict(fitted, jax.random.key(1), x, 4).mean.shape == (4, 20)


def test_fits_of_one_recipe_are_compiled_once():
    x, y = curve(20)
    _fitted.clear_cache()
    for key in (0, 1):
        module = nn.Sequential([nn.Dense(3), nn.relu, nn.Dense(2)])
        regression.fit(jax.random.key(key), module, normal, x, y + key, inference.point, steps=5)
    assert _fitted._cache_size() == 1


def test_early_stopping_uses_held_out_rows():
    """Few rows of noise alone: later weights overfit them, the best on the held-out rows do not."""
    x, y = np.random.default_rng(5).normal(size=(40, 6)), np.random.default_rng(6).normal(size=40)
    new, truth = np.random.default_rng(7).normal(size=(500, 6)), np.random.default_rng(8).normal(size=500)

    def density(held_out):
        settings = {"steps": 2000, "prior_scale": 3.0, "held_out": held_out}
        fitted = regression.fit(jax.random.key(0), WIDE, normal, x, y, inference.point, **settings)
        return regression.log_density(fitted, jax.random.key(1), new, truth, 1).mean()

    assert density(0.25) > density(0.0) + 1
    with pytest.raises(ValueError, match=r"held_out must be a share of the rows within 0-1, got 1\.0"):
        density(1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "members"), [(inference.sghmc, None), (inference.point, 5)])
def test_uncertainty_grows_in_a_gap_at_the_usual_settings(method, members):
    """On the data the curve is found within its noise; in the gap the spread of samples is 1.5 times as large."""
    x, y = curve(200)
    fitted = regression.fit(jax.random.key(0), WIDE, normal, x, y, method, members=members)
    at = np.array([[0.0], [-1.4], [1.4]])
    means = np.asarray(regression.predict(fitted, jax.random.key(1), at, 200).mean)
    np.testing.assert_allclose(means.mean(0)[1:], np.sin(2 * at[1:, 0]), atol=0.1)
    assert means.std(0)[0] > 1.5 * means.std(0)[1:].max()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 0}, r"steps must be a whole number, at least 1, got 0"),
        ({"steps": 1.5}, r"steps must be .*got 1\.5"),
        ({"batch_size": -2}, r"batch_size must be .*got -2"),
        ({"members": 0}, r"members must be .*got 0"),
        ({"at_once": 0}, r"at_once must be .*got 0"),
        ({"learning_rate": 0.0}, r"learning_rate must be positive and finite, got 0\.0"),
        ({"prior_scale": -1.0}, r"prior_scale must be positive and finite, got -1\.0"),
    ],
)
def test_wrong_settings_are_refused(settings, says):
    x, y = linear_data(10)
    with pytest.raises(ValueError, match=says):
        regression.fit(jax.random.key(0), nn.Dense(1), lambda raw: dist.Normal(raw[0], NOISE), x, y, **settings)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda fit, x, y: fit(x, y[:9]), r"\(10, 2\) and targets \(9,\) must have as many rows"),
        (lambda fit, x, y: fit(x, np.where(np.arange(10) == 3, np.nan, y)), "targets must be finite in every row"),
    ],
)
def test_wrong_rows_are_named(action, message):
    x, y = linear_data(10)
    fit = partial(regression.fit, jax.random.key(0), nn.Dense(1), lambda raw: dist.Normal(raw[0], NOISE))
    with pytest.raises(ValueError, match=message):
        action(fit, x, y)


def test_swag_collects_at_a_rate_that_does_not_decay():
    """Its width follows the rate: of the exact sd within a factor of three, where a decaying rate left a fifth."""
    x, y = linear_data()
    settings = {"batch_size": 64, "standardise": False}
    likelihood = lambda raw: dist.Normal(raw[0], NOISE)
    fitted = regression.fit(jax.random.key(0), nn.Dense(1), likelihood, x, y, inference.swag, **settings)
    rows = np.concatenate([x, np.ones((len(x), 1))], 1)
    new = np.array([[3.0, 0.0, 1.0], [0.0, 3.0, 1.0]])
    covariance = np.linalg.inv(rows.T @ rows / NOISE**2 + np.diag([1, 1, 1 / 0.3**2]))
    sd = np.sqrt(np.einsum("ni,ij,nj->n", new, covariance, new))
    found = np.asarray(regression.predict(fitted, jax.random.key(1), new[:, :2], 500).mean).std(0)
    assert (np.abs(np.log(found / sd)) < np.log(3)).all()


def test_the_covariance_of_many_weights_stays_bounded():
    """The inverse of its factor, which the path's gradient would need, overflows with some hundred weights."""
    x, y = curve(40)
    deep = nn.Sequential([nn.Dense(14), nn.tanh, nn.Dense(14), nn.tanh, nn.Dense(1)])
    likelihood = lambda raw: dist.Normal(raw[0], 0.1)
    settings = {"steps": 1500, "batch_size": 40, "learning_rate": 1e-3, "standardise": False}
    fitted = regression.fit(jax.random.key(1), deep, likelihood, x, y, inference.full_covariance, **settings)
    spread = np.asarray(regression.predict(fitted, jax.random.key(2), x, 200).mean).std(0)
    assert (spread < 1).all()


def test_a_fit_that_diverged_is_an_error():
    x, y = linear_data(20)
    likelihood = lambda raw: dist.Normal(raw[0], NOISE)
    with pytest.raises(FloatingPointError, match="is not finite; reduce learning_rate"):
        regression.fit(jax.random.key(0), nn.Dense(1), likelihood, x, y, inference.point, steps=50, learning_rate=1e25)
