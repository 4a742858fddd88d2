"""Faults made of events: what changes, where, and that nothing else does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.data import faults
from jaxloc.types import Batch, Label, Observations

KEY, STATIONS, SAMPLES, RATE_HZ, SILENT = jax.random.key(5), 6, 400, 20.0, 4


def event(masked=True):
    rng = np.random.default_rng(0)
    waveforms = rng.normal(size=(STATIONS, 3, SAMPLES)).astype(np.float32)
    waveforms[SILENT] = 0
    seen = Observations(
        jnp.asarray(waveforms),
        jnp.asarray(rng.uniform(-30, 30, (STATIONS, 3)), jnp.float32),
        jnp.arange(STATIONS) != SILENT,
        jnp.arange(STATIONS),
        jnp.array(RATE_HZ),
        sample_mask=jnp.ones((STATIONS, SAMPLES), bool) if masked else None,
    )
    return Batch(seen, {"hypocentre": Label(jnp.zeros(4), jnp.ones(4, bool))})


def differs(first, second):
    return np.flatnonzero(np.abs(np.asarray(first - second)).reshape(STATIONS, -1).max(1) > 0)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("name", faults.AT_STATIONS)
def test_faults_of_stations_change_the_rows_that_are_named(name, masked):
    before, (change, number) = event(masked), faults.AT_STATIONS[name]
    after = change(KEY, before)
    rows = np.flatnonzero(faults.faulty_rows(KEY, before, name))
    assert len(rows) == number
    assert SILENT not in rows
    seen, was = after.observations, before.observations
    changed = set(differs(seen.waveforms, was.waveforms)) | set(differs(seen.station_km, was.station_km))
    assert changed == set(rows)
    np.testing.assert_array_equal(after.labels["hypocentre"].value, before.labels["hypocentre"].value)


def test_a_clock_shifts_its_record_by_a_second():
    before = event()
    after = faults.clock_off(KEY, before)
    (row,) = np.flatnonzero(faults.faulty_rows(KEY, before, "clock"))
    samples = round(faults.CLOCK_S * RATE_HZ)
    late, was = (np.asarray(x.observations.waveforms[row]) for x in (after, before))
    np.testing.assert_array_equal(late[:, samples:], was[:, :-samples])
    assert np.abs(late[:, :samples]).max() > 0  # noise, no gap


def test_coordinates_are_wrong_by_twenty_km():
    before = event()
    apart = faults.moved(KEY, before).observations.station_km - before.observations.station_km
    assert np.linalg.norm(apart, axis=-1).max() == pytest.approx(faults.MOVED_KM, rel=1e-5)
    np.testing.assert_array_equal(apart[:, 2], 0)


def test_records_are_clipped_at_a_third_of_their_largest_value():
    before = event()
    largest = lambda batch: np.abs(np.asarray(batch.observations.waveforms)).max(-1)
    np.testing.assert_allclose(largest(faults.clipped(KEY, before)), largest(before) / 3, rtol=1e-6)


@pytest.mark.parametrize("masked", [True, False])
def test_a_gap_is_a_fifth_of_zeros_that_are_masked(masked):
    seen = faults.with_gaps(KEY, event(masked)).observations
    lost = ~np.asarray(seen.sample_mask)
    np.testing.assert_array_equal(lost.sum(1), faults.LOST * SAMPLES)
    assert (np.asarray(seen.waveforms)[np.broadcast_to(lost[:, None], seen.waveforms.shape)] == 0).all()
    assert len({tuple(np.flatnonzero(each)[:1]) for each in lost}) > 1  # each station has its own


def test_half_of_the_active_stations_fall_silent():
    assert faults.half_missing(KEY, event()).observations.station_mask.sum() == 3  # five less two
