"""Grid searches against posteriors that are known: linear travel times, quadrature, and events drawn from the model."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, laplace, norm

from jaxloc.distributions.credible_regions import highest_density_level
from jaxloc.distributions.gaussian_mixture import components, covariance, mean
from jaxloc.locators.grid_search import FEW_STATIONS, SPLITS, dense_grid, grid_search, uniform_times
from jaxloc.locators.over_events import over_events
from jaxloc.physics.adaptive_grid import Region, Search
from jaxloc.physics.layered import uniform
from jaxloc.physics.pick_errors import PickErrors, Residuals, residuals
from jaxloc.physics.pick_likelihood import joint, over_origin
from jaxloc.physics.priors import log_prior_of, same_everywhere
from jaxloc.physics.table import TableGrid, tabulate
from jaxloc.physics.table_times import table_times
from jaxloc.types import Observations

REGION = Region((-20.0, 20.0), (-20.0, 20.0), (0.0, 20.0), (-3.0, 6.0))
FLAT = log_prior_of(REGION, same_everywhere(10.0, 1e4))
STATIONS = np.array([[-12, -9, 0], [14, -3, -0.5], [3, 13, 0], [-7, 10, -1], [9, -15, 0], [1, -2, -0.3]], float)
SPEEDS = np.array([6.0, 6.0 / 1.73])
SIZES = Search((11, 11, 5, 15), (8, 8, 8, 7), 4, (13, 13, 11, 7))
KEY = jax.random.key(0)


def seen(picks_s, sd_s=0.1, station_km=STATIONS):
    """Observations of one event, or of a batch, with all picks there."""
    picks_s = jnp.asarray(picks_s, jnp.float32)
    lead, count = picks_s.shape[:-2], picks_s.shape[-2]
    full = lambda value, *shape: jnp.broadcast_to(jnp.asarray(value), (*lead, *shape))
    return Observations(
        None,
        full(jnp.asarray(station_km, jnp.float32), count, 3),
        full(True, count),
        full(jnp.arange(count), count),
        full(20.0),
        picks_s,
        jnp.broadcast_to(jnp.asarray(sd_s, jnp.float32), picks_s.shape),
        jnp.ones(picks_s.shape, bool),
    )


def arrivals_s(hypocentres):
    apart = np.linalg.norm(hypocentres[..., None, :3] - STATIONS, axis=-1)
    return hypocentres[..., 3, None, None] + apart[..., None] / SPEEDS


def test_linear_travel_times_have_a_normal_posterior():
    """Times that are linear in place: mean and covariance by least squares.

    Components are half a cell wide, which adds a quarter of the cell's square: exactly so for the dense grid, where
    sums over a regular grid give a Gaussian's moments. The lattice's points lie 0.39 of the search's deviations apart
    at most, which are a few per cent too wide: 4 to 5 %.
    """
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=(6, 2, 3)) / 5.0
    true, sd = np.array([2.0, -3.0, 9.0, 1.0]), 0.25
    design = np.concatenate([slopes.reshape(12, 3), np.ones((12, 1))], 1)
    picks_s = design @ true + sd * rng.normal(size=12)
    expected = np.linalg.inv(design.T @ design) * sd**2
    centre = np.linalg.lstsq(design, picks_s, rcond=None)[0]
    spread = np.sqrt(np.diag(expected))
    times = lambda station_km: lambda place: jnp.einsum("spc,nc->nsp", jnp.asarray(slopes, jnp.float32), place)
    # A box of 6 standard deviations about the mean, 30 cells along each axis.
    box = Region(*((float(c - 6 * s), float(c + 6 * s)) for c, s in zip(centre, spread, strict=True)))
    flat = log_prior_of(box, same_everywhere(9.0, 1e4))
    one = seen(picks_s.reshape(6, 2), sd)
    dense = jax.jit(dense_grid(times, box, flat, cells=(30, 30, 30)))(KEY, one)
    with_place = np.concatenate([np.eye(3), [expected[3, :3] @ np.linalg.inv(expected[:3, :3])]])
    added = with_place * (0.4 * spread[:3] / 2) ** 2 @ with_place.T
    np.testing.assert_allclose(mean(dense.hypocentre), centre, atol=2e-3 * spread.min())
    np.testing.assert_allclose(dense.aleatoric, expected + added, atol=2e-3 * spread.max() ** 2)
    assert not np.any(dense.epistemic)
    fine = jax.jit(grid_search(times, REGION, FLAT))(KEY, one)
    white = np.linalg.inv(np.linalg.cholesky(expected))
    ratio = np.linalg.eigvalsh(white @ np.asarray(fine.aleatoric, float) @ white.T)
    assert (np.abs(mean(fine.hypocentre) - centre) < 0.02 * spread).all()
    assert 0.98 < ratio.min() < ratio.max() < 1.06, ratio


def residuals_of(values, sd):
    return Residuals(jnp.array([values]), jnp.array([sd]), jnp.ones(len(values), bool))


@pytest.mark.parametrize("kind", ["l2", "l1"])
@pytest.mark.parametrize("outlier", [0.0, 0.1])
def test_origin_time_is_integrated_out(kind, outlier):
    """Against SciPy's quadrature of SciPy's densities; nodes a quarter of a deviation apart are good to 5e-3."""
    values, sd = [0.3, 0.55, 0.1, 0.42, 3.0 if outlier else 0.2], [0.1, 0.3, 0.2, 0.1, 0.2]
    density = (lambda r, s: norm.pdf(r, scale=s)) if kind == "l2" else lambda r, s: laplace.pdf(r, scale=s / 2**0.5)

    def likelihood(t):
        each = [(1 - outlier) * density(v - t, s) + outlier / 60 for v, s in zip(values, sd, strict=True)]
        return float(np.prod(each))

    moments = [
        quad(lambda t, k=k: t**k * likelihood(t), -2, 2, points=sorted(values[:4]), limit=200)[0] for k in range(3)
    ]
    errors = PickErrors(kind, outlier=outlier)
    found = over_origin(errors, residuals_of(values, sd))
    centre = moments[1] / moments[0]
    assert found.log_evidence[0] == pytest.approx(np.log(moments[0]), abs=5e-3)
    assert found.mean_s[0] == pytest.approx(centre, abs=1e-3)
    assert found.variance_s2[0] == pytest.approx(moments[2] / moments[0] - centre**2, rel=0.01)
    at = joint(errors, residuals_of(values, sd), jnp.array([[0.25]]))[0, 0]
    assert at == pytest.approx(np.log(likelihood(0.25)), abs=1e-3)


@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_the_origin_time_of_many_picks_is_found_among_wrong_ones(kind):
    """30 of 50 picks agree; the first ten are 8 s late each by its own, and ten are not there."""
    rng = np.random.default_rng(3)
    sd, there = np.full(50, 0.2), np.arange(50) % 5 != 4
    values = 1.0 + sd * rng.normal(size=50)
    values[:10] += 8.0 + rng.uniform(0, 20, 10)
    values[~there] = 99.0
    density = norm(scale=0.2) if kind == "l2" else laplace(scale=0.2 / 2**0.5)
    time_s = np.linspace(0.5, 1.5, 4001)
    each = 0.9 * density.pdf(values[there][:, None] - time_s) + 0.1 / 60
    exact = np.exp(np.log(each).sum(0) - np.log(each).sum(0).max())
    centre = (exact * time_s).sum() / exact.sum()
    masked = Residuals(jnp.array([values], jnp.float32), jnp.array([sd], jnp.float32), jnp.array(there))
    found = over_origin(PickErrors(kind, outlier=0.1), masked)
    evidence = np.log(each).sum(0).max() + np.log(exact.sum() * (time_s[1] - time_s[0]))
    assert found.log_evidence[0] == pytest.approx(evidence, abs=5e-3)
    assert found.mean_s[0] == pytest.approx(centre, abs=1e-3)
    spread = (exact * (time_s - centre) ** 2).sum() / exact.sum()
    assert found.variance_s2[0] == pytest.approx(spread, rel=0.01)


def test_pairs_that_agree_are_as_sharp_as_least_squares():
    """Near agreement N log of the mean over pairs falls as the sum of squares does, N / (N - 1) times as fast, and the
    origin time is as sure. Residuals of 0.1 sd are near: what is left out is a hundredth of what counts.
    """
    base = 0.1 * np.array([1.0, -1.0, 0.5, -0.5, 0.3, -0.3])
    sd = [1.0] * 6
    drop = {}
    for kind in ("l2", "edt"):
        zero, apart = (over_origin(PickErrors(kind), residuals_of(list(k * base), sd)) for k in (0.0, 1.0))
        drop[kind] = float(zero.log_evidence[0] - apart.log_evidence[0])
        assert float(apart.variance_s2[0]) == pytest.approx(1 / 6, rel=0.02 if kind == "l2" else 0.05)
    assert drop["edt"] == pytest.approx(6 / 5 * drop["l2"], rel=0.02)


def test_a_joint_density_integrates_to_its_evidence():
    """Equal differential time: over origin time the joint density gives that of the pairs."""
    values = residuals_of([0.3, 0.5, 0.1, 0.2, 0.3, 4.0], [0.2, 0.3, 0.2, 0.2, 0.3, 0.2])
    time_s = jnp.linspace(-2.0, 6.0, 4001)
    whole = jax.scipy.special.logsumexp(joint(PickErrors("edt"), values, time_s[None])[0]) + jnp.log(0.002)
    assert float(whole) == pytest.approx(float(over_origin(PickErrors("edt"), values).log_evidence[0]), abs=5e-3)


@pytest.mark.parametrize("kind", ["l2", *(pytest.param(k, marks=pytest.mark.slow) for k in ("l1", "edt"))])
def test_both_searches_agree(kind):
    """Means within a tenth of a standard deviation, and standard deviations within 7 %: what either grid's spacing
    adds, and the lattice's end at 3.5 standard deviations.
    """
    rng = np.random.default_rng(4)
    picks_s = arrivals_s(np.array([3.0, -2.0, 8.0, 1.0])) + 0.15 * rng.normal(size=(6, 2))
    errors, one = PickErrors(kind, 0.05, 0.02), seen(picks_s, 0.15)
    near = Region((-1.0, 7.0), (-6.0, 2.0), (0.0, 16.0), (-3.0, 6.0))
    dense = jax.jit(dense_grid(uniform_times(6.0), near, FLAT, errors, (40, 40, 40)))(KEY, one)
    fine = jax.jit(grid_search(uniform_times(6.0), REGION, FLAT, errors))(KEY, one)
    spread, other = (np.sqrt(np.diag(x.aleatoric)) for x in (dense, fine))
    assert (np.abs(mean(dense.hypocentre) - mean(fine.hypocentre)) < 0.1 * spread).all()
    np.testing.assert_allclose(other, spread, rtol=0.07)
    # Origin time goes with place within a cell as it does across cells.
    correlation = [np.asarray(x.aleatoric)[2, 3] / (s[2] * s[3]) for x, s in ((dense, spread), (fine, other))]
    assert correlation[0] == pytest.approx(correlation[1], abs=0.1)


def drawn(kind, number, seed):
    """Events of the prior, and picks that err as the likelihood says."""
    rng = np.random.default_rng(seed)
    low, high = np.array([[-20, 20], [-20, 20], [0, 20], [0, 3]], float).T
    hypocentres = rng.uniform(low, high, (number, 4))
    noise = rng.normal(size=(number, 6, 2)) if kind == "l2" else rng.laplace(scale=0.5**0.5, size=(number, 6, 2))
    return hypocentres, seen(arrivals_s(hypocentres) + 0.2 * noise, 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_levels_of_truths_are_uniform(kind):
    """Simulation-based calibration (Talts and others 2018): 300 events of the prior; a fixed seed, so that the test of
    Kolmogorov and Smirnov at 1 % fails by chance once in a hundred changes of the numbers.
    """
    hypocentres, batch = drawn(kind, 300, 5)
    locate = over_events(grid_search(uniform_times(6.0), REGION, FLAT, PickErrors(kind)), chunk=50)
    posterior = locate(jax.random.key(0), batch)
    level = highest_density_level(jax.random.key(1), posterior.hypocentre, jnp.asarray(hypocentres, jnp.float32), 500)
    assert kstest(np.asarray(level), "uniform").pvalue > 0.01


def test_one_wrong_pick_spoils_least_squares_and_not_the_others():
    """P at one of six stations five seconds late: least squares errs by kilometres, the others as with a pick less.

    The posterior of the other eleven picks has a standard deviation below 1.2 km; three of them are 3.6.
    """
    true = np.array([3.0, -2.0, 8.0, 1.0])
    picks_s = arrivals_s(true) + 0.1 * np.random.default_rng(1).normal(size=(6, 2))
    picks_s[2, 0] += 5.0

    def error_km(errors):
        found = jax.jit(grid_search(uniform_times(6.0), REGION, FLAT, errors, SIZES))(KEY, seen(picks_s, 0.1))
        return float(np.linalg.norm(np.asarray(mean(found.hypocentre))[:3] - true[:3]))

    assert error_km(PickErrors("l2")) > 5.0
    assert error_km(PickErrors("edt")) < 2.0
    assert error_km(PickErrors("l2", outlier=0.05)) < 2.0


def test_a_masked_pick_has_no_influence():
    """It may hold anything."""
    locate = jax.jit(dense_grid(uniform_times(6.0), REGION, FLAT, PickErrors("l1"), (16, 16, 8)))
    full = seen(arrivals_s(np.array([3.0, -2.0, 8.0, 1.0])), 0.5)
    less = full._replace(pick_mask=full.pick_mask.at[2].set(False))
    wild = less._replace(picks_s=less.picks_s.at[2].set(jnp.nan))
    np.testing.assert_array_equal(locate(KEY, less).aleatoric, locate(KEY, wild).aleatoric)


@pytest.mark.parametrize("kind", ["l2", "l1", "edt"])
def test_without_picks_the_posterior_is_the_prior(kind):
    """At any origin time."""
    full = seen(arrivals_s(np.array([3.0, -2.0, 8.0, 1.0])), 0.5)
    none = full._replace(pick_mask=jnp.zeros_like(full.pick_mask))
    found = jax.jit(dense_grid(uniform_times(6.0), REGION, FLAT, PickErrors(kind), (16, 16, 8)))(KEY, none)
    # A uniform density: the width squared over twelve, and in space what cells add, a sixth of their square; the
    # prior's soft edges, 20 m wide, take nothing from cells whose middles are a kilometre inside.
    np.testing.assert_allclose(np.diag(found.aleatoric), [133.3 + 1.04, 133.3 + 1.04, 33.3 + 1.04, 6.75], rtol=0.01)


def test_a_layered_model_of_one_speed_locates_as_that_speed():
    """Tables interpolate linearly: good to 10 ms, a tenth of the picks' error."""
    grid = TableGrid(60.0, (0.0, 20.0), (-1.0, 0.0), 64, 21, 3)
    one = seen(arrivals_s(np.array([3.0, -2.0, 8.0, 1.0])), 0.1)
    found = [
        jax.jit(grid_search(times, REGION, FLAT, sizes=SIZES))(KEY, one)
        for times in (uniform_times(6.0), table_times(tabulate(uniform(6.0), grid)))
    ]
    spread = np.sqrt(np.diag(found[0].aleatoric))
    assert (np.abs(mean(found[0].hypocentre) - mean(found[1].hypocentre)) < 0.1 * spread).all()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda build: build(PickErrors("l3")), "must be one of l2, l1, edt, edt_ot_wt, student_t, got 'l3'"),
        (lambda build: build(PickErrors(model_sd_s=-0.1)), "must not be negative, got -0.1"),
        (lambda build: build(PickErrors(outlier=1.0)), "share within 0-1"),
        (lambda build: build(PickErrors("edt", outlier=0.1)), "leave outlier at 0"),
        (lambda build: dense_grid(uniform_times(6.0), REGION, FLAT, cells=(1, 4, 4)), "two cells"),
        (lambda build: uniform_times(-6.0), "must be positive"),
        (lambda build: build()(KEY, cases.observations()._replace(picks_s=None)), "have no picks"),
    ],
)
def test_wrong_settings_are_named(action, message):
    with pytest.raises(ValueError, match=message):
        action(partial(grid_search, uniform_times(6.0), REGION, FLAT))


