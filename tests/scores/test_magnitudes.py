"""Statistics of magnitudes against samples of a known Gutenberg-Richter law."""

import numpy as np
import pytest

from jaxloc.scores.magnitudes import (
    b_value,
    bootstrapped,
    completeness,
    magnitude_differences,
    maximum_curvature,
    stable_b,
)


def law(seed, number, b=1.0, least=0.0):
    """Magnitudes of the law from half a bin below `least` on, rounded to 0.1."""
    exact = least - 0.05 + np.random.default_rng(seed).exponential(np.log10(np.e) / b, number)
    return np.rint(exact * 10) / 10


@pytest.mark.parametrize("b", [0.7, 1.0, 1.4])
def test_b_value_of_rounded_magnitudes(b):
    """Within four of its standard errors, which are b / sqrt(n) for this law (Aki 1965)."""
    found = b_value(law(0, 20_000, b), 0.0)
    assert found.number == 20_000
    assert found.error == pytest.approx(b / np.sqrt(20_000), rel=0.1)
    assert abs(found.b - b) < 4 * found.error + 0.003 * b  # what is left of the bins' bias


def test_b_value_needs_two_magnitudes():
    assert np.isnan(b_value(np.array([1.0]), 0.0).b)
    assert b_value(np.array([]), 0.0).number == 0


def incomplete(seed):
    """Magnitudes that are detected with a chance which rises from 0 to 1 between 0.5 and 1.5."""
    rng = np.random.default_rng(seed)
    whole = law(seed, 60_000)
    return whole[rng.random(len(whole)) < np.clip(whole - 0.5, 0, 1)]


def test_completeness_of_a_known_detection():
    """Maximum curvature lies within the rise, as it is known to; the b-value is stable from about its end on."""
    found = completeness(incomplete(1))
    assert 0.7 <= found["maximum curvature"]["value"] <= 1.2
    assert found["maximum curvature + 0.2"]["value"] == pytest.approx(found["maximum curvature"]["value"] + 0.2)
    assert 1.2 <= found["stable b-value"]["value"] <= 1.6
    assert found["stable b-value"]["low"] <= found["stable b-value"]["value"] <= found["stable b-value"]["high"]


def test_completeness_of_nothing():
    assert np.isnan(maximum_curvature(np.array([np.nan])))
    assert np.isnan(stable_b(law(0, 20)))
    assert np.isnan(bootstrapped(np.mean, np.array([]))["value"])


def test_bootstrap_of_a_mean():
    """Half the width of its interval is 1.96 standard errors."""
    values = np.random.default_rng(2).normal(3.0, 2.0, 400)
    found = bootstrapped(lambda x: float(x.mean()), values, num_resamples=2000)
    assert found["value"] == pytest.approx(values.mean())
    assert (found["high"] - found["low"]) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def test_differences_of_magnitudes():
    first = np.array([1.0, 2.0, 3.0, np.nan])
    assert magnitude_differences(first, first - 0.3)["bias"] == pytest.approx(0.3)
    assert magnitude_differences(first, first)["events"] == 3
    rng = np.random.default_rng(0)
    spread = magnitude_differences(rng.normal(0.2, 0.15, 5000), np.zeros(5000))
    assert spread["spread"] == pytest.approx(0.15, rel=0.08)
