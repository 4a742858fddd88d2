"""PAL's association: each rule on a few pairs, and the published example of Ridgecrest."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxloc.data.pick_list import NO_EVENT, PickList
from jaxloc.detection import pal_associator as pal
from jaxloc.detection.pal_grid import (
    EXAMPLE,
    RIDGECREST,
    Places,
    Settings,
    check,
    distances_km,
    grid_of,
    magnitude_of,
)
from jaxloc.detection.station_pairs import Pairs, of_pairs
from jaxloc.geometry import Frame, to_km
from jaxloc.io import pal as files
from jaxloc.io.stations import read_stations

PLACES = Places(
    np.array([35.0, 35.0, 35.4, 35.4, 35.2, 35.1]),
    np.array([-117.4, -117.0, -117.4, -117.0, -117.2, -117.3]),
    np.zeros(6),
)
SETTINGS = Settings(depths_km=(2.0, 6.0, 10.0), pair_vs_km_s=3.4)


def pairs_from(*events: tuple[float, float, float, float], stations: int = 6) -> Pairs:
    """Exact pairs of events (latitude, longitude, depth, origin time) at the first stations, ordered by origin time."""
    columns = []
    for latitude, longitude, depth_km, origin_s in events:
        far_km = distances_km(PLACES, *(np.array([x]) for x in (latitude, longitude, depth_km)))[:stations, 0]
        columns.append(
            [np.arange(stations), origin_s + far_km / 5.9, origin_s + far_km / 3.4, np.full(stations, origin_s)]
        )
    station, p_s, s_s, origin_s = np.concatenate(columns, 1)
    rows = np.arange(2 * len(p_s)).reshape(-1, 2)
    pairs = Pairs(station.astype(int), p_s, s_s, origin_s, np.full(len(p_s), 1e-6), rows)
    order = np.argsort(pairs.origin_s, kind="stable")
    return Pairs(*(x[order] for x in pairs))


def test_an_exact_event_is_located_at_its_node() -> None:
    found = pal.associate_pairs(pairs_from((35.2, -117.2, 6.0, 50.0)), PLACES, SETTINGS)
    assert found.origin_s == pytest.approx([50.0])
    assert found.depth_km.tolist() == [6.0]
    assert found.latitude_deg[0] == pytest.approx(35.2, abs=0.02)
    assert found.longitude_deg[0] == pytest.approx(-117.2, abs=0.02)
    assert found.event.tolist() == [0] * 6
    assert found.residual_s[0] < 0.2


def test_events_are_in_the_order_of_origin_times_and_the_larger_is_found_first() -> None:
    small, large = pairs_from((35.2, -117.2, 6.0, 50.0), stations=4), pairs_from((35.1, -117.3, 2.0, 90.0))
    joined = Pairs(*(np.concatenate(x) for x in zip(small, large, strict=True)))
    found = pal.associate_pairs(joined, PLACES, SETTINGS)
    assert found.origin_s == pytest.approx([50.0, 90.0])
    assert found.event.tolist() == [0] * 4 + [1] * 6


@pytest.mark.parametrize("stations", [3, 4])
def test_fewer_pairs_than_four_are_no_event(stations: int) -> None:
    found = pal.associate_pairs(pairs_from((35.2, -117.2, 6.0, 50.0), stations=stations), PLACES, SETTINGS)
    assert len(found.origin_s) == (stations >= 4)
    assert not found.left_over.any()


def test_a_pair_that_no_node_explains_is_left_over_twice_and_then_removed() -> None:
    pairs = pairs_from((35.2, -117.2, 6.0, 50.0))
    wrong = pairs.station == 5
    pairs = pairs._replace(p_s=np.where(wrong, pairs.p_s + 40.0, pairs.p_s))
    found = pal.associate_pairs(pairs, PLACES, SETTINGS)
    assert found.event.tolist() == np.where(wrong, NO_EVENT, 0).tolist()
    assert found.left_over.tolist() == wrong.tolist()


def test_a_pair_left_over_by_one_event_goes_into_the_next_only_if_failures_allow_it() -> None:
    """Two events in one cluster: the pairs of the second are left over once by the first."""
    pairs = pairs_from((35.4, -117.4, 2.0, 50.0), (35.0, -117.0, 10.0, 51.5))
    twice, once = (
        pal.associate_pairs(pairs, PLACES, SETTINGS._replace(failures=number, residual_s=0.5)) for number in (1, 0)
    )
    assert len(twice.origin_s) == 2
    assert len(once.origin_s) == 1
    assert (once.event == NO_EVENT).sum() > (twice.event == NO_EVENT).sum()


def test_the_first_version_takes_one_pair_of_a_station() -> None:
    pairs = pairs_from((35.2, -117.2, 6.0, 50.0))
    double = Pairs(*(np.concatenate([x, x[:1]]) for x in pairs))
    double = double._replace(rows=np.arange(14).reshape(7, 2))
    both = pal.associate_pairs(double, PLACES, SETTINGS)
    one = pal.associate_pairs(double, PLACES, SETTINGS._replace(first_version=True))
    assert (both.event == 0).sum() == 7
    assert (one.event == 0).sum() == 6
    assert one.left_over.sum() == 1


def test_travel_times_are_those_of_straight_rays_from_each_node() -> None:
    grid = grid_of(PLACES._replace(elevation_km=np.full(6, 1.5)), SETTINGS)
    node = int(np.argmin(np.abs(grid.latitude_deg - 35.2) + np.abs(grid.longitude_deg + 117.2) + grid.depth_km))
    north_km = 111.0 * (grid.latitude_deg[node] - 35.0)
    east_km = 111.0 * (grid.longitude_deg[node] + 117.4) * np.cos(np.deg2rad(35.0))
    assert grid.times_s[0, node] == pytest.approx(np.sqrt(north_km**2 + east_km**2 + 3.5**2) / 5.9)
    assert np.ptp(grid.latitude_deg) <= 0.4 * 1.4 < np.ptp(grid.latitude_deg) + 0.04
    assert set(grid.depth_km) == {2.0, 6.0, 10.0}


def test_magnitude_is_the_median_without_the_furthest() -> None:
    amplitude_m, far_km = np.array([1e-6, 1e-6, 1e-3]), np.array([10.0, 100.0, 10.0])
    assert magnitude_of(amplitude_m, far_km) == pytest.approx(2.5)  # of 2 and 3; 5 is left out
    assert magnitude_of(amplitude_m[1:2], far_km[1:2]) == pytest.approx(3.0)
    assert magnitude_of(np.array([np.nan, 0.0, 1e-6]), far_km) == pytest.approx(2.0)
    assert np.isnan(magnitude_of(np.array([np.nan]), np.array([1.0])))


def test_picks_get_events_or_reasons() -> None:
    frame = Frame(35.2, -117.2)
    station_km = np.stack([*to_km(frame, *PLACES[:2]), np.zeros(6)], -1)
    pairs = pairs_from((35.2, -117.2, 6.0, 50.0), (35.2, -117.2, 6.0, 300.0))
    few = np.arange(len(pairs.p_s)) < 9
    listed = of_pairs(pairs.station[few], pairs.p_s[few], pairs.s_s[few], pairs.amplitude[few], (0.1, 0.1))
    alone = PickList(*(np.append(x, y) for x, y in zip(listed, (0, 0, 999.0, 0.1, 1.0, np.nan), strict=True)))
    associated = pal.associate(alone, station_km, frame, SETTINGS)
    assert associated.hypocentre.shape == (1, 4)
    assert np.linalg.norm(associated.hypocentre[0, :2]) < 2.5
    assert associated.hypocentre[0, 2:] == pytest.approx([6.0, 50.0])
    assert [reason == "" for reason in associated.reason] == [event == 0 for event in associated.event]
    assert sum(event == 0 for event in associated.event) == 12
    assert "fewer than 4" in associated.reason[12]
    assert "no S" in associated.reason[-1]
    assert np.isnan(associated.log_odds).all()
    assert np.isnan(associated.covariance).all()


def test_no_picks_make_no_events() -> None:
    none = of_pairs(*(np.zeros(0, int), *(np.zeros(0),) * 3), (0.1, 0.1))
    associated = pal.associate(none, np.array([[0.0, 0, 0], [50, 50, 0]]), Frame(35.0, -117.0))
    assert associated.hypocentre.shape == (0, 4)
    assert associated.reason == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin_s": 0.0}, "origin_s must be positive, got 0"),
        ({"fewest": 0}, "fewest must be positive"),
        ({"margin": -0.1}, "margin must be 0 or more, got -0.1"),
        ({"depths_km": ()}, "at least one depth"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(Settings()._replace(**change))


def test_stations_in_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="must span more than spacing_deg"):
        grid_of(Places(*np.zeros((3, 4))))


Shipped = dict[frozenset[tuple[int, int, int]], tuple[float, ...]]


@pytest.fixture(scope="module")
def ridgecrest(data_folder: Callable[[str], Path]) -> tuple[list[PickList], Places, Shipped]:
    """Picks of each day, stations, and latitude, longitude, depth, magnitude of the shipped events by their picks."""
    folder = data_folder("ridgecrest_PAL")
    stations = read_stations(folder / "stations.csv")
    row = {station.code: i for i, station in enumerate(stations)}
    zero_ns = 1_562_198_400 * 10**9

    def listed(path: Path) -> PickList:
        loose = files.read_picks(path).picks.loose
        columns = [
            (row[p.station], "PS".index(p.phase), (p.time_ns - zero_ns) / 1e9, 0.1, 1.0, p.amplitude) for p in loose
        ]
        station, phase, *rest = np.array(columns).T
        return PickList(station.astype(int), phase.astype(int), *rest)

    shipped = files.read_phases(folder / "pal_assoc.pha")
    events = {
        frozenset((row[p.station], "PS".index(p.phase), round((p.time_ns - zero_ns) / 1e3)) for p in event.picks): (
            where.latitude_deg,
            where.longitude_deg,
            where.depth_km,
            where.magnitude,
        )
        for event, where in zip(shipped.picks.events, shipped.events, strict=True)
    }
    columns = [(s.latitude_deg, s.longitude_deg, s.elevation_m / 1e3) for s in stations]
    return [listed(path) for path in sorted((folder / "picks").glob("*.pick"))], Places(*np.array(columns).T), events


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "least_picks", "least_nodes"), [(RIDGECREST, 1.0, 1.0), (EXAMPLE, 0.99, 0.0)])
def test_the_published_associations_of_ridgecrest_come_back(
    ridgecrest: tuple[list[PickList], Places, Shipped], settings: Settings, least_picks: float, least_nodes: float
) -> None:
    days, places, shipped = ridgecrest
    frame = Frame(35.8, -117.6)
    station_km = np.stack([*to_km(frame, *places[:2]), -places.elevation_km], -1)
    pairs = []
    for picks in days:
        associated, found = pal.from_picks(picks, station_km, frame, settings)
        columns = zip(picks.station, picks.phase, np.rint(picks.time_s * 1e6), strict=True)
        each: list[set[tuple[int, int, int]]] = [set() for _ in found.origin_s]
        for event, pick in zip(associated.event, columns, strict=True):
            if event != NO_EVENT:
                each[event].add(tuple(int(x) for x in pick))
        mine = zip(found.latitude_deg, found.longitude_deg, found.depth_km, found.magnitude, strict=True)
        pairs += [(m, shipped[frozenset(own)]) for own, m in zip(each, mine, strict=True) if frozenset(own) in shipped]
    mine, theirs = np.array(pairs, float).transpose(1, 0, 2)
    assert len(pairs) >= least_picks * len(shipped)
    assert (np.abs(mine - theirs)[:, :3] < 1e-6).all(1).sum() >= least_nodes * len(shipped)
    assert np.nanmedian(np.abs(mine - theirs)[:, 3]) < 0.03
