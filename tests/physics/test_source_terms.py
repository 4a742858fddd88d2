"""Source-specific station terms against a Gaussian process written in NumPy, and fitted to terms that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.source_terms import (
    NEAREST,
    UNSEEN_S2,
    Covariance,
    SourceTerms,
    fit_terms,
    share_of,
    terms_at,
)

COVARIANCE = Covariance(jnp.array([0.1, 0.2]), jnp.array([0.05, 0.1]), jnp.array(6.0), jnp.array(0.7))
STATIONS, PICK_SD_S = 5, 0.04


def drawn(number, seed=0):
    """Sources in a box of 30 km, and residuals whose covariance is `COVARIANCE`, a tenth of them not seen."""
    rng = np.random.default_rng(seed)
    source_km = rng.uniform(-15, 15, (number, 3)) * [1, 1, 0.3]
    between = np.linalg.norm(source_km[:, None] - source_km, axis=-1)
    sd_s, nugget_s, scale_km, together = (np.asarray(x, float) for x in COVARIANCE)
    phases = np.array([[1, together], [together, 1]]) * np.outer(sd_s, sd_s)
    factor = np.linalg.cholesky(np.kron(np.exp(-between / scale_km), phases) + 1e-9 * np.eye(2 * number))
    smooth = (factor @ rng.normal(size=(2 * number, STATIONS))).reshape(number, 2, STATIONS).swapaxes(1, 2)
    noise_s2 = nugget_s**2 + PICK_SD_S**2
    residual_s = smooth + rng.normal(size=smooth.shape) * np.sqrt(noise_s2)
    seen = rng.uniform(size=smooth.shape) < 0.9
    return source_km, smooth, np.where(seen, residual_s, 0.0), seen, np.where(seen, noise_s2, UNSEEN_S2)


def of(source_km, residual_s, noise_s2):
    return SourceTerms(*(jnp.asarray(x, jnp.float32) for x in (source_km, residual_s, noise_s2)), COVARIANCE)


@pytest.mark.parametrize("spread_km", [0.0, 3.0])
def test_terms_are_those_of_the_gaussian_process(spread_km):
    """All sources count where there are fewer than the nearest that are taken."""
    source_km, _, residual_s, _, noise_s2 = drawn(NEAREST - 4)
    place = np.array([1.0, -2.0, 0.5])
    found = terms_at(of(source_km, residual_s, noise_s2), jnp.asarray(place, jnp.float32), jnp.array(spread_km))
    sd_s, _, scale_km, together = (np.asarray(x, float) for x in COVARIANCE)
    phases = np.array([[1, together], [together, 1]]) * np.outer(sd_s, sd_s)
    between = np.linalg.norm(source_km[:, None] - source_km, axis=-1)
    away = np.sqrt(((source_km - place) ** 2).sum(-1) + spread_km**2)
    for station in range(STATIONS):
        known = np.kron(np.exp(-between / scale_km), phases) + np.diag(noise_s2[:, station].ravel())
        cross = np.kron(np.exp(-away / scale_km)[None], phases)
        np.testing.assert_allclose(
            found.mean_s[station], cross @ np.linalg.solve(known, residual_s[:, station].ravel()), atol=2e-4
        )
        np.testing.assert_allclose(
            found.covariance_s2[station], phases - cross @ np.linalg.solve(known, cross.T), atol=2e-5
        )


def test_variance_is_small_near_known_sources_and_that_of_the_prior_far_away():
    source_km, smooth, residual_s, _, noise_s2 = drawn(200)
    terms = of(source_km, residual_s, noise_s2)
    near = terms_at(terms, jnp.asarray(source_km[3], jnp.float32), jnp.array(0.0))
    far = terms_at(terms, jnp.array([500.0, 0.0, 0.0]), jnp.array(0.0))
    assert (np.diagonal(near.covariance_s2, axis1=1, axis2=2) < 0.4 * np.asarray(COVARIANCE.sd_s) ** 2).all()
    np.testing.assert_allclose(np.diagonal(far.covariance_s2, axis1=1, axis2=2), [[0.01, 0.04]] * STATIONS, rtol=1e-4)
    np.testing.assert_allclose(far.mean_s, 0.0, atol=1e-6)
    apart = (np.asarray(near.mean_s) - smooth[3]) / np.sqrt(np.diagonal(near.covariance_s2, axis1=1, axis2=2))
    assert np.abs(apart).max() < 4  # of ten numbers


def test_terms_left_out_are_predicted_with_their_stated_errors():
    """Of 40 sources x 5 stations x 2 phases left out, 95 % intervals hold 90 to 99 %: neighbours are correlated."""
    source_km, smooth, residual_s, _, noise_s2 = drawn(240, seed=1)
    terms = of(source_km[40:], residual_s[40:], noise_s2[40:])
    found = jax.vmap(lambda place: terms_at(terms, place, jnp.array(0.0)))(jnp.asarray(source_km[:40], jnp.float32))
    sd_s = np.sqrt(np.diagonal(found.covariance_s2, axis1=2, axis2=3))
    share = (np.abs(np.asarray(found.mean_s) - smooth[:40]) < 1.96 * sd_s).mean()
    assert 0.9 < share < 0.99
    assert np.square(found.mean_s - smooth[:40]).mean() < 0.6 * np.square(smooth[:40]).mean()


@pytest.mark.slow
def test_the_covariance_is_fitted_in_spite_of_wrong_picks():
    """Standard deviations to a third, the scale to a factor of two: 120 sources in a box of five scales."""
    source_km, _, residual_s, seen, _ = drawn(120, seed=2)
    wrong = np.random.default_rng(0).uniform(size=seen.shape) < 0.05
    picked = residual_s + 3.0 * wrong
    single = lambda x: jnp.asarray(x, jnp.float32)
    found = fit_terms(single(source_km), single(picked), jnp.asarray(seen), jnp.full(seen.shape, PICK_SD_S))
    np.testing.assert_allclose(found.covariance.sd_s, COVARIANCE.sd_s, rtol=0.33)
    np.testing.assert_allclose(found.covariance.nugget_s, COVARIANCE.nugget_s, rtol=0.33)
    assert 3.0 < float(found.covariance.scale_km) < 12.0
    assert 0.5 < float(found.covariance.together) < 0.9
    np.testing.assert_allclose(share_of(found.covariance), 0.8, atol=0.15)
    assert (np.asarray(found.noise_s2)[wrong | ~seen] == UNSEEN_S2).mean() > 0.95
