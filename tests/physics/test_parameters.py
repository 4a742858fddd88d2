"""Parameters of physics: what zeros and units mean, and velocity models with a Vp/Vs of their own in each layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.physics.arrival_likelihood import errors_around, travel_s
from jaxloc.physics.layered import mean_vp_vs, velocity_of, velocity_settings
from jaxloc.physics.parameters import (
    PhysicsPrior,
    PhysicsSetting,
    elsewhere,
    physics_at,
    prior_parameters,
    velocity_at,
)
from jaxloc.physics.table import TableGrid
from jaxloc.types import Observations

GRID = TableGrid(60.0, (0.0, 20.0), (-2.0, 0.0), 8, 8, 2)
ONE_RATIO = {"top_km": [0.0, 5.0], "vp_km_s": [5.0, 6.2], "vp_vs": 1.73}
BY_LAYER = {"top_km": [0.0, 2.0, 8.0], "vp_km_s": [2.4, 5.0, 6.2], "vs_km_s": [1.0, 2.9, 3.6]}
STATION_KM = np.array([[0.0, 0.0, -0.5], [10.0, 0.0, -1.0], [0.0, 20.0, 0.0]], np.float32)


def setting(velocity=BY_LAYER, **prior):
    return PhysicsSetting(velocity_of(velocity), (0.1, 0.2), GRID, PhysicsPrior(**prior))


def seen(index):
    rows = len(index)
    return Observations(None, jnp.asarray(STATION_KM[:rows]), jnp.ones(rows, bool), jnp.array(index), jnp.array(20.0))


@pytest.mark.parametrize("velocity", [ONE_RATIO, BY_LAYER])
def test_zeros_are_the_velocity_model_as_it_is_given(velocity):
    given = velocity_of(velocity)
    found = velocity_at(prior_parameters(setting(velocity)), setting(velocity))
    for got, want in zip(found, given, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-7)


def test_s_velocities_by_layer_change_by_a_common_factor():
    """Vp/Vs of all layers is multiplied by the same number, and P velocities by one of each layer."""
    here = setting(vp_vs_sd=0.06, speed_sd=0.1)
    moved = prior_parameters(here)._replace(vp_vs=jnp.array(1.5), speed=jnp.array([1.0, 0.0, -2.0]))
    found, given = velocity_at(moved, here), here.velocity
    np.testing.assert_allclose(found.vp_km_s, given.vp_km_s * np.exp([0.1, 0.0, -0.2]), rtol=1e-6)
    ratio = given.vp_km_s / given.vs_km_s
    np.testing.assert_allclose(found.vp_km_s / found.vs_km_s, ratio * (1 + 0.09 / ratio.mean()), rtol=1e-6)


def test_a_ratio_of_the_prior_replaces_the_mean_of_the_velocity_model():
    found = velocity_at(prior_parameters(setting(vp_vs=1.9)), setting(vp_vs=1.9))
    assert mean_vp_vs(found) == pytest.approx(1.9, rel=1e-6)


def test_travel_times_of_s_follow_the_velocity_of_their_layer():
    """Straight up through two layers: the sum of thickness over S velocity of each."""
    here = setting()
    physics = quick_jit(lambda: physics_at(prior_parameters(here), here, seen([0])))()
    time_s = travel_s(physics, jnp.array([0.0, 0.0, 8.0]))[0]
    np.testing.assert_allclose(time_s, [2.5 / 2.4 + 6 / 5.0, 2.5 / 1.0 + 6 / 2.9], rtol=0.02)


@pytest.mark.parametrize(("index", "delay_s", "shift_km"), [(0, 0.1, 0.1), (1, -0.2, 0.4), (-1, 0.0, 0.0)])
def test_station_terms_are_in_units_of_their_prior(index, delay_s, shift_km):
    here = setting(delay_sd_s=(0.1, 0.2))
    moved = prior_parameters(here)._replace(
        delay=jnp.array([[1.0, 0.0], [-2.0, 0.0]]), position=jnp.array([[1.0, 0.0], [2.0, 0.0]])
    )
    physics = quick_jit(lambda: physics_at(moved, here, seen([index])))()
    assert float(physics.delay_s[0, 0]) == pytest.approx(delay_s)
    assert float(physics.station_km[0, 0]) == pytest.approx(shift_km)
    assert (physics.delay_covariance_s2[0] != 0).all() == (index < 0)


def test_physics_needs_no_station_with_data():
    here = PhysicsSetting(velocity_of(ONE_RATIO), (), GRID)
    physics = quick_jit(lambda: physics_at(prior_parameters(here), here, seen([-1, -1, -1])))()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(physics))
    np.testing.assert_allclose(physics.delay_covariance_s2[0, 0, 0], 0.15**2, rtol=1e-6)


@pytest.mark.parametrize("velocity", [ONE_RATIO, BY_LAYER])
def test_a_velocity_model_is_written_to_settings_and_read_again(velocity):
    again = velocity_of(velocity_settings(velocity_of(velocity)))
    for got, want in zip(again, velocity_of(velocity), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vp_vs": 0.5}, "layer 1: vp / vs must be within 1.4"),
        ({"vp_vs": -1.0}, "vp_vs must be positive, got -1.0"),
        ({"vp_km_s": [5.0]}, "got 2 tops, 1 P and 1 S velocities"),
        ({"vs_km_s": [2.8], "vp_vs": None}, "got 2 tops, 2 P and 1 S velocities"),
        ({"vs_km_s": [2.8, 3.6]}, "needs either vs_km_s or vp_vs, got .2.8, 3.6. and 1.73"),
        ({"vp_vs": None}, "needs either vs_km_s or vp_vs, got None and None"),
        ({"vp_km_s": [5000.0, 6200.0]}, "layer 1: vp must be within 0.05 to 14"),
        ({"top_km": [5.0, 0.0]}, "layer 2: the top at 0 km is not below the one before it"),
    ],
)
def test_wrong_velocity_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        velocity_of(ONE_RATIO | changed)


def test_elsewhere_parameters_are_those_before_data_but_for_station_terms():
    """Errors fitted in one region, of readings and paths there, are not taken to another."""
    here = setting()
    fitted = jax.tree.map(lambda x: x + 1.0, prior_parameters(here))
    there = elsewhere(fitted, 2)
    assert there.speed.shape == (2,)
    np.testing.assert_array_equal(there.delay, 1.0)
    for name in ("smoothing", "outlier", "correlation", "floor", "surprises", "vp_vs", "speed"):
        np.testing.assert_array_equal(getattr(there, name), 0.0)


def test_errors_of_paths_grow_with_travel_time():
    """Smoothing of 0.06 s and 2 % of 10 s add in squares, to 0.21 s: the width of a sharp density."""
    here = setting(velocity=ONE_RATIO, path=0.02, smoothing_s=(0.06, 0.06), delay_sd_s=(0.0, 0.0))
    physics = quick_jit(lambda: physics_at(prior_parameters(here), here, seen([0, 0, 0])))()
    place = jnp.array([[55.0, 0.0, 8.0]])
    travel = np.asarray(travel_s(physics, place))[0]
    found = np.sqrt(errors_around(physics, place).smoothing_s2)
    np.testing.assert_allclose(found, np.hypot(0.06, 0.02 * travel), rtol=1e-5)
    assert travel[0, 0] > 9
