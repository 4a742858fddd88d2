"""The map of computed to calibrated log odds."""

import numpy as np
import pytest
from scipy.special import expit, logit

from jaxloc.detection import odds_calibration


def test_fit_finds_the_map_that_outcomes_were_drawn_with():
    rng = np.random.default_rng(0)
    log_odds, share = rng.exponential(10.0, 20_000), rng.uniform(0.1, 0.9, 20_000)
    real = rng.random(len(log_odds)) < expit(-0.5 + 0.8 * np.sqrt(log_odds) + logit(share))
    intercept, slope = odds_calibration.fit_calibration(log_odds, share, real)
    assert intercept == pytest.approx(-0.5, abs=0.1)
    assert slope == pytest.approx(0.8, abs=0.04)


def test_calibration_keeps_the_order_and_can_be_undone():
    log_odds = np.array([-2.0, 0.0, 3.0, 80.0])
    found = odds_calibration.calibrated(log_odds, 0.3)
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(odds_calibration.computed(found, 0.3), log_odds, atol=1e-9)


def test_weak_events_among_picks_of_none_are_less_probable():
    """By the odds that a pick has an event: 99 times less where 1 in 100 has one than where half of them have."""
    many, few = (odds_calibration.calibrated(np.array([5.0]), share) for share in (0.5, 0.01))
    assert many - few == pytest.approx(np.log(99))


@pytest.mark.parametrize(("real", "message"), [([True, True], "2 real ones of 2"), ([True, False], "slope")])
def test_events_that_teach_nothing_are_refused(real, message):
    with pytest.raises(ValueError, match=message):
        odds_calibration.fit_calibration(np.array([1.0, 2.0]), np.array([0.5, 0.5]), np.array(real))
