"""Joint inversion of speeds, station terms and hypocentres against simulated picks of known layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel, layered
from jaxloc.physics.layered_times import layered_times
from jaxloc.physics.velocity_error import VelocityError
from jaxloc.physics.velocity_inversion import TERM_SD_S, EventPicks, invert

GIVEN = layered([0.0, 2.0, 8.0], [4.8, 5.8, 6.1], [2.75, 3.35, 3.52])
CHANGE = np.array([0.03, -0.04, 0.03])
TRUE = VelocityModel(
    GIVEN.top_km, GIVEN.vp_km_s * jnp.exp(jnp.asarray(CHANGE)), GIVEN.vs_km_s * jnp.exp(jnp.asarray(CHANGE) + 0.01)
)
REGION = Region((-40.0, 40.0), (-40.0, 40.0), (0.0, 30.0), (-60.0, 60.0))
SIGMA_S, EVENTS, STATIONS = 0.04, 120, 15
LATE = np.array([-0.6, 0.3])  # of P and S picks, in their standard deviations


def simulated(seed):
    """Picks with normal errors, 3 in 100 of them wrong by a second, from places known to 1 km."""
    rng = np.random.default_rng(seed)
    station_km = np.c_[rng.uniform(-20, 20, (STATIONS, 2)), np.zeros(STATIONS)].astype(np.float32)
    place_km = np.c_[rng.uniform(-15, 15, (EVENTS, 2)), rng.uniform(2, 14, EVENTS)]
    term_s = np.array(TERM_SD_S) * rng.normal(size=(STATIONS, 2))
    travel_s = np.asarray(jax.jit(layered_times(TRUE)(jnp.asarray(station_km)))(jnp.asarray(place_km, jnp.float32)))
    sigma_s = SIGMA_S * np.random.default_rng(1).uniform(0.5, 1.5, travel_s.shape)
    time_s = travel_s + term_s + sigma_s * (LATE + rng.normal(size=travel_s.shape)) + rng.uniform(0, 5, (EVENTS, 1, 1))
    wrong = rng.uniform(size=time_s.shape) < 0.03
    picks = EventPicks(
        time_s + wrong * rng.normal(size=time_s.shape),
        sigma_s,
        rng.uniform(size=time_s.shape) < 0.7,
    )
    start_km = place_km + rng.normal(size=place_km.shape)
    return picks, station_km, place_km, term_s, start_km


@pytest.fixture(scope="module")
def found():
    picks, station_km, place_km, term_s, start_km = simulated(0)
    times = layered_times(GIVEN)
    return invert(picks, start_km, station_km, GIVEN, times, REGION, VelocityError()), place_km, term_s


def test_speeds_are_found_within_their_errors(found):
    """Four standard deviations of the six speeds; those of the layers of the sources are known to 1.5 %."""
    inverted, _, _ = found
    change = np.concatenate(
        [
            np.log(np.asarray(inverted.model[1]) / np.asarray(GIVEN.vp_km_s)),
            np.log(np.asarray(inverted.model[2]) / np.asarray(GIVEN.vs_km_s)),
        ]
    )
    sd = np.sqrt((np.asarray(inverted.errors.factor) ** 2).sum(1))[:6]
    assert (np.abs(change - np.concatenate([CHANGE, CHANGE + 0.01])) < 4 * sd).all()
    assert sd[[1, 2, 4, 5]].max() < 0.015


def test_station_terms_are_found_within_their_errors(found):
    """Chi-squared of 30 terms per term: its standard deviation is 0.26 were they independent."""
    inverted, _, term_s = found
    sd_s = np.sqrt((np.asarray(inverted.errors.factor) ** 2).sum(1))[6:-2].reshape(STATIONS, 2)
    assert ((inverted.term_s - term_s) ** 2 / sd_s**2).mean() < 2
    assert np.corrcoef(inverted.term_s.ravel(), term_s.ravel())[0, 1] > 0.9


def test_lateness_is_found_within_its_error(found):
    inverted, _, _ = found
    sd = np.sqrt((np.asarray(inverted.errors.factor) ** 2).sum(1))[-2:]
    assert (np.abs(inverted.late - LATE) < 4 * sd).all()
    assert sd.max() < 0.2


def test_hypocentres_are_better_than_those_of_the_given_model(found):
    inverted, place_km, _ = found
    error_km = inverted.hypocentre_km - place_km
    assert abs(error_km[:, 2].mean()) < 0.3
    assert np.median(np.hypot(error_km[:, 0], error_km[:, 1])) < 0.25


def test_residuals_are_those_of_picks(found):
    """Normal ones as Student's t of four degrees of freedom, whose middle is narrower: within a half of their size."""
    inverted, _, _ = found
    assert inverted.rms_s[1] < 0.5 * inverted.rms_s[0]
    total_s = np.hypot(np.array(inverted.scale.of_picks) * SIGMA_S, inverted.scale.constant_s)
    np.testing.assert_allclose(total_s, SIGMA_S, rtol=0.5)


def test_without_events_to_tell_the_prior_remains():
    picks, station_km, _, _, start_km = simulated(1)
    one = EventPicks(*(each[:1] for each in picks))
    inverted = invert(one, start_km[:1], station_km, GIVEN, layered_times(GIVEN), REGION, VelocityError())
    sd = np.sqrt((np.asarray(inverted.errors.factor) ** 2).sum(1))[:3]
    assert sd.min() > 0.023
