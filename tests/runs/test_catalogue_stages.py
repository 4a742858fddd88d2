"""Matching and relocation as stages of a catalogue: what is joined, which origin is preferred, and MESS by command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from obspy import UTCDateTime, read_events

from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.catalogue_csv import read_csv, write_csv
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.io.hypodd_times import PairTimes
from jaxloc.io.quakeml import read
from jaxloc.runs import catalogue_stages, match_engines
from jaxloc.runs.catalogue_request import Request
from jaxloc.runs.catalogue_stages import _identified, preferred
from jaxloc.runs.match_engines import MatchedEvents

NONE, NO_NUMBER = np.zeros(0), np.zeros(0, int)
NO_TIMES = PairTimes("cross_correlation", NO_NUMBER, NO_NUMBER, (), NONE, NONE, NONE, NO_NUMBER)

HOW: Any = None  # of location, which these events do not come to


def event(name: str, time_s: float, east_deg: float = 0.0, sd_km: float = 1.0, **more: Any) -> Hypocentre:
    covariance = np.diag(np.square([sd_km, sd_km, 2 * sd_km, 0.1]))
    start = str(UTCDateTime("2020-01-01") + time_s)
    return Hypocentre(name, start, 40.0, 10.0 + east_deg, 8.0, 0.0, covariance, **more)


def test_a_matched_event_is_one_of_the_catalogue_or_new():
    """Itself by its template; by time and place; and new ones: another time, another place."""
    catalogue = [event("a", 10.0), event("b", 50.0)]
    found = (event("1", 10.1), event("2", 50.4), event("3", 90.0), event("4", 50.4, 1.0))
    known, new = _identified(catalogue, MatchedEvents(found, {"1": "a"}, NO_TIMES))
    assert known == {"1": 0, "2": 1}
    assert [each.id for each in new] == ["3", "4"]


def test_both_origins_are_kept_and_the_smaller_ellipsoid_is_preferred(tmp_path: Path):
    picks = (Pick("XX.S0", "P", 3.0, 0.1),)
    located = event("a", 10.0, picks=picks, origin_about="located by octree", magnitude=1.5)
    sharp = preferred(located, event("a", 10.2, 0.01, 0.1, picks=picks))
    wide = preferred(located, event("a", 10.2, 0.01, 3.0, picks=picks))
    assert (sharp.longitude_deg, wide.longitude_deg) == (10.01, 10.0)
    assert sharp.magnitude == 1.5
    assert "preferred, since its ellipsoid is not larger" in sharp.origin_about
    assert "preferred, since its ellipsoid is smaller" in wide.origin_about
    write_quakeml(tmp_path / "events.xml", [sharp, wide._replace(id="b")])
    for written, expected in zip(read_events(str(tmp_path / "events.xml")), (10.01, 10.0), strict=True):
        assert len(written.origins) == 2
        origin = written.preferred_origin()
        assert origin is not None
        assert origin.longitude == pytest.approx(expected)
        assert any("preferred" in str(comment.text) for comment in origin.comments)
        assert sorted(float(each.longitude) for each in written.origins) == pytest.approx([10.0, 10.01])
    assert [each.longitude_deg for each in read(tmp_path / "events.xml").events] == pytest.approx([10.01, 10.0])


def test_families_are_in_tables(tmp_path: Path):
    write_csv(tmp_path / "events.csv", [event("a", 10.0), event("m000002", 50.0, family="a")])
    assert [each.family for each in read_csv(tmp_path / "events.csv")] == ["", "a"]


def test_new_events_are_joined_in_the_order_of_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A search that finds an event again and a new one without picks, which stays at its template's place."""
    request = Request(tmp_path, tmp_path, None, tmp_path, match=True)
    found = (event("1", 10.0, family="b"), event("2", 30.0, family="a"))
    monkeypatch.setattr(match_engines, "matched_events", lambda *args: MatchedEvents(found, {"1": "a"}, NO_TIMES))
    picks = (Pick("XX.S0", "P", 3.0, 0.1),)
    unsure = event("c", 70.0, picks=picks, others={"event_probability": 0.6})
    catalogue = [event("a", 10.0, picks=picks), event("b", 50.0, picks=picks), unsure]
    events = catalogue_stages.joined(request, catalogue, HOW, lambda line: None)
    assert [each.id for each in events] == ["a", "m000002", "b", "c"]
    assert [each.family for each in events] == ["b", "a", "", ""]
    templates = read(tmp_path / "matched" / "templates.xml").events
    assert [each.id for each in templates] == ["a", "b"]


def test_what_cannot_be_searched_leaves_the_catalogue_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*args: object) -> MatchedEvents:
        raise ValueError("records too short")

    said: list[str] = []
    monkeypatch.setattr(match_engines, "matched_events", refused)
    catalogue = [event("a", 10.0, picks=(Pick("XX.S0", "P", 3.0, 0.1),))]
    request = Request(tmp_path, tmp_path, None, tmp_path, match=True)
    assert [each.id for each in catalogue_stages.joined(request, catalogue, HOW, said.append)] == ["a"]
    assert said == ["not searched by templates: records too short"]
