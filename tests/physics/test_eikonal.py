"""Gridded first arrivals against circular rays of a constant gradient, layers, and pykonal where it is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.eikonal import first_arrivals_s
from jaxloc.physics.eikonal_times import SlownessGrid, radial_grid, radial_times, tabulated
from jaxloc.physics.layered import VelocityModel, layered, travel_time_s

SPACING_KM = 0.5


def circular_s(start, gradient, source, node):
    """Times of circular rays, and how deep these go, in a speed that grows along the last axis."""
    speed = lambda z: start + gradient * z
    x_km = np.sqrt(((node[..., :-1] - source[:-1]) ** 2).sum(-1))
    z, r = node[..., -1], source[-1]
    squared = x_km**2 + (z - r) ** 2
    time_s = np.arccosh(1 + gradient**2 * squared / (2 * speed(z) * speed(r))) / gradient
    centre = (x_km**2 + z**2 - r**2 + 2 * (z - r) * start / gradient) / (2 * np.maximum(x_km, 1e-6))
    beyond = (centre > 0) & (centre < x_km)
    lowest = np.sqrt(centre**2 + (r + start / gradient) ** 2) - start / gradient
    return time_s, np.where(beyond, lowest, np.maximum(z, r))


def nodes_km(shape):
    return np.moveaxis(np.indices(shape), 0, -1) * SPACING_KM


@pytest.mark.parametrize(("start", "gradient", "source"), [(4.0, 0.05, (0.0, 0.0)), (3.0, 0.1, (0.0, 1.35))])
def test_radial_times_are_those_of_circular_rays(start, gradient, source):
    node = nodes_km((201, 81))
    slowness = jnp.asarray(1 / (start + gradient * node[..., -1]))
    time_s = first_arrivals_s(slowness, SPACING_KM, jnp.array(source) / SPACING_KM)
    want, lowest = circular_s(start, gradient, np.array(source), node)
    error = np.abs(np.asarray(time_s) - want)[lowest < 39.5]  # other rays leave the grid
    assert error.size > 10_000
    assert error.max() < 0.005
    assert error.mean() < 0.0005


def test_second_order_is_better_than_first():
    node = nodes_km((121, 61))
    slowness = jnp.asarray(1 / (4 + 0.05 * node[..., -1]))
    want, lowest = circular_s(4.0, 0.05, np.zeros(2), node)
    first, second = (
        np.abs(np.asarray(first_arrivals_s(slowness, SPACING_KM, jnp.zeros(2), order)) - want)[lowest < 29].mean()
        for order in (0, 2)
    )
    assert second < 0.1 * first


def test_times_of_three_dimensions_are_those_of_circular_rays():
    node, source = nodes_km((41, 31, 25)), np.array([6.1, 7.4, 1.3])
    slowness = jnp.asarray(1 / (4 + 0.05 * node[..., -1]))
    time_s = first_arrivals_s(slowness, SPACING_KM, jnp.asarray(source) / SPACING_KM)
    want, lowest = circular_s(4.0, 0.05, source, node)
    assert np.abs(np.asarray(time_s) - want)[lowest < 11.9].max() < 0.001


def test_a_fast_block_in_three_dimensions_is_as_pykonal_has_it():
    """On the same grid; pykonal itself errs by 8 ms in the mean in a uniform medium, most about the source."""
    pykonal = pytest.importorskip("pykonal", reason="pykonal is not installed")
    shape = (41, 31, 25)
    node = nodes_km(shape)
    inside = np.exp(-(((node - np.array([12.0, 8.0, 6.0])) / 4.0) ** 2).sum(-1))
    speed = 4 + 0.05 * node[..., -1] + 1.5 * inside
    solver = pykonal.solver.PointSourceSolver(coord_sys="cartesian")
    solver.vv.min_coords, solver.vv.node_intervals, solver.vv.npts = (0, 0, 0), (SPACING_KM,) * 3, shape
    solver.vv.values = speed
    solver.src_loc = (3.0, 4.0, 1.0)
    solver.solve()
    got = np.asarray(first_arrivals_s(jnp.asarray(1 / speed), SPACING_KM, jnp.array([6.0, 8.0, 2.0])))
    apart_s = np.abs(got - np.asarray(solver.tt.values))[np.linalg.norm(node - np.array([3.0, 4.0, 1.0]), axis=-1) > 2]
    assert apart_s.mean() < 0.015
    assert apart_s.max() < 0.05


@pytest.fixture(scope="module")
def crust():
    """Tables of two stations in layers, with their model and region."""
    model = layered([0.0, 4.0, 15.0], [4.5, 5.8, 6.6], [2.6, 3.35, 3.8])
    region = Region((-20.0, 20.0), (-20.0, 20.0), (0.0, 15.0), (0.0, 1.0))
    stations = np.array([[0.0, 0.0, -1.2], [5.0, 3.0, 0.3]])
    return model, region, stations, tabulated(radial_grid(model, region, stations), stations[:, 2:])


def test_radial_tables_agree_with_layers(crust):
    """Hills, a borehole and sources in between; at sharp interfaces the solver is of first order: 0.03 s of P."""
    model, _, stations, tables = crust
    rng = np.random.default_rng(0)
    places = np.column_stack([rng.uniform(-18, 18, (300, 2)), rng.uniform(0.2, 15, 300)])
    got = np.asarray(radial_times(tables)(jnp.asarray(stations))(jnp.asarray(places)))
    x = np.linalg.norm(places[:, None, :2] - stations[:, :2], axis=-1)
    z, r = np.broadcast_arrays(places[:, 2:], stations[:, 2])
    exact = jax.vmap(travel_time_s, (None, None, 0, 0, 0))
    flat = [jnp.asarray(a.ravel()) for a in (x, z, r)]
    want = np.stack([np.asarray(exact(model.top_km, v, *flat)).reshape(x.shape) for v in model[1:]], -1)
    assert np.abs(got - want)[..., 0].max() < 0.035
    assert np.abs(got - want)[..., 1].max() < 0.06


def test_times_have_derivatives_in_the_hypocentre(crust):
    *_, stations, tables = crust
    times = radial_times(tables)(jnp.asarray(stations))
    place = jnp.array([7.31, -4.2, 8.13])
    slope = jax.jacobian(lambda p: times(p[None])[0])(place)
    speed = 1 / jnp.linalg.norm(slope, axis=-1)
    np.testing.assert_allclose(speed, np.array([[5.8, 3.35]] * 2), rtol=0.03)
    steps = 0.02 * jnp.eye(3)
    finite = [(times((place + h)[None])[0] - times((place - h)[None])[0]) / 0.04 for h in steps]
    np.testing.assert_allclose(np.moveaxis(np.asarray(slope), -1, 0), np.stack(finite), atol=2e-3)


def test_a_receiver_outside_of_the_grid_is_refused():
    grid = SlownessGrid(jnp.ones((2, 5, 5)), jnp.zeros(2), 1.0)
    with pytest.raises(ValueError, match=r"\[0\.0, -0\.5\] km is outside"):
        tabulated(grid, np.array([[-0.5]]))
    with pytest.raises(ValueError, match="shape"):
        tabulated(grid, np.zeros((1, 3)))


def test_nodes_of_a_radial_grid_have_mean_slowness():
    model = VelocityModel(*(np.array(a) for a in ([0.0, 1.1], [4.0, 6.0], [2.0, 3.0])))
    region = Region((-1.0, 1.0), (-1.0, 1.0), (0.0, 4.0), (0.0, 1.0))
    grid = radial_grid(model, region, np.zeros((1, 3)), 0.5)
    depth = float(grid.first_km[1]) + 0.5 * np.arange(grid.slowness_s_km.shape[2])
    at = int(np.argmin(np.abs(depth - 1.0)))
    # From 0.75 to 1.1 km at 4 km/s, then to 1.25 km at 6 km/s.
    assert float(grid.slowness_s_km[0, 0, at]) == pytest.approx((0.35 / 4 + 0.15 / 6) / 0.5, rel=1e-5)
