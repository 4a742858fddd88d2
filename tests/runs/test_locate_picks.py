"""Locating picks from the command line without a network: known hypocentres, few stations, what is refused."""

import csv

import numpy as np
import pytest

import jaxloc
from jaxloc import cli
from jaxloc.data.dataset import Event, retaken
from jaxloc.geometry import Frame, to_degrees, to_km
from jaxloc.io.picks import read_picks
from jaxloc.runs.locate_picks import _with_picks

FRAME = Frame(36.0, -117.5)
VP_KM_S, VP_VS = 6.0, 1.7
STATIONS_KM = np.array([[-20, -14, 0.3], [17, -9, 0.0], [4, 21, 1.2], [-11, 13, 0.8], [12, 11, 0.5], [1, -3, 0.1]])
TRUE_KM, ORIGIN_S = np.array([5.0, -4.0, 9.0]), 20.0


def degrees(east_km, north_km):
    return (float(x) for x in to_degrees(FRAME, np.array(east_km), np.array(north_km)))


def written(folder, number):
    """Stations, a model of one speed, a catalogue, and exact picks of one event at the first stations."""
    rows = ["station,latitude,longitude,elevation_m"]
    for i, (east, north, up) in enumerate(STATIONS_KM):
        latitude, longitude = degrees(east, north)
        rows.append(f"XX.S{i},{latitude:.7f},{longitude:.7f},{1000 * up}")
    (folder / "stations.csv").write_text("\n".join(rows))
    (folder / "model.csv").write_text(f"depth_km,vp_km_s,vs_km_s\n0,{VP_KM_S},{VP_KM_S / VP_VS}\n")
    (folder / "earlier.csv").write_text("id,latitude_deg,longitude_deg,depth_km\na,36.0,-117.5,8\nb,36.1,-117.4,12\n")
    apart = np.linalg.norm(STATIONS_KM * [1, 1, -1] - TRUE_KM, axis=1)
    picks = ["event_id,station,phase,time,sigma_s"]
    for i in range(number):
        for phase, speed in (("P", VP_KM_S), ("S", VP_KM_S / VP_VS)):
            picks.append(f"one,XX.S{i},{phase},2020-05-01T00:00:{ORIGIN_S + apart[i] / speed:09.6f}Z,0.1")
    (folder / "picks.csv").write_text("\n".join([*picks, "two,XX.S0,P,2020-05-01T01:00:00Z,0.1"]))
    return folder


