"""Source scanning on records whose hypocentre is known; what was not recorded has no influence."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc import locators
from jaxloc.data.dataset import positions_km
from jaxloc.distributions.gaussian_mixture import moments
from jaxloc.locators import source_scan
from jaxloc.locators.setup import Setup
from jaxloc.physics.adaptive_grid import Region, region_around
from jaxloc.physics.adaptive_sampling import Sampling
from jaxloc.physics.layered import uniform
from jaxloc.physics.priors import log_prior_of, same_everywhere
from jaxloc.physics.table import table_around
from jaxloc.scores.events import score_events
from jaxloc.simulation.events import DEFAULT_FRAME, quick_start, random_network, simulate_event
from jaxloc.simulation.recording import Recording
from jaxloc.types import Observations

REGION = Region((-20.0, 20.0), (-20.0, 20.0), (0.0, 20.0), (0.0, 8.0))
STATIONS = np.array([[-12, -9, 0], [14, -3, -0.5], [3, 13, 0], [-7, 10, -1], [9, -15, 0], [1, -2, -0.3]], np.float32)
TRUE = np.array([3.0, -2.0, 8.0, 4.0])
RATE_HZ, SAMPLES = 20.0, 320
SIZES = Sampling((9, 9, 3, 20), points=256, levels=6, last=512, times=7)
KEY = jax.random.key(0)


def event(seed=0, size=20.0):
    """Noise, with P on the vertical and S on the horizontal components from their arrival times on."""
    rng = np.random.default_rng(seed)
    waveforms = rng.normal(size=(6, 3, SAMPLES))
    arrival_s = TRUE[3] + np.linalg.norm(STATIONS - TRUE[:3], axis=-1)[:, None] / [6.0, 6.0 / 1.73]
    for station, phase in np.ndindex(6, 2):
        after = np.arange(SAMPLES) / RATE_HZ - arrival_s[station, phase]
        wave = size * np.where(after >= 0, np.exp(-after / 1.5), 0) * rng.normal(size=(3, SAMPLES))
        waveforms[station] += wave * ([[1], [0.3], [0.3]] if phase == 0 else [[0.7], [2], [2]])
    mask = np.ones(6, bool)
    full = Observations(1e-8 * waveforms, STATIONS, mask, np.arange(6), np.array(RATE_HZ))
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32 if x.dtype == float else None), full)


@pytest.fixture(scope="module")
def locate():
    """One compiled program a shape of observations."""
    table = table_around(uniform(6.0), REGION, STATIONS)
    log_prior = log_prior_of(REGION, same_everywhere(8.0, 10.0))
    return jax.jit(source_scan.source_scan(table, REGION, log_prior, RATE_HZ, sizes=SIZES))


def mean_and_sd(posterior):
    mean, cov = moments(posterior.hypocentre)
    return np.asarray(mean), np.sqrt(np.diagonal(np.asarray(cov)))


def test_a_hypocentre_is_found_from_waveforms_alone(locate):
    """Onsets in noise of a twentieth are seen to a tenth of a second, which is half a kilometre."""
    mean, sd = mean_and_sd(locate(KEY, event()))
    assert (np.abs(mean - TRUE) < 4 * sd).all()
    assert (np.abs(mean - TRUE)[:2] < 1.0).all()
    assert (sd[:2] < 1.0).all()


def test_noise_leaves_the_prior(locate):
    """Records of noise alone: no place is preferred by far."""
    _, sd = mean_and_sd(locate(KEY, event(1, size=0.0)))
    assert (sd[:2] > 3.0).all(), sd


def test_padded_and_silent_stations_have_no_influence(locate):
    """A station that is masked may hold anything; a silent one, or one of zeros, is no station."""
    seen = event()
    masked = seen._replace(station_mask=seen.station_mask.at[4].set(False))
    wild = masked._replace(waveforms=masked.waveforms.at[4].set(event(3).waveforms[4, :, ::-1]))
    silent = seen._replace(waveforms=seen.waveforms.at[4].set(0.0))
    expected = mean_and_sd(locate(KEY, masked))
    for other in (wild, silent):
        np.testing.assert_allclose(mean_and_sd(locate(KEY, other)), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected[0] - mean_and_sd(locate(KEY, seen))[0]).max() > 0.01


def test_a_gap_has_no_influence_but_that_arrivals_in_it_are_not_seen(locate):
    """A gap over P and S of one station, filled with a step: the hypocentre stays, and the step is not read."""
    seen = event()
    mask = jnp.ones((6, SAMPLES), bool).at[5, 70:180].set(False).at[2, :40].set(False)
    steps = jnp.where(mask[:, None], seen.waveforms, 1e-6)
    zeros = jnp.where(mask[:, None], seen.waveforms, 0.0)
    found = [mean_and_sd(locate(KEY, seen._replace(waveforms=x, sample_mask=mask))) for x in (steps, zeros)]
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-4)
    mean, sd = found[0]
    assert (np.abs(mean - TRUE) < 4 * sd).all()
    assert (np.abs(mean - TRUE)[:2] < 1.5).all()


SETUP = Setup(REGION, STATIONS, uniform(6.0), None, RATE_HZ)
REFUSED = [
    ({"function": "energy"}, "function must be one of sta_lta, kurtosis, amplitude, got 'energy'"),
    ({"temperature": 0.0}, "temperature and spacing_km must be positive, got 0.0"),
    ({"outlier": 0.0}, "outlier must be a share between 0 and 1, got 0.0"),
    ({"model_sd_s": -1.0}, "must not be negative"),
    ({"correlation": 1.0}, "correlation within 0-1"),
    ({"width": 1.0}, "has no setting width"),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED, ids=[next(iter(s)) for s, _ in REFUSED])
def test_wrong_settings_are_refused(settings, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        locators.build("source_scan", SETUP, settings)


def test_what_is_missing_is_named(locate):
    with pytest.raises(ValueError, match="must have a velocity model"):
        locators.build("source_scan", SETUP._replace(velocity=None))
    with pytest.raises(ValueError, match="have no waveforms"):
        locate(KEY, event()._replace(waveforms=None))
    with pytest.raises(ValueError, match=r"at least one sample at 2 Hz"):
        locators.build("source_scan", SETUP._replace(rate_hz=2.0))


@pytest.mark.slow
def test_regions_cover_simulated_events():
    """60 simulated events, each in an earth of its own: regions cover within 4 standard errors, or more.

    Errors of travel times are shared by P and S and by neighbouring stations of this simulation, so that 12 stations
    count as three (`correlation`); as independent errors they would leave regions of half the width that they need.
    """
    simulation = quick_start(30.0)._replace(recording=Recording(20.0, 800, (1.0, 8.0)))
    stations = random_network(jax.random.key(3), 12, 80.0)
    station_km = positions_km(DEFAULT_FRAME, stations)
    one = jax.jit(lambda key: simulate_event(key, simulation, jnp.asarray(station_km)))
    batch = jax.tree.map(lambda *x: np.stack(x), *(one(key) for key in jax.random.split(jax.random.key(4), 60)))
    truth = batch.labels["hypocentre"]
    region = region_around(np.asarray(truth.value), 15.0, (0.0, 20.0), (-5.0, 25.0))
    setup = Setup(region, station_km, simulation.model, None, 20.0)
    posterior = locators.build("source_scan", setup)(KEY, batch.observations)
    scores = score_events(KEY, posterior, truth)
    for name in ("epicentre", "depth", "hypocentre", "origin"):
        for level in (0.5, 0.9):
            covered = float((np.asarray(scores[f"{name}/level"]) <= level).mean())
            assert covered > level - 4 * np.sqrt(level * (1 - level) / 60), (name, level, covered)
    assert np.median(np.asarray(scores["epicentre/error"])) < 1.0
