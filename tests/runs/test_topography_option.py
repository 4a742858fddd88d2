"""No hypocentre in the air: picks whose times alone put events above the ground, by every locator of picks."""

import jax
import numpy as np
import pytest
from gridded import FRAME, stations

import jaxloc
from jaxloc import cli
from jaxloc.geometry import to_degrees

STATIONS_KM = np.array([[x, y, -1.0] for x in (-8.0, 0.0, 8.0) for y in (-8.0, 0.5, 8.0)])
AIR_KM = np.array([[1.0, 1.0, -1.6], [-2.0, 1.5, -1.5], [3.0, -2.0, 4.0]])  # two of three are in the air
GROUND_KM, SPEEDS = 1.0, np.array([6.0, 3.5])


def written(folder):
    """A plain at 1 km, exact picks of 0.1 s, and a model of one speed."""
    listed = stations(STATIONS_KM)
    rows = [f"{s.code},{s.latitude_deg:.7f},{s.longitude_deg:.7f},{s.elevation_m:.1f}" for s in listed]
    (folder / "stations.csv").write_text("\n".join(["station,latitude,longitude,elevation_m", *rows]))
    (folder / "model.csv").write_text(f"depth_km,vp_km_s,vs_km_s\n0,{SPEEDS[0]},{SPEEDS[1]}\n")
    picks = ["event_id,station,phase,time,sigma_s"]
    for event, place in enumerate(AIR_KM):
        for i, apart in enumerate(np.linalg.norm(STATIONS_KM - place, axis=1)):
            for phase, speed in zip("PS", SPEEDS, strict=True):
                picks.append(f"e{event},XX.S{i},{phase},2020-05-01T0{event}:00:{20 + apart / speed:09.6f}Z,0.1")
    (folder / "picks.csv").write_text("\n".join(picks))
    low, high = (to_degrees(FRAME, np.array(x), np.array(x)) for x in (-60.0, 60.0))
    step = max(float(b - a) for a, b in zip(low, high, strict=True)) / 9
    head = ["ncols 10", "nrows 10", f"xllcenter {low[1]:.6f}", f"yllcenter {low[0]:.6f}", f"cellsize {step:.6f}"]
    (folder / "ground.asc").write_text("\n".join([*head, *[" ".join([str(1000 * GROUND_KM)] * 10)] * 10]))
    return folder


@pytest.mark.parametrize(
    "locator", ["geiger", *(pytest.param(n, marks=pytest.mark.slow) for n in ("grid_search", "octree", "nuts"))]
)
def test_no_posterior_is_in_the_air(locator, tmp_path):
    """Of 2,000 draws of an event 0.6 km above the ground at most 4 % are 0.1 km above it, where almost half were.

    (Stations at one height cannot tell above from below.) The event below keeps its place. The surface is soft by
    0.02 km, and kernels of the posteriors are wider.
    """
    folder = written(tmp_path)
    files = {"stations": folder / "stations.csv", "velocity": folder / "model.csv", "region": "-117.8/-117.2/35.8/36.2"}
    settings = {} if locator == "octree" else {"outlier": 0.0}
    free = jaxloc.locate_picks(folder / "picks.csv", locator, **files, depth_km=(-4.0, 12.0), **settings)
    found = jaxloc.locate_picks(
        folder / "picks.csv", locator, **files, topography=folder / "ground.asc", depth_km=(-4.0, 12.0), **settings
    )
    depth = {
        name: np.asarray(each.posterior.sample(jax.random.key(0), (2000,)))[..., 2]
        for name, each in (("free", free), ("ground", found))
    }
    above = {name: (values < -GROUND_KM - 0.1).mean(0) for name, values in depth.items()}
    assert (above["free"][:2] > 0.3).all(), above
    assert (above["ground"][:2] < 0.04).all(), above
    assert abs(np.median(depth["ground"][:, 2]) - np.median(depth["free"][:, 2])) < 0.2 * depth["free"][:, 2].std()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["double_difference", "hierarchical"])
def test_relocated_events_are_not_above_the_ground(method, tmp_path):
    folder = written(tmp_path)
    settings = ("fewest=4", "separation_km=40", "cluster_links=4") if method == "double_difference" else ("learn=0",)
    options = [word for each in settings for word in ("--set", each)]
    arguments = ["relocate", "picks.csv", "--stations", "stations.csv", "--velocity", "model.csv"]
    files = [str(folder / word) if word.endswith(".csv") else word for word in arguments]
    files += ["--region=-117.8/-117.2/35.8/36.2", "--topography", str(folder / "ground.asc"), "--method", method]
    assert cli.main([*files, *options, "--output", str(folder / "out")]) == 0
    rows = (folder / "out" / "events.csv").read_text().splitlines()
    depth = [float(row.split(",")[rows[0].split(",").index("depth_km")]) for row in rows[1:]]
    assert min(depth) > -GROUND_KM - 0.15


def test_topography_has_to_have_an_effect(tmp_path, capsys):
    folder = written(tmp_path)
    arguments = ["locate", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv")]
    arguments += ["--velocity", str(folder / "model.csv"), "--topography", str(folder / "ground.asc")]
    arguments += ["--region=-117.8/-117.2/35.8/36.2", "--output", str(folder / "out")]
    for more, message in (
        (["--locator", "sp_rule"], "--topography has no effect on the locator sp_rule"),
        (["--locator", "geiger", "--set", "posterior=hypoinverse"], "posterior=hypoinverse has no prior"),
        ([], "must be used with --locator"),
        (["--locator", "geiger", "--region=-119/-117.2/35.8/36.2"], "use a larger grid, or a smaller --region"),
    ):
        assert cli.main([*arguments, *more]) == 1
        assert message in " ".join(capsys.readouterr().err.split())
