"""Closed forms of scores of normal posteriors against exact values and against sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxloc.distributions.gaussian_mixture import covariance as covariance_of
from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.scores.events import score_events
from jaxloc.scores.gaussian import energy_score, expected_norm, normal_crps, score_gaussian_events
from jaxloc.types import Label, Posterior

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("distance", [0.0, 0.5, 3.0])
def test_expected_length_of_isotropic_normals(size: int, distance: float) -> None:
    """The mean of the noncentral chi distribution, by SciPy's of its square."""
    mean = np.zeros((1, size))
    mean[0, 0] = distance
    squared = scipy.stats.ncx2(size, distance**2) if distance else scipy.stats.chi2(size)
    exact = squared.expect(np.sqrt)
    np.testing.assert_allclose(expected_norm(mean, np.ones((1, size))), exact, rtol=1e-6)


@pytest.mark.parametrize("ratio", [1e-3, 1.0, 1e3])
def test_energy_score_in_one_dimension_is_the_crps(ratio: float) -> None:
    error, sd = RNG.normal(size=(20, 1)) * ratio, 0.7
    found = energy_score(error, np.full((20, 1, 1), sd**2))
    np.testing.assert_allclose(found, normal_crps(error[:, 0], sd, 0.0), rtol=1e-5, atol=1e-6 * max(1, ratio))


def test_scores_are_those_that_sampling_estimates() -> None:
    """40 events, 4000 samples: shares within five standard errors, others within five per cent and a floor."""
    number, root = 40, RNG.normal(size=(40, 4, 4))
    covariance = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(4)
    mean, truth = 2 * RNG.normal(size=(number, 4)), RNG.normal(size=(number, 4))
    known = np.ones((number, 4), bool)
    known[0, 2] = known[1, 3] = False
    exact = score_gaussian_events(mean, covariance, truth, known)
    tril = jnp.asarray(np.linalg.cholesky(covariance)[:, None])
    mixture = gaussian_mixture(jnp.zeros((number, 1)), jnp.asarray(mean[:, None]), tril)
    whole = covariance_of(mixture)
    label = Label(jnp.asarray(truth), jnp.asarray(known))
    sampled = score_events(jax.random.key(0), Posterior(mixture, jnp.zeros_like(whole), whole), label, num_draws=4000)
    assert set(sampled) == set(exact)
    for name, value in exact.items():
        score = name.split("/")[1]
        if score in ("level", "pit"):
            tolerance = {"atol": 5 * 0.5 / np.sqrt(4000)}
        elif score in ("crps", "energy") or score.startswith("width"):
            tolerance = {"rtol": 0.15, "atol": 0.1}
        else:
            tolerance = {"rtol": 1e-4, "atol": 1e-4}
        np.testing.assert_allclose(sampled[name], value, err_msg=name, **tolerance)
