"""The evidence for an event and its predicted arrivals, against integrals on a grid in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrival_densities import (
    NONE,
    OUTLIER,
    RATE_HZ,
    REGION,
    ROWS,
    SAMPLES,
    SIZES,
    TRUTH,
    arrivals,
    log_density_numpy,
    stations,
    times_s,
)
from marks import slow_if
from scipy.special import logsumexp

from jaxloc.physics.arrival_check import check_arrivals
from jaxloc.physics.arrival_likelihood import hypocentre_cloud, posterior_of, read_arrivals
from jaxloc.physics.priors import log_prior_of, same_everywhere

DURATION_S = SAMPLES / RATE_HZ
FLAT = same_everywhere(10.0, 1e3)  # a depth prior as flat as the one that the evidence assumes
LOG_VOLUME = float(np.log([high - low for low, high in REGION]).sum())


@jax.jit
def checked(seen):
    grid = hypocentre_cloud(seen, log_prior_of(REGION, FLAT), REGION, SIZES)
    return check_arrivals(seen, posterior_of(grid, seen.physics.floor_km, jnp.array(0.0)), REGION)


def log_evidence_numpy(station_km, arrival_s):
    """The integral of the likelihood ratio over a flat prior, on a 4-D grid about the truth that holds all of it."""
    axes = [np.linspace(m - r, m + r, 29) for m, r in zip(TRUTH, (2.0, 2.0, 6.0, 0.8), strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 4)
    value = np.concatenate([log_density_numpy(station_km, arrival_s, part) for part in np.array_split(points, 60)])
    cell = np.prod([a[1] - a[0] for a in axes])
    return logsumexp(value) + np.log(cell) + 2 * len(station_km) * np.log(DURATION_S) - LOG_VOLUME


@pytest.mark.parametrize("number", slow_if([6], [6, 12]))
def test_evidence_is_the_integral_over_the_region(number):
    """To 0.7 nats: components are wider than the posterior by up to a tenth along each of four axes."""
    station_km = stations(number)
    arrival_s = times_s(station_km, TRUTH) + np.random.default_rng(2).normal(size=(number, 2)) * [0.05, 0.1]
    got = checked(arrivals(station_km, arrival_s))
    assert got.log_evidence == pytest.approx(log_evidence_numpy(station_km, arrival_s), abs=0.7)
    np.testing.assert_allclose(got.arrival_s[:number], times_s(station_km, TRUTH), atol=0.3)
    np.testing.assert_array_equal(got.log_ratio[number:], 0)
    np.testing.assert_array_equal(got.active, np.arange(ROWS) < number)


@pytest.mark.parametrize("seed", range(6))
def test_arrivals_at_random_times_are_no_event(seed):
    """Without moveout the ratio of evidences exceeds r with a probability of at most 1 / r: 7 nats are one in 1,097."""
    rng = np.random.default_rng(seed)
    seen = arrivals(stations(12, seed), rng.uniform(0, DURATION_S, (12, 2)))
    assert checked(seen).log_evidence < 7


def test_without_any_arrival_the_evidence_is_even():
    """No density but the flat ones: both hypotheses predict the same. Samples of the search region err by 2.5 nats."""
    station_km = stations(12)
    seen = arrivals(station_km, times_s(station_km, TRUTH))
    silent = jnp.full_like(seen.log_mass, -50.0).at[..., -1].set(0.0)
    assert checked(seen._replace(log_mass=silent)).log_evidence == pytest.approx(0, abs=2.5)


@pytest.mark.parametrize("origin_s", [-60.0, 60.0, 18.0])
def test_arrivals_outside_the_record_have_the_level_of_no_arrival(origin_s):
    """Before, after, and in unrecorded samples, whose mass a network leaves out (`recorded_logits`)."""
    station_km = stations(12)
    seen = arrivals(station_km, times_s(station_km, TRUTH))
    gap = np.arange(SAMPLES + 1) > 300
    cut = jnp.where(gap[:-1], -1e9, seen.log_mass[..., :-1])
    seen = seen._replace(log_mass=jax.nn.log_softmax(jnp.concatenate([cut, seen.log_mass[..., -1:]], -1), -1))
    level = np.log(((1 - OUTLIER) * NONE + OUTLIER) / DURATION_S)
    read = read_arrivals(seen)(jnp.asarray(TRUTH[None, :3]), jnp.full((1, 1), origin_s), jnp.zeros(()))
    np.testing.assert_allclose(read.log_density[0, 0], level, atol=1e-3)
