"""The posterior from arrival densities against a brute-force fine grid in NumPy, in a uniform medium."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrival_densities import (
    DEPTH_PRIOR,
    GRID,
    NONE,
    OUTLIER,
    PICK_SD_S,
    RATE_HZ,
    REGION,
    ROWS,
    SAMPLES,
    SIZES,
    SMOOTHING_S,
    TRUTH,
    arrivals,
    log_density_numpy,
    stations,
    times_s,
)
from cases import quick_jit
from scipy.special import logsumexp
from scipy.stats import chi2, multivariate_normal, norm

from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, mean
from jaxloc.heads.arrivals import arrivals as arrivals_head
from jaxloc.heads.arrivals import interpolated
from jaxloc.physics import adaptive_sampling
from jaxloc.physics.arrival_likelihood import (
    Anomalies,
    hypocentre_cloud,
    log_density,
    posterior_of,
    predicted_s,
)
from jaxloc.physics.layered import uniform
from jaxloc.physics.parameters import PhysicsPrior, PhysicsSetting, physics_at, prior_parameters
from jaxloc.physics.priors import as_nearby, log_prior_of, same_everywhere
from jaxloc.types import Label, Observations


@jax.jit
def located(seen):
    """Mean and covariance of the located mixture, and its log-weights' sum."""
    grid = hypocentre_cloud(seen, log_prior_of(REGION, same_everywhere(*DEPTH_PRIOR)), REGION, SIZES)
    mixture = gaussian_mixture(*adaptive_sampling.components(grid, seen.physics.floor_km))
    return mean(mixture), covariance(mixture), jax.nn.logsumexp(mixture.parts.log_weight)


