"""`jaxloc associate` from files to files."""

import csv

import numpy as np
import pytest

from jaxloc import arguments, cli
from jaxloc.detection.odds_calibration import computed
from jaxloc.geometry import Frame, to_degrees
from jaxloc.io.catalogue_csv import read_csv
from jaxloc.io.pick_files import read_pick_quakeml
from jaxloc.runs import associate

START_S = 1_600_000_000
FRAME = Frame(40.0, 20.0)


def write_inputs(folder):
    """Two events at ten stations, a false pick, and one of a station that is not listed."""
    rng = np.random.default_rng(0)
    station_km = rng.uniform(-40, 40, (10, 2))
    latitude_deg, longitude_deg = to_degrees(FRAME, *station_km.T)
    lines = ["code,latitude_deg,longitude_deg,elevation_m"]
    lines += [f"XX.S{i},{latitude_deg[i]},{longitude_deg[i]},0" for i in range(10)]
    (folder / "stations.csv").write_text("\n".join(lines))
    (folder / "model.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,6.0,3.5\n")
    lines = ["station,phase,time"]
    for x_km, y_km, z_km, origin_s in ((5, -3, 8, 30.0), (-12, 10, 6, 75.0)):
        away_km = np.sqrt(((station_km - [x_km, y_km]) ** 2).sum(-1) + z_km**2)
        for i in range(10):
            for phase, speed in (("P", 6.0), ("S", 3.5)):
                time_s = START_S + origin_s + away_km[i] / speed + 0.05 * rng.normal()
                lines.append(f"XX.S{i},{phase},{time_s:.3f}")
    lines += [f"XX.S3,P,{START_S + 950.0:.3f}", f"XX.OTHER,P,{START_S + 31.0:.3f}"]
    (folder / "picks.csv").write_text("\n".join(lines))
    return [
        str(folder / "picks.csv"),
        "--stations",
        str(folder / "stations.csv"),
        "--velocity",
        str(folder / "model.csv"),
    ]


def test_the_command_writes_events_and_the_fate_of_each_pick(tmp_path, capsys):
    command = ["associate", *write_inputs(tmp_path), "--sigma", "0.1", "--output", str(tmp_path / "out")]
    assert cli.main(command) == 0
    events = read_csv(tmp_path / "out" / "events.csv")
    assert len(events) == 2
    assert [event.start[11:16] for event in events] == ["12:27", "12:27"]
    assert all(computed(event.others["log_odds"], 40 / 41) > 10 for event in events)
    assert all(np.isfinite(event.covariance).all() for event in events)
    assert [len(event.picks) for event in read_pick_quakeml(tmp_path / "out" / "events.xml").events] == [20, 20]
    with (tmp_path / "out" / "picks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 42
    assert sum(row["event_id"] != "" for row in rows) == 40
    assert all((row["event_id"] == "") == (row["reason"] != "") for row in rows)
    assert [row["reason"] for row in rows if row["station"] == "XX.OTHER"] == [associate.UNKNOWN_STATION]
    assert "2 events with 40 of 41 picks" in capsys.readouterr().out


def test_picks_without_any_station_are_refused(tmp_path, capsys):
    command = write_inputs(tmp_path)
    (tmp_path / "picks.csv").write_text(f"station,phase,time\nYY.Z,P,{START_S}.5\nYY.Z,S,{START_S + 2000}.5\n")
    assert cli.main(["associate", *command, "--output", str(tmp_path / "out")]) == 1
    assert "YY.Z" in capsys.readouterr().err


def test_the_command_line_has_every_method():
    assert tuple(associate.METHODS) == arguments.ASSOCIATORS


@pytest.mark.parametrize("sigma", ["0", "-1"])
def test_sigma_must_be_positive(tmp_path, capsys, sigma):
    command = ["associate", *write_inputs(tmp_path), "--sigma", sigma, "--output", str(tmp_path / "out")]
    assert cli.main(command) == 1
    assert "--sigma must be positive" in capsys.readouterr().err
