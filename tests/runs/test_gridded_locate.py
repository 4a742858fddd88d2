"""Locating and relocating picks by gridded travel times: as by layers, where the earth is not layered, and at edges."""

import csv

import jax
import numpy as np
import pytest
from gridded import FRAME, MODEL, STATIONS_KM, layered_s, stations, write_flat_grids, write_solid_grids

import jaxloc
from jaxloc import cli
from jaxloc.geometry import to_km

TRUE_KM = np.array([[5.0, -4.0, 9.0], [-8.0, 6.0, 6.5], [2.0, 9.0, 17.0]])
SPEED, SLOPE, VP_VS = 5.5, 0.06, 1.75  # of a speed that grows eastwards: km/s, and km/s per km


def written(folder, travel_s, sd_s=0.05):
    """Stations, the layers of `MODEL`, one layer of the mean speed, and exact picks of three events."""
    rows = [f"{s.code},{s.latitude_deg:.7f},{s.longitude_deg:.7f},{s.elevation_m:.1f}" for s in stations()]
    (folder / "stations.csv").write_text("\n".join(["station,latitude,longitude,elevation_m", *rows]))
    rows = [",".join(f"{x:g}" for x in row) for row in zip(*map(np.asarray, MODEL), strict=True)]
    (folder / "model.csv").write_text("\n".join(["depth_km,vp_km_s,vs_km_s", *rows]))
    (folder / "mean.csv").write_text(f"depth_km,vp_km_s,vs_km_s\n0,{SPEED},{SPEED / VP_VS}\n")
    picks = ["event_id,station,phase,time,sigma_s"]
    for event, place in enumerate(TRUE_KM):
        for i, times in enumerate(travel_s(place)):
            for phase, time_s in zip("PS", times, strict=True):
                picks.append(f"e{event},XX.S{i},{phase},2020-05-01T0{event}:00:{20 + time_s:09.6f}Z,{sd_s}")
    (folder / "picks.csv").write_text("\n".join(picks))
    return folder


def in_layers(place):
    apart = np.linalg.norm(place[:2] - STATIONS_KM[:, :2], axis=1)
    return layered_s(apart, place[2], STATIONS_KM[:, 2])


def to_the_east(place, at=STATIONS_KM):
    """Exact times where speed is linear in one coordinate: rays are circles (Slotnick 1959)."""
    speeds = [SPEED + SLOPE * x for x in (place[..., 0], at[..., 0])]
    squared = ((place - at) ** 2).sum(-1)
    time_s = np.arccosh(1 + SLOPE**2 * squared / (2 * speeds[0] * speeds[1])) / SLOPE
    return np.stack([time_s, VP_VS * time_s], -1)


def located(folder, *options, command="locate"):
    arguments = [command, str(folder / "picks.csv"), "--stations", str(folder / "stations.csv")]
    assert cli.main([*arguments, "--output", str(folder / "out"), *map(str, options)]) == 0
    with (folder / "out" / "events.csv").open() as file:
        rows = list(csv.DictReader(file))
    latitude, longitude = (np.array([float(r[name]) for r in rows]) for name in ("latitude_deg", "longitude_deg"))
    places = np.stack([*to_km(FRAME, latitude, longitude), [float(r["depth_km"]) for r in rows]], 1)
    return places, (folder / "out" / "log.txt").read_text(), rows


@pytest.mark.parametrize(
    "locator", ["geiger", *(pytest.param(n, marks=pytest.mark.slow) for n in ("grid_search", "octree", "nuts"))]
)
def test_grids_of_a_layered_model_locate_as_the_layers_do(locator, tmp_path):
    """Times between nodes are 3 ms off in the mean: less than 80 m of a location; NUTS has draws too."""
    folder = written(tmp_path, in_layers)
    write_flat_grids(folder / "time")
    options = ("--locator", locator, "--depth-km", 0, 25)
    by_layers, _, _ = located(folder, *options, "--velocity", folder / "model.csv")
    by_grids, log, _ = located(folder, *options, "--travel-times", folder / "time")
    np.testing.assert_allclose(by_grids, by_layers, atol=0.15 if locator == "nuts" else 0.08)
    np.testing.assert_allclose(by_grids, TRUE_KM, atol=0.45)  # means of posteriors 0.4 to 1.0 km wide
    assert "the travel-time grids limit the search region to east" in log  # to 70 km from all stations


@pytest.mark.slow
@pytest.mark.parametrize("method", ["double_difference", "hierarchical"])
def test_grids_relocate_as_layers_do(method, tmp_path):
    folder = written(tmp_path, in_layers)
    write_flat_grids(folder / "time")
    settings = {
        "double_difference": ["fewest=4", "separation_km=40", "cluster_links=4"],
        "hierarchical": ["learn_rounds=4"],
    }
    options = [word for each in settings[method] for word in ("--set", each)] + ["--method", method]
    by_layers, _, _ = located(folder, *options, "--velocity", folder / "model.csv", command="relocate")
    by_grids, _, _ = located(folder, *options, "--travel-times", folder / "time", command="relocate")
    np.testing.assert_allclose(by_grids, by_layers, atol=0.15)


