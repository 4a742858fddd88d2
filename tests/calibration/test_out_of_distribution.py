"""The alarm: p-values that are valid on ordinary events and small on strange ones."""

import numpy as np
import pytest

from jaxloc.calibration import out_of_distribution
from jaxloc.scores import auroc


def events(number, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(number, 8)) * np.arange(1, 9) + 5 + shift * np.arange(1, 9)
    return features, rng.uniform(0.1, 0.3, number)


def test_ordinary_events_are_flagged_no_more_often_than_allowed():
    """2,000 new events against 400: at most the limit and four standard errors, those of 400 counted in."""
    detector = out_of_distribution.fit_detector(*events(400))
    flagged = out_of_distribution.reasons(
        out_of_distribution.p_values(detector, out_of_distribution.scores(detector, *events(2000, seed=1)))
    )
    assert np.mean([bool(reason) for reason in flagged]) < out_of_distribution.LIMIT + 4 * np.sqrt(
        0.05 * 0.95 * (1 / 400 + 1 / 2000)
    )


@pytest.mark.parametrize(("shift", "of_epistemic"), [(6.0, 0.0), (0.0, 0.5)])
def test_strange_events_are_flagged_with_the_reason(shift, of_epistemic):
    detector = out_of_distribution.fit_detector(*events(400))
    features, share = events(50, shift, seed=2)
    statistics = out_of_distribution.scores(detector, features, share + of_epistemic)
    name = "features" if shift else "epistemic"
    assert all(
        out_of_distribution.REASONS[name] in reason
        for reason in out_of_distribution.reasons(out_of_distribution.p_values(detector, statistics))
    )
    assert auroc.auroc(detector.scores[name], statistics[name]) == pytest.approx(1.0, abs=0.01)


def test_auroc_of_the_same_events_is_a_half_and_of_normals_known():
    """Normals one standard deviation apart: 0.760; four standard errors of 1,000 and 1,000."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=1000), rng.normal(size=1000) + 1
    assert auroc.auroc(first, first) == pytest.approx(0.5)
    assert auroc.auroc(first, second) == pytest.approx(0.760, abs=4 * 0.0108)


@pytest.mark.parametrize(("missing", "flagged"), [(1, False), (0, True)])
def test_too_few_events_flag_none(missing, flagged):
    """Of n events the smallest p-value is 1 / (n + 1)."""
    detector = out_of_distribution.fit_detector(*events(out_of_distribution.smallest_number() - missing))
    statistics = out_of_distribution.scores(detector, *events(1, 100.0))
    assert bool(out_of_distribution.reasons(out_of_distribution.p_values(detector, statistics))[0]) == flagged


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda detector: out_of_distribution.scores(detector, np.zeros((2, 3)), np.zeros(2)),
            r"\(3,\) features cannot be compared with calibration events of \(8,\)",
        ),
        (lambda detector: out_of_distribution.fit_detector(*events(3)), "3 events are too few"),
    ],
)
def test_wrong_features_and_too_few_events_are_refused(action, message):
    detector = out_of_distribution.fit_detector(*events(40))
    with pytest.raises(ValueError, match=message):
        action(detector)