def located(folder, *options):
    arguments = ["locate", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv")]
    arguments += ["--velocity", str(folder / "model.csv"), "--output", str(folder / "out"), *options]
    assert cli.main(arguments) == 0
    with (folder / "out" / "events.csv").open() as file:
        (row,) = csv.DictReader(file)
    east, north = to_km(FRAME, np.array(float(row["latitude_deg"])), np.array(float(row["longitude_deg"])))
    place = np.array([float(east), float(north), float(row["depth_km"])])
    return place, np.array([float(row[f"{axis}_sd_km"]) for axis in ("east", "north", "depth")]), row


def test_a_grid_search_finds_a_known_hypocentre(tmp_path, capsys):
    place, sd, row = located(written(tmp_path, 6), "--locator", "grid_search", "--pictures")
    np.testing.assert_allclose(place, TRUE_KM, atol=0.3)
    assert (np.abs(place - TRUE_KM) < sd).all()
    assert abs(float(row["origin_time"][-10:-1]) - ORIGIN_S) < 0.05
    out = " ".join(capsys.readouterr().out.split())
    assert "two was not located: one usable pick; at least 2 are needed" in out
    assert "1 of 2 events located" in out
    assert (tmp_path / "out" / "events.xml").is_file()
    assert (tmp_path / "out" / "one.png").stat().st_size > 1000


@pytest.mark.parametrize(("locator", "options"), [("sp_rule", []), ("climatology", ["--catalogue"])])
def test_other_locators_run_with_wide_posteriors(locator, options, tmp_path):
    folder = written(tmp_path, 6)
    place, sd, _ = located(folder, "--locator", locator, *options, *([str(folder / "earlier.csv")] if options else []))
    assert (np.abs(place - TRUE_KM) < 4 * sd).all()
    assert (sd > 1.0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--locator", "nosuch"],
            "no such locator: 'nosuch'; use one of climatology, geiger, grid_search, hierarchical, nuts,",
        ),
        (["--locator", "climatology"], "must have a catalogue of earlier events; use --catalogue"),
        (
            ["--locator", "grid_search", "--set", "kind=l3"],
            "must be one of l2, l1, edt, edt_ot_wt, student_t, got 'l3'",
        ),
        (["--locator", "grid_search", "--set", "no=1"], "has no setting no; use one of: kind, model_sd_s"),
        (["--locator", "grid_search", "--set", "no"], "--set takes KEY=VALUE"),
        (["--locator", "grid_search", "--vp-vs-error", "0.1"], "has no effect on the locator grid_search"),
        (["--locator", "grid_search", "--split", "dev"], "use --split with SeisBench folders"),
        (["--locator", "grid_search", "--region", "1/2/3"], "--region must be WEST/EAST"),
        (["--locator", "grid_search", "--depth-km", "10", "5"], "--depth-km must be SHALLOWEST"),
        (["--locator", "grid_search", "--windows", "w.csv"], "leave out RUN and --windows"),
        (["--catalogue", "c.csv", "more.csv"], "--catalogue must be used with --locator"),
        ([], "none of 1 files has waveforms that can be read"),
        ([], "picks are located with --locator NAME"),
    ],
)
def test_what_has_no_effect_or_is_missing_is_refused(options, message, tmp_path, capsys):
    folder = written(tmp_path, 2)
    arguments = ["locate", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv")]
    arguments += ["--velocity", str(folder / "model.csv"), "--output", str(folder / "out"), *options]
    assert cli.main(arguments) == 1
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("locator", ["grid_search", "sp_rule"])
def test_a_velocity_model_is_asked_for(locator, tmp_path, capsys):
    folder = written(tmp_path, 2)
    arguments = ["locate", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv"), "--locator", locator]
    assert cli.main([*arguments, "--output", str(folder / "out")]) == 1
    assert "must have a velocity model; use --velocity" in " ".join(capsys.readouterr().err.split())


def test_an_event_of_a_data_set_with_one_pick_is_named_with_the_reason(tmp_path):
    folder = written(tmp_path, 6)
    dataset = read_picks(folder / "picks.csv", folder / "stations.csv").dataset
    twice = retaken(dataset, lambda index: few_picks(dataset, index), (*dataset.events, Event("other", "none")))
    picks = _with_picks(twice)
    assert picks.lost == {"other": "1 usable pick; at least 2 are needed"}
    assert [event.id for event in picks.dataset.events] == ["one"]


def few_picks(dataset, index):
    """The first event of a data set as often as asked; all but the first of them with a single pick."""
    batch = dataset.take(np.zeros(len(index), int))
    mask = np.array(batch.observations.pick_mask)
    mask[np.asarray(index) > 0] = False
    mask[np.asarray(index) > 0, 0, 0] = True
    return batch._replace(observations=batch.observations._replace(pick_mask=mask))


def test_picks_are_located_in_python(tmp_path):
    """The same event as by the command line, with what was not located and why."""
    folder = written(tmp_path, 6)
    files = {"stations": folder / "stations.csv", "velocity": folder / "model.csv"}
    found = jaxloc.locate_picks(folder / "picks.csv", "grid_search", **files, depth_km=(0.0, 20.0))
    (event,) = found.hypocentres
    assert event.id == "one"
    assert event.depth_km == pytest.approx(TRUE_KM[2], abs=0.4)
    assert found.lost["two"].startswith("one usable pick")