def on_grid(station_km, arrival_s, middle, reach, sizes, correlation):
    """Points of a regular grid, their probabilities with a flat prior but for depth, and which are at its edge."""
    axes = [np.linspace(m - r, m + r, n) for m, r, n in zip(middle, reach, sizes, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 4)
    value = np.concatenate(
        [log_density_numpy(station_km, arrival_s, part, correlation) for part in np.array_split(points, 40)]
    )
    inside = (points[:, 2] > REGION.depth_km[0]) & (points[:, 2] < REGION.depth_km[1])
    value += np.where(inside, norm.logpdf(points[:, 2], *DEPTH_PRIOR), -np.inf)
    mass = np.exp(value - logsumexp(value))
    middle = mass @ points
    at_edge = np.any((points == [a[0] for a in axes]) | (points == [a[-1] for a in axes]), 1)
    return middle, ((points - middle).T * mass) @ (points - middle), mass[at_edge].sum()


def brute_force(station_km, arrival_s, correlation=0.0):
    """Mean and covariance on a fine 4-D grid, 4.5 standard deviations to each side of those on a coarse one."""
    middle, cov, _ = on_grid(station_km, arrival_s, TRUTH, [4.0, 4.0, 8.9, 1.2], (17, 17, 17, 17), correlation)
    sd = np.sqrt(np.diag(cov))
    middle, cov, at_edge = on_grid(station_km, arrival_s, middle, 4.5 * sd, (17, 17, 19, 19), correlation)
    # The grid must hold the posterior, with points closer than a standard deviation.
    assert at_edge < 2e-3
    assert (np.sqrt(np.diag(cov)) > 0.8 * 9 * sd / 17).all()
    return middle, cov


def assert_same(got, want, mean_off=0.15, wider=0.25):
    """Mean within a share of a standard deviation; widths equal but for the error of samples, or wider."""
    white = np.linalg.inv(np.linalg.cholesky(want[1]))
    assert np.linalg.norm(white @ (np.asarray(got[0], float) - want[0])) < mean_off
    share = np.sqrt(np.diag(np.asarray(got[1], float)) / np.diag(want[1]))
    assert (share > 0.94).all(), share  # of 2,000 samples a width is good to 0.016
    assert (share < 1 + wider).all(), share
    assert got[2] == pytest.approx(0, abs=1e-4)


@jax.jit
def density_at(seen, points, origin_s):
    flat = lambda points, origin_s, spacing_km: jnp.zeros(origin_s.shape)
    return log_density(seen, flat)(points, origin_s, jnp.zeros(()))


def test_density_at_points_is_the_formulas():
    """Point by point, without a lattice's smoothing: the Fourier smoothing and the reading in time are exact."""
    station_km = stations(7)
    arrival_s = times_s(station_km, TRUTH)
    seen = arrivals(station_km, arrival_s, correlation=0.05)
    points = TRUTH + np.random.default_rng(1).normal(size=(200, 4)) * [1.0, 1.0, 3.0, 0.3]
    got = density_at(seen, jnp.asarray(points[:, :3], jnp.float32), jnp.asarray(points[:, 3:], jnp.float32))[:, 0]
    want = log_density_numpy(station_km, arrival_s, points, correlation=0.05)
    # Interpolation of the log-density between samples 0.05 s apart: at most step^2 / 8 / 0.13^2 a reading, 14 readings.
    np.testing.assert_allclose(got, want, atol=14 * 0.05**2 / 8 / 0.13**2)
    assert np.abs(got - want).mean() < 0.1


RIGHT, SWAPPED = (0.0, OUTLIER, 0.0, OUTLIER), (0.6, 0.3, 0.1, 0.6)


def with_mistakes(seen, *sets):
    """Arrivals whose network may have made these mistakes: P of S, P of nothing, S of P, S of nothing."""
    return seen._replace(physics=seen.physics._replace(mistakes=jnp.array(sets).reshape(-1, 2, 2)))


@pytest.mark.parametrize("sets", [(RIGHT,), (SWAPPED,), (RIGHT, SWAPPED)], ids=["right", "swapped", "either"])
def test_mistakes_of_a_network_are_summed_over(sets):
    """Against the formula in NumPy: a normal density of each reading about either phase, by the shares of each set."""
    station_km, duration_s = stations(7), SAMPLES / RATE_HZ
    arrival_s = times_s(station_km, TRUTH)
    arrival_s[:, 0] = arrival_s[:, 1]
    seen = with_mistakes(arrivals(station_km, arrival_s), *sets)
    points = TRUTH + np.random.default_rng(1).normal(size=(200, 4)) * [1.0, 1.0, 3.0, 0.3]
    got = density_at(seen, jnp.asarray(points[:, :3], jnp.float32), jnp.asarray(points[:, 3:], jnp.float32))[:, 0]
    predicted, width = times_s(station_km, points), np.hypot(PICK_SD_S, SMOOTHING_S)
    about = lambda at, sd: (1 - NONE) * norm.pdf(at, arrival_s, sd) + NONE / duration_s
    right, other = about(predicted, width), about(predicted[..., ::-1], width[::-1])
    shares = np.reshape(sets, (-1, 2, 2)).transpose(0, 2, 1)
    each = [np.log((1 - x - o) * right + x * other + o / duration_s).sum((-1, -2)) for x, o in shares]
    # As without mistakes: interpolation between samples, of 14 readings.
    np.testing.assert_allclose(got, logsumexp(each, axis=0) - np.log(len(sets)), atol=14 * 0.05**2 / 8 / 0.13**2)


@pytest.mark.slow
def test_s_that_was_taken_for_p_locates_the_event():
    """P read at S, and S at another event 7 s later: 30 km off as it stands, within 3 sd with mistakes."""
    station_km = stations(12)
    arrival_s = times_s(station_km, TRUTH)
    seen = arrivals(station_km, np.stack([arrival_s[:, 1], arrival_s[:, 1] + 7.0], -1))
    off = lambda found: np.asarray(found[0])[:3] - TRUTH[:3]
    assert np.linalg.norm(off(located(seen))) > 5
    found = located(with_mistakes(seen, RIGHT, SWAPPED))
    assert np.linalg.norm(off(found)[:2]) < 1.0
    assert (np.abs(off(found)) < 3 * np.sqrt(np.diag(np.asarray(found[1])))[:3]).all()


ANOMALIES = Anomalies(jnp.array(0.2), jnp.array(0.0), jnp.array([0.6, 1.0]))


def with_anomalies(seen):
    return seen._replace(physics=seen.physics._replace(anomalies=ANOMALIES))


def test_some_travel_times_have_large_errors():
    """Against the formula in NumPy: each reading is about the predicted time with a small or with a large error."""
    station_km = stations(7)
    arrival_s = times_s(station_km, TRUTH)
    arrival_s[3] += 1.0
    seen = with_anomalies(arrivals(station_km, arrival_s))
    points = TRUTH + np.random.default_rng(1).normal(size=(200, 4)) * [1.0, 1.0, 3.0, 0.3]
    got = density_at(seen, jnp.asarray(points[:, :3], jnp.float32), jnp.asarray(points[:, 3:], jnp.float32))[:, 0]
    small, large = (np.hypot(np.hypot(PICK_SD_S, SMOOTHING_S), sd) for sd in (0.0, ANOMALIES.sd_s))
    about = lambda sd: norm.pdf(times_s(station_km, points), arrival_s, sd)
    of_event = (1 - NONE) * (0.8 * about(small) + 0.2 * about(large)) + NONE * RATE_HZ / SAMPLES
    want = np.log((1 - OUTLIER) * of_event + OUTLIER * RATE_HZ / SAMPLES).sum((-1, -2))
    # As without them: interpolation between samples, of 14 readings.
    np.testing.assert_allclose(got, want, atol=14 * 0.05**2 / 8 / 0.13**2)


@pytest.mark.slow
def test_stations_unlike_all_others_do_not_take_events_along():
    """Errors drawn as they are expected: 0.90 of 40 events are within 90 % ellipsoids, but for 2.5 sd of their share.

    Without anomalies far fewer are, although readings that are far off count as outliers.
    """
    rng, station_km, number = np.random.default_rng(4), stations(8), 40
    large = rng.uniform(size=(number, 8, 2)) < ANOMALIES.share
    sd_s = np.hypot(np.hypot(PICK_SD_S, SMOOTHING_S), large * np.asarray(ANOMALIES.sd_s))
    events = times_s(station_km, TRUTH) + sd_s * rng.normal(size=(number, 8, 2))

    def inside(found):
        off = np.asarray(found[0], float)[:3] - TRUTH[:3]
        return off @ np.linalg.solve(np.asarray(found[1], float)[:3, :3], off) < chi2.ppf(0.9, 3)

    seen = [arrivals(station_km, arrival_s) for arrival_s in events]
    least = 0.9 - 2.5 * np.sqrt(0.9 * 0.1 / number)
    assert np.mean([inside(located(with_anomalies(one))) for one in seen]) > least
    assert np.mean([inside(located(one)) for one in seen]) < least


@pytest.mark.parametrize("number", [5, 12])
def test_posterior_is_that_of_a_fine_grid(number):
    station_km = stations(number)
    arrival_s = times_s(station_km, TRUTH) + np.random.default_rng(2).normal(size=(number, 2)) * [0.1, 0.2]
    want = brute_force(station_km, arrival_s)
    assert_same(located(arrivals(station_km, arrival_s)), want, wider=0.25 if number < 10 else 0.15)


def test_an_outlier_station_does_not_break_it():
    """One of eight stations 3 s late in both phases: the posterior stays that of the fine grid, and near the truth."""
    station_km = stations(8)
    arrival_s = times_s(station_km, TRUTH)
    arrival_s[2] += 3.0
    want = brute_force(station_km, arrival_s)
    got = located(arrivals(station_km, arrival_s))
    assert_same(got, want)
    assert (np.abs(got[0] - TRUTH) < np.sqrt(np.diag(got[1]))).all()
    without = located(arrivals(np.delete(station_km, 2, 0), np.delete(arrival_s, 2, 0)))
    assert (np.abs(got[0] - without[0]) < np.sqrt(np.diag(got[1]))).all()


def test_tempering_widens_by_the_number_of_stations_it_takes():
    """n stations of correlation r tell as much as n / (1 + r (n - 1)); standard deviations grow by its root."""
    station_km = stations(12)
    arrival_s = times_s(station_km, TRUTH)
    correlation = 0.05
    factor = np.sqrt(1 + correlation * ((1 - NONE) * 12 - 1))
    got = located(arrivals(station_km, arrival_s, correlation))
    assert_same(got, brute_force(station_km, arrival_s, correlation))
    plain = located(arrivals(station_km, arrival_s))
    share = np.sqrt(np.diag(got[1]) / np.diag(plain[1]))
    # The tails of outliers and the prior of depth make it somewhat other than that of a Gaussian.
    np.testing.assert_allclose(share[[0, 1, 3]], factor, rtol=0.1)


def test_dead_stations_count_neither_as_arrivals_nor_in_the_tempering():
    station_km = stations(6)
    arrival_s = times_s(station_km, TRUTH)
    assert_same(located(arrivals(station_km, arrival_s, 0.1)), brute_force(station_km, arrival_s, 0.1))


def test_delays_move_predictions_and_an_arrival_outside_the_record_costs_its_level():
    station_km = stations(4)
    seen = arrivals(station_km, times_s(station_km, TRUTH), delay_s=0.25)
    got = jax.jit(predicted_s)(seen.physics, jnp.asarray(TRUTH, jnp.float32))
    np.testing.assert_allclose(got, times_s(seen.physics.station_km, TRUTH) + 0.25, atol=2e-4)
    value = density_at(seen, jnp.zeros((1, 3)), jnp.array([[-100.0, 100.0]]))
    level = np.log((1 - OUTLIER) * NONE / (SAMPLES / RATE_HZ) + OUTLIER / (SAMPLES / RATE_HZ))
    np.testing.assert_allclose(value, 8 * level, rtol=1e-5)


def test_prior_is_flat_within_the_region_but_for_depth():
    prior = log_prior_of(REGION, same_everywhere(*DEPTH_PRIOR))
    points = jnp.array([[0.0, 0.0, 8.0], [20.0, -20.0, 8.0], [0.0, 0.0, 14.0], [60.0, 0.0, 8.0], [0.0, 0.0, 25.0]])
    value = jax.jit(prior)(points, jnp.full((5, 1), 3.0), jnp.asarray(0.1))[:, 0]
    np.testing.assert_allclose(value[:3] + np.log(DEPTH_PRIOR[1]), [0.0, 0.0, -0.5], atol=1e-4)
    assert (value[3:] < -50).all()
    early = prior(points[:1], jnp.array([[-3.0, 3.0, 13.0]]), jnp.asarray(0.1))[0]
    assert early[1] == pytest.approx(-np.log(DEPTH_PRIOR[1]), abs=1e-4)
    assert (early[jnp.array([0, 2])] < -50).all()


@pytest.mark.slow
def test_derivatives_reach_arrivals_and_physics_and_are_finite():
    station_km = stations(5)
    seen = arrivals(station_km, times_s(station_km, TRUTH), correlation=0.05)

    def log_prob(seen):
        small = SIZES._replace(last=256)
        grid = hypocentre_cloud(seen, log_prior_of(REGION, same_everywhere(*DEPTH_PRIOR)), REGION, small)
        parts = adaptive_sampling.components(grid, seen.physics.floor_km)
        return gaussian_mixture(*parts).log_prob(jnp.asarray(TRUTH, jnp.float32))

    slope = quick_jit(jax.grad(log_prob))(seen)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    for leaf in (slope.log_mass, slope.physics.smoothing_s, slope.physics.correlation, slope.physics.station_km):
        assert np.abs(leaf).max() > 1e-3


def test_depths_are_as_those_of_events_nearby_and_elsewhere_as_given():
    shallow = np.array([[-20.0, 0.0, 2.0]] * 50)
    deep = np.array([[20.0, 0.0, 12.0]] * 50)
    prior = as_nearby(np.concatenate([shallow, deep]), 5.0, 7.0, 4.0, weight=1.0)
    mean, sd = prior(jnp.array([[-20.0, 0.0], [20.0, 0.0], [0.0, 60.0]]), None)
    # Fifty events of one depth against one of (7, 4): means in that proportion.
    np.testing.assert_allclose(mean, [(50 * 2 + 7) / 51, (50 * 12 + 7) / 51, 7.0], atol=0.02)
    assert float(sd[0]) < 1.0
    np.testing.assert_allclose(sd[2], 4.0, atol=0.01)


def test_an_event_does_not_know_its_own_depth():
    alone, others = np.array([[0.0, 0.0, 14.0]]), np.array([[1.0, 0.0, 4.0]] * 5)
    prior = as_nearby(np.concatenate([alone, others]), 5.0, 7.0, 4.0)
    at = jnp.zeros((1, 2))
    without = prior(at, jnp.asarray(alone[0]))
    np.testing.assert_allclose(without, as_nearby(others, 5.0, 7.0, 4.0)(at, None), rtol=1e-5)
    assert float(prior(at, None)[0][0]) > float(without[0][0]) + 0.5


@pytest.mark.slow
def test_a_labelled_event_is_judged_by_a_prior_that_does_not_know_it():
    """With the prior of learning the likelihood is that of a head that has no other, and differs from the rest."""
    station_km = stations(6)
    seen = arrivals(station_km, times_s(station_km, TRUTH))
    usual, known_not = (log_prior_of(REGION, same_everywhere(depth_km, 1.0)) for depth_km in (9.0, 14.0))
    label = Label(jnp.asarray(TRUTH, jnp.float32), jnp.array([True, True, True, False]))

    def likelihood(prior, without=None):
        head = arrivals_head(REGION, prior, log_prior_without=without, sizes=SIZES)
        return float(quick_jit(head.log_likelihood)(seen, {"hypocentre": label}))

    learning = likelihood(usual, lambda known_km: known_not)
    assert learning == pytest.approx(likelihood(known_not), abs=1e-4)
    assert learning < likelihood(usual) - 0.1


@pytest.mark.parametrize("sd", [0.01, 0.5, 2.0])
def test_a_labelled_time_is_shared_by_samples_as_interpolation_reads_them(sd):
    """Shares add up to one about the time; a sharp one lies between its two neighbours, by how near it is to each."""
    place = jnp.arange(40.0)
    share = np.asarray(interpolated(place - 20.3, jnp.array(sd)), float)
    assert share.sum() == pytest.approx(1, abs=1e-4)
    assert share @ np.arange(40) == pytest.approx(20.3, abs=1e-3)
    if sd == 0.01:
        np.testing.assert_allclose(share[20:22], [0.7, 0.3], atol=1e-3)
    # What a hat adds: a sixth of a sample squared in the mean over places between samples, at most a quarter.
    assert sd**2 <= share @ (np.arange(40) - 20.3) ** 2 <= sd**2 + 0.25


@pytest.mark.slow
def test_more_surprises_are_heavier_tails_about_the_same_middle():
    station_km = stations(6)
    seen = arrivals(station_km, times_s(station_km, TRUTH))
    prior = log_prior_of(REGION, same_everywhere(*DEPTH_PRIOR))
    grid = quick_jit(lambda: hypocentre_cloud(seen, prior, REGION, SIZES))()
    few, many = (quick_jit(posterior_of)(grid, jnp.full(2, 1e-3), jnp.array(share)) for share in (0.01, 0.3))
    np.testing.assert_allclose(mean(few), mean(many), atol=1e-3)
    # A share s of three times the width has 1 + 8 s times the variance.
    ratio = np.diagonal(covariance(many)) / np.diagonal(covariance(few))
    np.testing.assert_allclose(ratio, (1 + 8 * 0.3) / (1 + 8 * 0.01), rtol=0.02)


def test_an_unknown_station_is_less_certain_by_what_its_delay_may_be():
    """Delays as wide as before data for ten stations, and those of the two of training, which have none yet."""
    prior = PhysicsPrior(elsewhere_sd_s=(0.3, 0.5), elsewhere_together=0.6)
    setting = PhysicsSetting(uniform(6.0), (0.0, 0.0), GRID, prior)
    index = jnp.array([0, -1])
    seen = Observations(None, jnp.zeros((2, 3)), jnp.ones(2, bool), index, jnp.asarray(RATE_HZ))
    physics = quick_jit(lambda seen: physics_at(prior_parameters(setting), setting, seen))(seen)
    known, unknown = physics.delay_covariance_s2
    np.testing.assert_array_equal(known, 0)
    np.testing.assert_allclose(unknown, np.array([[0.09, 0.09], [0.09, 0.25]]) * 10 / (10 + 2), rtol=1e-5)


@pytest.mark.parametrize("station", [0, 2])
def test_delays_that_go_together_are_integrated_out(station):
    """Against the normal density of the residuals of P and S at once: both errors, and the delays' covariance.

    Moving an origin time moves both residuals; readings are sharp, and nothing is cut off or taken for an outlier.
    """
    station_km = stations(3)
    covariance_s2 = np.array([[0.16, 0.2], [0.2, 0.36]])
    seen = arrivals(station_km, times_s(station_km, TRUTH))
    unknown = np.zeros((ROWS, 2, 2))
    unknown[station] = covariance_s2
    seen = seen._replace(
        active=jnp.zeros(ROWS).at[station].set(1.0),
        physics=seen.physics._replace(delay_covariance_s2=jnp.asarray(unknown, jnp.float32), outlier=jnp.array(1e-9)),
    )
    flat = lambda points, origin_s, _: jnp.zeros(origin_s.shape)
    points = TRUTH[:3] + np.array([[0, 0, 0], [1.5, 0, 0], [0, -2.0, 1.0]])
    origin_s = TRUTH[3] + np.linspace(-0.3, 0.3, 5) + np.zeros((3, 1))
    value = quick_jit(lambda seen: log_density(seen, flat)(points, origin_s, jnp.array(1e-3)))(seen)
    each = np.concatenate([points[:, None] + np.zeros((1, 5, 1)), origin_s[..., None]], -1)
    residual_s = (times_s(station_km, TRUTH) - times_s(station_km, each))[..., station, :]
    total_s2 = covariance_s2 + np.diag(np.square(SMOOTHING_S) + PICK_SD_S**2)
    expected = multivariate_normal.logpdf(residual_s, np.zeros(2), total_s2) + 2 * np.log(1 - NONE)
    # The sharp reading's own width is no part of what S is expected by: 0.06 s beside delays of 0.4.
    np.testing.assert_allclose(value, expected, atol=0.12)
