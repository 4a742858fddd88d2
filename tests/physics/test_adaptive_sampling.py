"""The adaptive importance sampling against densities of known moments: Gaussians, a shell, two places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import slow_if
from normal_hypocentres import GAUSSIANS, REGION, gaussian
from scipy.stats import multivariate_normal

from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, mean
from jaxloc.physics import adaptive_sampling
from jaxloc.physics.about_station import About, from_km, to_km
from jaxloc.physics.adaptive_sampling import Sampling
from jaxloc.physics.small_matrices import inverse, lower_cholesky, lower_inverse, square_root

SIZES = Sampling()
NO_FLOOR = jnp.zeros(2)


def mixture(smoothed, plain, about=None):
    proposal = adaptive_sampling.search(smoothed, REGION, SIZES, about=about)
    cloud = adaptive_sampling.evaluate(plain, proposal)
    return gaussian_mixture(*adaptive_sampling.components(cloud, NO_FLOOR)), cloud


@jax.jit
def found(centre, cov):
    return mixture(gaussian(centre, cov), gaussian(centre, cov, False))


def effective_share(cloud):
    weight = np.exp(cloud.log_mass).sum(-1)
    return weight.sum() ** 2 / (weight**2).sum() / len(weight)


@pytest.mark.parametrize("name", GAUSSIANS)
def test_a_gaussian_is_found(name):
    """Of n effective samples a mean is good to n^-1/2 deviations, a width to (2 n)^-1/2: 0.023 and 0.016 of 1,900."""
    centre, cov, _, _ = GAUSSIANS[name]
    got, cloud = found(jnp.array(centre), jnp.array(cov))
    assert effective_share(cloud) > 0.8
    white = np.linalg.inv(np.linalg.cholesky(cov))
    assert np.linalg.norm(white @ (mean(got) - np.array(centre))) < 2 * 0.023
    width = np.sqrt(np.linalg.eigvalsh(white @ np.asarray(covariance(got), float) @ white.T))
    np.testing.assert_allclose(width, 1, atol=4 * 0.016)
    at = np.random.default_rng(0).multivariate_normal(centre, cov, 200)
    apart = np.asarray(got.log_prob(jnp.asarray(at))) - multivariate_normal(centre, cov).logpdf(at)
    # A hundred neighbours a component in the middle of the density, fewer in its tails.
    assert abs(apart.mean()) < 0.1
    assert apart.std() < 0.5


@pytest.mark.parametrize(("radius_km", "width_km"), slow_if([(30.0, 1.0)], [(30.0, 1.0), (60.0, 0.7)]))
def test_a_shell_is_resolved(radius_km, width_km):
    """A distance alone, as of one station: all azimuths are equally probable, and the shell keeps its width."""

    def shell(points, origin_s, spacing_km):
        away_km = jnp.linalg.norm(points, axis=-1) - radius_km
        inside = jax.nn.log_sigmoid(points[:, 2] / 0.1) + jax.nn.log_sigmoid((30 - points[:, 2]) / 0.1)
        space = -0.5 * away_km**2 / (width_km**2 + (0.4 * spacing_km) ** 2) + inside
        time = -0.5 * ((origin_s - 5 + away_km[:, None] / 8) / jnp.sqrt(0.1**2 + (0.05 * spacing_km) ** 2)) ** 2
        return space[:, None] + time

    about = About(jnp.zeros(3), jnp.ones((), bool))
    got = jax.jit(lambda: mixture(shell, shell, about)[0])()
    draws = np.asarray(got.sample(jax.random.key(0), (8000,)))
    away_km = np.linalg.norm(draws[:, :3], axis=-1) - radius_km
    # The volume of a shell grows by 2 / R a km, which moves the mean by 2 s^2 / R.
    assert away_km.mean() == pytest.approx(2 * width_km**2 / radius_km, abs=0.15 * width_km)
    # Flat Gaussians on a bent shell: too wide rather than too narrow.
    assert 0.95 * width_km < away_km.std() < 1.7 * width_km
    # Equal areas at equal depths (Archimedes), and equal azimuths: an eighth in each octant, to four standard errors of
    # 2,000 samples.
    share = np.histogram(np.arctan2(draws[:, 1], draws[:, 0]), np.linspace(-np.pi, np.pi, 9))[0] / len(draws)
    np.testing.assert_allclose(share, 1 / 8, atol=4 * np.sqrt(1 / 8 * 7 / 8 / 2000))
    assert draws[:, 2].mean() == pytest.approx(15, abs=4 * 30 / np.sqrt(12 * 2000))
    # Origin time follows the distance.
    rest_s = draws[:, 3] - 5 + away_km / 8
    assert 0.09 < rest_s.std() < 0.17


@pytest.mark.slow
def test_two_places_are_both_kept():
    """Far apart in space, with seven and three tenths of the mass."""
    one, other = (jnp.array([east, 5.0, 10.0, 2.0]) for east in (-40.0, 30.0))
    cov = jnp.diag(jnp.array([1.0, 1.0, 1.0, 0.2]) ** 2)

    def both(smoothed):
        first, second = gaussian(one, cov, smoothed), gaussian(other, cov, smoothed)
        return lambda *a: jnp.logaddexp(jnp.log(0.7) + first(*a), jnp.log(0.3) + second(*a))

    got = jax.jit(lambda: mixture(both(True), both(False))[0])()
    east_km = np.asarray(got.sample(jax.random.key(0), (4000,)))[:, 0]
    assert (east_km < 0).mean() == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / 1500))


def test_derivatives_flow_through_the_density_alone():
    """d mean / d centre is one: samples stay, the density at them moves."""
    centre, cov = (jnp.array(x) for x in GAUSSIANS["slanted"][:2])

    def mean_of(centre):
        proposal = adaptive_sampling.search(gaussian(centre, cov), REGION, SIZES, 512)
        cloud = adaptive_sampling.evaluate(gaussian(centre, cov, False), proposal)
        mixed = gaussian_mixture(*adaptive_sampling.components(cloud, NO_FLOOR))
        return (mean(mixed), mixed.log_prob(centre + jnp.array([3.0, 2.0, 1.0, -0.1]))), proposal.point_km

    slope, search_slope = jax.jit(jax.jacrev(mean_of))(centre)
    # Covariances of 512 samples are good to (2 / 512)^1/2 of the widths.
    white = np.linalg.inv(np.linalg.cholesky(cov))
    np.testing.assert_allclose(white @ slope[0] @ np.linalg.inv(white), np.eye(4), atol=4 * np.sqrt(2 / 512))
    np.testing.assert_array_equal(search_slope, 0)
    assert np.isfinite(slope[1]).all()


def test_coordinates_about_a_station_return_and_have_the_volume_of_their_derivative():
    about = About(jnp.array([3.0, -2.0, -0.5]), jnp.ones((), bool))
    points = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)) * [20, 20, 3] + [0, 0, 9])
    place = from_km(about, points)
    back, log_volume = to_km(about, place)
    np.testing.assert_allclose(back, points, atol=2e-3)
    jacobian = jax.vmap(jax.jacfwd(lambda x: to_km(about, x[None])[0][0]))(place)
    np.testing.assert_allclose(jnp.exp(log_volume), jnp.abs(jnp.linalg.det(jacobian)), rtol=1e-3)
    nowhere = to_km(about, jnp.array([[5.0, 0.0, 9.0]]))[1]
    assert float(nowhere[0]) < -1e3


def test_matrices_of_many_at_once():
    rows = np.random.default_rng(0).normal(size=(50, 3, 3)) + 2 * np.eye(3)
    cov = rows @ np.swapaxes(rows, 1, 2)
    tril = np.linalg.cholesky(cov)
    np.testing.assert_allclose(lower_cholesky(jnp.asarray(cov)), tril, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(lower_inverse(jnp.asarray(tril)), np.linalg.inv(tril), rtol=2e-3, atol=2e-4)
    easy = cov / np.trace(cov, axis1=1, axis2=2)[:, None, None] + 0.1 * np.eye(3)
    np.testing.assert_allclose(inverse(jnp.asarray(easy)) @ easy, np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-3)
    root = np.asarray(square_root(jnp.asarray(easy)))
    np.testing.assert_allclose(root @ root, easy, atol=1e-3)
