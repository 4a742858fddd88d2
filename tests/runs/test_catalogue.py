"""Catalogues of archives: events from exact picks, the reason where there is none, and what the report says."""

from pathlib import Path

import numpy as np
import pytest

from jaxloc.data.chunk import SECOND_NS
from jaxloc.data.dataset import Station, positions_km
from jaxloc.data.pick_list import PickList
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.catalogue_csv import write_csv
from jaxloc.io.quakeml import read
from jaxloc.io.station_checks import centre_of
from jaxloc.physics.layered import layered
from jaxloc.physics.layered_times import layered_times
from jaxloc.runs.catalogue import make_catalogue, with_probability
from jaxloc.runs.catalogue_request import Request, associate_request, locate_request, pick_request
from jaxloc.runs.catalogue_summary import frequency, importance, positions_of, probability_text, row_of
from jaxloc.runs.pick import Picked

ZERO_NS = 1_577_836_800 * SECOND_NS  # 2020-01-01
STATIONS = tuple(
    Station(f"XX.S{i}", 40 + 0.08 * north, 10 + 0.1 * east, 100.0)
    for i, (east, north) in enumerate([(0, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (2, 0), (0, 2)])
)
TRUE_KM = np.array([[1.0, 2.0, 7.0, 20.0], [-4.0, 1.0, 9.0, 24.0], [3.0, -3.0, 5.0, 70.0]])
"""The first two are four seconds apart."""


def picked_of(events_km: np.ndarray, sigma_s: float = 0.03) -> Picked:
    """Picks of P and S at all stations, with normal errors of `sigma_s`."""
    station_km = positions_km(centre_of(STATIONS), STATIONS)
    times = layered_times(layered([0.0, 10.0], [5.5, 6.5], [5.5 / 1.73, 6.5 / 1.73]))(station_km.astype(np.float32))
    travel_s = np.asarray(times(events_km[:, :3].astype(np.float32)), float)
    arrival_s = events_km[:, 3, None, None] + travel_s
    arrival_s = arrival_s + sigma_s * np.random.default_rng(0).normal(size=arrival_s.shape)
    _, station, phase = (each.ravel() for each in np.indices(arrival_s.shape))
    order = np.argsort(arrival_s.ravel())
    number = len(order)
    like = (np.full(number, sigma_s), np.full(number, 0.9), np.full(number, np.nan))
    picks = PickList(station[order], phase[order], arrival_s.ravel()[order], *like)
    return Picked(ZERO_NS, STATIONS, picks, (1.0,) * len(STATIONS), {})


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    rows = [f"{s.code},{s.latitude_deg},{s.longitude_deg},{s.elevation_m}" for s in STATIONS]
    (tmp_path / "stations.csv").write_text("\n".join(["code,latitude,longitude,elevation_m", *rows]))
    (tmp_path / "velocity.csv").write_text("depth_km,vp_km_s,vp_vs\n0,5.5,1.73\n10,6.5,1.73\n")
    output = tmp_path / "out"
    output.mkdir()
    return Request(tmp_path, tmp_path / "stations.csv", tmp_path / "velocity.csv", output, magnitude="none")


def event(magnitude: float | None = None, **others: float) -> Hypocentre:
    covariance = np.diag([0.09, 0.16, 1.0, 0.01])
    named = {"magnitude": magnitude, "others": others}
    return Hypocentre("a", "2020-01-01T00:01:00Z", 40.0, 10.0, 8.0, 1.5, covariance, **named)


@pytest.mark.slow
def test_events_four_seconds_apart_are_found_located_and_reported(request_of: Request):
    """Exact velocities and 14 picks of 0.03 s an event: epicentres within 0.5 km, far beyond the scatter of 0.1 km."""
    said: list[str] = []
    made = make_catalogue(request_of, picked_of(TRUE_KM), said.append)
    found_km = positions_of(made.events, centre_of(STATIONS), ZERO_NS)
    assert len(found_km) == 3
    np.testing.assert_allclose(found_km[:, :2], TRUE_KM[:, :2], atol=0.5)
    np.testing.assert_allclose(found_km[:, 3], TRUE_KM[:, 3], atol=0.2)
    assert all(event.others["event_probability"] > 0.99 for event in made.events)
    files = {path.name for path in request_of.output.iterdir()}
    assert {"events.csv", "events.xml", "picks.csv", "report.html"} <= files
    table = (request_of.output / "picks.csv").read_text().splitlines()
    assert len(table) == 1 + 3 * 2 * len(STATIONS)
    assert len(read(request_of.output / "events.xml").events) == 3
    assert any(line.startswith("report: ") for line in said)


def test_an_archive_without_picks_says_how_much_was_recorded(request_of: Request):
    nothing = PickList(*[np.zeros(0, int)] * 2, *[np.zeros(0)] * 4)
    silent = Picked(ZERO_NS, STATIONS, nothing, (0.25,) * len(STATIONS), {})
    with pytest.raises(ValueError, match="no events: nothing was picked; stations recorded 25% of the time"):
        make_catalogue(request_of, silent, lambda line: None)


def test_picks_that_make_no_event_are_told_with_their_reasons(request_of: Request):
    few = picked_of(TRUE_KM[:1])
    some = few.picks.station < 2
    alone = few._replace(picks=PickList(*(each[some] for each in few.picks)))
    with pytest.raises(ValueError, match=r"no events among 4 picks: .+ \(\d picks\)"):
        make_catalogue(request_of._replace(method="palm"), alone, lambda line: None)


def test_stages_are_asked_for_what_the_catalogue_is(request_of: Request):
    assert pick_request(request_of).method == "network"
    palm = request_of._replace(method="palm", depth_km=(0.0, 9.0))
    assert (pick_request(palm).method, associate_request(palm).method) == ("palm", "palm")
    assert associate_request(palm).velocity is None, "PAL's rules have straight rays"
    assert (locate_request(palm).locator, locate_request(request_of).locator) == ("geiger", "octree")
    assert locate_request(palm).depth_km == (0.0, 9.0)


def test_events_are_kept_from_a_least_probability_on(request_of: Request):
    assert associate_request(request_of).least_log_odds == pytest.approx(np.log(9.0))
    assert associate_request(request_of._replace(least_probability=0.5)).least_log_odds == pytest.approx(0.0)
    with pytest.raises(ValueError, match="--least-probability must be 0 or more and below 1, got 1"):
        associate_request(request_of._replace(least_probability=1.0))
    with pytest.raises(ValueError, match="no effect with --method palm"):
        associate_request(request_of._replace(least_probability=0.5, method="palm"))


def test_odds_become_a_probability():
    assert with_probability({"log_odds": 0.0})["event_probability"] == pytest.approx(0.5)
    assert with_probability({"log_odds": 800.0})["event_probability"] == 1.0
    assert with_probability({"log_odds": -800.0})["event_probability"] == 0.0
    assert with_probability({}) == {}
    assert (probability_text(0.99996), probability_text(0.5)) == ("> 0.999", "0.500")


def test_a_row_of_the_report_has_errors_and_says_what_is_unknown():
    row = row_of(event(event_probability=0.75))
    assert row["± km"] == "0.50"
    assert row["depth (km)"] == "8.0 ± 1.0"
    assert row["probability"] == "0.750"
    assert (row["magnitude"], row_of(event())["probability"]) == ("-", "-")
    assert importance(event(1.0)) > importance(event(None, event_probability=1.0))


def test_positions_are_those_that_were_written(tmp_path: Path):
    write_csv(tmp_path / "events.csv", [event()])
    (place,) = positions_of([event()], centre_of(STATIONS), ZERO_NS)
    assert place[2:] == pytest.approx([8.0, 61.5])


def test_b_value_of_a_known_catalogue_is_found():
    """b = 1 above magnitude 1, of 4,000 events: the standard error is 0.016."""
    magnitude = 0.95 + np.random.default_rng(1).exponential(1 / np.log(10), 4000)
    least, b, sd = frequency(magnitude)
    assert 1.0 <= least <= 1.5
    assert b == pytest.approx(1.0, abs=4 * sd)
    assert np.isnan(frequency(np.zeros(0))).all()
