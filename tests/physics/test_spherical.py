"""Travel times in a spherical earth against ObsPy's TauP, and against straight lines through a uniform sphere."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import slow_if
from obspy.taup import TauPyModel

from jaxloc.geometry import Frame, great_circle_km, to_degrees
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform, velocity_of
from jaxloc.physics.reference_models import MODELS, reference_model, rows_of
from jaxloc.physics.spherical import EARTH_KM, first_arrivals_s, flat_depth_km
from jaxloc.physics.table import TableGrid, for_stations, look_up_s, table_around, tabulate

PHASES = (("p", "P", "Pn", "Pg"), ("s", "S", "Sn", "Sg"))
DISTANCES_KM = np.array([5.0, 40.0, 90.0, 150.0, 240.0, 400.0, 700.0, 1000.0])
DEPTHS_KM = np.array([0.0, 8.0, 19.0, 30.0, 36.0, 50.0, 100.0])


@pytest.fixture(scope="module", params=slow_if(["ak135"], MODELS))
def taup(request):
    """The name of a model, and first arrivals by TauP [depth, distance, phase]."""
    model = TauPyModel(request.param)
    first = lambda z, x, names: min(a.time for a in model.get_travel_times(z, math.degrees(x / EARTH_KM), names))
    times = [[[first(z, x, names) for names in PHASES] for x in DISTANCES_KM] for z in DEPTHS_KM]
    return request.param, np.array(times)


def look_up(table, x, z, station_depth_km=0.0):
    stations = for_stations(table, jnp.array([station_depth_km]))
    return np.asarray(look_up_s(stations, jnp.asarray(x)[..., None], jnp.asarray(z)[..., None]))[..., 0, :]


def test_exact_times_are_those_of_taup(taup):
    """Pg, Pn, Sg and Sn as the first of them arrive: within 15 ms to 1,000 km."""
    name, want = taup
    z, x = (jnp.asarray(a.ravel()) for a in np.meshgrid(DEPTHS_KM, DISTANCES_KM, indexing="ij"))
    model = jax.tree.map(jnp.asarray, reference_model(name))
    one = lambda given: first_arrivals_s(model, *given, jnp.zeros(()), (-1.0, 220.0), 110)
    got = jax.jit(lambda x, z: jax.lax.map(one, (x, z)))(x, z)
    np.testing.assert_allclose(np.asarray(got).reshape(want.shape), want, atol=0.015)


def test_tables_to_1000_km_are_those_of_taup(taup):
    name, want = taup
    region = Region((0.0, 1000.0), (0.0, 0.1), (0.0, 100.0), (0.0, 1.0))
    table = table_around(reference_model(name), region, np.zeros((1, 3)), 0.5)
    z, x = np.meshgrid(DEPTHS_KM, DISTANCES_KM, indexing="ij")
    np.testing.assert_allclose(look_up(table, x, z), want, atol=0.035)
    near = DISTANCES_KM <= 150.0
    np.testing.assert_allclose(look_up(table, x, z)[:, near], want[:, near], atol=0.02)


def test_a_flat_earth_is_late_at_150_km(taup):
    name, want = taup
    region = Region((0.0, 150.0), (0.0, 0.1), (0.0, 50.0), (0.0, 1.0))
    crust, at = DEPTHS_KM <= 30.0, int(np.argmax(DISTANCES_KM == 150.0))
    z, x = DEPTHS_KM[crust], np.full(crust.sum(), 150.0)
    late_s = {
        round_earth: look_up(table_around(reference_model(name), region, np.zeros((1, 3)), 0.5, round_earth), x, z)
        - want[crust, at]
        for round_earth in (False, True)
    }
    assert late_s[False][:, 1].max() > 0.15
    assert np.abs(late_s[True]).max() < 0.008


def test_rays_of_a_uniform_sphere_are_straight():
    """Chords between depths, a borehole and a mountain among the receivers."""
    model = jax.tree.map(jnp.asarray, uniform(6.0))
    rng = np.random.default_rng(1)
    x, z = rng.uniform(0, 400, 300), rng.uniform(-1, 60, 300)
    region = Region((0.0, 400.0), (0.0, 0.1), (-1.0, 60.0), (0.0, 1.0))
    stations = np.array([[0.0, 0.0, -3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.5]])
    table = table_around(model, region, stations, 0.5)
    for r in stations[:, 2]:
        one, other = EARTH_KM - z, EARTH_KM - r
        chord_km = np.sqrt(one**2 + other**2 - 2 * one * other * np.cos(x / EARTH_KM))
        np.testing.assert_allclose(look_up(table, x, z, r)[:, 0], chord_km / 6.0, atol=0.008)


def test_roundness_begins_where_a_table_reaches_beyond_60_km():
    near, far = (Region((-side, side), (-1.0, 1.0), (0.0, 20.0), (0.0, 1.0)) for side in (50.0, 70.0))
    model = uniform(6.0)
    assert float(table_around(model, near, np.zeros((1, 3))).per_km) == 0
    assert float(table_around(model, far, np.zeros((1, 3))).per_km) == pytest.approx(1 / EARTH_KM)


def test_twelve_thin_layers_are_enough_for_training():
    settings = {"top_km": [0, 2, 8, 21, 42], "vp_km_s": [5.0, 5.98, 6.19, 6.8, 8.1], "vp_vs": 1.73}
    model = jax.tree.map(jnp.asarray, velocity_of(settings))
    coarse, fine = (
        tabulate(model, TableGrid(150.0, (0.0, 30.0), (-2.0, 0.5), 128, 64, 3, number)) for number in (12, 48)
    )
    rng = np.random.default_rng(2)
    x, z = rng.uniform(0, 150, 500), rng.uniform(0, 30, 500)
    error_s = np.abs(look_up(coarse, x, z, -1.0) - look_up(fine, x, z, -1.0))
    assert error_s.max() < 0.01


def test_times_have_derivatives_in_the_hypocentre():
    region = Region((0.0, 400.0), (0.0, 0.1), (0.0, 60.0), (0.0, 1.0))
    table = table_around(reference_model("iasp91"), region, np.zeros((1, 3)), 0.5)
    time_s = lambda at: look_up_s(for_stations(table, jnp.zeros(1)), at[:1], at[1:])[0]
    slope = np.asarray(jax.jacobian(time_s)(jnp.array([350.0, 12.0])))
    # Pn and Sn: apparent slowness along the surface of the ground below the Moho, and down the ray's vertical part.
    surface = EARTH_KM / (EARTH_KM - 37.0)
    np.testing.assert_allclose(1 / slope[:, 0], [8.04 * surface, 4.47 * surface], rtol=2e-3)
    down = -np.sqrt(np.array([1 / 5.8, 1 / 3.36]) ** 2 - (slope[:, 0] * EARTH_KM / (EARTH_KM - 12)) ** 2)
    np.testing.assert_allclose(slope[:, 1], down, rtol=0.01)


@pytest.mark.parametrize("depth_km", [-4.0, 0.0, 35.0, 300.0, 700.0])
def test_flat_depths_are_logarithms(depth_km):
    want = -EARTH_KM * math.log1p(-depth_km / EARTH_KM)
    assert float(flat_depth_km(jnp.array(depth_km), 1 / EARTH_KM)) == pytest.approx(want, abs=1e-3)
    assert float(flat_depth_km(jnp.array(depth_km), 0.0)) == depth_km


@pytest.mark.parametrize(("away_km", "error"), [(300.0, 0.001), (1000.0, 0.006)])
def test_distances_in_a_frame_are_arcs(away_km, error):
    """Between two points at right angles, both so far from the centre: the worst of a frame of that size.

    On the ellipsoid; against a sphere, whose arcs differ from it by 0.3 % by themselves.
    """
    frame = Frame(45.0, 10.0)
    latitude, longitude = to_degrees(frame, np.array([away_km, 0.0]), np.array([0.0, away_km]))
    arc_km = float(great_circle_km(latitude[0], longitude[0], latitude[1], longitude[1]))
    sides = away_km / EARTH_KM
    on_sphere = EARTH_KM * math.acos(math.cos(sides) ** 2)
    assert math.sqrt(2) * away_km == pytest.approx(on_sphere, rel=error)
    assert arc_km == pytest.approx(on_sphere, rel=4e-3)


@pytest.mark.parametrize("name", MODELS)
def test_reference_models_are_those_of_taup(name):
    layers = TauPyModel(name).model.s_mod.v_mod.layers
    top, vp, vs = rows_of(name)
    for layer in layers[layers["bot_depth"] <= 700]:
        for side, at in (("top", layer["top_depth"] + 1e-6), ("bot", layer["bot_depth"] - 1e-6)):
            row = np.flatnonzero(top <= at)[-1]
            found = [np.interp(at, top[row : row + 2], v[row : row + 2]) for v in (vp, vs)]
            want = [layer[f"{side}_p_velocity"], layer[f"{side}_s_velocity"]]
            np.testing.assert_allclose(found, want, atol=2e-3)


def test_an_unknown_reference_model_is_refused():
    with pytest.raises(ValueError, match="'iasp92'; use one of iasp91, ak135"):
        reference_model("iasp92")
