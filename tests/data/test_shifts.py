"""Records unlike those of training: each change does what it says, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.data import shifts
from jaxloc.data.onsets import no_event, onsets_of
from jaxloc.data.wave_statistics import wave_statistics
from jaxloc.types import Batch, Label, Observations

RATE_HZ, SAMPLES, STATIONS = 20.0, 800, 8
KEY = jax.random.key(4)
PLACES_KM = 30 * np.random.default_rng(0).normal(size=(STATIONS, 2))


def onset_event(p_s=10.0, s_s=16.0, silent=(), seed=1):
    """Noise of unit size, a P of 20 after `p_s` and an S of 60 after `s_s`, each decaying within seconds."""
    generator, time_s = np.random.default_rng(seed), np.arange(SAMPLES) / RATE_HZ
    pulse = lambda at_s, size, decay_s: size * np.where(time_s >= at_s, np.exp(-(time_s - at_s) / decay_s), 0.0)
    envelope = 1 + pulse(p_s, 20.0, 2.0) + pulse(s_s, 60.0, 3.0)
    waveforms = generator.normal(size=(STATIONS, 3, SAMPLES)) * envelope
    mask = np.array([i not in silent for i in range(STATIONS)])
    waveforms = waveforms * mask[:, None, None]
    places = np.concatenate([PLACES_KM, np.zeros((STATIONS, 1))], 1)
    seen = Observations(
        jnp.asarray(waveforms), jnp.asarray(places), jnp.asarray(mask), jnp.arange(STATIONS), jnp.asarray(RATE_HZ)
    )
    arrivals = np.tile([p_s, s_s], (STATIONS, 1))
    labels = {
        "hypocentre": Label(jnp.zeros(4), jnp.ones(4, bool)),
        "arrivals": Label(arrivals, np.ones_like(arrivals, bool)),
    }
    return Batch(seen, labels)


def records(event):
    return np.asarray(event.observations.waveforms)


def test_a_record_reversed_twice_is_the_record():
    event = onset_event()
    once = shifts.reversed_in_time(KEY, event)
    np.testing.assert_array_equal(records(shifts.reversed_in_time(KEY, once)), records(event))
    assert "more sharply" in no_event(onsets_of(records(once), RATE_HZ))


def test_noise_has_no_onset_and_silent_stations_stay_silent():
    quiet = shifts.noise_alone(KEY, onset_event(silent=(2,)))
    assert no_event(onsets_of(records(quiet), RATE_HZ)).startswith("0 of 7")
    assert not records(quiet)[2].any()
    assert records(quiet)[0].std() == pytest.approx(1.0, rel=0.3)


@pytest.mark.parametrize("seed", range(5))
def test_swapped_stations_have_the_records_of_one_another(seed):
    event = onset_event(silent=(1,))
    event = event._replace(
        observations=event.observations._replace(
            waveforms=event.observations.waveforms.at[:, 0, 0].set(jnp.arange(8) + 1.0)
        )
    )
    event = event._replace(
        observations=event.observations._replace(waveforms=event.observations.waveforms.at[1].set(0.0))
    )
    first = records(shifts.swapped_stations(jax.random.key(seed), event))[:, 0, 0]
    assert sorted(first) == [0, 1, 3, 4, 5, 6, 7, 8]
    assert first[1] == 0  # a silent station is none to swap with
    assert (first != np.where(np.arange(8) == 1, 0, np.arange(8) + 1)).sum() >= 3


def test_a_teleseism_crosses_the_network_at_its_slowness():
    """Onsets of a plane wave: their times are linear in position, and within the wave's slowness of one another."""
    wave = shifts.teleseism(jax.random.key(0), onset_event(p_s=100, s_s=100), 0.5)
    largest = np.abs(records(wave)[:, 0]).argmax(-1) / RATE_HZ
    slowness = np.linalg.lstsq(np.c_[PLACES_KM, np.ones(STATIONS)], largest, rcond=None)[0]
    assert 0.03 < np.hypot(*slowness[:2]) < 0.09
    vertical, horizontal = records(wave)[:, 0].std(-1), records(wave)[:, 1:].std((1, 2))
    assert (vertical > 1.2 * horizontal).all()


def test_two_events_are_the_sum_of_their_records():
    first, second = onset_event(8.0, 10.0), onset_event(8.0, 10.0, silent=(0,), seed=2)
    both = shifts.two_events(KEY, first, second)
    added = records(both) - records(first)
    assert not added[0].any()
    onset_s = np.abs(added[1:, 0]).argmax(-1) / RATE_HZ
    assert ((onset_s >= 10.0) & (onset_s <= 25.0)).all()
    assert np.ptp(onset_s) < 3.0


def test_another_velocity_scales_all_times_by_one_factor():
    found = records(shifts.other_velocity(jax.random.key(1), onset_event(12.0, 18.0)))
    time_s = np.arange(SAMPLES) / RATE_HZ
    energy = (found**2).sum((0, 1))
    p_s = time_s[np.argmax(energy > 20 * energy[:100].mean())]
    s_s = time_s[energy.argmax()]
    factor = p_s / 12.0
    assert 1.2 < max(factor, 1 / factor) < 1.5
    assert s_s / 18.0 == pytest.approx(factor, rel=0.05)


def test_statistics_of_records_about_arrivals():
    event = onset_event(silent=(3,))
    arrivals = np.tile([10.0, 16.0], (1, STATIONS, 1))
    active = np.asarray(event.observations.station_mask)[None]
    seen = records(event)[None]
    right = wave_statistics(seen, RATE_HZ, arrivals, active)
    wrong = wave_statistics(seen, RATE_HZ, arrivals - 6.0, active)
    assert np.nanmedian(right.log_rise[..., 0]) > 4 > 1 > np.nanmedian(wrong.log_rise[..., 0])
    assert np.nanmedian(right.log_p_s) == pytest.approx(2 * np.log(20 / 60), abs=0.6)
    # S is an onset that is not predicted where the arrivals are 6 s too early: P then lies at 4 s and S at 10 s.
    assert np.nanmedian(wrong.log_other) > 2 > np.nanmedian(right.log_other)
    # White noise crosses zero at every second sample.
    assert np.exp(np.nanmedian(right.log_pitch)) == pytest.approx(RATE_HZ / 4, rel=0.2)
    assert all(np.isnan(values[0, 3]).all() for values in right)
    outside = wave_statistics(seen, RATE_HZ, arrivals + 100.0, active)
    assert np.isnan(outside.log_rise).all()
