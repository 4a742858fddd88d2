"""Velocity models of three dimensions: one model in three formats, sampled alike, and what is refused."""

import numpy as np
import pytest
from gridded import FRAME, PROJECTION

from jaxloc.geometry import to_degrees
from jaxloc.io.nonlinloc_grids import Grid, write_grid
from jaxloc.io.nonlinloc_projection import statement_of, to_xy
from jaxloc.io.velocity_grids import is_velocity_grid, on_model, read_velocity_grid, sampled
from jaxloc.io.velocity_model import read_velocity

AXES = (np.linspace(-118.0, -117.0, 6), np.linspace(35.6, 36.4, 5), np.array([0.0, 2.0, 5.0, 20.0]))


def slowness(longitude, latitude, depth):
    """Linear in all coordinates: no interpolation errs."""
    return 0.2 - 0.002 * depth + 0.01 * (longitude + 117.5) + 0.02 * (latitude - 36.0)


def written(folder):
    nodes = np.meshgrid(*AXES, indexing="ij")
    vp = 1 / slowness(*nodes)
    names = ("longitude_deg", "latitude_deg", "depth_km")
    np.savez(folder / "model.npz", **dict(zip(names, AXES, strict=True)), vp_km_s=vp, vs_km_s=vp / 1.75)
    rows = np.column_stack([a.ravel() for a in (*nodes, vp, vp / 1.75)])[np.random.default_rng(0).permutation(vp.size)]
    lines = [",".join(f"{x:.8f}" for x in row) for row in rows]
    (folder / "model.csv").write_text("\n".join([",".join((*names, "vp_km_s", "vs_km_s")), *lines]))
    return folder


@pytest.mark.parametrize("name", ["model.npz", "model.csv"])
def test_tables_are_sampled_in_the_local_frame(tmp_path, name):
    path = written(tmp_path) / name
    assert is_velocity_grid(path)
    grid = read_velocity_grid(path)
    found = sampled(grid, FRAME, np.array([-10.0, -12.0, 1.0]), 2.0, (9, 8, 5))
    east, north, depth = np.meshgrid(
        -10 + 2.0 * np.arange(9), -12 + 2.0 * np.arange(8), 1 + 2.0 * np.arange(5), indexing="ij"
    )
    latitude, longitude = to_degrees(FRAME, east, north)
    np.testing.assert_allclose(found[0], slowness(longitude, latitude, depth), rtol=1e-5)
    np.testing.assert_allclose(found[1], 1.75 * found[0], rtol=1e-5)
    assert on_model(grid, FRAME, np.array([0.0, 80.0]), np.array([0.0, 0.0]))[1].tolist() == [True, False]
    above = sampled(grid, FRAME, np.array([0.0, 0.0, -4.0]), 4.0, (2, 2, 2))
    np.testing.assert_allclose(above[:, :, :, 0], above[:, :, :, 1])  # as at the first node


def test_grids_of_nonlinloc_are_models(tmp_path):
    x, y, z = (np.arange(a, b, 2.0) for a, b in ((-30, 31), (-30, 31), (-2, 21)))
    nodes = np.meshgrid(x, y, z, indexing="ij")
    value = lambda factor: (2.0 * factor * (0.2 - 0.002 * nodes[2] + 0.0003 * nodes[0])).astype("f4")
    for phase, factor in (("P", 1.0), ("S", 1.75)):
        grid = Grid(value(factor), (-30.0, -30.0, -2.0), (2.0,) * 3, "SLOW_LEN", transform=statement_of(PROJECTION))
        write_grid(tmp_path / f"crust.{phase}.mod", grid)
    path = tmp_path / "crust.P.mod.hdr"
    assert is_velocity_grid(path)
    found = sampled(read_velocity_grid(path), FRAME, np.array([5.0, 2.0, 3.0]), 1.0, (2, 2, 2))
    there = to_xy(PROJECTION, *to_degrees(FRAME, np.array(5.0), np.array(2.0)))
    assert found[0, 0, 0, 0] == pytest.approx(0.2 - 0.006 + 0.0003 * float(there[0]), rel=1e-5)
    np.testing.assert_allclose(found[1], 1.75 * found[0], rtol=1e-5)
    with pytest.raises(ValueError, match="has speeds of S: --vp-vs has no effect"):
        read_velocity_grid(path, 1.7)
    (tmp_path / "crust.S.mod.hdr").unlink()
    with pytest.raises(ValueError, match="no speeds of S; give the ratio"):
        read_velocity_grid(path)
    np.testing.assert_allclose(read_velocity_grid(path, 1.7).slowness_s_km[1], value(1.7) / 2, rtol=1e-5)


def test_what_is_no_model_is_refused(tmp_path):
    folder = written(tmp_path)
    lines = (folder / "model.csv").read_text().splitlines()
    (folder / "less.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match="119 rows for 6 longitudes, 5 latitudes and 4 depths"):
        read_velocity_grid(folder / "less.csv")
    with np.load(folder / "model.npz") as file:
        values = dict(file)
    np.savez(folder / "m_s.npz", **values | {"vp_km_s": 1000 * values["vp_km_s"]})
    with pytest.raises(ValueError, match=r"vp_km_s must be within 0\.05-14\.0, got"):
        read_velocity_grid(folder / "m_s.npz")
    np.savez(folder / "swapped.npz", **values | {"vp_km_s": values["vs_km_s"], "vs_km_s": values["vp_km_s"]})
    with pytest.raises(ValueError, match="are columns exchanged"):
        read_velocity_grid(folder / "swapped.npz")
    np.savez(folder / "turned.npz", **values | {"vp_km_s": values["vp_km_s"].T})
    with pytest.raises(ValueError, match=r"must be \[longitude, latitude, depth\]"):
        read_velocity_grid(folder / "turned.npz")
    with pytest.raises(ValueError, match="locators of picks alone take"):
        read_velocity(folder / "model.csv")
