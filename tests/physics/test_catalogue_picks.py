"""Picks near the arrivals that a catalogue predicts, where each record has a stronger arrival of another event."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrival_densities import NONE, PICK_SD_S, RATE_HZ, ROWS, SAMPLES, TRUTH, arrivals, stations, times_s
from scipy.stats import norm

from jaxloc.physics.catalogue_picks import picks_of_known
from jaxloc.physics.readings import near_times, pick_details

STATIONS, WEAK = 8, 0.3  # the share of the density that the event of the catalogue has
STATION_KM = stations(STATIONS)


@pytest.fixture(scope="module")
def seen():
    """The event has `WEAK` of each density; the rest is at random times, which no event explains."""
    arrival_s = times_s(STATION_KM, TRUTH)
    other_s = np.random.default_rng(0).uniform(18, 24, arrival_s.shape)
    found, other = arrivals(STATION_KM, arrival_s), arrivals(STATION_KM, other_s)
    mass = WEAK * jnp.exp(found.log_mass) + (1 - WEAK) * jnp.exp(other.log_mass)
    return arrival_s, found._replace(log_mass=jnp.log(mass))


def test_arrivals_of_the_event_are_picked_not_the_stronger_ones(seen):
    arrival_s, densities = seen
    found = jax.jit(picks_of_known)(densities, jnp.asarray(TRUTH[:3], jnp.float32))
    plain = jax.jit(pick_details)(densities.readings)
    assert (np.abs(plain.time_s[:STATIONS] - arrival_s) > 1).all()
    assert found.sure[:STATIONS].all()
    assert not found.sure[STATIONS:].any()  # stations without a record
    # Densities and predictions agree: a tenth of the density's width is left by sampling.
    np.testing.assert_allclose(found.time_s[:STATIONS], arrival_s, atol=PICK_SD_S / 10 + 0.5 / RATE_HZ)


def test_where_nothing_is_near_there_is_no_pick(seen):
    _, densities = seen
    silent = densities._replace(log_mass=densities.log_mass.at[0, 0].set(jnp.log((1 - NONE) / SAMPLES)))
    silent = silent._replace(log_mass=silent.log_mass.at[0, 0, -1].set(jnp.log(NONE)))
    found = jax.jit(picks_of_known)(silent, jnp.asarray(TRUTH[:3], jnp.float32))
    assert not found.sure[0, 0]
    assert found.sure[1:STATIONS].all()


def test_a_density_near_a_time_is_its_product_with_a_normal_weight(seen):
    """The product of two normal densities is normal: its mean is weighted by both inverse variances."""
    _, densities = seen
    mass = norm.pdf(np.arange(SAMPLES) / RATE_HZ, 8.0, 0.4) / RATE_HZ
    log_mass = np.log(np.append((1 - NONE) * mass, NONE) + 1e-30)
    readings = densities.readings._replace(log_mass=jnp.broadcast_to(jnp.asarray(log_mass), (ROWS, 2, SAMPLES + 1)))
    found = near_times(readings, jnp.full((ROWS, 2), 8.6), jnp.full((ROWS, 2), 0.3))
    got = np.exp(found.log_mass[0, 0, :-1])
    mean_s = (got * np.arange(SAMPLES)).sum() / got.sum() / RATE_HZ
    np.testing.assert_allclose(mean_s, (8.0 / 0.4**2 + 8.6 / 0.3**2) / (1 / 0.4**2 + 1 / 0.3**2), atol=1e-3)
    assert np.exp(found.log_mass[0, 0, -1]) > NONE  # an arrival that is not near is none
