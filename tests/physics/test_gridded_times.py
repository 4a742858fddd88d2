"""Gridded travel times: straight rays in one speed, their derivatives, and regions that stay within the grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.eikonal_times import SlownessGrid, tabulated
from jaxloc.physics.gridded_times import (
    StationTables,
    inside,
    mean_slowness,
    on_plane,
    plane_between,
    region_within,
    station_times,
    within_memory,
)

SPEEDS = np.array([6.0, 3.5])
STATIONS = np.array([[1.0, 2.0, 0.5], [-2.0, -1.0, -0.5]])
SILENT = np.array([[3.0, 3.0, 0.0]])


def tables(values, first_km=(-5.0, -4.0, -1.0), spacing_km=(0.5, 0.5, 0.5), plane=None, at_km=STATIONS):
    of = lambda x: jnp.asarray(x, jnp.float32)
    return StationTables(of(values), of(STATIONS), of(at_km), of(SILENT), of(first_km), of(spacing_km), plane)


def turned(points, degrees, shift=(3.0, -7.0)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points[:, :2] @ np.array([[c, s], [-s, c]]) + shift


def test_only_stations_with_a_table_have_times():
    """Solved in one speed: straight rays; silent and padded stations have none, unknown ones no number."""
    shape = (21, 17, 15)
    grid = SlownessGrid(jnp.stack([jnp.full(shape, 1 / v) for v in SPEEDS]), jnp.array([-5.0, -4.0, -1.0]), 0.5)
    found = tables(np.moveaxis(np.asarray(tabulated(grid, STATIONS).mean_s_km), 1, -1))
    places = jnp.array([[0.0, 0.0, 3.3], [4.2, 1.0, 0.4]])
    asked = jnp.asarray(np.concatenate([STATIONS[::-1], np.zeros((1, 3)), SILENT, [[3.0, 0.0, 0.0]]]), jnp.float32)
    got = np.asarray(station_times(found)(asked)(places))
    straight = np.linalg.norm(np.asarray(places)[:, None] - STATIONS[::-1], axis=-1)[..., None]
    np.testing.assert_allclose(got[:, :2], straight / SPEEDS, rtol=1e-4)
    assert (got[:, 2:4] == 0).all()
    assert np.isnan(got[:, 4]).all()


@pytest.mark.parametrize("axes", [2, 3])
def test_times_and_derivatives_of_a_gradient(axes):
    """Exact times of circular rays on nodes of 0.5 km: within 2 ms between nodes, slopes as finite differences have."""
    start, gradient = 4.0, 0.08
    far = (np.arange(60) * 0.5, np.arange(-2, 40) * 0.5)
    wide = (np.arange(-20, 21) * 0.5, np.arange(-20, 21) * 0.5, np.arange(-2, 40) * 0.5)
    values = []
    for station in STATIONS:
        nodes = np.stack(np.meshgrid(*(far if axes == 2 else wide), indexing="ij"), -1)
        apart = nodes[..., 0] if axes == 2 else np.linalg.norm(nodes[..., :2] - station[:2], axis=-1)
        time_s = circular_s(start, gradient, apart, nodes[..., -1], station[2])
        away = np.hypot(apart, nodes[..., -1] - station[2])
        values.append(mean_slowness(np.stack([time_s, 1.7 * time_s], -1), away))
    first = [side[0] for side in (far if axes == 2 else wide)]
    times = station_times(tables(np.stack(values), first, [0.5] * axes))(jnp.asarray(STATIONS, jnp.float32))
    rng = np.random.default_rng(0)
    places = rng.uniform([-9, -9, 0.5], [9, 9, 18], (300, 3))
    apart = np.linalg.norm(places[:, None, :2] - STATIONS[:, :2], axis=-1)
    exact = circular_s(start, gradient, apart, places[:, None, 2], STATIONS[:, 2])
    np.testing.assert_allclose(times(jnp.asarray(places, jnp.float32))[..., 0], exact, atol=2e-3)
    place, h = jnp.array([3.3, -4.2, 8.13]), 0.05
    slope = jax.jacobian(lambda p: times(p[None])[0, :, 0])(place)
    steps = h * jnp.eye(3)
    finite = jnp.stack(
        [(times((place + e)[None])[0, :, 0] - times((place - e)[None])[0, :, 0]) / (2 * h) for e in steps]
    )
    np.testing.assert_allclose(slope.T, finite, atol=3e-4)


def circular_s(start, gradient, apart_km, z, r):
    speed = lambda depth: start + gradient * depth
    squared = apart_km**2 + (z - r) ** 2
    return np.arccosh(1 + gradient**2 * squared / (2 * speed(z) * speed(r))) / gradient


def test_a_plane_is_found():
    points = np.random.default_rng(1).uniform(-60, 60, (200, 2))
    plane = plane_between(points, turned(points, 20.0) * (1 + 1e-7 * (points**2).sum(1, keepdims=True)))
    got = np.asarray(on_plane(plane, jnp.asarray(np.c_[points, np.ones(200)], jnp.float32)))
    np.testing.assert_allclose(got[:, :2], turned(points, 20.0), atol=0.06)
    np.testing.assert_allclose(
        got[:, :2], turned(points, 20.0) * (1 + 1e-7 * (points**2).sum(1, keepdims=True)), atol=1e-3
    )
    with pytest.raises(ValueError, match="differs too much"):
        plane_between(points, np.abs(points))


@pytest.mark.parametrize(("degrees", "share"), [(0.0, 1.0), (3.0, 0.88), (45.0, 0.45)])
def test_regions_stay_within_turned_grids(degrees, share):
    """A region beyond the grid on all sides becomes a box in it, which for grids as the frame is the grid itself."""
    points = np.random.default_rng(2).uniform(-20, 20, (200, 2))
    plane = plane_between(points, turned(points, degrees, (0.0, 0.0)))
    values = np.ones((2, 21, 21, 11, 2))
    found = tables(values, (-10.0, -10.0, -1.0), (1.0, 1.0, 2.0), plane)
    region = region_within(found, Region((-30.0, 30.0), (-30.0, 30.0), (-3.0, 40.0), (0.0, 1.0)))
    assert region.depth_km == (-1.0, 19.0)
    corners = np.stack(np.meshgrid(*region[:3]), -1).reshape(-1, 3)
    assert inside(found, corners).all()
    area = np.prod([np.ptp(side) for side in region[:2]])
    assert share * 400 <= area <= 20.03**2
    assert not inside(found, corners * [1.02, 1.02, 1.0]).all()


def test_regions_stay_within_reach_of_all_stations():
    """Grids of distance and depth: every corner is no farther from any station than they reach."""
    found = tables(np.ones((2, 31, 11, 2)), (0.0, -1.0), (1.0, 2.0))
    region = region_within(found, Region((-50.0, 5.0), (-50.0, 50.0), (0.0, 15.0), (0.0, 1.0)))
    corners = np.stack(np.meshgrid(*region[:2]), -1).reshape(-1, 1, 2)
    farthest = np.linalg.norm(corners - STATIONS[:, :2], axis=-1).max()
    assert 29.0 < farthest <= 30.02
    assert region.depth_km == (0.0, 15.0)
    small = Region((-3.0, 3.0), (-3.0, 3.0), (0.0, 15.0), (0.0, 1.0))
    assert region_within(found, small) == small


def test_what_cannot_be_is_refused():
    found = tables(np.ones((2, 5, 5, 5, 2)), (-1.0, -1.0, 0.0), (0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match=r"depths from 0 to 2 km, the search region from 5 to 9"):
        region_within(found, Region((-1.0, 1.0), (-1.0, 1.0), (5.0, 9.0), (0.0, 1.0)))
    with pytest.raises(ValueError, match="does not reach the middle of the stations"):
        region_within(found, Region((8.0, 9.0), (-1.0, 1.0), (0.0, 1.0), (0.0, 1.0)))
    with pytest.raises(ValueError, match=r"7\.6 GiB"):
        within_memory(8, (1000, 1000, 128))
