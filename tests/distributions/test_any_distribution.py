"""Distributions over hypocentres that are no Gaussian mixture: located, scored and drawn by samples and log-density."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from cases import quick_jit
from numpyro.distributions import constraints

from jaxloc.distributions.any_distribution import of_draws, smoothed
from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, is_mixture, mean
from jaxloc.locators.neural import neural, with_weights
from jaxloc.plots import maps
from jaxloc.scores.events import score_events
from jaxloc.types import Head, Label, Network, Posterior, Weights

ROOT = jnp.array([[2.0, 0, 0, 0], [0.5, 1.0, 0, 0], [0.3, -0.2, 3.0, 0], [0.1, 0.0, 0.2, 0.5]])


class Opaque(dist.Distribution):
    """A Gaussian about a place that shows nothing but samples, log-density, mean and covariance."""

    support = constraints.real_vector

    def __init__(self, place):
        self.place = place
        super().__init__(validate_args=False)

    def tree_flatten(self):
        return (self.place,), None

    @classmethod
    def tree_unflatten(cls, aux_data, params):
        new = cls.__new__(cls)
        new.place, new._validate_args = params[0], False
        return new

    batch_shape = property(lambda self: self.place.shape[:-1])
    event_shape = property(lambda self: (4,))
    mean = property(lambda self: self.place)
    covariance = property(lambda self: jnp.broadcast_to(ROOT @ ROOT.T, (*self.batch_shape, 4, 4)))

    def sample(self, key, sample_shape=()):
        white = jax.random.normal(key, (*sample_shape, *self.place.shape))
        return self.place + white @ ROOT.T

    def log_prob(self, value, intermediates=None):
        white = jnp.linalg.solve(ROOT, (value - self.place)[..., None])[..., 0]
        return -0.5 * (white**2).sum(-1) - jnp.log(jnp.diagonal(ROOT)).sum() - 2 * jnp.log(2 * jnp.pi)


def as_mixture(place):
    return gaussian_mixture(
        jnp.zeros((*place.shape[:-1], 1)), place[..., None, :], jnp.broadcast_to(ROOT, (*place.shape[:-1], 1, 4, 4))
    )


@pytest.mark.slow
def test_scores_are_those_of_the_same_mixture():
    """Likelihood of all coordinates exactly; of some by kernel density, which errs by 0.3 nats with 1000 samples."""
    places = 5 * jax.random.normal(jax.random.key(0), (60, 4))
    truth = Label(places + jax.random.normal(jax.random.key(1), (60, 4)) @ ROOT.T, jnp.ones((60, 4), bool))
    parts = jnp.zeros((60, 4, 4)), jnp.broadcast_to(ROOT @ ROOT.T, (60, 4, 4))
    key = jax.random.key(2)
    own, known = (score_events(key, Posterior(one, *parts), truth) for one in (Opaque(places), as_mixture(places)))
    assert set(own) == set(known)
    np.testing.assert_allclose(own["space_time/nll"], known["space_time/nll"], rtol=1e-4)
    for name in ("epicentre/stated", "depth/error", "hypocentre/error"):
        np.testing.assert_allclose(own[name], known[name], rtol=1e-4, atol=1e-4)
    for region in ("east", "depth", "epicentre", "hypocentre"):
        assert np.abs(own[f"{region}/nll"] - known[f"{region}/nll"]).mean() < 0.4
        assert abs(float((own[f"{region}/nll"] - known[f"{region}/nll"]).mean())) < 0.25
        assert np.abs(own[f"{region}/level"] - known[f"{region}/level"]).mean() < 0.06
        np.testing.assert_allclose(np.median(own[f"{region}/width90"] / known[f"{region}/width90"]), 1, atol=0.15)


@pytest.mark.parametrize("batch", [(), pytest.param((3,), marks=pytest.mark.slow)])
def test_draws_of_weights_are_mixed_evenly(batch):
    """Against the Gaussian mixture of the same two draws."""
    places = jax.random.normal(jax.random.key(0), (*batch, 2, 4)) * 3
    mixed = jax.vmap(of_draws)(Opaque(places)) if batch else of_draws(Opaque(places))
    known = gaussian_mixture(jnp.zeros((*batch, 2)), places, jnp.broadcast_to(ROOT, (*batch, 2, 4, 4)))
    value = jax.random.normal(jax.random.key(1), (7, *batch, 4)) * 3
    assert mixed.batch_shape == batch
    np.testing.assert_allclose(mixed.log_prob(value), known.log_prob(value), rtol=1e-4)
    np.testing.assert_allclose(mean(mixed), mean(known), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(covariance(mixed), covariance(known), rtol=1e-4, atol=1e-4)
    samples = mixed.sample(jax.random.key(2), (4000,))
    assert samples.shape == (4000, *batch, 4)
    error = np.sqrt(np.diagonal(np.asarray(covariance(known)), axis1=-2, axis2=-1) / 4000)
    assert (np.abs(samples.mean(0) - mean(known)) < 5 * error).all()


def test_a_network_may_have_a_head_that_is_no_mixture():
    network = Network(lambda key, seen: {}, lambda weights, seen: weights.params + seen.station_km[0, 0])
    head = Head(4, lambda raw: {"hypocentre": Opaque(raw)}, lambda raw, labels: jnp.zeros(()))
    draws = jnp.array([[0.0, 0, 0, 0], [2.0, 0, 0, 0]])
    located = with_weights(neural(network, head), lambda key: Weights(draws), chunk=2)(
        jax.random.key(0), cases.batch().observations
    )
    assert not is_mixture(located.hypocentre)
    assert located.hypocentre.batch_shape == (3,)
    np.testing.assert_allclose(located.epistemic[:, 0, 0], 2.0, rtol=1e-5)
    np.testing.assert_allclose(
        located.epistemic / 2 + located.aleatoric, covariance(located.hypocentre), rtol=1e-4, atol=1e-4
    )


def test_a_kernel_density_estimate_keeps_mean_and_covariance():
    samples = Opaque(jnp.arange(4.0)).sample(jax.random.key(0), (500,))
    found = quick_jit(smoothed)(samples)
    np.testing.assert_allclose(found.mean, samples.mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(covariance(found), np.cov(np.asarray(samples).T), rtol=0.01, atol=0.01)


@pytest.mark.slow
def test_it_is_plotted(tmp_path):
    stations = (np.zeros((2, 3)), np.ones(2, bool))
    maps.event_map(jax.random.key(0), tmp_path / "event.png", Opaque(jnp.arange(4.0)), *stations)
    assert (tmp_path / "event.png").stat().st_size > 1000