def test_a_dense_grid_has_a_component_a_cell():
    found = jax.jit(dense_grid(uniform_times(6.0), REGION, FLAT, cells=(4, 5, 6)))(KEY, cases.observations())
    assert components(found.hypocentre).mean.shape == (120, 4)
    np.testing.assert_allclose(covariance(found.hypocentre), found.aleatoric)


WIDE = Region((-60.0, 60.0), (-60.0, 60.0), (0.0, 40.0), (-30.0, 2.0))


def sampled_posterior(one, number=1_000_000, kept=3000):
    """Hypocentres of the posterior by importance sampling from the prior, and their normalised log-densities."""
    rng = np.random.default_rng(1)
    low, high = np.array(WIDE[:3]).T
    points = rng.uniform(low, high, (number, 3)).astype(np.float32)
    picks = (one.picks_s.ravel(), one.pick_sigma_s.ravel(), one.pick_mask.ravel())
    times = uniform_times(6.0)(one.station_km)
    at = jax.jit(lambda p: over_origin(PickErrors(), residuals(PickErrors(), *picks, times(p).reshape(len(p), -1))))
    parts = [at(part) for part in points.reshape(10, -1, 3)]
    evidence, middle, variance = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(3))
    weight = np.exp(evidence - evidence.max())
    log_integral = np.log(weight.mean() * np.prod(high - low))
    index = rng.choice(number, kept, p=weight / weight.sum())
    origin = rng.normal(middle[index], np.sqrt(variance[index]))
    log_density = evidence[index] - evidence.max() - log_integral
    return np.c_[points[index], origin], log_density + norm.logpdf(origin, middle[index], np.sqrt(variance[index]))


