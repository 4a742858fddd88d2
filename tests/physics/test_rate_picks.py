"""Picks of records from arrival rates."""

import numpy as np
import pytest

from jaxloc.physics.rate_picks import picks_of_rates

RATE_HZ = 50.0


def log_rate(*arrivals: tuple[int, float, float, float], number: int = 3000) -> np.ndarray:
    """Rates with arrivals: phase, time, standard deviation in s and expected number."""
    second, rate = np.arange(number) / RATE_HZ, np.full((number, 2), 1e-6)
    for phase, time_s, sd_s, expected in arrivals:
        density = np.exp(-0.5 * ((second - time_s) / sd_s) ** 2) / (sd_s * np.sqrt(2 * np.pi))
        rate[:, phase] += expected * density
    return np.log(rate)


def test_every_arrival_has_a_pick_with_its_error_and_probability() -> None:
    found = picks_of_rates(log_rate((0, 10.013, 0.05, 1.5), (1, 14.7, 0.1, 0.9), (0, 30.0, 0.04, 3.0)), RATE_HZ)
    assert found.phase.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.time_s, [10.013, 14.7, 30.0], atol=2e-3)
    np.testing.assert_allclose(found.sigma_s, [0.05, 0.1, 0.04], atol=2e-3)
    np.testing.assert_allclose(found.probability, 1 - np.exp([-1.5, -0.9, -3.0]), atol=2e-3)


def test_what_is_too_improbable_is_no_pick() -> None:
    weak = log_rate((0, 10.0, 0.05, 0.3))
    assert not len(picks_of_rates(weak, RATE_HZ).time_s)
    assert picks_of_rates(weak, RATE_HZ, 0.2).time_s == pytest.approx([10.0], abs=2e-3)


@pytest.mark.parametrize("time_s", [0.0, 59.98])
def test_an_arrival_at_the_end_of_a_record_is_picked_there(time_s: float) -> None:
    found = picks_of_rates(log_rate((0, time_s, 0.02, 3.0)), RATE_HZ)
    assert found.time_s == pytest.approx([time_s], abs=0.03)


def test_a_record_without_arrivals_has_no_picks() -> None:
    assert not len(picks_of_rates(np.full((100, 2), -30.0), RATE_HZ).time_s)
