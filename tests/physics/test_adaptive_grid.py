"""The lattice search against Gaussian densities, whose mean, covariance and normalisation are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from normal_hypocentres import GAUSSIANS, REGION, gaussian
from scipy.stats import multivariate_normal

from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, mean
from jaxloc.physics import adaptive_grid
from jaxloc.physics.adaptive_grid import Region, Search

SIZES = Search()


@jax.jit
def found(centre, cov):
    """The lattice of a Gaussian: searched coarsely with smoothing, evaluated without."""
    place = adaptive_grid.search(gaussian(centre, cov), REGION, SIZES)
    return adaptive_grid.evaluate(gaussian(centre, cov, False), *place, SIZES.last)


def hypocentres(grid):
    """Every point of a lattice, and its probability, in double precision."""
    axes = np.stack(np.meshgrid(*grid.axes, indexing="ij"), -1).reshape(-1, 4).astype(float)
    return np.asarray(grid.centre) + axes @ np.asarray(grid.scale_tril, float).T, np.exp(grid.log_mass).reshape(-1)


@pytest.mark.parametrize("name", GAUSSIANS)
def test_mean_and_covariance_of_a_gaussian_are_found(name):
    centre, cov, mean_off, sd_off = GAUSSIANS[name]
    points, mass = hypocentres(found(jnp.array(centre), jnp.array(cov)))
    assert mass.sum() == pytest.approx(1, abs=1e-4)
    got_mean = mass @ points / mass.sum()
    got = (points - got_mean).T * mass @ (points - got_mean)
    white = np.linalg.inv(np.linalg.cholesky(cov))
    assert np.linalg.norm(white @ (got_mean - centre)) < mean_off
    # In the density's own units the covariance is one: its eigenvalues say how wide it is in every direction.
    width = np.sqrt(np.linalg.eigvalsh(white @ got @ white.T))
    np.testing.assert_allclose(width, 1, atol=sd_off)


def widened_of(grid, cov, floor_km):
    kernel = np.asarray(grid.scale_tril, float)[:, 3:] * (grid.axes[3][1] - grid.axes[3][0]) / 2
    return cov + kernel @ kernel.T + np.diag([floor_km[0], floor_km[0], floor_km[1], 1e-3]) ** 2


@pytest.mark.parametrize("name", GAUSSIANS)
def test_components_are_the_density_with_a_known_widening(name):
    """Half a spacing squared is added to the variance of origin time, and the floor, but nothing in space."""
    centre, cov, mean_off, sd_off = GAUSSIANS[name]
    grid = found(jnp.array(centre), jnp.array(cov))
    floor = np.array([0.1, 0.3])
    mixture = gaussian_mixture(*jax.jit(adaptive_grid.components)(grid, floor))
    widened = widened_of(grid, cov, floor)
    white = np.linalg.inv(np.linalg.cholesky(widened))
    assert np.linalg.norm(white @ (mean(mixture) - np.array(centre))) < mean_off
    width = np.sqrt(np.linalg.eigvalsh(white @ np.asarray(covariance(mixture), float) @ white.T))
    np.testing.assert_allclose(width, 1, atol=sd_off)
    # Two standard deviations out the density itself is that Gaussian's, to its ripple and the share of the width.
    at = np.random.default_rng(0).multivariate_normal(centre, cov, 200)
    apart = np.asarray(mixture.log_prob(jnp.asarray(at))) - multivariate_normal(centre, widened).logpdf(at)
    assert np.abs(np.mean(apart)) < 0.02
    assert np.std(apart) < 0.1


def test_a_density_far_sharper_than_the_search_stays_in_its_place():
    """The search narrows 200 km to points half a kilometre apart; what is sharper is found that wide, not elsewhere."""
    centre = np.array([10.3, -20.7, 9.1, 1.03])
    points, mass = hypocentres(found(jnp.array(centre), jnp.diag(jnp.array([0.02, 0.02, 0.02, 0.003]) ** 2)))
    grid = found(jnp.array(centre), jnp.diag(jnp.array([0.02, 0.02, 0.02, 0.003]) ** 2))
    steps = np.array([a[1] - a[0] for a in grid.axes]) * np.diag(grid.scale_tril)
    assert (steps[:3] < 0.7).all()
    assert (np.abs(mass @ points - centre) < steps).all()
    assert np.isfinite(covariance(gaussian_mixture(*adaptive_grid.components(grid, jnp.array([0.1, 0.3]))))).all()


def test_two_places_are_both_kept():
    """A lattice covers all of the mass, so an ambiguous depth stays ambiguous, with the right shares."""
    one, other = (jnp.array([5.0, 5.0, depth, 2.0]) for depth in (8.0, 16.0))
    cov = jnp.diag(jnp.array([1.0, 1.0, 1.0, 0.2]) ** 2)

    def both(smoothed):
        first, second = gaussian(one, cov, smoothed), gaussian(other, cov, smoothed)
        return lambda *a: jnp.logaddexp(jnp.log(0.7) + first(*a), jnp.log(0.3) + second(*a))

    grid = jax.jit(
        lambda: adaptive_grid.evaluate(both(False), *adaptive_grid.search(both(True), REGION, SIZES), SIZES.last)
    )()
    points, mass = hypocentres(grid)
    assert mass[points[:, 2] < 12].sum() == pytest.approx(0.7, abs=0.02)


def test_derivatives_flow_through_the_density_alone():
    """d mean / d centre is one: the lattice stays, the density on it moves. d of the search is zero."""
    cov = jnp.array(GAUSSIANS["slanted"][1])
    start = jnp.array(GAUSSIANS["slanted"][0])

    def mean_of(centre):
        place = adaptive_grid.search(gaussian(centre, cov), REGION, SIZES)
        grid = adaptive_grid.evaluate(gaussian(centre, cov, False), *place, SIZES.last)
        parts = adaptive_grid.components(grid, jnp.array([0.1, 0.3]))
        return mean(gaussian_mixture(*parts)), place[0]

    slope, search_slope = jax.jit(jax.jacrev(mean_of))(start)
    np.testing.assert_allclose(slope, np.eye(4), atol=0.06)
    np.testing.assert_array_equal(search_slope, 0)


def test_derivative_of_a_log_density_is_the_gaussians():
    """The slope of the density at a point, with respect to where the density is: the precision times the offset."""
    centre, cov = jnp.array(GAUSSIANS["flat"][0]), jnp.array(GAUSSIANS["flat"][1])
    floor = jnp.array([0.1, 0.3])
    at = centre + jnp.array([1.0, -2.0, 2.0, 0.2])

    def log_prob(centre):
        place = adaptive_grid.search(gaussian(centre, cov), REGION, SIZES)
        grid = adaptive_grid.evaluate(gaussian(centre, cov, False), *place, SIZES.last)
        return gaussian_mixture(*adaptive_grid.components(grid, floor)).log_prob(at)

    want = np.linalg.solve(widened_of(found(centre, cov), cov, floor), at - centre)
    np.testing.assert_allclose(jax.jit(jax.grad(log_prob))(centre), want, rtol=0.05)


def test_a_flat_density_gives_the_region_back():
    """Nothing known: a uniform box has a standard deviation of its width over sqrt(12)."""
    flat = lambda points, origin_s, spacing_km: jnp.zeros(origin_s.shape)
    inside = lambda points, origin_s, spacing_km: jnp.where(
        ((jnp.abs(points[:, :2]) < 100).all(-1) & (jnp.abs(points[:, 2] - 15) < 15))[:, None]
        & (jnp.abs(origin_s - 5) < 10), 0.0, -100.0)  # fmt: skip
    low, high = np.array(REGION).T
    centre, scale = jax.jit(lambda: adaptive_grid.search(inside, REGION, SIZES))()
    np.testing.assert_allclose(centre, (low + high) / 2, atol=0.5)
    # Of a box with hard edges each level sees as many points as happen to lie inside, so that the scale is not exact.
    sd = np.sqrt(np.diag(scale @ scale.T))
    assert (sd < 1.4 * (high - low) / np.sqrt(12)).all()
    assert (adaptive_grid.SPREAD * sd > 1.2 * (high - low) / 2).all(), "the last lattice must hold all of the box"
    grid = adaptive_grid.evaluate(flat, centre, scale, (3, 3, 3, 3))
    np.testing.assert_allclose(grid.log_mass, -np.log(81), rtol=1e-5)


def test_region_holds_its_epicentres_and_a_margin():
    known = np.array([[3.0, -7.0, 5.0, 0.0], [20.0, 4.0, 9.0, 1.0]])
    region = adaptive_grid.region_around(known, 10.0, (0.0, 30.0), (-1.0, 8.0))
    assert region == Region((-7.0, 30.0), (-17.0, 14.0), (0.0, 30.0), (-1.0, 8.0))
