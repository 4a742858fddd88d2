"""Recalibration of picks: known miscalibration is found, order stays, files come back."""

import numpy as np
import pytest

from jaxloc.physics.pick_calibration import (
    NONE,
    PhaseCalibration,
    calibration_text,
    least_before,
    read_calibration,
    recalibrated,
)
from jaxloc.physics.rate_picks import RatePicks
from jaxloc.studies.pick_calibration import Matched, fitted, reliability

BOTH = (PhaseCalibration(1.0, 1.5, 0.7, 0.3, 1.2), PhaseCalibration(0.5, 0.8, 1.1, 0.0, 1.0))


def picks_of(probability, phase):
    number = len(probability)
    zero = np.zeros(number)
    return RatePicks(np.full(number, phase), zero, np.linspace(0.02, 0.3, number), np.asarray(probability, float))


@pytest.mark.parametrize("phase", [0, 1])
def test_probabilities_and_errors_keep_their_order(phase):
    found = recalibrated(picks_of(np.linspace(0.01, 0.99, 50), phase), BOTH)
    assert (np.diff(found.probability) > 0).all()
    assert (np.diff(found.sigma_s) >= 0).all()
    assert ((found.probability > 0) & (found.probability < 1)).all()


def test_no_calibration_changes_nothing():
    picks = picks_of([0.1, 0.5, 0.9], 1)
    for before, after in zip(picks, recalibrated(picks, NONE), strict=True):
        np.testing.assert_allclose(before, after)


@pytest.mark.parametrize("least", [0.1, 0.3, 0.6])
def test_no_pick_is_lost_before_it_is_recalibrated(least):
    before = least_before(BOTH, least)
    for phase in range(2):
        missed = recalibrated(picks_of([before * 0.999], phase), BOTH).probability
        assert missed[0] < least + 0.003
    assert max(recalibrated(picks_of([before + 0.002], phase), BOTH).probability[0] for phase in range(2)) >= least


def test_a_known_miscalibration_is_found():
    rng = np.random.default_rng(0)
    number = 40_000
    probability, sigma_s = rng.uniform(0.05, 0.8, number), np.exp(rng.uniform(-3.5, -1.5, number))
    phase = rng.integers(0, 2, number)
    truth = recalibrated(RatePicks(phase, np.zeros(number), sigma_s, probability), BOTH)
    residual_s = np.where(rng.random(number) < truth.probability, np.clip(rng.normal(0, truth.sigma_s), -0.5, 0.5), 5.0)
    picks = Matched(phase, probability, sigma_s, residual_s)
    found = recalibrated(RatePicks(phase, np.zeros(number), sigma_s, probability), fitted(picks))
    assert np.abs(found.probability - truth.probability).max() < 0.03
    assert np.abs(np.log(found.sigma_s / truth.sigma_s)).max() < 0.1
    covered = reliability(picks, fitted(picks))["P"][-2:]
    assert [float(x) for x in covered] == pytest.approx([0.683, 0.9], abs=0.015)


def test_a_file_comes_back_and_a_wrong_one_is_named(tmp_path):
    path = tmp_path / "picks.json"
    assert read_calibration(path) == NONE
    path.write_bytes(calibration_text(BOTH, {"records": 3}))
    assert read_calibration(path) == BOTH
    path.write_text('{"phases": {"P": {}}}')
    with pytest.raises(ValueError, match=r"picks\.json has no calibration of picks"):
        read_calibration(path)
