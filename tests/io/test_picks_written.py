"""Picks of located events in CSV and QuakeML: they are read back as they were written."""

import csv

import numpy as np
import pytest
from obspy import UTCDateTime, read_events

from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.catalogue_csv import write_picks
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.io.pick_files import read_pick_csv, read_pick_quakeml

START = "2020-01-01T23:59:58Z"
PICKS = (
    Pick("XX.S01", "P", 1.25, 0.05, 0.97),
    Pick("XX.S01", "S", 3.5, 0.2, 0.61),
    Pick("YY.ABC", "P", 2.0, None, None),
)


def located(name: str, picks: tuple[Pick, ...], start: str | None = START) -> Hypocentre:
    return Hypocentre(name, start, 36.0, -97.0, 5.0, 0.5, np.eye(4), picks=picks)


@pytest.mark.parametrize("kind", ["csv", "quakeml"])
def test_picks_come_back(tmp_path, kind: str) -> None:
    """Across midnight, from two events of which one has no pick, by the readers of `jaxloc locate --locator`."""
    events = [located("a", PICKS), located("b", ())]
    if kind == "csv":
        write_picks(tmp_path / "picks.csv", events)
        found = read_pick_csv(tmp_path / "picks.csv").events
    else:
        write_quakeml(tmp_path / "events.xml", events)
        found = read_pick_quakeml(tmp_path / "events.xml").events
    event = next(each for each in found if each.id == "a")
    assert [(pick.station, pick.phase) for pick in event.picks] == [(pick.station, pick.phase) for pick in PICKS]
    seconds = [(pick.time_ns - UTCDateTime(START).ns) * 1e-9 for pick in event.picks]
    np.testing.assert_allclose(seconds, [pick.time_s for pick in PICKS], atol=1e-6)
    np.testing.assert_allclose([pick.sigma_s for pick in event.picks], [0.05, 0.2, np.nan])


def test_quakeml_has_arrivals_and_probabilities(tmp_path) -> None:
    write_quakeml(tmp_path / "events.xml", [located("a", PICKS)])
    (event,) = read_events(str(tmp_path / "events.xml"))
    assert [arrival.phase for arrival in event.preferred_origin().arrivals] == ["P", "S", "P"]
    assert [arrival.pick_id for arrival in event.preferred_origin().arrivals] == [p.resource_id for p in event.picks]
    assert event.picks[0].comments[0].text == "probability of the P pick: 0.970"
    assert not event.picks[2].comments


@pytest.mark.parametrize(("start", "time"), [(START, "2020-01-01T23:59:59.250000Z"), (None, "")])
def test_an_unknown_start_leaves_seconds(tmp_path, start: str | None, time: str) -> None:
    write_picks(tmp_path / "picks.csv", [located("a", PICKS[:1], start)])
    with (tmp_path / "picks.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "event_id": "a", "station": "XX.S01", "phase": "P", "time": time, "time_s": "1.25", "sigma_s": "0.05",
        "probability": "0.97",
    }  # fmt: skip
