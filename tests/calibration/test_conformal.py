"""Split conformal levels: the guarantee, by the exact law of ranks and by repetition."""

import numpy as np
import pytest

from jaxloc.calibration.conformal import conformal_level, cross_fitted
from jaxloc.types import LEVELS


@pytest.mark.parametrize(
    ("number", "wanted", "expected"), [(9, 0.5, 0.5), (9, 0.9, 0.9), (9, 0.95, 1.0), (19, 0.95, 0.95)]
)
def test_the_level_is_the_rank_that_the_guarantee_asks_for(number, wanted, expected):
    """Of nine events the 0.9 level is the ninth, the 0.5 level the fifth; 0.95 would need nineteen events."""
    levels = np.arange(number, 0, -1) / (number + 1)
    np.testing.assert_allclose(conformal_level(levels, np.array([wanted])), [expected])


@pytest.mark.parametrize("power", [0.25, 1.0, 4.0])
def test_new_truths_are_inside_as_often_as_promised(power):
    """Levels of a posterior too wide, right and too narrow; 2,000 repetitions with 39 events and one new one each.

    With 39 events all of the wanted shares but 0.68 are exact: 20, 36 and 38 of 40. Four binomial standard errors.
    """
    rng = np.random.default_rng(0)
    levels = rng.uniform(size=(2000, 40)) ** power
    found = np.mean([each[-1] <= conformal_level(each[:-1], np.array(LEVELS)) for each in levels], 0)
    exact = np.array([0.5, 0.7, 0.9, 0.95])
    np.testing.assert_array_less(np.abs(found - exact), 4 * np.sqrt(exact * (1 - exact) / 2000))


def test_cross_fitted_coverage_is_nominal_and_no_event_calibrates_itself():
    """1,000 events, posteriors far too narrow: coverage within four binomial standard errors and 1 / 801."""
    levels = 1 - np.random.default_rng(1).uniform(size=1000) ** 5
    inside = cross_fitted(levels)
    wanted = np.array(LEVELS)
    assert np.mean(levels <= 0.9) < 0.5
    np.testing.assert_array_less(np.abs(inside.mean(0) - wanted), 4 * np.sqrt(wanted * (1 - wanted) / 1000) + 1 / 801)
    # The event of the highest level lies outside all regions that the others give.
    assert not inside[levels.argmax()].any()


def test_events_that_are_not_altered_have_the_same_coverage():
    levels = np.random.default_rng(2).uniform(size=500)
    np.testing.assert_array_equal(cross_fitted(levels, altered=levels), cross_fitted(levels))


@pytest.mark.parametrize(("level", "inside"), [(0.0, True), (1.0, False)])
def test_altered_events_are_compared_with_the_levels_of_the_others(level, inside):
    """Levels are those of the unaltered events: regions stay, and truths that move outside are not covered."""
    levels = np.random.default_rng(2).uniform(size=500)
    assert (cross_fitted(levels, altered=np.full(500, level)) == inside).all()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: conformal_level(np.array([]), np.array([0.9])), "no event to calibrate with"),
        (lambda: conformal_level(np.array([0.1, 1.2]), np.array([0.9])), r"a level must be within 0-1, got 1\.2"),
        (lambda: conformal_level(np.array([0.1]), np.array([90.0])), r"a wanted level must be within 0-1, got 90\.0"),
        (lambda: cross_fitted(np.array([0.1, 0.2, 0.3])), "3 events cannot be divided into 5 folds"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(action, message):
    with pytest.raises(ValueError, match=message):
        action()
