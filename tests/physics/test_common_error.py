"""Errors that all travel times of an event share, against the exact normal density and against wrong velocities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrival_densities import DEPTH_PRIOR, REGION, ROWS, SIZES, arrivals, stations, times_s
from scipy.stats import chi2, multivariate_normal, norm

from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, mean
from jaxloc.physics import adaptive_sampling
from jaxloc.physics.arrival_likelihood import hypocentre_cloud
from jaxloc.physics.common_error import CommonError, Summary, factors_s, most_probable
from jaxloc.physics.priors import log_prior_of, same_everywhere

NUM_STATIONS, NUM_EVENTS = 12, 16
ERROR = CommonError(jnp.array(0.05), jnp.array(0.03))
WRONG = jnp.array(1e-3)  # density of wrong picks in 1/s


def test_the_integral_is_the_normal_density_with_correlated_errors():
    """Without wrong picks Laplace's approximation is exact."""
    rng = np.random.default_rng(0)
    sd_s, factors = rng.uniform(0.05, 0.2, (5, 2)), rng.normal(size=(4, 1, 5, 2)) * 0.1
    residual_s = rng.normal(size=(1, 1, 5, 2)) * sd_s
    seen = Summary(jnp.zeros((5, 2)), jnp.asarray(sd_s**2), jnp.ones((5, 2)), jnp.array(0.0))
    found = most_probable(seen, jnp.asarray(-residual_s), jnp.asarray(factors), jnp.array(1.0))
    left_s = residual_s - np.asarray(found.shift_s)
    total = norm.logpdf(left_s, scale=sd_s).sum() + float(found.log_part[0, 0])
    flat = factors.reshape(4, -1)
    exact = multivariate_normal.logpdf(residual_s.ravel(), cov=np.diag(sd_s.ravel() ** 2) + flat.T @ flat)
    assert total == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("wrong_s", [1.0, 5.0])
def test_wrong_picks_hardly_change_common_errors(wrong_s):
    """A sixth of the picks is wrong the same way; the speed error is found from the others, to a fifth of its size."""
    travel_s = jnp.linspace(2.0, 12.0, 12).reshape(1, 6, 2)
    factors = factors_s(ERROR, travel_s)
    late_s = 1.5 * factors[0, :, None] + wrong_s * (jnp.arange(12) % 6 == 0).reshape(1, 1, 6, 2)
    seen = Summary(jnp.zeros((6, 2)), jnp.full((6, 2), 0.05**2), jnp.ones((6, 2)), WRONG)
    found = most_probable(seen, -late_s, factors, jnp.array(1.0))
    np.testing.assert_allclose(found.shift_s[0, 0, :, 1], 1.5 * factors[0, 0, :, 1], rtol=0.2)


@jax.jit
def located(seen, error):
    """Mean and covariance of the hypocentre in space, with common errors of the travel times."""
    seen = seen._replace(physics=seen.physics._replace(common=error))
    grid = hypocentre_cloud(seen, log_prior_of(REGION, same_everywhere(*DEPTH_PRIOR)), REGION, SIZES)
    mixture = gaussian_mixture(*adaptive_sampling.components(grid, seen.physics.floor_km))
    return mean(mixture)[:3], covariance(mixture)[:3, :3]


@pytest.mark.slow
@pytest.mark.parametrize(("slower", "vp_vs"), [(1.08, 1.0), (0.92, 1.0), (1.0, 1.06)])
def test_regions_cover_where_velocities_are_wrong(slower, vp_vs):
    """All travel times are off by 8 per cent, or S by 6: ellipsoids of 90 % hold the truth as often as they say.

    Of 16 events at least 12 are inside with a probability of 98 % at a coverage of 0.9. Without common errors a third
    or less are.
    """
    rng = np.random.default_rng(1)
    inside, inside_exact = 0, 0
    for seed in range(NUM_EVENTS):
        station_km = stations(NUM_STATIONS, seed)
        truth = np.r_[rng.uniform(-12, 12, 2), rng.uniform(4, 14), 4.0]
        travel = times_s(station_km, truth) - truth[3]
        arrival_s = truth[3] + travel * slower * [1.0, vp_vs] + rng.normal(size=travel.shape) * [0.06, 0.1]
        for error in (ERROR, ERROR._replace(speed=jnp.array(0.0), vp_vs=jnp.array(0.0))):
            middle, spread = located(arrivals(station_km, arrival_s), error)
            apart = np.asarray(middle) - truth[:3]
            hit = apart @ np.linalg.solve(np.asarray(spread, float), apart) < chi2.ppf(0.9, 3)
            inside, inside_exact = inside + (hit and error is ERROR), inside_exact + (hit and error is not ERROR)
    assert inside >= 12
    assert inside_exact <= 6
    assert ROWS == NUM_STATIONS
