"""NUTS on hypocentres against the exact posterior of a grid search, and on simulated events."""

import jax
import numpy as np
import pytest
from picked_events import FLAT, REGION, levels_of, simulated
from scipy.stats import binomtest

from jaxloc.locators.grid_search import grid_search, uniform_times
from jaxloc.locators.nuts import nuts
from jaxloc.locators.over_events import over_events
from jaxloc.physics.pick_errors import PickErrors

KEY = jax.random.key(0)
TIMES = uniform_times(6.0)


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param(PickErrors("l2", 0.05, 0.01, 0.02), id="outliers", marks=pytest.mark.slow),
        pytest.param(PickErrors("l1"), id="l1", marks=pytest.mark.slow),
    ],
)
def test_posteriors_are_those_of_a_grid_search(errors):
    """Four events of six or twelve stations: 800 draws know a mean to 0.1 of a standard deviation, that to 6 %.

    Draws are correlated, worth about a third of their number; four times that, and what the grid's cells widen.
    """
    seen, _, _ = simulated(11, TIMES, 2, errors._replace(kind="l2"), numbers=(6, 12))
    found = nuts(TIMES, REGION, FLAT, errors, draws=800)(KEY, seen)
    exact = over_events(grid_search(TIMES, REGION, FLAT, errors))(KEY, seen)
    sd, expected = (np.sqrt(np.diagonal(np.asarray(p.covariance), axis1=1, axis2=2)) for p in (found, exact))
    apart = np.abs(np.asarray(found.mean) - np.asarray(exact.mean)) / expected
    assert (apart < 0.3).all(), apart
    assert (np.abs(np.log(sd / expected)) < 0.25).all(), sd / expected


@pytest.mark.slow
def test_regions_cover():
    """42 events of 4 to 12 stations: counts within a binomial test at 1e-3; no draw leaves the region."""
    errors = PickErrors(outlier=0.02)
    seen, truth, _ = simulated(12, TIMES, 14, errors, numbers=(4, 6, 12))
    posterior = nuts(TIMES, REGION, FLAT, errors)(KEY, seen)
    assert np.isfinite(posterior.mean).all()
    level = levels_of(posterior, truth)
    for nominal in (0.5, 0.9):
        assert binomtest(int((level < nominal).sum()), len(level), nominal).pvalue > 1e-3, (level < nominal).mean()


def test_refusals():
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        nuts(TIMES, REGION, FLAT, warmup=0)
    with pytest.raises(ValueError, match="leave outlier at 0"):
        nuts(TIMES, REGION, FLAT, PickErrors("edt", outlier=0.1))
    seen, _, _ = simulated(1, TIMES, 1, PickErrors(), numbers=(6,))
    with pytest.raises(ValueError, match="must have picks_s"):
        nuts(TIMES, REGION, FLAT)(KEY, seen._replace(picks_s=None))
