"""Events at many simulated networks: each at its own, none shared by splits, the same whatever is taken together."""

import jax
import numpy as np
import pytest

from jaxloc.runs.datasets import fresh_events, open_sources
from jaxloc.simulation.events import default_model
from jaxloc.simulation.networks import Variety, simulated_networks
from jaxloc.simulation.recording import Recording

VARIETY = Variety(num_stations=(2, 5), events_each=2)
RECORDING = Recording(10.0, 200, (1.0, 4.0), origin_s=4.0)


def made(number=16, first=0, variety=VARIETY):
    return simulated_networks(jax.random.key(1), variety, default_model(), RECORDING, number, "train", first)


@pytest.fixture(scope="module")
def dataset():
    return made()


@pytest.fixture(scope="module")
def whole(dataset):
    return dataset.take(np.arange(16))


def test_rows_beyond_a_networks_stations_are_masked_and_hold_nothing(whole):
    seen = whole.observations
    number = seen.station_mask.sum(1)
    assert set(number) <= {2, 3, 4, 5}
    assert len(set(number)) > 1
    assert not seen.waveforms[~seen.station_mask].any()
    assert whole.labels["arrivals"].mask.dtype == bool
    assert not whole.labels["arrivals"].mask[~seen.station_mask].any()
    assert (seen.station_index == -1).all()
    assert np.isfinite(seen.waveforms).all()


def test_as_many_events_as_asked_share_a_network_and_no_more(whole):
    place = whole.observations.station_km
    np.testing.assert_array_equal(place[::2], place[1::2])
    assert len(np.unique(place[::2, 0, 0])) == 8
    assert len(np.unique(whole.labels["hypocentre"].value[:, 0])) == 16


def test_events_are_within_the_ranges_of_the_variety(whole):
    place, seen = whole.labels["hypocentre"].value, whole.observations
    assert (np.hypot(place[:, 0], place[:, 1]) < 0.5 * VARIETY.aperture_km[1] + VARIETY.beyond_km).all()
    assert ((place[:, 2] >= VARIETY.depth_km[0]) & (place[:, 2] <= VARIETY.depth_km[1])).all()
    assert (np.linalg.norm(seen.station_km[..., :2], axis=-1) <= 0.5 * VARIETY.aperture_km[1]).all()
    # P is no faster than a straight line at 14 km/s, far above the fastest layer; stations may be a second off.
    arrival_s, known = whole.labels["arrivals"]
    straight_km = np.linalg.norm(seen.station_km - place[:, None, :3], axis=-1)
    assert (arrival_s[..., 0] - place[:, None, 3] >= straight_km / 14 - 1.0)[known[..., 0]].all()


def test_events_are_the_same_alone_and_together(dataset, whole):
    alone = dataset.take(np.array([9]))
    np.testing.assert_array_equal(alone.observations.waveforms[0], whole.observations.waveforms[9])


def test_later_events_are_those_of_a_later_beginning(whole):
    later = made(4, 12)
    np.testing.assert_array_equal(later.take(np.arange(4)).observations.station_km, whole.observations.station_km[12:])
    assert [event.id for event in later.events] == [f"net{12 + i:07d}" for i in range(4)]


def data(**changes):
    common = {"kind": "simulated_networks", "rate_hz": 10.0, "num_samples": 200, "bandpass_hz": [1.0, 4.0]}
    velocity = {"top_km": [0.0, 2.0, 8.0, 20.0, 38.0], "vp_km_s": [4.8, 5.8, 6.1, 6.7, 8.0], "vp_vs": 1.73}
    sizes = {"num_train": 3, "num_dev": 2, "num_stations": [2, 5], "events_each": 2, "origin_s": [4.0, 1.0]}
    return common | {"velocity": velocity} | sizes | changes


@pytest.mark.slow
def test_dev_and_fresh_events_are_at_networks_never_seen_in_training():
    train, dev = open_sources(data(), 0)
    fresh = [fresh_events(data(), 0, 2, purpose) for purpose in ("calibration", "test")]
    places = [set(part.take(np.arange(len(part))).observations.station_km[:, 0, 0]) for part in (train, dev, *fresh)]
    assert sum(map(len, places)) == len(set.union(*places))
    assert len(train) == 3
    assert {event.split for event in dev.events} == {"dev"}


@pytest.mark.parametrize(
    ("number", "purpose", "says"),
    [
        (0, "test", "number of fresh events must be within 1-50000, got 0"),
        (50_001, "test", "got 50001"),
        (2, "training", "purpose of fresh events must be one of calibration, test, .*got 'training'"),
        (2, "tests", "got 'tests'"),
    ],
)
def test_fresh_events_are_of_a_known_purpose(number, purpose, says):
    with pytest.raises(ValueError, match=says):
        fresh_events(data(), 0, number, purpose)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_stations": (5, 2)}, r"num_stations must be .* got \(5, 2\)"),
        ({"depth_km": (0.0, 5.0)}, r"depth_km must be two positive increasing numbers, got \(0.0, 5.0\)"),
        ({"events_each": 0}, "got 4, 0"),
    ],
)
def test_a_variety_that_is_none_is_named(changes, says):
    with pytest.raises(ValueError, match=says):
        made(4, variety=VARIETY._replace(**changes))
