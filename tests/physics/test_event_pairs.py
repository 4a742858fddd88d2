"""Pairs of events as ph2dt makes them: known answers, the author's own file, clusters."""

import numpy as np
import pytest

from jaxloc.geometry import frame_of
from jaxloc.io import hypodd, hypodd_times
from jaxloc.physics.event_pairs import PairSettings, clusters, pair_events
from jaxloc.types import Observations

STATIONS = np.array([[10.0 * i, 5.0 * (i % 3), 0.0] for i in range(6)])


def observed(hypocentre, mask=None):
    """Noise-free P and S picks at 5 and 3 km/s, on clocks that begin at the origins."""
    apart = np.linalg.norm(hypocentre[:, None, :3] - STATIONS, axis=-1)
    picks = apart[..., None] / np.array([5.0, 3.0]) + hypocentre[:, 3][:, None, None]
    shape = picks.shape
    mask = np.ones(shape, bool) if mask is None else mask
    station = np.broadcast_to(STATIONS, (shape[0], *STATIONS.shape))
    own = (station, np.ones(shape[:2], bool), np.zeros(shape[:2], int), np.ones(shape[0]))
    return Observations(None, *own, picks, np.full(shape, 0.03), mask)


EVENTS = np.array([[0.0, 0, 8, 0.5], [1.0, 0, 8, 0], [3.0, 0, 8, 0], [30.0, 0, 8, 0]])


def test_differences_of_picks():
    """Each pair within the separation once, with all common picks, their differences and standard deviations."""
    paired = pair_events(observed(EVENTS), EVENTS, PairSettings(separation_km=5))
    pairs = set(zip(np.asarray(paired.times.first).tolist(), np.asarray(paired.times.second).tolist(), strict=True))
    assert pairs == {(0, 1), (0, 2), (1, 2)}
    assert len(paired.weight) == 3 * 12
    seen = np.asarray(observed(EVENTS).picks_s)
    at = np.asarray(paired.times.station), np.asarray(paired.times.phase)
    expected = seen[np.asarray(paired.times.first), *at] - seen[np.asarray(paired.times.second), *at]
    np.testing.assert_allclose(paired.times.time_s, expected)
    np.testing.assert_allclose(paired.times.sd_s, 0.03 * np.sqrt(2))


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"neighbours": 1}, 2 * 12),  # 0-1, and 1-2 as the nearest of 2
        ({"station_distance_km": 25.0}, 3 * 6),
        ({"most": 4, "fewest": 4}, 3 * 4),
        ({"least_weight": 0.6}, 3 * 10),
    ],
)
def test_settings(settings, count):
    """Each of ph2dt's settings leaves out what it says."""
    weight = np.ones((4, 6, 2))
    weight[:, 0] = 0.5
    settings = {"separation_km": 5.0, "fewest": 4, "strong_links": 4} | settings
    assert len(pair_events(observed(EVENTS), EVENTS, PairSettings(**settings), weight).weight) == count


def test_weak_neighbours_do_not_count():
    """With one strong neighbour wanted, the nearest event that is weak is passed over (and kept with enough links)."""
    mask = np.ones((4, 6, 2), bool)
    mask[1, 2:] = False  # four picks
    settings = PairSettings(separation_km=5, neighbours=1, strong_links=8, fewest=4)
    times = pair_events(observed(EVENTS, mask), EVENTS, settings).times
    pairs = set(zip(np.asarray(times.first).tolist(), np.asarray(times.second).tolist(), strict=True))
    assert pairs == {(0, 1), (0, 2), (1, 2)}
    times = pair_events(observed(EVENTS, mask), EVENTS, settings._replace(fewest=5)).times
    assert set(np.asarray(times.first).tolist()) == {0}


def test_outliers_are_left_out():
    """A pick 2 s late is no difference of neighbours, but may be kept for a robust estimate."""
    seen = observed(EVENTS)
    late = np.array(seen.picks_s)
    late[0, 3, 0] += 2
    seen = seen._replace(picks_s=late)
    count = lambda keep: len(pair_events(seen, EVENTS, PairSettings(separation_km=5, outliers=keep)).weight)
    assert (count(False), count(True)) == (34, 36)


def test_many_events_have_their_nearest_neighbours():
    """Rounds of growing neighbourhoods find the pairs that all distances at once do."""
    rng = np.random.default_rng(1)
    events = np.column_stack([rng.uniform(0, 6, (80, 3)), np.zeros(80)])
    mask = rng.uniform(size=(80, 6, 2)) < 0.6
    settings = PairSettings(separation_km=4.0, neighbours=5, strong_links=5, fewest=4, outliers=True)
    times = pair_events(observed(events, mask), events, settings).times
    found = set(zip(np.asarray(times.first).tolist(), np.asarray(times.second).tolist(), strict=True))
    expected = set()
    apart = np.linalg.norm(events[:, None, :3] - events[None, :, :3], axis=-1)
    for i in range(80):
        strong = 0
        for j in np.argsort(apart[i], kind="stable"):
            common = (mask[i] & mask[j]).sum()
            if j == i or strong == 5 or apart[i, j] > 4:
                continue
            expected |= {(min(i, j), max(i, j))} if common >= 4 else set()
            strong += common >= 5
    assert found == expected


def test_clusters():
    """Strong pairs connect; the largest cluster is the first."""
    first, second = np.array([0, 0, 2, 3, 3, 4, 4, 5]), np.array([1, 1, 3, 4, 4, 2, 2, 0])
    assert clusters(first, second, 7, 2).tolist() == [1, 1, 0, 0, 0, -1, -1]
    assert clusters(first, second, 7, 0).tolist() == [0, 0, 1, 1, 1, 0, -1]


def test_no_pair():
    """Where no pair is near enough there is no difference; a separation of zero is refused."""
    assert len(pair_events(observed(EVENTS), EVENTS, PairSettings(separation_km=0.1)).weight) == 0
    with pytest.raises(ValueError, match="separation_km must be positive, got 0"):
        pair_events(observed(EVENTS), EVENTS, PairSettings(separation_km=0.0))


def test_same_links_as_ph2dt(data_folder):
    """Example 1: the very links of the author's dt.ct, but for those next to a limit (1,984 P and 28 S times)."""
    folder = data_folder("hypodd_examples") / "example1"
    phases, stations = hypodd.read_phases(folder / "El16.pha"), hypodd.read_stations(folder / "station.sel")
    frame = frame_of(phases.events.latitude_deg, phases.events.longitude_deg)
    seen, weight = hypodd.observations_of(phases, stations, frame)
    start = hypodd.start_of(phases.events, frame)
    paired = pair_events(seen, start, PairSettings(0.0, 120, 10, 10, 8, 1, 100), weight)
    theirs = hypodd_times.links_of(
        hypodd_times.read_catalogue_times(folder / "dt.ct"), phases.events.id, [s.code for s in stations]
    )

    def rows(times):
        one, other = np.asarray(times.first), np.asarray(times.second)
        sign = np.where(one < other, 1, -1)
        ends = np.minimum(one, other), np.maximum(one, other)
        return set(zip(*ends, times.station, times.phase, np.round(times.time_s * sign, 3).tolist(), strict=True))

    ours, theirs = rows(paired.times), rows(theirs.times)
    assert len(theirs) == 2012
    assert ours == theirs
