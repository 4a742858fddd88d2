"""Tables of travel times against the exact function that they tabulate."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import slow_if

from jaxloc.io.velocity_model import read_velocity
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import travel_time_s, uniform, velocity_of
from jaxloc.physics.table import TableGrid, for_stations, look_up_s, table_around, tabulate

ICELAND = {  # linear between these depths, or layers
    "top_km": [-3, 1, 3, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 18, 22, 26, 30, 42],
    "vp_km_s": [1.5, 4, 5.2, 6.1, 6.404, 6.583, 6.688, 6.792, 6.896, 7.038, 7.057, 7.076, 7.095, 7.114, 7.133, 7.21]
    + [7.286, 7.362, 7.4],
    "vp_vs": 1.78,
}
MODELS = {
    "uniform": uniform(6.0),
    "Oklahoma": velocity_of({"top_km": [0, 2, 8, 21, 42], "vp_km_s": [5.0, 5.98, 6.19, 6.8, 8.1], "vp_vs": 1.73}),
    "slow layer": velocity_of({"top_km": [0, 2, 3.5, 9, 22], "vp_km_s": [3.0, 6.4, 4.1, 5.9, 6.2], "vp_vs": 1.73}),
    "Moho": velocity_of({"top_km": [0, 4, 15, 35], "vp_km_s": [4.5, 5.8, 6.6, 8.1], "vp_vs": 1.73}),
    "Iceland, layers": velocity_of(ICELAND),
    "Iceland, gradient": velocity_of(ICELAND | {"form": "gradient"}),
}
ERROR_S = {"Iceland, layers": 0.022, "Iceland, gradient": 0.012}  # of S, at most; others 5 ms
RANGE_KM = (-1.5, 0.1)
exact_s = jax.jit(jax.vmap(travel_time_s, (None, None, 0, 0, 0)))


@partial(jax.jit, static_argnums=1)
def read_table(model, grid, receivers, x, z):
    return look_up_s(for_stations(tabulate(model, grid), receivers), x, z)


def errors_s(model, table, station_km, number=1000, shallowest_km=0.0):
    """Errors at random distances up to 150 km, of shallow sources and others [point, station, phase]."""
    rng = np.random.default_rng(3)
    x = 150 * rng.uniform(size=(number, len(station_km))) ** 2
    parts = rng.uniform(size=(number, 1)) ** np.where(np.arange(number) % 3, 1, 3)[:, None]
    z = shallowest_km + (30 - shallowest_km) * parts
    z[:5] = shallowest_km
    z[5:8] = 8.0  # the top of a layer in some
    got = jax.jit(look_up_s)(for_stations(table, jnp.asarray(station_km[:, 2])), jnp.asarray(x), jnp.asarray(z))
    flat = [a.ravel() for a in np.broadcast_arrays(x, z, station_km[:, 2])]
    exact = [exact_s(jnp.asarray(model.top_km), jnp.asarray(v), *flat) for v in (model.vp_km_s, model.vs_km_s)]
    return np.abs(np.asarray(got) - np.stack(exact, -1).reshape(got.shape))


def stations_km(number=3):
    return np.stack([np.zeros(number), np.zeros(number), np.linspace(*RANGE_KM, number)], -1)


@pytest.mark.parametrize("name", slow_if(("uniform", "Moho", "Oklahoma"), MODELS))
def test_tables_of_known_stations_are_accurate(name):
    model = jax.tree.map(jnp.asarray, MODELS[name])
    region = Region((-106.0, 106.0), (-106.0, 106.0), (0.0, 30.0), (0.0, 1.0))
    error = errors_s(model, table_around(model, region, stations_km(), 0.5, round_earth=False), stations_km())
    assert error.max() < ERROR_S.get(name, 0.005)
    assert error.mean() < 0.001


@pytest.mark.parametrize("shallowest_km", slow_if([2.0], [1.999, 2.0, 2.05, 8.0, 0.0]))
@pytest.mark.parametrize("deepest_station_km", slow_if([0.1], [0.1, 2.0]))
def test_a_region_may_begin_at_the_top_of_a_layer(shallowest_km, deepest_station_km):
    """A direct wave on the top itself knows the layer above alone: 0.57 s late where the region began there.

    A station on a top has 8 ms at most: waves to its depth bend fast with that of the source.
    """
    model = jax.tree.map(jnp.asarray, MODELS["Oklahoma"])
    region = Region((-106.0, 106.0), (-106.0, 106.0), (shallowest_km, 30.0), (0.0, 1.0))
    places_km = np.array([[0.0, 0.0, -1.5], [0.0, 0.0, deepest_station_km]])
    error = errors_s(
        model, table_around(model, region, places_km, 0.5, round_earth=False), places_km, shallowest_km=shallowest_km
    )
    assert error.max() < (0.005 if deepest_station_km < 2.0 else 0.01)


@pytest.mark.parametrize("name", slow_if(("uniform", "Iceland, gradient", "Moho"), MODELS))
def test_coarse_tables_of_any_stations_are_accurate(name):
    """As in training, where stations are anywhere within a range of depths."""
    model = jax.tree.map(jnp.asarray, MODELS[name])
    table = tabulate(model, TableGrid(150.0, (-1.5, 30.0), (-2.0, 0.5), 64, 32, 3))
    error = errors_s(model, table, stations_km(4))
    assert error.max() < 2 * ERROR_S.get(name, 0.005)
    assert error.mean() < 0.004


def test_table_is_exact_in_a_uniform_medium():
    """Times are then those of straight rays, however coarse the table, and beyond its ends."""
    grid = TableGrid(50.0, (0.0, 20.0), (-3.0, 1.0), 4, 3, 2)
    x, z = np.array([[80.0], [10.0], [10.0], [0.0]]), np.array([[10.0], [30.0], [-2.0], [5.0]])
    got = read_table(uniform(6.0), grid, jnp.array([-1.0]), x, z)[:, 0, 0]
    np.testing.assert_allclose(got, np.hypot(x, z + 1)[:, 0] / 6, atol=1e-4)


def test_large_batches_of_nodes_have_no_outliers():
    """All nodes of a table, in double precision one by one: a loop of Newton steps gave some of them wrong values."""
    model = MODELS["Oklahoma"]
    grid = TableGrid(150.0, (-1.5, 30.0), (-2.0, 0.5), 64, 32, 3)
    table = tabulate(jax.tree.map(jnp.asarray, model), grid)
    z, r = np.asarray(table.depth_km), np.asarray(table.receiver_km)
    x, z, r = (a.ravel() for a in np.meshgrid(150 * np.linspace(0, 1, 64) ** 2, z, r, indexing="ij"))
    read = for_stations(table, table.receiver_km)
    for i, depth_km in enumerate(np.asarray(table.receiver_km)):
        at = np.flatnonzero(r == depth_km)
        got = look_up_s(read, jnp.asarray(np.repeat(x[at, None], len(table.receiver_km), 1)), jnp.asarray(z[at, None]))
        want = exact_s(jnp.asarray(model.top_km), jnp.asarray(model.vp_km_s), x[at], z[at], r[at])
        np.testing.assert_allclose(got[:, i, 0], want, atol=1e-3)


@pytest.mark.parametrize("name", slow_if(["Iceland, layers"], ["Moho", "Iceland, layers"]))
def test_derivatives_by_speeds_are_those_of_the_exact_function(name):
    """Of times at random points, as a fit of speeds takes them."""
    rng = np.random.default_rng(4)
    model = jax.tree.map(jnp.asarray, MODELS[name])
    x, z, r = jnp.asarray(rng.uniform(5, 100, (60, 1))), jnp.asarray(rng.uniform(0, 25, (60, 1))), jnp.array([-0.5])
    grid = TableGrid(150.0, (-1.5, 30.0), (-2.0, 0.5), 128, 40, 5)

    def read(vp):
        return look_up_s(for_stations(tabulate(model._replace(vp_km_s=vp), grid), r), x, z)[..., 0].sum()

    def exact(vp):
        return exact_s(model.top_km, vp, x[:, 0], z[:, 0], jnp.broadcast_to(r, 60)).sum()

    got, want = jax.jit(jax.grad(read))(model.vp_km_s), jax.jit(jax.grad(exact))(model.vp_km_s)
    assert float(got @ model.vp_km_s) == pytest.approx(float(want @ model.vp_km_s), rel=2e-3)
    assert np.abs(got - want).max() < 0.1 * np.abs(want).max()


def test_models_of_one_reference_have_the_same_nodes_and_refractors():
    """Tables of several draws of speeds are averaged, element by element."""
    model = jax.tree.map(jnp.asarray, MODELS["Iceland, layers"])
    grid = TableGrid(60.0, (-1.5, 30.0), (-2.0, 0.5), 8, 8, 3)
    error = 0.05 * np.random.default_rng(0).normal(size=(2, 19))
    draws = [model._replace(vp_km_s=model.vp_km_s * np.exp(e)) for e in error]
    one, other = (tabulate(draw, grid, reference=model) for draw in draws)
    np.testing.assert_array_equal(one.depth_km, other.depth_km)
    np.testing.assert_array_equal(one.receiver_km, other.receiver_km)
    of = [
        [int(np.abs(draw.vp_km_s - 1 / p).argmin()) for p in table.heads.slowness_s_km[0]]
        for draw, table in zip(draws, (one, other), strict=True)
    ]
    assert of[0] == of[1]


REAL = {
    "iceland_vt": ("velocity_model.csv", "gradient", 0.009),
    "ridgecrest_synthetic": ("vel.csv", "layers", 0.005),
    "ridgecrest gradient": ("vel.csv", "gradient", 0.012),
}


@pytest.mark.parametrize("name", slow_if(["iceland_vt", "ridgecrest gradient"], REAL))
def test_tables_of_models_that_are_in_use_are_accurate(name, data_folder):
    """S steps where P hardly does, and gradients; of stations on hills and in a borehole."""
    file, form, error_s = REAL[name]
    folder = "ridgecrest_synthetic" if name.startswith("ridgecrest") else name
    model = jax.tree.map(jnp.asarray, read_velocity(data_folder(folder) / file, form))
    region = Region((-106.0, 106.0), (-106.0, 106.0), (0.0, 30.0), (0.0, 1.0))
    error = errors_s(model, table_around(model, region, stations_km(), 0.5, round_earth=False), stations_km())
    assert error.max() < error_s
    assert error.mean() < 0.001


def test_sources_between_a_borehole_and_the_ground_are_right():
    """Above sea level, at the ground, above and below a station in a borehole: against the exact function."""
    model = jax.tree.map(jnp.asarray, MODELS["Moho"])
    places_km = np.array([[0.0, 0.0, -2.0], [0.0, 0.0, -0.8], [0.0, 0.0, 1.5]])
    region = Region((-30.0, 30.0), (-30.0, 30.0), (-2.0, 10.0), (0.0, 1.0))
    table = table_around(model, region, places_km, 0.5)
    rng = np.random.default_rng(5)
    x, z = 30 * rng.uniform(size=(300, 3)) ** 2, rng.uniform(-2.0, 3.0, (300, 1))
    got = look_up_s(for_stations(table, jnp.asarray(places_km[:, 2])), jnp.asarray(x), jnp.asarray(z))
    flat = [jnp.asarray(a.ravel()) for a in np.broadcast_arrays(x, z, places_km[:, 2])]
    want = np.stack([np.asarray(exact_s(model.top_km, v, *flat)).reshape(x.shape) for v in model[1:]], -1)
    np.testing.assert_allclose(got, want, atol=0.003)
