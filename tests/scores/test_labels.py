"""Scores of labels beside the hypocentre, on answers that are known."""

import jax
import numpy as np
import scipy.stats

from jaxloc.distributions.labels import Classes, Number
from jaxloc.scores.events import crps
from jaxloc.scores.gaussian import normal_crps
from jaxloc.scores.labels import calibration_error, crps_of, label_lines, score_labels
from jaxloc.types import Label

EVENTS = 2000


def number(mean, epistemic, aleatoric):
    """Normals by two draws of weights; `epistemic` is the variance within the mixture, half of the unbiased one."""
    loc = np.stack([mean - np.sqrt(epistemic), mean + np.sqrt(epistemic)], -1)[..., None]
    scale = np.broadcast_to(np.sqrt(aleatoric)[..., None, None], loc.shape)
    return Number(np.zeros(loc.shape), loc, scale, np.zeros(loc.shape, bool))


def _labels(value, known=None):
    return Label(value, np.ones(len(value), bool) if known is None else known)


def test_crps_of_a_normal_is_that_of_its_draws():
    draws = 1.0 + 2.0 * jax.random.normal(jax.random.key(0), (20_000,))
    # The standard error of a CRPS by that many draws is below a hundredth.
    np.testing.assert_allclose(normal_crps(np.array(1.0), np.array(2.0), np.array(3.5)), crps(draws, 3.5), atol=0.03)


def test_calibrated_numbers_have_nominal_coverage_and_beat_climatology():
    rng = np.random.default_rng(1)
    mean = rng.normal(3.0, 1.0, EVENTS)
    truth = mean + rng.normal(0, 0.3, EVENTS)
    stated = number(mean, np.full(EVENTS, 0.03), np.full(EVENTS, 0.06))
    card = score_labels({"magnitude": stated, "polarity": stated}, {"magnitude": _labels(truth)})
    assert list(card) == ["magnitude"]
    own = card["magnitude"]
    for level, held in own["coverage"].items():
        # Five standard errors of a share of that many events.
        share = float(level) / 100
        assert abs(held["value"] - share) < 5 * np.sqrt(share * (1 - share) / EVENTS)
    assert own["crps"]["high"] < own["crps_climatology"]["low"]
    np.testing.assert_allclose(own["epistemic_share"]["value"], 0.06 / (0.06 + 0.06))
    assert "coverage of 90 % intervals" in label_lines(card)[0]


def test_unknown_labels_do_not_count():
    truth, known = np.array([1.0, np.nan, 2.0]), np.array([True, False, True])
    stated = number(np.array([1.0, 5.0, 2.0]), np.ones(3), np.ones(3))
    card = score_labels({"magnitude": stated}, {"magnitude": _labels(truth, known)})["magnitude"]
    assert card["number"] == 2
    assert card["mae"]["value"] == 0.0


def test_classes_drawn_from_their_probabilities_are_calibrated():
    rng = np.random.default_rng(2)
    yes = rng.uniform(size=EVENTS)
    truth = (rng.uniform(size=EVENTS) < yes).astype(float)
    stated = Classes(np.stack([1 - yes, yes], -1)[:, None])
    card = score_labels({"is_event": stated}, {"is_event": _labels(truth)})["is_event"]
    assert card["calibration_error"] < 0.04  # ten bins of 200: three standard errors of their mean difference
    # Uniform probabilities: the Brier score of both classes is 2 E[p (1 - p)] = 1/3, the area 5/6.
    np.testing.assert_allclose(card["brier"]["value"], 1 / 3, atol=0.02)
    np.testing.assert_allclose(card["auroc"], 5 / 6, atol=0.03)
    assert card["brier"]["high"] < card["brier_climatology"]["low"]
    assert "AUROC" in label_lines({"is_event": card})[0]


def test_calibration_error_of_certain_and_half_right_predictions_is_a_half():
    right = scipy.stats.bernoulli.rvs(0.5, size=EVENTS, random_state=3).astype(bool)
    np.testing.assert_allclose(calibration_error(np.ones(EVENTS), right), 0.5, atol=0.05)


def test_the_crps_of_a_number_is_that_of_its_distribution():
    """Against the closed form of a normal, and against samples of a mixture of a normal and a lognormal."""
    one = lambda x: np.array(x, np.float32)
    normal = Number(one([[0.0]]), one([[1.0]]), one([[2.0]]), np.array([[False]]))
    np.testing.assert_allclose(
        crps_of(normal, one(3.5)), normal_crps(np.array(1.0), np.array(2.0), np.array(3.5)), rtol=1e-3
    )
    mixed = Number(
        one([[-0.7, -0.6857]] * 2), one([[1.0, 0.2], [-2.0, 0.5]]), one([[0.5, 0.3]] * 2), np.array([[False, True]] * 2)
    )
    draws = mixed.sample(jax.random.key(0), (20_000,))
    np.testing.assert_allclose(crps_of(mixed, one(0.3)), crps(draws, 0.3), atol=0.03)
    np.testing.assert_allclose(mixed.mean, draws.mean(), atol=0.05)
    np.testing.assert_allclose(mixed.epistemic / 2 + mixed.aleatoric, draws.var(), rtol=0.05)
    np.testing.assert_allclose(mixed.cdf(one(0.3)), (draws < 0.3).mean(), atol=0.02)
