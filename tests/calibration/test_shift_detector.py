"""The detector of shifts on statistics of known distributions, and its file."""

import numpy as np
import pytest

from jaxloc.calibration.event_statistics import MEANING
from jaxloc.calibration.shift_detector import FALSE_FLAGS, assess, fit, scores
from jaxloc.calibration.storage import SHIFTS, read_shifts, write_shifts

NAMES = list(MEANING)


def drawn(number, seed, **away):
    """Independent normal statistics, some of them moved by so many standard deviations."""
    table = np.random.default_rng(seed).normal(size=(number, len(NAMES)))
    return {name: 5.0 + 2.0 * (table[:, i] + away.get(name, 0.0)) for i, name in enumerate(NAMES)}


KINDS = {
    "noise": {"evidence": -6.0, "read_p": -5.0},
    "two": {"other": 6.0},
    "velocity": {"misfit": 5.0, "s_density": -4.0},
}


@pytest.fixture(scope="module")
def detector():
    return fit(drawn(200, 0), {kind: drawn(20, 1 + i, **away) for i, (kind, away) in enumerate(KINDS.items())})


def test_a_share_of_ordinary_events_has_a_flag(detector):
    """2,000 events; the limit is a quantile of 200 scores, of a standard error of 1.5 per cent: four times that."""
    found = assess(detector, drawn(2000, 10))
    assert np.mean([bool(shift.kind) for shift in found]) == pytest.approx(FALSE_FLAGS, abs=4 * 0.016)
    assert np.mean([shift.refused for shift in found]) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_shifts_are_flagged_named_and_refused_without_an_earthquake(detector, kind):
    statistics = drawn(100, 20, **KINDS[kind])
    found = assess(detector, statistics)
    assert np.mean([bool(shift.kind) for shift in found]) > 0.95
    assert np.mean([name == kind for name in scores(detector, statistics).kind]) > 0.9
    refused = np.mean([shift.refused for shift in found])
    assert refused > 0.9 if kind == "noise" else refused < 0.05
    strongest = {MEANING[name] for name in KINDS[kind]}
    assert np.mean([shift.reason in strongest for shift in found]) > 0.9


def test_an_unseen_shift_far_away_is_flagged(detector):
    found = assess(detector, drawn(50, 30, s_density=-8.0, misfit=8.0, far_picks=8.0))
    assert all(shift.kind for shift in found)


def test_a_detector_is_read_as_it_was_written(tmp_path, detector):
    assert read_shifts(tmp_path) is None
    write_shifts(tmp_path, detector)
    again = read_shifts(tmp_path)
    assert again is not None
    assert (again.names, again.kinds, again.number) == (detector.names, detector.kinds, detector.number)
    statistics = drawn(20, 40)
    np.testing.assert_allclose(scores(again, statistics).shift, scores(detector, statistics).shift, atol=1e-4)
    (tmp_path / SHIFTS).write_text('{"names": ["evidence"]}')
    with pytest.raises(ValueError, match=r"shifts\.json is damaged"):
        read_shifts(tmp_path)


def test_too_few_ordinary_events_are_refused():
    with pytest.raises(ValueError, match="3 events cannot be divided into 5 folds"):
        fit(drawn(3, 0), {"noise": drawn(3, 1)})
