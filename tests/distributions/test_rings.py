"""Densities around a station: against samples, quadrature in the plane, and rings that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.distributions.any_distribution import as_mixture, marginal_of, of_draws
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.distributions.polar import Polar, distance_and_azimuth
from jaxloc.distributions.rings import ring_density

STATION_KM = jnp.array([12.0, -7.0, -0.5])
DRAWS = 20_000


def ring(log_weight=None, azimuths=12):
    """Two distances, the nearer one cut at the station, and directions all around."""
    weight = jnp.zeros((2, azimuths)) if log_weight is None else log_weight
    turn = 2 * jnp.pi / azimuths
    return Polar(
        weight,
        jnp.array([3.0, 40.0]),
        jnp.array([3.0, 4.0]),
        turn * jnp.arange(azimuths),
        jnp.full(azimuths, turn / 2),
        jnp.array([6.0, 9.0]),
        jnp.array([2.0, 1.0]),
        jnp.array([4.0, 1.0]),
        jnp.array([0.5, 0.3]),
    )


@pytest.fixture(scope="module")
def uneven():
    return ring_density(ring(2 * jax.random.normal(jax.random.key(0), (2, 12))), STATION_KM)


def test_the_density_integrates_to_one_and_has_the_moments_of_its_samples(uneven):
    plane = marginal_of(uneven, (0, 1))
    side = jnp.arange(-70.0, 70.0, 0.5)
    at = jnp.stack(jnp.meshgrid(side, side), -1).reshape(-1, 2) + STATION_KM[:2] + 0.25
    mass = jnp.exp(quick_jit(plane.log_prob)(at)).sum() * (side[1] - side[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=0.01)  # the pole at the station is coarse at half a kilometre
    samples = np.asarray(uneven.sample(jax.random.key(1), (DRAWS,)), float)
    error = samples.std(0) / np.sqrt(DRAWS)
    assert (np.abs(samples.mean(0) - mean(uneven)) < 5 * error).all()
    apart = samples - samples.mean(0)
    products = apart[:, :, None] * apart[:, None, :]
    assert (np.abs(products.mean(0) - covariance(uneven)) < 5 * products.std(0) / np.sqrt(DRAWS)).all()


def test_a_ring_has_one_distance_and_every_direction():
    """A mixture of Gaussians of the same moments puts mass inside and outside of a thin ring."""
    thin = ring(jnp.log(jnp.array([[1e-9], [1.0]])) + jnp.zeros(12))
    own = ring_density(thin, STATION_KM)
    away_km, _ = distance_and_azimuth(STATION_KM, own.sample(jax.random.key(1), (DRAWS,)))
    assert float(away_km.std()) == pytest.approx(4.0, rel=4 / np.sqrt(2 * DRAWS))
    bent, _ = distance_and_azimuth(STATION_KM, as_mixture(own).sample(jax.random.key(1), (DRAWS,)))
    assert bent.std() > away_km.std() + 0.05
    angle = jnp.linspace(0, 2 * jnp.pi, 30)
    on = STATION_KM[:2] + 40 * jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1)
    want = -jnp.log(4.0 * jnp.sqrt(2 * jnp.pi)) - jnp.log(2 * jnp.pi * 40.0)
    np.testing.assert_allclose(marginal_of(own, (0, 1)).log_prob(on), want, atol=0.03)


@pytest.mark.slow
def test_marginals_and_draws(uneven):
    """East against samples; the mixture over draws of weights of two that are alike is the same."""
    samples = uneven.sample(jax.random.key(1), (DRAWS,))
    edges = np.linspace(-40, 60, 11)
    share = np.histogram(samples[:, 0], edges)[0] / DRAWS
    middle = jnp.linspace(-40, 60, 1001)[:, None]
    density = np.exp(marginal_of(uneven, (0,)).log_prob(middle)).reshape(-1)[:-1].reshape(10, 100).sum(1) * 0.1
    assert np.abs(share - density).max() < 0.02
    depth = marginal_of(uneven, (2,)).log_prob(jnp.array([[7.0]]))
    weight = jnp.exp(uneven.arrays.polar.log_weight).sum(1)
    normal = jnp.exp(-0.5 * ((7.0 - jnp.array([6.0, 9.0])) / jnp.array([2.0, 1.0])) ** 2) / jnp.array([2.0, 1.0])
    np.testing.assert_allclose(depth, jnp.log(weight @ normal / jnp.sqrt(2 * jnp.pi)), rtol=1e-4)
    twice = of_draws(jax.tree.map(lambda x: jnp.stack([x, x]), uneven))
    np.testing.assert_allclose(twice.log_prob(samples[:9]), uneven.log_prob(samples[:9]), rtol=1e-4)
    np.testing.assert_allclose(covariance(twice), covariance(uneven), rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_wider_by_nothing_is_the_same_and_wider_is_flatter(uneven):
    at = uneven.sample(jax.random.key(1), (50,))
    np.testing.assert_allclose(uneven.widened(jnp.zeros(4)).log_prob(at), uneven.log_prob(at), rtol=1e-4)
    assert uneven.widened(jnp.full(4, 10.0)).log_prob(at).mean() < uneven.log_prob(at).mean() - 1


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 12\), got \(1, 12\)"):
        ring_density(ring()._replace(log_weight=jnp.zeros((1, 12))), STATION_KM)
