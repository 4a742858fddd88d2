"""Days of picks with their truth, and shifts that leave no event."""

import jax
import numpy as np
import pytest

from jaxloc.data.pick_list import PickList
from jaxloc.detection.shifted_picks import shifted_picks
from jaxloc.detection.simulated_picks import PicksSettings, simulated_day
from jaxloc.simulation.day import NetworkSettings
from jaxloc.simulation.seismicity import SeismicitySettings

SETTINGS = PicksSettings(SeismicitySettings(num_events=100, hours=3.0, simultaneous=3), NetworkSettings(6))


@pytest.fixture(scope="module")
def found():
    return simulated_day(jax.random.key(0), SETTINGS)


def test_a_day_follows_from_its_key(found):
    again = simulated_day(jax.random.key(0), SETTINGS)
    for one, other in zip(found.picks, again.picks, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(simulated_day(jax.random.key(1), SETTINGS).picks.time_s) != len(found.picks.time_s)


def test_truth_of_picks(found):
    """Most picks of an event lie near its arrivals; events that can be located are the larger ones."""
    real = found.event >= 0
    picks, day = found.picks, found.day
    error_s = picks.time_s[real] - day.arrival_s[found.event[real], picks.station[real], picks.phase[real]]
    assert (np.abs(error_s) < 1.0).mean() > 0.9
    size = day.sources.magnitude
    assert size[found.locatable].mean() > size[~found.locatable].mean()


def test_shifts_keep_stations_and_lose_moveouts(found):
    """All picks stay, in order; those of one event are no longer near one another at different stations."""
    span_s = (-10.0, 3 * 3600.0 + 10)
    made = shifted_picks(jax.random.key(2), found.picks, span_s)
    assert (np.diff(made.time_s) >= 0).all()
    assert span_s[0] <= made.time_s.min() <= made.time_s.max() <= span_s[1]
    np.testing.assert_array_equal(np.bincount(made.station), np.bincount(found.picks.station))
    for station in range(6):
        gaps = [np.sort(np.diff(np.sort(each.time_s[each.station == station]))) for each in (found.picks, made)]
        # Round the ends of the period one gap is cut and another is joined.
        assert len(np.setdiff1d(gaps[0].round(6), gaps[1].round(6))) <= 2


def test_wrong_shifts():
    picks = PickList(*(np.zeros(1, int), np.zeros(1, int), np.array([5.0]), *[np.ones(1)] * 3))
    with pytest.raises(ValueError, match="longer than twice the largest shift, got 1000 s"):
        shifted_picks(jax.random.key(0), picks, (0.0, 1000.0))
    with pytest.raises(ValueError, match="span_s must have all picks"):
        shifted_picks(jax.random.key(0), picks, (100.0, 5000.0))
