"""Quality of continuous records: short gaps, tapers and drift (spikes and clipping: tests/io/test_archive.py)."""

import numpy as np
import pytest

from jaxloc.data.record_quality import seconds_from_missing, tapered, without_drift, without_short_gaps


def test_only_short_gaps_within_a_record_are_bridged():
    recorded = np.ones(40, bool)
    recorded[:2] = recorded[10:13] = recorded[20:26] = recorded[39:] = False
    found = without_short_gaps(recorded, 3)
    assert found[10:13].all()
    assert not found[20:26].any()
    assert not found[:2].any()
    assert not found[39:].any()


def test_a_taper_begins_at_missing_samples_and_ends_after_its_length():
    recorded = np.ones(400, bool)
    recorded[200:220] = False
    away_s = seconds_from_missing(recorded, 10.0)
    assert away_s[199] == pytest.approx(0.1)
    found = tapered(np.ones(400), away_s, 2.0)
    assert found[195] == pytest.approx(0.5 - 0.5 * np.cos(np.pi * 0.5 / 2.0))
    assert (found[:180] == 1).all()
    assert (found[240:] == 1).all()
    assert np.isinf(seconds_from_missing(np.ones(5, bool), 1.0)).all()


def test_what_is_far_away_changes_no_drift():
    rng = np.random.default_rng(0)
    samples, there = rng.normal(size=(3, 5000)) + 1e4, np.ones(5000, bool)
    there[2000:2300] = False
    found = without_drift(samples, there, 500)
    assert np.abs(found[:, 2300:2700].mean()) < 0.2
    assert not found[:, 2000:2300].any()
    part = without_drift(samples[:, 1500:3500] - 77.0, there[1500:3500], 500)
    np.testing.assert_allclose(part[:, 300:-300], found[:, 1800:3200], atol=1e-8)


def test_the_drift_does_not_jump_before_a_strong_onset():
    """Waves 10,000 times as strong as the noise: within 0.1 s before them a plain mean changes by 16 of the noise."""
    rate_hz, onset_s = 100.0, 60.0
    time_s = np.arange(0, 120, 1 / rate_hz)
    noise = np.random.default_rng(0).normal(size=(1, len(time_s)))
    waves = 1e4 * np.where(time_s > onset_s, np.sin(2 * np.pi * 5 * (time_s - onset_s)), 0.0)
    there = np.ones(len(time_s), bool)
    change = without_drift(noise + waves, there, 2000) - without_drift(noise, there, 2000)
    before = change[0, time_s < onset_s]
    assert np.abs(before[10:] - before[:-10]).max() < 1
