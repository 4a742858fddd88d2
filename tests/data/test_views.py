"""Other ways to take events: by some stations, record by record, and with noise beside them."""

import jax
import numpy as np
import pytest

from jaxloc.data.views import at_stations, each_station, shuffled, taken_by, with_noise
from jaxloc.runs import config
from jaxloc.runs.datasets import fresh_events
from jaxloc.simulation.events import DEFAULT_FRAME, Recording, quick_start, random_network, simulated_dataset


@pytest.fixture(scope="module")
def events():
    simulation = quick_start(20.0)._replace(recording=Recording(10.0, 200, (1.0, 4.0)))
    stations = random_network(jax.random.key(0), 3, 30.0)
    return simulated_dataset(jax.random.key(1), simulation, stations, DEFAULT_FRAME, 5)


def test_events_at_chosen_stations_are_their_rows(events):
    codes = [events.stations[2].code, events.stations[0].code]
    few, whole = at_stations(events, codes).take(np.arange(5)), events.take(np.arange(5))
    np.testing.assert_array_equal(few.observations.waveforms, whole.observations.waveforms[:, [2, 0]])
    np.testing.assert_array_equal(few.labels["arrivals"].value, whole.labels["arrivals"].value[:, [2, 0]])
    np.testing.assert_array_equal(few.observations.station_index, np.tile([0, 1], (5, 1)))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda events: at_stations(events, ["XX.S99"]), r"no station 'XX.S99'; use some of XX.S00"),
        (lambda events: taken_by({"each_stations": True}, events), "each_stations"),
    ],
)
def test_unknown_stations_and_options_are_named(events, action, message):
    with pytest.raises(ValueError, match=message):
        action(events)


def test_each_record_is_an_event_of_its_own(events):
    records, whole = each_station(events), events.take(np.arange(5))
    assert len(records) == int(whole.observations.station_mask.sum())
    names = [event.id for event in records.events]
    index = np.array([names.index(f"{events.events[3].id} {events.stations[1].code}"), 0])
    batch = records.take(index)
    assert batch.observations.waveforms.shape == (2, 1, 3, 200)
    np.testing.assert_array_equal(batch.observations.waveforms[0, 0], whole.observations.waveforms[3, 1])
    np.testing.assert_array_equal(batch.labels["hypocentre"].value[0], whole.labels["hypocentre"].value[3])
    assert records.events[index[0]].split == events.events[3].split


def test_noise_has_nothing_to_locate_and_the_size_of_the_traces_beginning(events):
    both = with_noise(events)
    assert len(both) == 10
    batch = both.take(np.array([1, 6]))
    np.testing.assert_array_equal(batch.labels["is_event"].value, [1.0, 0.0])
    np.testing.assert_array_equal(batch.labels["hypocentre"].mask, [[True] * 4, [False] * 4])
    noise, event = batch.observations.waveforms[1], batch.observations.waveforms[0]
    # The first 50 samples, before any arrival here: a spectrum of so few is known within a factor of two.
    ratio = noise.std(-1) / event[..., :50].std(-1)
    alive = event.std(-1) > 0
    assert (ratio[alive] > 0.4).all()
    assert (ratio[alive] < 2.5).all()
    np.testing.assert_array_equal(both.take(np.array([6])).observations.waveforms[0], noise)  # the same whenever taken


def test_shuffled_labels_are_those_of_other_events(events):
    control, whole = shuffled(events), events.take(np.arange(5))
    batch = control.take(np.arange(5))
    np.testing.assert_array_equal(batch.observations.waveforms, whole.observations.waveforms)
    own, theirs = (np.asarray(x.labels["hypocentre"].value) for x in (whole, batch))
    assert not np.array_equal(own, theirs)
    np.testing.assert_array_equal(np.sort(own, 0), np.sort(theirs, 0))
    np.testing.assert_array_equal(control.take(np.array([2])).labels["hypocentre"].value[0], theirs[2])


@pytest.mark.parametrize("name", ["small_convnetquake", "small_convnetquake_ingv"])
def test_fresh_events_have_as_many_windows_of_noise_which_are_told_apart(name):
    fresh = fresh_events(config.load(name, [])["data"], 0, 3)
    labels = fresh.take(np.arange(6)).labels
    assert len(fresh) == 6
    np.testing.assert_array_equal(labels["is_event"].value, [1.0] * 3 + [0.0] * 3)
    np.testing.assert_array_equal(labels["hypocentre"].mask[:, 0], labels["is_event"].value > 0)
