"""Onsets of P and S by a trigger and Akaike's criterion, where they are known."""

import numpy as np
import pytest

from jaxloc.data.onset_picks import onset_picks, refined

RATE_HZ, SAMPLES = 50.0, 2000
P_S, S_S = 18.0, 24.0


def records(stations: int, ratio: float) -> np.ndarray:
    """White noise; from P on the vertical, and from S on the horizontals, `ratio` times as large."""
    generator, time_s = np.random.default_rng(0), np.arange(SAMPLES) / RATE_HZ
    noise = generator.normal(size=(1, stations, 3, SAMPLES))
    later = np.stack([time_s >= P_S, time_s >= S_S, time_s >= S_S]) * (1 + (ratio - 1) * np.exp(-(time_s - P_S) / 10))
    return noise * np.where(later > 0, later, 1.0)


def test_onsets_are_found_where_amplitudes_change() -> None:
    found = onset_picks(records(6, 20.0), RATE_HZ)
    assert found.refused == [""]
    assert found.mask.all()
    # A filter from 2 Hz rings for less than half of its longest period.
    np.testing.assert_allclose(found.time_s[0], np.tile([P_S, S_S], (6, 1)), atol=0.25)


def test_noise_is_refused() -> None:
    found = onset_picks(records(6, 1.0), RATE_HZ)
    assert "have an onset" in found.refused[0]


def test_few_picks_of_p_are_refused() -> None:
    found = onset_picks(records(3, 20.0), RATE_HZ)
    assert found.refused == ["3 picks of P; at least 4 are needed"]


@pytest.mark.parametrize("trigger_s", [9.5, 10.5, 11.5])
def test_the_criterion_finds_the_change_of_variance(trigger_s: float) -> None:
    generator = np.random.default_rng(1)
    record = generator.normal(size=(2, 1000)) * np.where(np.arange(1000) < 500, 1.0, 10.0)
    assert refined(record, trigger_s, RATE_HZ) == pytest.approx(10.0, abs=1.5 / RATE_HZ)  # 500 samples
