"""Picks of CSV and QuakeML files as data sets: names, times, what is left out and why."""

import gzip

import numpy as np
import pytest
from obspy import Catalog, UTCDateTime
from obspy.core.event import Arrival, Event, Magnitude, Origin, Pick, QuantityError, WaveformStreamID

from jaxloc.data.dataset import Station
from jaxloc.io.pick_files import read_pick_csv
from jaxloc.io.picks import read_picks

STATIONS = tuple(Station(f"XX.{name}", 36.0 + 0.1 * i, -117.0, 500.0) for i, name in enumerate("ABC"))
ROWS = [("A", "P", "03.250"), ("A", "S", "05.500"), ("B", "P", "04.000"), ("C", "P", "04.125")]
EXPECTED = [[0.0, 2.25], [0.75, 0.0], [0.875, 0.0]]


def written(path, header, rows, separator=","):
    path.write_text("\n".join([header, *(separator.join(map(str, row)) for row in rows)]) + "\n")
    return path


def observed(picks):
    return picks.dataset.take(np.arange(len(picks.dataset))).observations


TABLES = {
    "the README's columns": ("event_id,station,phase,time,sigma_s", lambda s, p, t: ("e", f"XX.{s}", p, t, 0.05)),
    "SEED ids": ("event_index,id,type,timestamp,uncertainty", lambda s, p, t: ("e", f"XX.{s}.00.HHZ", p, t, 0.05)),
    "network in a column": ("evid,net,sta,phase_hint,time,sigma", lambda s, p, t: ("e", "XX", s, f"{p}g", t, 0.05)),
    "station without network": ("Event ID,Station,Phase,Pick time,Sigma(s)", lambda s, p, t: ("e", s, p, t, 0.05)),
    "one event, no column of it": ("station,phase,time,sigma_s", lambda s, p, t: (f"XX.{s}", f"i{p}", t, 0.05)),
}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", TABLES)
def test_usual_columns_are_understood(name, separator, tmp_path):
    """Times from the first pick, to the microsecond; the first pick is the start of the record."""
    header, row = TABLES[name]
    rows = [row(s, p, f"2020-05-01T12:00:{t}Z") for s, p, t in ROWS]
    picks = read_picks(written(tmp_path / "picks.csv", header.replace(",", separator), rows, separator), STATIONS)
    seen = observed(picks)
    np.testing.assert_allclose(seen.picks_s[0], EXPECTED, atol=1e-6)
    np.testing.assert_array_equal(seen.pick_mask[0], [[True, True], [True, False], [True, False]])
    np.testing.assert_allclose(seen.pick_sigma_s[seen.pick_mask], 0.05)
    assert picks.dataset.events[0].start == "2020-05-01T12:00:03.250000Z"
    assert seen.waveforms is None
    assert picks.notes == ()


@pytest.mark.parametrize(
    ("times", "absolute"),
    [
        (["2020-05-01T12:00:03.25", "2020-05-01T12:00:05.5"], True),
        (["2020-05-01 12:00:03.25", "2020-05-01 12:00:05.5"], True),
        (["1588334403.25", "1588334405.5"], True),
        (["43203.25", "43205.5"], False),
        (["-1.0", "1.25"], False),
    ],
)
def test_times_are_utc_epoch_or_relative_seconds(times, absolute, tmp_path):
    """Relative times keep the zero of the file: origin times are given from it."""
    rows = [("e", "XX.A", phase, time) for phase, time in zip("PS", times, strict=True)]
    picks = read_picks(written(tmp_path / "picks.csv", "event_id,station,phase,time", rows), STATIONS)
    np.testing.assert_allclose(observed(picks).picks_s[0, 0], [0.0, 2.25], atol=1e-6)
    assert (picks.dataset.events[0].start is not None) == absolute
    assert picks.zero_s["e"] == pytest.approx(0.0 if absolute else float(times[0]), abs=1e-9)


def test_precision_is_kept_for_times_since_1970(tmp_path):
    rows = [("e", "XX.A", "P", "1588334403.001"), ("e", "XX.B", "P", "1588334403.002")]
    picks = read_picks(written(tmp_path / "picks.csv", "event_id,station,phase,time", rows), STATIONS)
    np.testing.assert_allclose(observed(picks).picks_s[0, :, 0], [0.0, 0.001], atol=1e-6)


