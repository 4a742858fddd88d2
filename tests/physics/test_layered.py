"""Travel times against closed forms, brute-force ray tracing in double precision, and ObsPy's TauP."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from obspy.taup import TauPyModel
from obspy.taup.taup_create import build_taup_model

from jaxloc.physics.layered import layered, refracted_ray, travel_time_s, uniform

TOPS, VP = [0.0, 4.0, 15.0, 35.0], [4.5, 5.8, 6.6, 8.1]
# A slow layer under a fast one, and one faster than all below: direct rays through both, few head waves.
ODD_TOPS, ODD_VP = [0.0, 2.0, 3.5, 9.0, 22.0], [3.0, 6.4, 4.1, 5.9, 6.2]
MODELS = {"crust": (TOPS, VP), "odd": (ODD_TOPS, ODD_VP), "one": ([0.0], [6.0])}
# In single precision a time of 60 s has a rounding of 4 microseconds; sums of layers add some of them.
SINGLE_S = 1e-4


def model_of(tops, vp):
    return layered(tops, vp, [v / 1.73 for v in vp])


@jax.jit
def times_s(top_km, speed, distance_km, source_km, receiver_km):
    return jax.vmap(travel_time_s, (None, None, 0, 0, 0))(top_km, speed, distance_km, source_km, receiver_km)


def rays(number, seed=0, deepest=40.0):
    """Distances, source depths and receiver depths, in km."""
    rng = np.random.default_rng(seed)
    return 150 * rng.uniform(size=number) ** 2, rng.uniform(0, deepest, number), rng.uniform(-2.5, 0.5, number)


def thickness_km(tops, upper, lower):
    edges = np.array([-np.inf, *tops[1:], np.inf])
    return np.maximum(np.minimum(lower, edges[1:]) - np.maximum(upper, edges[:-1]), 0)


def brute_force_s(tops, speed, distance, source, receiver):
    """First arrival: the direct ray by bisection of its steepest angle, head waves by their intercept times."""
    speed, upper, lower = np.array(speed), min(source, receiver), max(source, receiver)
    crossed = thickness_km(tops, upper, max(lower, upper + 1e-6))
    crossed, through = crossed[crossed > 0], speed[crossed > 0]
    low, high = 0.0, np.pi / 2
    for _ in range(200):
        angle = (low + high) / 2
        sine = np.sin(angle) * through / through.max()
        low, high = (angle, high) if (crossed * sine / np.sqrt(1 - sine**2)).sum() < distance else (low, angle)
    sine = np.sin(low) * through / through.max()
    best = sine.max() / through.max() * distance + (crossed / through * np.sqrt(1 - sine**2)).sum()
    for top, refractor in list(zip(tops, speed, strict=True))[1:]:
        if top < lower:
            continue
        both = thickness_km(tops, source, top) + thickness_km(tops, receiver, top)
        both, over = both[both > 0], speed[both > 0]
        if (over >= refractor).any():
            continue
        critical = np.arcsin(over / refractor)
        along = distance - (both * np.tan(critical)).sum()
        if along >= 0:
            best = min(best, along / refractor + (both / over / np.cos(critical)).sum())
    return best


@pytest.mark.parametrize(("name", "speed_km_s"), [("vp_km_s", 6.0), ("vs_km_s", 6.0 / 1.7)])
def test_uniform_medium_is_a_straight_line(name, speed_km_s):
    model = uniform(6.0, 1.7)
    x, z, r = rays(200)
    got = times_s(model.top_km, getattr(model, name), x, z, r)
    np.testing.assert_allclose(got, np.hypot(x, z - r) / speed_km_s, atol=SINGLE_S)


def test_two_layers_have_their_head_wave_beyond_the_crossover():
    """Source and receiver at the surface: crossover at 2 h sqrt((v2 + v1) / (v2 - v1))."""
    v1, v2, h = 5.0, 8.0, 10.0
    model = model_of([0.0, h], [v1, v2])
    crossover_km = 2 * h * math.sqrt((v2 + v1) / (v2 - v1))
    x = np.array([1.0, 20.0, crossover_km - 0.1, crossover_km + 0.1, 80.0, 200.0])
    got = times_s(model.top_km, model.vp_km_s, x, np.zeros(6), np.zeros(6))
    head_s = x / v2 + 2 * h * math.sqrt(1 - (v1 / v2) ** 2) / v1
    np.testing.assert_allclose(got, np.minimum(x / v1, head_s), atol=SINGLE_S)
    assert (head_s < x / v1).tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize("name", MODELS)
def test_first_arrivals_are_those_of_brute_force(name):
    tops, vp = MODELS[name]
    model = model_of(tops, vp)
    x, z, r = rays(300, 1)
    # Both ends within one layer, above one another, at one depth, and on an interface.
    x[:6], z[:6], r[:6] = (0, 0, 30, 80, 60, 1e-3), (5, 15, -0.3, 35, 4, 0.5), (-1, 0, -0.3, 0, -1, -0.5)
    got = times_s(model.top_km, model.vp_km_s, x, z, r)
    want = [brute_force_s(tops, vp, *one) for one in zip(x, z, r, strict=True)]
    np.testing.assert_allclose(got, want, atol=SINGLE_S)


def test_first_arrivals_are_those_of_taup(tmp_path):
    """No error from the Earth's roundness: flat layers are mapped to the sphere that has the same travel times.

    Depth z at speed v becomes radius R exp(-z / R) at speed v r / R (Mueller 1985), linear in r as TauP has it; speeds
    rise by 1e-5 within a layer, so that TauP finds rays that run along its top.
    """
    radius, bottom = 6371.0, 400.0
    at_radius = lambda z: radius * math.exp(-z / radius)
    lines = []
    for z, end, v in zip(TOPS, [*TOPS[1:], bottom], VP, strict=True):
        lines += ["mantle"] if v == VP[-1] else []
        for depth, speed in ((z, v), (end, v * (1 + 1e-5))):
            r = at_radius(depth)
            lines.append(f"{radius - r:.8f} {speed * r / radius:.8f} {speed * r / radius / 1.73:.8f} 2.7")
    lines += ["2889 13.7 7.3 5.5", "outer-core", "2889 8.0 0 9.9", "5153.9 10.3 0 12.2"]
    lines += ["inner-core", "5153.9 11.0 3.5 12.8", "6371 11.3 3.7 13.1"]
    (tmp_path / "flat.nd").write_text("\n".join(lines))
    with np.errstate(all="ignore"):
        build_taup_model(str(tmp_path / "flat.nd"), output_folder=str(tmp_path), verbose=False)
        taup = TauPyModel(str(tmp_path / "flat.npz"))
        model = model_of(TOPS, VP)
        x = np.array([5.0, 60.0, 20.0, 120.0, 200.0, 60.0, 200.0])
        z = np.array([2.0, 2.0, 8.0, 8.0, 12.0, 25.0, 25.0])
        want = []
        for x_km, z_km in zip(x, z, strict=True):
            found = taup.get_travel_times(radius - at_radius(z_km), math.degrees(x_km / radius), ["p", "P"])
            want.append(min(one.time for one in found))
    got = times_s(model.top_km, model.vp_km_s, x, z, np.zeros(7))
    np.testing.assert_allclose(got, want, atol=5e-4)  # 1e-5 of 40 s


@pytest.mark.parametrize("name", MODELS)
def test_derivatives_are_those_of_finite_differences(name):
    """In double precision, with respect to distance, both depths, every speed and every top."""
    with jax.enable_x64(True):
        tops, vp = (jnp.array(a) for a in MODELS[name])
        x, z, r = (jnp.asarray(a) for a in rays(12, 2))
        all_times = jax.jit(lambda tops, vp, x, z, r: jax.vmap(travel_time_s, (None, None, 0, 0, 0))(tops, vp, x, z, r))
        given = (tops, vp, x, z, r)
        slopes = jax.jit(jax.jacrev(lambda *a: all_times(*a).sum(), argnums=(0, 1, 2, 3, 4)))(*given)
        step = 1e-5
        for which, slope in enumerate(slopes):
            for at in range(len(slope)):
                side = lambda h, at=at, which=which: all_times(
                    *(a.at[at].add(h) if i == which else a for i, a in enumerate(given))
                ).sum()
                assert slope[at] == pytest.approx(float(side(step) - side(-step)) / (2 * step), abs=1e-5), (which, at)


def test_slope_is_finite_right_above_a_source_and_at_its_depth():
    model = model_of(TOPS, VP)
    slope = jax.jit(jax.vmap(jax.grad(travel_time_s, (0, 1, 2, 3, 4)), (None, None, 0, 0, 0)))
    x, z = jnp.array([0.0, 0.0, 10.0, 0.0]), jnp.array([5.0, 0.0, 0.0, 15.0])
    assert all(np.isfinite(s).all() for s in slope(model.top_km, model.vp_km_s, x, z, jnp.zeros(4)))


@pytest.mark.parametrize(
    ("tops", "vp", "vs", "says"),
    [
        ([0.0, 5.0], [6.0], [3.4], "got 2, 1 and 1"),
        ([], [], [], "got 0, 0 and 0"),
        ([0.0, 5.0, 5.0], [5.0, 6.0, 7.0], [3.0, 3.5, 4.0], "top_km must increase"),
        ([5.0, 0.0], [5.0, 6.0], [3.0, 3.5], "top_km must increase"),
        ([0.0, np.nan], [5.0, 6.0], [3.0, 3.5], "finite"),
        ([0.0], [6.0], [6.5], "S slower than P"),
        ([0.0], [6.0], [0.0], "must be positive"),
        ([0.0], [-6.0], [-7.0], "must be positive"),
        ([0.0], [np.nan], [3.0], "finite"),
        ([0.0], [np.inf], [3.0], "finite"),
    ],
)
def test_bad_models_are_refused(tops, vp, vs, says):
    with pytest.raises(ValueError, match=says):
        layered(tops, vp, vs)


@pytest.mark.parametrize("distance_km", [0.5, 30.0, 120.0])
def test_reflection_in_one_layer_is_that_of_the_mirrored_source(distance_km):
    """From 5 km down to a reflector at 20 km and up to the surface: the mirrored source is at 35 km."""
    time_s, slowness = refracted_ray(jnp.asarray([35.0]), jnp.asarray([6.0]), jnp.asarray(distance_km))
    away_km = np.hypot(distance_km, 35.0)
    np.testing.assert_allclose(time_s, away_km / 6.0, atol=SINGLE_S)
    np.testing.assert_allclose(slowness, distance_km / away_km / 6.0, rtol=1e-5)
