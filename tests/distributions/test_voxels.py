"""Voxel densities against the Gaussian mixture of all voxels, which they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.distributions.any_distribution import as_mixture, marginal_of, stretched
from jaxloc.distributions.either import either
from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, marginal, mean, mode
from jaxloc.distributions.voxels import voxel_density
from jaxloc.scores.events import score_events
from jaxloc.types import Label, Posterior

CELLS, EVENTS = (16, 12, 4, 1), 6
WIDTH = (2.0, 2.5, 3.0, 3.0)
CENTRE = tuple(w * (jnp.arange(n) - n / 2) for n, w in zip(CELLS, WIDTH, strict=True))
SD = tuple(jnp.full(n, w / 2) for n, w in zip(CELLS, WIDTH, strict=True))
KEYS = jax.random.split(jax.random.key(0), 4)


@pytest.fixture(scope="module")
def voxels():
    """Two sharp peaks over weights that differ by many orders of magnitude."""
    noise = 3 * jax.random.normal(KEYS[0], (EVENTS, *CELLS))
    peaks = noise.at[:, 8, 6, 2].add(9.0).at[:, 13, 3, 1].add(8.0)
    return jax.vmap(lambda log_weight: voxel_density(log_weight, CENTRE, SD))(peaks)


@pytest.fixture(scope="module")
def mixtures(voxels):
    return as_mixture(voxels)


def test_density_moments_and_marginals_are_exact(voxels, mixtures):
    points = jnp.concatenate([mixtures.sample(KEYS[1], (20,)), 40 * jax.random.normal(KEYS[2], (5, EVENTS, 4))])
    np.testing.assert_allclose(voxels.log_prob(points), mixtures.log_prob(points), rtol=2e-5, atol=2e-4)
    np.testing.assert_allclose(mean(voxels), mean(mixtures), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(covariance(voxels), covariance(mixtures), rtol=1e-4, atol=1e-3)
    for dims in ((0,), (3,), (0, 1), (2, 1), (0, 1, 2)):
        part, index = marginal_of(voxels, dims), jnp.array(dims)
        known = marginal(mixtures, dims).log_prob(points[..., index])
        np.testing.assert_allclose(part.log_prob(points[..., index]), known, rtol=2e-5, atol=2e-4, err_msg=str(dims))


def test_samples_are_those_of_the_mixture(voxels):
    """Within five standard errors of the mean of 4000 samples."""
    samples = quick_jit(lambda own: own.sample(KEYS[1], (4000,)))(voxels)
    error = np.sqrt(np.asarray(voxels.variance) / 4000)
    assert (np.abs(samples.mean(0) - mean(voxels)) < 5 * error).all()
    np.testing.assert_allclose(samples.var(0), voxels.variance, rtol=0.15)


@pytest.mark.slow
def test_scores_are_those_of_the_exact_density(voxels, mixtures):
    """Likelihoods exactly; levels and widths by other samples, within errors of 1000 of them."""
    truth = Label(mixtures.sample(KEYS[3]), jnp.ones((EVENTS, 4), bool))
    parts = jnp.zeros((EVENTS, 4, 4)), covariance(mixtures)
    own, known = (score_events(KEYS[1], Posterior(each, *parts), truth) for each in (voxels, mixtures))
    assert set(own) == set(known)
    for name in known:
        if name.endswith(("/nll", "/stated", "/error")):
            np.testing.assert_allclose(own[name], known[name], rtol=1e-4, atol=1e-3, err_msg=name)
        elif name.endswith(("/level", "/pit")):
            assert np.abs(own[name] - known[name]).max() < 5 * np.sqrt(0.5 / 1000), name
        elif name.endswith("/width90"):
            np.testing.assert_allclose(np.median(own[name] / known[name]), 1, atol=0.2, err_msg=name)


@pytest.mark.slow
def test_the_mode_is_as_dense_as_that_of_the_mixture(voxels, mixtures):
    one = jax.tree.map(lambda x: x[0], voxels)
    found = quick_jit(one.density.mode)(one.arrays)
    assert one.log_prob(found) > jax.tree.map(lambda x: x[0], mixtures).log_prob(mode(mixtures)[0]) - 1e-3


@pytest.mark.slow
def test_it_is_stretched_about_its_mean(voxels, mixtures):
    scale = jnp.broadcast_to(jnp.array([1.5, 0.8, 2.0, 1.0]), (EVENTS, 4))
    own, known = stretched(voxels, scale), stretched(mixtures, scale)
    points = known.sample(KEYS[1], (5,))
    np.testing.assert_allclose(own.log_prob(points), known.log_prob(points), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(covariance(own), covariance(known), rtol=1e-4, atol=1e-3)
    part = marginal_of(own, (0, 1)).log_prob(points[..., :2])
    np.testing.assert_allclose(part, marginal(known, (0, 1)).log_prob(points[..., :2]), rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_either_is_the_mixture_of_both(voxels):
    wide = gaussian_mixture(jnp.zeros(1), jnp.ones((1, 4)), 30 * jnp.eye(4)[None])
    both = either(jnp.log(0.3), wide, jax.tree.map(lambda x: x[0], voxels))
    known = as_mixture(both)
    points = known.sample(KEYS[1], (50,))
    np.testing.assert_allclose(both.log_prob(points), known.log_prob(points), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(mean(both), mean(known), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(covariance(both), covariance(known), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(
        marginal_of(both, (0, 1)).log_prob(points[:, :2]), marginal(known, (0, 1)).log_prob(points[:, :2]), rtol=1e-4
    )
    assert abs(float((both.sample(KEYS[2], (4000,))[:, 3].std()) / covariance(both)[3, 3] ** 0.5 - 1)) < 0.1


def test_axes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="axis for each"):
        voxel_density(jnp.zeros((3, 2)), CENTRE[:2], SD[:2])