@pytest.mark.parametrize("stations", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_few_stations_have_a_wide_right_posterior(stations):
    """A shell about one station, a band about two: less than 0.4 nats from the posterior by importance sampling.

    Standard deviations in space within 10 %, means within a tenth of them.
    """
    picks_s = arrivals_s(np.array([9.0, -7.0, 8.0, -4.0])) + 0.1 * np.random.default_rng(0).normal(size=(6, 2))
    one = seen(picks_s)._replace(pick_mask=jnp.zeros((6, 2), bool).at[:stations].set(True))
    flat = log_prior_of(WIDE, same_everywhere(10.0, 1e4))
    found = jax.jit(grid_search(uniform_times(6.0), WIDE, flat, sizes=FEW_STATIONS, splits=SPLITS))(KEY, one)
    sampled, log_density = sampled_posterior(one)
    divergence = log_density - np.asarray(found.hypocentre.log_prob(jnp.asarray(sampled, jnp.float32)))
    assert divergence.mean() < 0.4
    spread = sampled.std(0)[:3]
    np.testing.assert_allclose(np.sqrt(np.diag(found.aleatoric))[:3], spread, rtol=0.1)
    assert (np.abs(np.asarray(mean(found.hypocentre))[:3] - sampled.mean(0)[:3]) < 0.12 * spread).all()
