"""Events in more of their own noise: the ratio that is asked for, with the spectrum of the noise."""

# pyright: reportArgumentType=false
# Data sets have NumPy arrays until they reach the device.

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.geometry import Frame
from jaxloc.locators.grid_search import uniform_times
from jaxloc.locators.setup import Setup
from jaxloc.physics.adaptive_grid import Region
from jaxloc.studies.buried_events import buried, noise_before_p, p_arrivals_s, ratios_db
from jaxloc.types import Batch, Label, Observations

RATE_HZ, SAMPLES, STATIONS, P_S = 50.0, 2000, 9, 15.0
VP_KM_S, DEPTH_KM, ORIGIN_S = 6.0, 6.0, 14.0
KEY = jax.random.key(0)


def dataset(ratio_db: float, origin_known: bool = True) -> Dataset:
    """One event below stations at one place: noise around 5 Hz, and P larger by a ratio of powers."""
    generator, time_s = np.random.default_rng(0), np.arange(SAMPLES) / RATE_HZ
    spectrum = np.fft.rfft(generator.normal(size=(1, STATIONS, 3, SAMPLES)))
    frequency_hz = np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
    noise = np.fft.irfft(spectrum * (np.abs(frequency_hz - 5.0) < 1.0), SAMPLES)
    waveforms = (noise * np.where(time_s >= P_S, np.sqrt(1 + 10 ** (ratio_db / 10)), 1.0)).astype(np.float32)
    place = np.array([[0.0, 0.0, DEPTH_KM, ORIGIN_S if origin_known else 0.0]], np.float32)
    hypocentre = Label(place, np.array([[True, True, True, origin_known]]))
    there = np.ones((1, STATIONS), bool)
    picks_s = np.full((1, STATIONS, 2), P_S, np.float32)
    picks_s[0, 0] = 30.0  # one is wrong
    seen = Observations(
        waveforms, np.zeros((1, STATIONS, 3), np.float32), there, np.zeros((1, STATIONS), np.int32),
        np.full(1, RATE_HZ, np.float32), picks_s, picks_s, np.stack([there, ~there], -1),
        np.ones((1, STATIONS, SAMPLES), bool),
    )  # fmt: skip
    batch = Batch(seen, {"hypocentre": hypocentre})
    stations = tuple(Station(f"XX.{i}", 0.0, 0.0, 0.0) for i in range(STATIONS))
    take = lambda index: jax.tree.map(lambda x: np.asarray(x)[index], batch)
    return Dataset("events", Frame(0.0, 0.0), stations, (Event("a", ""),), RATE_HZ, SAMPLES, take)


def setup(times_s: tuple[float, float] = (-20.0, 40.0)) -> Setup:
    region = Region((-50.0, 50.0), (-50.0, 50.0), (0.0, 20.0), times_s)
    return Setup(region, np.zeros((STATIONS, 3), np.float32), times=uniform_times(VP_KM_S))


@pytest.mark.parametrize("origin_known", [True, False])
def test_p_follows_from_place_and_origin_time_or_picks(origin_known: bool) -> None:
    np.testing.assert_allclose(p_arrivals_s(dataset(20.0, origin_known), setup()), P_S, atol=1e-4)


@pytest.mark.parametrize("level_db", [0.0, 6.0, 12.0])
def test_the_ratio_is_that_asked_for(level_db: float) -> None:
    p_s = np.full((1, STATIONS), P_S)
    event = dataset(20.0)
    # Of 1 s of noise in a band of 2 Hz, 4 degrees of freedom: on the best of three components more than the ratio.
    own_db = ratios_db(event, p_s)[0]
    assert 18.0 < own_db < 25.0
    # Of 3 s, 12 degrees of freedom a component: 1.8 dB, and the median of nine records less.
    assert ratios_db(buried(event, p_s, level_db, KEY), p_s)[0] == pytest.approx(level_db, abs=2.5)


def test_an_event_below_the_level_stays() -> None:
    p_s, event = np.full((1, STATIONS), P_S), dataset(3.0)
    same = buried(event, p_s, 30.0, KEY).take(np.array([0])).observations.waveforms
    np.testing.assert_array_equal(same, event.take(np.array([0])).observations.waveforms)


def test_noise_keeps_power_and_spectrum() -> None:
    batch = dataset(30.0).take(np.array([0]))
    one = jax.tree.map(lambda x: jnp.asarray(x[0]), batch)
    noise = np.asarray(noise_before_p(KEY, one, jnp.full(STATIONS, P_S), RATE_HZ))
    before = np.asarray(one.observations.waveforms)[..., : round(P_S * RATE_HZ)]
    # The segment's variance has 12 degrees of freedom, over 27 records: 8 %.
    assert (noise**2).mean() / (before**2).mean() == pytest.approx(1.0, abs=0.3)
    power = (np.abs(np.fft.rfft(noise)) ** 2).mean((0, 1))
    frequency_hz = np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
    assert power[np.abs(frequency_hz - 5.0) < 2.0].sum() / power.sum() > 0.98


def test_p_too_early_for_noise_before_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"P of event a comes 2\.0 s after the first sample at XX\.0"):
        ratios_db(dataset(20.0), np.full((1, STATIONS), 2.0))
