"""Relocation from the command line: separations of a simulated swarm, files, and what is refused."""

import csv

import numpy as np
import pytest

from jaxloc import cli
from jaxloc.geometry import Frame, to_degrees, to_km

FRAME = Frame(36.0, -117.5)
VP_KM_S, VP_VS, PICK_SD_S = 6.0, 1.7, 0.01
EVENTS, STATIONS = 14, 10


def swarm(folder):
    """Picks of a swarm of half a kilometre, station delays of 0.1 s that are alike for all events, and the truth."""
    rng = np.random.default_rng(1)
    angle = np.linspace(0, 2 * np.pi, STATIONS, endpoint=False)
    radius = rng.uniform(8, 25, STATIONS)
    stations_km = np.stack([radius * np.sin(angle), radius * np.cos(angle), rng.uniform(-1, 0, STATIONS)], 1)
    places_km = np.array([1.0, -2.0, 8.0]) + rng.normal(0, 0.3, (EVENTS, 3))
    delay_s = rng.normal(0, 0.1, (STATIONS, 2))
    degrees = lambda points: np.stack(to_degrees(FRAME, points[:, 0], points[:, 1]), 1)
    rows = [
        f"XX.S{i},{latitude:.7f},{longitude:.7f},{-1000 * depth:.1f}"
        for i, ((latitude, longitude), depth) in enumerate(zip(degrees(stations_km), stations_km[:, 2], strict=True))
    ]
    (folder / "stations.csv").write_text("\n".join(["station,latitude,longitude,elevation_m", *rows]))
    (folder / "model.csv").write_text(f"depth_km,vp_km_s,vs_km_s\n0,{VP_KM_S},{VP_KM_S / VP_VS}\n")
    picks = ["event_id,station,phase,time,sigma_s"]
    for event, place_km in enumerate(places_km):
        apart_km = np.linalg.norm(stations_km - place_km, axis=1)
        for i, each_km in enumerate(apart_km):
            for phase, (name, speed) in enumerate((("P", VP_KM_S), ("S", VP_KM_S / VP_VS))):
                after_s = 20 + each_km / speed + delay_s[i, phase] + rng.normal(0, PICK_SD_S)
                picks.append(f"e{event:02d},XX.S{i},{name},2020-05-01T{event:02d}:00:{after_s:09.6f}Z,{PICK_SD_S}")
    (folder / "picks.csv").write_text("\n".join(picks))
    return places_km


def relocated(folder, *options):
    arguments = ["relocate", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv")]
    return cli.main([*arguments, "--velocity", str(folder / "model.csv"), "--output", str(folder / "out"), *options])


def places(folder):
    with (folder / "out" / "events.csv").open() as file:
        rows = list(csv.DictReader(file))
    latitude, longitude = (np.array([float(row[name]) for row in rows]) for name in ("latitude_deg", "longitude_deg"))
    depth_km = [float(row["depth_km"]) for row in rows]
    return np.stack([*to_km(FRAME, latitude, longitude), depth_km], 1)


@pytest.mark.parametrize("options", [["--method", "double_difference"], ["--set", "learn_rounds=4"]])
def test_separations_of_a_swarm_are_found(options, tmp_path, capsys):
    truth = swarm(tmp_path)
    assert relocated(tmp_path, *options, "--pictures") == 0
    found = places(tmp_path)
    error = (found - found.mean(0)) - (truth - truth.mean(0))
    # Delays of 0.1 s move each event by half a kilometre; picks that err by 0.01 s, relative places by 0.03 to 0.06.
    assert np.sqrt((error**2).mean()) < 0.1
    with (tmp_path / "out" / "separations.csv").open() as file:
        rows = list(csv.DictReader(file))
    first, second = ([int(row[name][1:]) for row in rows] for name in ("first", "second"))
    off = np.array([[float(row[n]) for n in ("east_km", "north_km", "depth_km")] for row in rows])
    off -= truth[first] - truth[second]
    sd = np.array([[float(row[n]) for n in ("east_sd_km", "north_sd_km", "depth_sd_km")] for row in rows])
    # Some 50 dependent pairs. So few events leave the joint model's path terms near their prior, which is wider.
    assert 0.2 < np.sqrt(((off / sd) ** 2).mean()) < 2
    said = " ".join(capsys.readouterr().out.split())
    assert f"{EVENTS} of {EVENTS} events located" in said
    assert "of its separation from neighbours" in said
    assert (tmp_path / "out" / "map.png").stat().st_size > 1000


def test_events_with_a_start_are_not_located_again(tmp_path, capsys):
    """A catalogue of all events is started from as it is; one that lacks an event has Geiger's location for it."""
    truth = swarm(tmp_path)
    latitude, longitude = to_degrees(FRAME, truth[:, 0], truth[:, 1])
    rows = [
        f"e{i:02d},{latitude[i]:.6f},{longitude[i]:.6f},{truth[i, 2]:.4f},2020-05-01T{i:02d}:00:20Z"
        for i in range(EVENTS)
    ]
    header = "id,latitude_deg,longitude_deg,depth_km,origin_time"
    for number, located_first in ((EVENTS, False), (EVENTS - 1, True)):
        (tmp_path / "start.csv").write_text("\n".join([header, *rows[:number]]))
        options = ("--method", "double_difference", "--start", str(tmp_path / "start.csv"))
        assert relocated(tmp_path, *options) == 0
        assert ("by geiger, to start from" in " ".join(capsys.readouterr().out.split())) == located_first
        found = places(tmp_path)
        error = (found - found.mean(0)) - (truth - truth.mean(0))
        assert np.sqrt((error**2).mean()) < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--method", "double_difference", "--set", "no=1"],
            "double_difference has no setting no; use one of: least_we",
        ),
        (["--method", "double_difference", "--set", "solver=1"], "solver must be a word, got 1"),
        (["--method", "double_difference", "--set", "separation_km=0.001"], "no pair of 14 events has 8 common picks"),
        (["--method", "double_difference", "--differences", "dt.cc"], "count from the origin times of a catalogue"),
        (["--set", "no=1"], "the locator hierarchical has no setting no"),
        (["--start", "none.csv"], "no such file of truths"),
    ],
)
def test_what_cannot_be_relocated_is_refused(options, message, tmp_path, capsys):
    swarm(tmp_path)
    assert relocated(tmp_path, *options) == 1
    assert message in " ".join(capsys.readouterr().err.split())
