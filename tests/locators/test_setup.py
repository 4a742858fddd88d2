"""The likelihood of picks has the same settings, and gives the same posterior, in all locators that use it."""

import jax
import numpy as np
import pytest
from picked_events import REGION, simulated

from jaxloc import locators
from jaxloc.locators.grid_search import uniform_times
from jaxloc.locators.setup import Setup, errors_of
from jaxloc.physics.layered import uniform
from jaxloc.physics.pick_errors import PickErrors
from jaxloc.settings import settings_of

KEY = jax.random.key(0)
SETTINGS = {"kind": "student_t", "model_share": 0.03, "model_most_s": 0.2, "corr_km": 15.0, "corr_ps": 0.5}


@pytest.mark.parametrize("name", ["grid_search", "octree", "nuts"])
def test_settings_of_the_likelihood_are_the_same(name):
    known = settings_of(getattr(locators, name).build) or {}
    assert set(settings_of(errors_of) or {}) <= set(known)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grid_search", "nuts"])
def test_all_settings_reach_the_likelihood(name):
    """Correlated, limited errors with heavy tails: posteriors of three events are those of the octree.

    Means within 0.3 standard deviations and these within 25 %, as the 800 draws of NUTS know them (`test_nuts`).
    Without correlations a standard deviation of each event differs by more than a tenth.
    """
    seen, _, _ = simulated(3, uniform_times(6.0), 3, PickErrors("l2", 0.1), numbers=(12,))
    setup = Setup(REGION, np.asarray(seen.station_km[0]), uniform(6.0))
    exact = locators.build("octree", setup, SETTINGS)(KEY, seen)
    more = {"draws": 800, "outlier": 0.0} if name == "nuts" else {}
    found = locators.build(name, setup, SETTINGS | more)(KEY, seen)
    plain = locators.build("octree", setup, SETTINGS | {"corr_km": 0.0, "corr_ps": 0.0})(KEY, seen)
    sd, expected, without = (
        np.sqrt(np.diagonal(np.asarray(p.covariance), axis1=1, axis2=2)) for p in (found, exact, plain)
    )
    assert (np.abs(np.asarray(found.mean) - np.asarray(exact.mean)) < 0.3 * expected).all()
    assert (np.abs(np.log(sd / expected)) < 0.25).all(), sd / expected
    assert (np.abs(np.log(without / expected)).max(1) > 0.1).all()