def test_no_hypocentre_is_beyond_the_grid_and_the_edge_is_named(tmp_path):
    """A grid that ends 2 km and more west of the first event: its posterior stays in it, and a flag tells why."""
    folder = written(tmp_path, in_layers)
    straight = lambda nodes, at: np.linalg.norm(nodes - at, axis=-1)[..., None] / np.array([5.6, 3.25])
    write_solid_grids(folder / "time", straight, (-45.0, -45.0, -2.0), (-6.0, 30.0, 28.0), 3.0)
    options = ("--locator", "geiger", "--travel-times", folder / "time", "--region=-118/-117/35.6/36.4")
    places, log, rows = located(folder, *options)
    assert (places[:, 0] < 4.0).all()
    assert "the travel-time grids limit the search region to east" in log
    assert "no hypocentre is beyond" in log
    assert "edge of the search region: east" in rows[0]["flag"]


@pytest.mark.slow
def test_a_model_of_three_dimensions_is_right_where_one_dimension_is_wrong(tmp_path, capsys):
    """Speed grows by 0.06 km/s each km to the east; picks are exact times of circular rays.

    Nodes of 2 km: within 0.25 km of the truth, which the mean speed misses by more than 2 km. Tables are solved once.
    """
    folder = written(tmp_path, to_the_east)
    longitude, latitude = np.linspace(-118.3, -116.7, 81), np.linspace(35.4, 36.6, 61)
    depth = np.array([-3.0, 0.0, 50.0])
    grid = np.meshgrid(longitude, latitude, depth, indexing="ij")
    vp = np.clip(SPEED + SLOPE * to_km(FRAME, grid[1], grid[0])[0], 2.0, 9.0)
    np.savez(folder / "model.npz", longitude_deg=longitude, latitude_deg=latitude, depth_km=depth, vp_km_s=vp)
    options = ("--locator", "geiger", "--depth-km", 0, 25, "--region=-117.8/-117.2/35.75/36.25")
    of_grid = ("--velocity", folder / "model.npz", "--vp-vs", VP_VS, "--grid-spacing", 2)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "cache" / "compiled"))
    try:
        found, log, _ = located(folder, *options, *of_grid)
        again, second, _ = located(folder, *options, *of_grid)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    by_mean, _, _ = located(folder, *options, "--velocity", folder / "mean.csv")
    np.testing.assert_allclose(found, TRUE_KM, atol=0.25)
    assert (np.linalg.norm(by_mean - TRUE_KM, axis=1) > 2.0).all()
    np.testing.assert_allclose(again, found, atol=1e-3)
    assert log.count("solving travel times of") == second.count("solving travel times of") == 6  # one log for both
    assert len(list((tmp_path / "cache" / "travel_times").glob("*.npy"))) == 6
    capsys.readouterr()
    few = {"longitude_deg": longitude[:50], "latitude_deg": latitude, "depth_km": depth, "vp_km_s": vp[:50]}
    np.savez(folder / "small.npz", **few)
    arguments = ["locate", folder / "picks.csv", "--stations", folder / "stations.csv", "--output", folder / "out"]
    small = ["--velocity", folder / "small.npz", "--vp-vs", 1.7]
    assert cli.main(list(map(str, [*arguments, "--locator", "geiger", *small]))) == 1
    assert "the velocity model does not cover XX.S1; use a larger model" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--travel-times", "time"], "--travel-times replace --velocity"),
        (["--vp-vs", "1.7"], "--vp-vs is the ratio of speeds of grids of P alone"),
        (["--grid-spacing", "2"], "--grid-spacing is that of a velocity model of three dimensions"),
    ],
)
def test_options_without_effect_are_refused(options, message, tmp_path, capsys):
    folder = written(tmp_path, in_layers)
    arguments = ["locate", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv"), "--locator", "geiger"]
    arguments += ["--velocity", str(folder / "model.csv"), "--output", str(folder / "out"), *options]
    assert cli.main(arguments) == 1
    assert message in " ".join(capsys.readouterr().err.split())


def test_locators_that_have_no_use_for_grids_say_so(tmp_path, capsys):
    folder = written(tmp_path, in_layers)
    write_flat_grids(folder / "time", spacing_km=4.0)
    arguments = ["locate", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv")]
    arguments += ["--travel-times", str(folder / "time"), "--output", str(folder / "out")]
    for more, message in (
        (["--locator", "sp_rule"], "--travel-times has no effect on the locator sp_rule"),
        (["--locator", "octree", "--set", "spacing_km=1"], "spacing_km has no effect on travel times of grids"),
        ([], "must be used with --locator"),
    ):
        assert cli.main([*arguments, *more]) == 1
        assert message in " ".join(capsys.readouterr().err.split())


def test_grids_are_read_in_python(tmp_path):
    folder = written(tmp_path, in_layers)
    write_flat_grids(folder / "time", spacing_km=1.0)
    found = jaxloc.locate_picks(
        folder / "picks.csv", "geiger", stations=folder / "stations.csv", travel_times=folder / "time", depth_km=(0, 25)
    )
    depths = [event.depth_km for event in found.hypocentres]
    np.testing.assert_allclose(depths, TRUE_KM[:, 2], atol=0.6)