LEFT_OUT = {
    "unknown station": ([("e", "XX.NOPE", "P", 1.0)], "station XX.NOPE is not in the station list"),
    "another network's station": ([("e", "YY.A", "P", 1.0)], "station YY.A is not in the station list"),
    "other phases": ([("e", "XX.A", "PKP", 1.0)], "phase PKP is neither P nor S"),
    "a later arrival": ([("e", "XX.B", "Pg", 60.0)], "a later P pick at XX.B"),
    "S before P": ([("e", "XX.C", "P", 3.0), ("e", "XX.C", "S", 2.0)], "S not after P at XX.C"),
    "noise": ([("-1", "XX.C", "P", 3.0)], "they belong to no event"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_picks_that_cannot_be_used_are_left_out_by_name(name, tmp_path):
    more, reason = LEFT_OUT[name]
    rows = [("e", "XX.A", "P", 1.0), ("e", "XX.A", "S", 2.0), ("e", "XX.B", "P", 1.5), *more]
    picks = read_picks(written(tmp_path / "picks.csv", "event_id,station,phase,time", rows), STATIONS)
    assert observed(picks).pick_mask.sum() == 3
    assert any(reason in note for note in picks.notes)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("f", "XX.A", "P", 1.0)], "one usable pick; at least 2"),
        ([("f", "XX.NOPE", "P", 1.0), ("f", "XX.NOPE", "S", 2.0)], "no usable pick (station XX.NOPE is not in the"),
        ([("f", "XX.A", "Lg", 1.0)], "no usable pick (phase Lg is neither P nor S)"),
    ],
)
def test_events_with_too_few_picks_have_a_reason(rows, reason, tmp_path):
    good = [("e", "XX.A", "P", 1.0), ("e", "XX.B", "P", 1.5)]
    picks = read_picks(written(tmp_path / "p.csv", "event_id,station,phase,time", [*good, *rows]), STATIONS)
    assert [event.id for event in picks.dataset.events] == ["e"]
    assert picks.lost["f"].startswith(reason)
    with pytest.raises(ValueError, match="none of 1 events has 2 usable picks"):
        read_picks(written(tmp_path / "q.csv", "event_id,station,phase,time", rows), STATIONS)


def test_picks_without_an_uncertainty_have_the_default_and_a_note(tmp_path):
    rows = [("e", "XX.A", "P", 1.0, 0.02), ("e", "XX.B", "P", 1.5, "")]
    picks = read_picks(written(tmp_path / "p.csv", "event_id,station,phase,time,sigma_s", rows), STATIONS, sigma_s=0.3)
    np.testing.assert_allclose(observed(picks).pick_sigma_s[0, :, 0], [0.02, 0.3])
    assert picks.notes == ("1 of 2 picks have no uncertainty: a standard deviation of 0.3 s is used",)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("event_id,phase,time", [("e", "P", 1.0)], "must have a column of station"),
        ("event_id,station,time", [("e", "XX.A", 1.0)], "must have a column of phase"),
        ("event_id,station,phase", [("e", "XX.A", "P")], "must have a column of time"),
        ("event_id,station,phase,time", [("e", "XX.A", "P", "")], "line 2.*must have a time"),
        ("event_id,station,phase,time", [("e", "XX.A", "P", "noon")], "line 2.*'noon' is no time"),
        ("event_id,station,phase,time,sigma_s", [("e", "XX.A", "P", 1.0, -0.1)], "must be positive, got -0.1"),
        (
            "event_id,station,phase,time",
            [("e", "XX.A", "P", 1.0), ("e", "XX.B", "P", "2020-05-01T12:00:00")],
            "some times are UTC and others relative",
        ),
    ],
)
def test_wrong_tables_are_refused_by_name(header, rows, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_pick_csv(written(tmp_path / "picks.csv", header, rows))


def quakeml(path, compressed=False):
    """Four picks with the phases of arrivals, one of them rejected; one more of no arrival, hint S."""
    zero = UTCDateTime("2020-05-01T12:00:00")
    picks = [
        Pick(
            time=zero + float(time),
            waveform_id=WaveformStreamID("XX", name, "00", "HHZ"),
            phase_hint=phase,
            time_errors=QuantityError(uncertainty=0.04),
        )
        for name, phase, time in ROWS
    ]
    picks[1].time_errors = QuantityError(lower_uncertainty=0.1, upper_uncertainty=0.3)
    picks[3].evaluation_status = "rejected"
    arrivals = [Arrival(pick_id=p.resource_id, phase=f"{p.phase_hint}n") for p in picks[:1]]
    origin = Origin(time=zero, latitude=36, longitude=-117, depth=1000, arrivals=arrivals)
    event = Event(picks=picks, origins=[origin], magnitudes=[Magnitude(mag=2.5)])
    Catalog([event]).write(str(path), format="QUAKEML")
    if compressed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def test_quakeml_gives_picks_with_their_errors(tmp_path):
    picks = read_picks(quakeml(tmp_path / "events.xml"), STATIONS)
    seen = observed(picks)
    np.testing.assert_allclose(seen.picks_s[0], [[0.0, 2.25], [0.75, 0.0]], atol=1e-6)
    np.testing.assert_allclose(seen.pick_sigma_s[seen.pick_mask], [0.04, 0.2, 0.04], rtol=1e-6)
    assert picks.dataset.events[0].magnitude == 2.5
    assert picks.notes == ("1 pick left out: rejected, or of weight 0",)
