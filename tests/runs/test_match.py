"""The command that searches an archive by templates, on simulated records with known events."""

from pathlib import Path

import numpy as np
import pytest
from matched_records import RATE_HZ, STATIONS, Swarm, swarm
from obspy import Stream, Trace, UTCDateTime, read_events
from obspy.core.event import Catalog, Event, Magnitude, Origin, Pick, QuantityError, WaveformStreamID

from jaxloc import cli
from jaxloc.detection import mess
from jaxloc.io.catalogue_csv import read_csv
from jaxloc.io.hypodd_times import read_cross_times
from jaxloc.io.quakeml import read
from jaxloc.runs import match_mess

START = UTCDateTime("2020-05-01T00:00:10")
CODES = [f"S{row}" for row in range(STATIONS)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Swarm]:
    """A folder of waveforms, stations and two of five events with picks."""
    folder = tmp_path_factory.mktemp("archive")
    made = swarm(is_raw=True)
    (folder / "waves").mkdir()
    traces = [
        Trace(made.records[row, place].astype(np.float32), {"network": "XX", "station": code, "channel": f"HH{name}"})
        for row, code in enumerate(CODES)
        for place, name in enumerate("ZNE")
    ]
    for trace in traces:
        trace.stats.starttime, trace.stats.sampling_rate = START, RATE_HZ
    Stream(traces).write(str(folder / "waves" / "all.mseed"), format="MSEED")
    rows = [f"XX.{code},{64 + 0.01 * row},-17.0,500" for row, code in enumerate(CODES)]
    (folder / "stations.csv").write_text("\n".join(["code,latitude,longitude,elevation_m", *rows]))
    Catalog([_event(made, row) for row in (0, 1)]).write(str(folder / "events.xml"), format="QUAKEML")
    return folder, made


def _event(made: Swarm, row: int) -> Event:
    picks = [
        Pick(
            time=START + float(made.arrival_s[row, station, phase]),
            phase_hint="PS"[phase],
            waveform_id=WaveformStreamID("XX", CODES[station]),
            time_errors=QuantityError(uncertainty=0.05),
        )
        for station, phase in np.ndindex(STATIONS, 2)
    ]
    origin = Origin(time=START + float(made.origin_s[row]), latitude=64.02 + 0.01 * row, longitude=-17, depth=5000)
    return Event(origins=[origin], picks=picks)


def _matched(folder: Path, output: Path, *options: str) -> int:
    files = ["--events", str(folder / "events.xml"), "--stations", str(folder / "stations.csv")]
    return cli.main(["match", str(folder / "waves"), *files, "--snr", "2", "--output", str(output), *options])


def test_events_of_an_archive_are_found_and_written(
    archive: tuple[Path, Swarm], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder, made = archive
    assert _matched(folder, tmp_path, "--mad", "9") == 0
    assert "of 5 events; 2 of them are events of the templates" in capsys.readouterr().out
    contents = read(tmp_path / "events.xml")
    times = [UTCDateTime(event.start) + event.origin_s - START for event in contents.events]
    np.testing.assert_allclose(times, made.origin_s, atol=0.6 / RATE_HZ)
    assert contents.picks is not None
    for event, true_s in zip(contents.picks.events, made.arrival_s, strict=True):
        for pick in event.picks:
            found_s = UTCDateTime(ns=pick.time_ns) - START
            assert abs(found_s - true_s[CODES.index(pick.station[3:]), "PS".index(pick.phase)]) < 0.05
    pairs = read_cross_times(tmp_path / "dt.cc")
    assert {(1, 3), (2, 4), (1, 5)} <= set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    rows = (tmp_path / "families.csv").read_text().splitlines()
    assert rows[0].startswith("event,template,origin_time")
    assert sum(row.endswith(",True,True") for row in rows) == 2


def test_matched_events_have_covariances_and_those_of_templates_magnitudes(
    archive: tuple[Path, Swarm], tmp_path: Path
) -> None:
    """Templates keep theirs; what matches them is as uncertain in depth as they are, and by scatter of lags more."""
    folder, _ = archive
    catalog = read_events(str(folder / "events.xml"))
    for event in catalog:
        event.magnitudes = [Magnitude(mag=2.0, magnitude_type="ML", mag_errors=QuantityError(uncertainty=0.1))]
        event.origins[0].depth_errors = QuantityError(uncertainty=1000.0)
    catalog.write(str(tmp_path / "sized.xml"), format="QUAKEML")
    assert _matched(folder, tmp_path / "out", "--mad", "9", "--events", str(tmp_path / "sized.xml")) == 0
    found = read_csv(tmp_path / "out" / "events.csv")
    for event in found[:2]:
        assert (event.magnitude, event.magnitude_sd, event.magnitude_type) == (2.0, 0.1, "ML")
        assert event.covariance[2, 2] == pytest.approx(1.0)
    assert all(1.0 < event.covariance[2, 2] < 1.5 for event in found[2:])
    assert all(event.family for event in found)


def test_chunks_are_kept_and_do_not_change_the_result(
    archive: tuple[Path, Swarm], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder, _ = archive
    assert _matched(folder, tmp_path / "one", "--mad", "9") == 0
    assert _matched(folder, tmp_path / "many", "--mad", "9", "--chunk", "70") == 0
    one, many = ((tmp_path / name / "families.csv").read_text().splitlines() for name in ("one", "many"))
    short = lambda rows: [row.split(",")[:3] for row in rows]
    assert short(one) == short(many)
    kept = sorted((tmp_path / "many" / "chunks").iterdir())
    kept[1].unlink()
    capsys.readouterr()
    assert _matched(folder, tmp_path / "many", "--mad", "9", "--chunk", "70") == 0
    assert f"{len(kept) - 1} of {len(kept)} chunks were scanned before" in capsys.readouterr().out
    assert (tmp_path / "many" / "families.csv").read_text().splitlines() == many


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--band", "2", "30"], "0 < low < high < 25"),
        (["--start", "2021-01-01"], "has no records from 2021-01-01"),
        (["--snr", "1000"], "none of 2 events makes a template"),
        (["--mad", "-1"], "multiple of the MAD must be positive, got -1"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    archive: tuple[Path, Swarm], options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _matched(archive[0], tmp_path, *options) == 1
    assert message in capsys.readouterr().err


def test_mess_finds_the_events_by_command_and_continues(
    archive: tuple[Path, Swarm], tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two templates and two of the three weaker events; without the picks of mess, a kept chunk is not scanned."""
    folder, made = archive
    # The ratio of energies that a published template needs is that of strong events; these have amplitudes of 8 in 1.
    monkeypatch.setattr(match_mess, "SETTINGS", mess.Settings(least_snr=3.0))
    options = ("--method", "mess", "--chunk", "130")
    assert _matched(folder, tmp_path, *options) == 0
    assert "2 of them are templates" in capsys.readouterr().out
    contents = read(tmp_path / "events.xml")
    times = np.array([UTCDateTime(event.start) + event.origin_s - START for event in contents.events])
    apart_s = np.abs(times[:, None] - made.origin_s).min(1)
    assert apart_s.max() < 0.6
    assert len(times) >= 2
    first = (tmp_path / "families.csv").read_text()
    kept = sorted((tmp_path / "chunks").iterdir())
    kept[0].unlink()
    assert _matched(folder, tmp_path, *options) == 0
    assert f"{len(kept) - 1} of {len(kept)} chunks were scanned before" in capsys.readouterr().out
    assert (tmp_path / "families.csv").read_text() == first
