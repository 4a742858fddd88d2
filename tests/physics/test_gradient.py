"""Gradients of velocity as thin layers, against the circular rays of a linear gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.gradient import ERROR_S, MOST_LAYERS, thin_layers
from jaxloc.physics.layered import travel_time_s, velocity_of


def circular_s(speed_at, gradient, x, z, r):
    """Travel time in a linear gradient of speed, where rays are circles."""
    squared = x**2 + (z - r) ** 2
    return np.arccosh(1 + gradient**2 * squared / (2 * speed_at(z) * speed_at(r))) / abs(gradient)


# Speed at depth zero, gradient, deepest row and largest error in s, which grows where layers are too few.
GRADIENTS = {
    "crust": (5.0, 0.05, 40.0, 0.009),
    "steep crust": (3.0, 0.12, 40.0, 0.017),
    "sediments": (1.8, 0.6, 12.0, 0.017),
    "downwards slower": (6.5, -0.02, 40.0, ERROR_S),
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("vp_vs", [1.0, 1.75])
def test_times_are_those_of_circular_rays(name, vp_vs):
    """Of rays that turn within the gradient, and with depths of many rows or of two."""
    start, gradient, deepest_km, error_s = GRADIENTS[name]
    depth_km = np.linspace(-2.0, deepest_km, 2 if vp_vs == 1 else 9)
    speed_at = lambda z: (start + gradient * z) / vp_vs
    row = speed_at(depth_km)
    top, _, speed = thin_layers(depth_km, 1.75 * row, row, [True] * len(row))
    assert len(top) <= MOST_LAYERS
    rng = np.random.default_rng(1)
    reach_km = 2 * deepest_km if gradient > 0 else 20.0
    x, z = reach_km * rng.uniform(size=400) ** 2, rng.uniform(0, 0.6 * deepest_km, 400)
    r = rng.uniform(-1, 0.5, 400)
    got = jax.vmap(travel_time_s, (None, None, 0, 0, 0))(jnp.array(top), jnp.array(speed), x, z, r)
    np.testing.assert_allclose(got, circular_s(speed_at, gradient / vp_vs, x, z, r), atol=error_s)


def test_rows_without_gradients_stay_and_steps_have_two_rows():
    rows = [[0.0, 2.0, 10.0, 30.0, 30.0, 50.0], [3.0, 5.0, 6.0, 6.6, 8.0, 8.0], [1.7, 2.9, 3.5, 3.8, 4.6, 4.6]]
    top, vp, vs = thin_layers(*map(np.array, rows), [False, True, True, False, True, True])
    assert (np.diff(top) > 0).all()
    assert (vp > vs).all()
    at = lambda z: vp[np.searchsorted(top, z, side="right") - 1]
    assert (at(0.0), at(1.99), at(30.0), at(60.0)) == (3.0, 3.0, 8.0, 8.0)
    for z in np.linspace(2.01, 29.9, 50):
        assert at(z) == pytest.approx(np.interp(z, *rows[:2]), abs=0.2)


def test_settings_have_a_form():
    settings = {"top_km": [0.0, 20.0], "vp_km_s": [5.0, 6.5], "vp_vs": 1.75}
    assert len(velocity_of(settings).top_km) == len(velocity_of(settings | {"form": "layers"}).top_km) == 2
    thin = velocity_of(settings | {"form": "gradient"})
    assert len(thin.top_km) > 5
    np.testing.assert_allclose(thin.vp_km_s / thin.vs_km_s, 1.75)
    with pytest.raises(ValueError, match=r"velocity.form must be one of layers, gradient, got linear"):
        velocity_of(settings | {"form": "linear"})
