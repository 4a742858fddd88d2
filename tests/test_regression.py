"""Any module with any likelihood: known regressions, and what becomes of uncertainty where there are no data."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from jaxloc import posteriors, regression

NOISE = 0.3


def linear_data(number=200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(number, 2))
    return x, x @ np.array([0.5, -0.8]) + NOISE * rng.normal(size=number)


def test_a_linear_regression_has_its_exact_predictive_density():
    """Kernel prior sqrt(2 / 2) = 1 and bias prior 0.3: the posterior is normal, and so is the prediction."""
    x, y = linear_data()
    likelihood = lambda raw: dist.Normal(raw[0], NOISE)
    full = partial(posteriors.full_covariance, initial_scale=0.05)
    fitted = regression.fit(jax.random.key(0), nn.Dense(1), likelihood, x, y, full, steps=2000, batch_size=200)
    new = np.array([[0.0, 0.0], [4.0, 4.0], [-3.0, 5.0]])
    with_bias = lambda rows: np.concatenate([rows, np.ones((len(rows), 1))], 1)
    precision = with_bias(x).T @ with_bias(x) / NOISE**2 + np.diag([1, 1, 1 / 0.3**2])
    mean = with_bias(new) @ np.linalg.solve(precision, with_bias(x).T @ y / NOISE**2)
    sd = np.sqrt(np.einsum("ni,ij,nj->n", with_bias(new), np.linalg.inv(precision), with_bias(new)) + NOISE**2)
    want = dist.Normal(jnp.asarray(mean), jnp.asarray(sd)).log_prob(jnp.asarray(mean + sd))
    found = regression.log_density(fitted, jax.random.key(1), new, mean + sd, 2000)
    np.testing.assert_allclose(found, want, atol=0.05)
    centres = regression.predict(fitted, jax.random.key(2), new, 2000).mean
    assert centres.shape == (2000, 3)
    np.testing.assert_allclose(centres.mean(0), mean, atol=0.02)
    in_parts = regression.predict(fitted._replace(at_once=2), jax.random.key(2), new, 2000).mean
    np.testing.assert_allclose(in_parts, centres, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", [posteriors.mean_field, posteriors.point])
def test_the_likelihood_may_be_any_distribution(method):
    """Counts whose logarithm is linear: the rates are found within a few per cent."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (500, 1))
    counts = rng.poisson(np.exp(1 + x[:, 0]))
    likelihood = lambda raw: dist.Poisson(jnp.exp(raw[0]))
    fitted = regression.fit(jax.random.key(0), nn.Dense(1), likelihood, x, counts, method, steps=1500, prior_scale=3.0)
    rates = regression.predict(fitted, jax.random.key(1), np.array([[-1.0], [1.0]]), 50).mean.mean(0)
    np.testing.assert_allclose(rates, [1.0, np.exp(2)], rtol=0.12)


def test_uncertainty_grows_where_there_are_no_data():
    """Low rank, on two clusters with a gap between and beside them: wider there than on the data."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(-2, -1, 60), rng.uniform(0.5, 2, 60)])[:, None]
    y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=120)
    module = nn.Sequential([nn.Dense(30), nn.tanh, nn.Dense(1)])
    likelihood = lambda raw: dist.Normal(raw[0], 0.1)
    full = partial(posteriors.full_covariance, initial_scale=0.02)
    fitted = regression.fit(jax.random.key(0), module, likelihood, x, y, full, steps=3000, prior_scale=2.0)
    new = np.array([[-1.5], [1.25], [5.0], [-5.0]])
    spread = regression.predict(fitted, jax.random.key(1), new, 500).mean.std(0)
    assert spread[2:].min() > 1.5 * spread[:2].max()


def test_wrong_rows_are_named():
    x, y = linear_data(10)
    fit = partial(regression.fit, jax.random.key(0), nn.Dense(1), lambda raw: dist.Normal(raw[0], NOISE))
    with pytest.raises(ValueError, match=r"\(10, 2\) and targets \(9,\) must have as many rows"):
        fit(x, y[:9])
    with pytest.raises(ValueError, match="targets hold values that are not finite"):
        fit(x, np.where(np.arange(10) == 3, np.nan, y))
