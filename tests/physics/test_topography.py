"""The ground's surface, and priors below it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from jaxloc import locators
from jaxloc.locators.setup import Setup
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform
from jaxloc.physics.priors import FLAT_KM, log_prior_of, same_everywhere
from jaxloc.physics.topography import below_ground, ground, surface_depth_km
from jaxloc.types import Observations

EAST_KM, NORTH_KM = np.linspace(-10, 10, 21), np.linspace(-5, 5, 6)
HILL_KM = 1.5 + 0.1 * EAST_KM[:, None] + 0.05 * NORTH_KM  # a slope: linear interpolation has no error
REGION = Region((-10.0, 10.0), (-5.0, 5.0), (-3.0, 10.0), (-5.0, 5.0))


def test_surface_is_interpolated_and_ends_at_the_edge():
    places = jnp.array([[0.3, 1.1, 0.0], [-7.7, -4.0, 2.0], [30.0, 0.0, 0.0]])
    want = [-(1.5 + 0.03 + 0.055), -(1.5 - 0.77 - 0.2), -2.5]
    np.testing.assert_allclose(surface_depth_km(ground(EAST_KM, NORTH_KM, HILL_KM), places), want, atol=1e-5)


def test_no_source_is_in_the_air():
    """All draws from a flat prior lie below the slope but for its softness; below it the prior is as before."""
    flat = log_prior_of(REGION, same_everywhere(0.0, FLAT_KM))
    prior = below_ground(flat, ground(EAST_KM, NORTH_KM, HILL_KM))
    rng = np.random.default_rng(0)
    points = jnp.asarray(np.stack([rng.uniform(*side, 5000) for side in REGION[:3]], -1))
    density = lambda prior: np.asarray(prior(points, jnp.zeros((5000, 1)), jnp.zeros(())))[:, 0]
    above = np.asarray(points[:, 2] < -(1.5 + 0.1 * points[:, 0] + 0.05 * points[:, 1]))
    clear = np.abs(np.asarray(points[:, 2] + 1.5 + 0.1 * points[:, 0] + 0.05 * points[:, 1])) > 0.15
    difference = density(prior) - density(flat)
    assert 0.05 < above.mean() < 0.3
    assert (difference[above & clear] < -7).all()
    assert (difference[~above & clear] > -1e-3).all()


@pytest.mark.parametrize(
    ("east_km", "elevation_km", "message"),
    [
        (EAST_KM, HILL_KM[:5], "one value for each"),
        (EAST_KM**3, HILL_KM, "east_km must increase in equal steps"),
        (EAST_KM, 1000 * HILL_KM, "are they in m"),
        (EAST_KM, HILL_KM + np.nan, "got nan"),
    ],
)
def test_what_is_no_ground_is_refused(east_km, elevation_km, message):
    with pytest.raises(ValueError, match=message):
        ground(east_km, NORTH_KM, elevation_km)


@pytest.mark.slow
def test_the_grid_search_has_no_source_in_the_air():
    """Picks of a source at the ground, whose times alone would leave a third of the posterior in the air."""
    north_km = np.array([-30.0, 30.0])
    hill = ground(north_km, north_km, np.full((2, 2), 1.0))
    stations = np.array([[x, y, -1.0] for x in (-8.0, 0.0, 8.0) for y in (-8.0, 0.5, 8.0)])
    distance_km = np.linalg.norm(stations - np.array([1.0, 1.0, -0.7]), axis=-1)
    picks = np.stack([distance_km / 6.0, distance_km / (6.0 / 1.73)], -1)
    shape, number = picks.shape, len(stations)
    seen = Observations(
        None,
        stations,
        np.ones(number, bool),
        np.arange(number),
        np.ones(()),
        picks,
        np.full(shape, 0.1),
        np.ones(shape, bool),
    )
    region = Region((-20.0, 20.0), (-20.0, 20.0), (-3.0, 10.0), (-5.0, 5.0))
    above = {}
    for name, surface in (("free", None), ("ground", hill)):
        setup = Setup(region, stations, uniform(6.0), ground=surface)
        located = locators.build("grid_search", setup)(
            random.key(0), jax.tree.map(lambda x: jnp.asarray(x)[None], seen)
        )
        above[name] = float((located.sample(random.key(1), (2000,))[..., 2] < -1.1).mean())
    assert above["free"] > 0.1
    assert above["ground"] < 0.02
