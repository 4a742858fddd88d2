"""Rates of false alarms against counts in noise."""

import jax
import numpy as np
import pytest
from matched_records import RATE_HZ, swarm, templates_of

from jaxloc.detection.false_alarms import Tail, controls, normalised, per_day, tail_of, threshold, threshold_of_mad
from jaxloc.detection.stack_peaks import noise_scale, scan


def test_controls_keep_amplitudes_and_match_nothing() -> None:
    templates = templates_of(swarm())
    back, scrambled = controls(jax.random.key(0), templates)
    for row, length in enumerate(templates.length):
        np.testing.assert_array_equal(back.value[row, :length], templates.value[row, :length][::-1])
        assert not back.value[row, length:].any()
    moved = scrambled.moveout - templates.moveout
    assert all(len(set(moved[templates.template == row])) > 2 for row in range(len(templates.id)))
    pairs = np.stack([templates.template, templates.station], 1)
    for own in np.unique(pairs, axis=0):  # P and S of a station stay together
        assert len(set(moved[(pairs == own).all(1)])) == 1
    assert min(scrambled.moveout) == 0


def test_noise_has_the_scale_of_its_histogram() -> None:
    x = np.random.default_rng(0).normal(size=200_000) * 1.3
    counts = np.histogram(x, np.linspace(-40, 40, 8001))[0][None]
    np.testing.assert_allclose(noise_scale(counts), np.median(np.abs(x)) / 0.67449, atol=0.005)


def test_a_threshold_and_its_rate_are_inverse() -> None:
    tails = (Tail(4.0, 500.0, 0.0, 0.4), Tail(4.2, 300.0, 0.1, 0.3))
    limit = threshold(tails, 2.0)
    np.testing.assert_allclose(per_day(tails, np.array([limit])), 2.0)
    np.testing.assert_allclose(per_day((tails[0],), np.array([5.0])), 500 * np.exp(-1 / 0.4))
    assert threshold(tails, 1e6) == 4.2


def test_the_rate_in_noise_is_that_of_another_record() -> None:
    """The tail of the controls in one record of noise gives how many peaks templates have in another."""
    templates = templates_of(swarm())
    noise = lambda seed: swarm((), 700.0, seed)
    here, there = noise(11), noise(12)
    tails = tuple(tail_of(scan(here.records, here.usable, own)) for own in controls(jax.random.key(1), templates))
    found = scan(there.records, there.usable, templates)
    limit = 3.7
    expected = float(per_day(tails, np.array([limit]))[0]) * 700 / 86400
    counted = int((normalised(found) > limit).sum())
    assert expected > 5
    assert abs(counted - expected) < 4 * np.sqrt(expected)


def test_too_few_peaks_are_refused() -> None:
    made = swarm((), 20.0)
    with pytest.raises(ValueError, match="too few for a rate of false alarms"):
        tail_of(scan(made.records, made.usable, templates_of(swarm())))


def test_eight_mad_are_five_standard_deviations() -> None:
    np.testing.assert_allclose(threshold_of_mad(8), 5.396, atol=1e-3)
    with pytest.raises(ValueError, match="must be positive, got 0"):
        threshold_of_mad(0)
    with pytest.raises(ValueError, match="must be positive, got -1 a day"):
        threshold((), -1.0)


def test_live_time_is_that_of_the_records() -> None:
    made = swarm((), 60.0)
    templates = templates_of(swarm())
    longest = (templates.moveout + templates.length).max() / RATE_HZ
    found = scan(made.records, made.usable, templates)
    assert (60 - longest - 3 < found.live_s).all()
    assert (found.live_s <= 60).all()
