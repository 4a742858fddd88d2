"""Folders of NonLinLoc's travel-time grids against the times that they were made of, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from gridded import FRAME, STATIONS_KM, layered_s, stations, write_flat_grids, write_solid_grids

from jaxloc.data.dataset import positions_km
from jaxloc.io.time_grids import read_time_grids
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.gridded_times import region_within, station_times

REGION = Region((-30.0, 30.0), (-30.0, 30.0), (0.0, 20.0), (0.0, 1.0))
ALL = np.ones((6, 2), bool)
SPEEDS = np.array([6.0, 3.5])


def places(number=300):
    return np.random.default_rng(0).uniform([-29, -29, 0.5], [29, 29, 19.5], (number, 3))


def times_at(tables, points):
    return np.asarray(station_times(tables)(jnp.asarray(positions_km(FRAME, stations())))(jnp.asarray(points, "f4")))


def apart_km(points):
    return np.linalg.norm(points[:, None, :2] - STATIONS_KM[:, :2], axis=-1)


def test_flat_grids_have_the_times_of_layers(tmp_path):
    """Between nodes of 0.5 km linear interpolation errs most where first arrivals bend: head waves, tops of layers."""
    write_flat_grids(tmp_path / "time")
    tables = read_time_grids(tmp_path / "time", FRAME, stations(), ALL, REGION)
    assert region_within(tables, REGION) == REGION
    points = places()
    error = np.abs(times_at(tables, points) - layered_s(apart_km(points), points[:, None, 2], STATIONS_KM[:, 2]))
    assert error.max() < 0.05
    assert error.mean() < 0.003


def test_solid_grids_have_a_projection_and_nodes_of_the_region_alone(tmp_path):
    """Straight rays; axes turned by 8 degrees: a grid read as if along the frame would err by seconds."""
    straight = lambda nodes, at: np.linalg.norm(nodes - at, axis=-1)[..., None] / SPEEDS
    write_solid_grids(tmp_path / "time", straight, (-60.0, -70.0, -2.0), (60.0, 50.0, 40.0), 2.0)
    tables = read_time_grids(tmp_path / "time", FRAME, stations(), ALL, REGION)
    assert (np.array(tables.mean_s_km.shape[1:4]) < [40, 40, 14]).all()  # of 61 x 61 x 22
    assert region_within(tables, REGION) == REGION
    points = places()
    want = np.linalg.norm(points[:, None] - STATIONS_KM, axis=-1)[..., None] / SPEEDS
    np.testing.assert_allclose(times_at(tables, points), want, rtol=1e-3)  # the scale of the projection


def test_grids_of_p_alone_take_a_ratio(tmp_path):
    write_flat_grids(tmp_path / "time", phases="P", spacing_km=2.0)
    with pytest.raises(ValueError, match="give the ratio as --vp-vs"):
        read_time_grids(tmp_path / "time", FRAME, stations(), ALL, REGION)
    found = times_at(read_time_grids(tmp_path / "time", FRAME, stations(), ALL, REGION, 1.7), places())
    np.testing.assert_allclose(found[..., 1], 1.7 * found[..., 0], rtol=1e-5)
    read_time_grids(tmp_path / "time", FRAME, stations(), ALL & [True, False], REGION)
    write_flat_grids(tmp_path / "time", spacing_km=2.0)
    with pytest.raises(ValueError, match="has grids of S: --vp-vs has no effect"):
        read_time_grids(tmp_path / "time", FRAME, stations(), ALL, REGION, 1.7)


def test_stations_without_a_grid_are_named(tmp_path):
    folder = tmp_path / "time"
    write_flat_grids(folder, spacing_km=2.0)
    for name in ("layer.P.XX_S3_--.time", "layer.S.XX_S5_--.time"):
        (folder / f"{name}.hdr").unlink()
    with pytest.raises(ValueError, match=r"no grid of XX\.S3 \(P\), XX\.S5 \(S\)"):
        read_time_grids(folder, FRAME, stations(), ALL, REGION)
    picked = ALL.copy()
    picked[[3, 5]] = False
    found = times_at(read_time_grids(folder, FRAME, stations(), picked, REGION), places())
    assert (found[:, [3, 5]] == 0).all()  # no pick: no time is asked for
    assert (found[:, [0, 1, 2, 4]] > 0).all()


def test_wrong_folders_are_refused(tmp_path):
    folder = tmp_path / "time"
    with pytest.raises(ValueError, match="has no travel-time grids"):
        read_time_grids(tmp_path, FRAME, stations(), ALL, REGION)
    write_flat_grids(folder, spacing_km=2.0)
    moved = STATIONS_KM - [0.0, 0.0, 1.0]
    with pytest.raises(ValueError, match=r"XX\.S0 .* is for a station 1\.00 km away"):
        read_time_grids(folder, FRAME, stations(moved), ALL, REGION)
    straight = lambda nodes, at: np.linalg.norm(nodes - at, axis=-1)[..., None] / SPEEDS
    write_solid_grids(tmp_path / "solid", straight, (-40.0, -40.0, -2.0), (40.0, 40.0, 30.0), 4.0)
    header = tmp_path / "solid" / "layer.P.S0.time.hdr"
    text = header.read_text()
    header.write_text(text.splitlines()[0] + "\n" + text.splitlines()[1] + "\nTRANSFORM NONE\n")
    with pytest.raises(ValueError, match="TRANSFORM NONE; grids of three dimensions must have a projection"):
        read_time_grids(tmp_path / "solid", FRAME, stations(), ALL, REGION)
    header.write_text(text)
    other = tmp_path / "solid" / "layer.S.S2.time.hdr"
    other.write_text(other.read_text().replace(" 4.000000 4.000000 4.000000", " 4.000000 4.000000 2.000000"))
    with pytest.raises(ValueError, match=r"layer\.S\.S2\.time\.hdr has other nodes"):
        read_time_grids(tmp_path / "solid", FRAME, stations(), ALL, REGION)
    (folder / "other.P.XX_S0_--.time.hdr").write_text("")
    with pytest.raises(ValueError, match="has grids named layer, other; say which"):
        read_time_grids(folder, FRAME, stations(), ALL, REGION)
    read_time_grids(folder / "layer", FRAME, stations(), ALL, REGION)
