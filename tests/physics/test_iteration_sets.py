"""Default iteration sets of double differences: which kinds of times have weight, and when."""

import numpy as np
import pytest

from jaxloc.physics.differential_times import DifferentialTimes
from jaxloc.physics.double_differences import Links, equations, weights
from jaxloc.physics.iteration_sets import default_sets


def links(kind, number=4):
    """P times of one pair of events at several stations."""
    zero = np.zeros(number, int)
    return Links(kind, DifferentialTimes(zero, zero + 1, np.arange(number), zero, np.zeros(number), np.ones(number)))


def sets_of(*kinds, **cutoffs):
    return default_sets([links(kind) for kind in kinds], **cutoffs)


BOTH = sets_of("catalogue", "cross_correlation")
ALL = [sets_of("catalogue"), sets_of("cross_correlation"), BOTH]


def test_sets_are_those_of_the_kinds_of_times():
    """Kinds without a time do not count, and each number of sets is its own."""
    assert len(set(ALL)) == 3
    for at, kind in enumerate(("catalogue", "cross_correlation")):
        other = "cross_correlation" if at == 0 else "catalogue"
        assert default_sets([links(kind), links(other, 0)]) == ALL[at]


def test_cutoffs_and_damping_are_as_asked():
    """Of the last set: catalogue times alone have half the cutoff."""
    assert sets_of("catalogue", catalogue_km=30.0)[-1].distance_catalogue_km == 15.0
    last = sets_of("catalogue", "cross_correlation", cross_km=1.0, damping=80.0)[-1]
    assert (last.distance_catalogue_km, last.distance_cross_km, last.damping) == (10.0, 1.0, 80.0)
    with pytest.raises(ValueError, match="must be positive and damping not negative, got 10, 0 and None"):
        sets_of("catalogue", cross_km=0.0)


def test_weight_shifts_from_catalogue_to_cross_correlation_times():
    """From a hundredth of the catalogue times' weight to a hundred times theirs, and never back."""
    both = equations([links("catalogue"), links("cross_correlation")], 2, 4)
    ratio = []
    for one in BOTH:
        found = weights(both, np.zeros(8), np.full(8, 0.1), one)[0]
        ratio.append(found[4:].mean() / found[:4].mean())
    np.testing.assert_allclose([ratio[0], ratio[-1]], [0.01, 100], rtol=0.02)
    assert (np.diff(ratio) > -1e-3).all()


@pytest.mark.parametrize("sets", ALL)
def test_cutoffs_become_narrower(sets):
    """Of residuals and of distances, from set to set; links that are dropped do not come back."""
    for name in ("residual_catalogue", "distance_catalogue_km", "residual_cross", "distance_cross_km"):
        values = [np.inf if getattr(one, name) is None else getattr(one, name) for one in sets]
        assert values == sorted(values, reverse=True), name
