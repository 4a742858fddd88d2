"""Simulated days of picks keep their rules."""

import numpy as np
import pytest

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform
from jaxloc.simulation.pick_days import APART_S, NO_EVENT, PickRules, pick_day

REGION = Region((0.0, 150.0), (0.0, 150.0), (0.0, 20.0), (0.0, 600.0))


def day(num_events=40, noise=0.5, **others):
    rng = np.random.default_rng(1)
    station_km = np.column_stack([rng.uniform(0, 150, (20, 2)), np.zeros(20)])
    return station_km, pick_day(rng, station_km, uniform(6.0, 1.75), REGION, num_events, noise, **others)


def test_events_have_enough_picks_with_errors_of_their_size():
    station_km, made = day()
    true = made.event != NO_EVENT
    counts = np.bincount(made.event[true], minlength=40)
    assert (counts >= PickRules().least_picks).all()
    assert (~true).sum() == round(0.5 * true.sum())
    assert (np.diff(made.time_s) >= 0).all()
    hypocentre = made.hypocentre[made.event[true]]
    away_km = np.linalg.norm(hypocentre[:, :3] - station_km[made.station[true]], axis=-1)
    travel_s = away_km / np.array([6.0, 6.0 / 1.75])[made.phase[true]]
    error = (made.time_s[true] - hypocentre[:, 3] - travel_s) / made.sigma_s[true]
    assert abs(error.mean()) < 4 / np.sqrt(len(error))
    assert abs(error.std() - 1) < 4 / np.sqrt(2 * len(error))


def test_events_near_in_time_are_apart_in_space():
    _, made = day(num_events=60, apart_km=30.0)
    apart_km = np.linalg.norm(made.hypocentre[:, None, :2] - made.hypocentre[:, :2], axis=-1)
    together = np.abs(made.hypocentre[:, None, 3] - made.hypocentre[:, 3]) < APART_S
    assert (apart_km[together & ~np.eye(60, dtype=bool)] >= 30.0).all()


def test_a_network_that_picks_nothing_is_refused():
    with pytest.raises(ValueError, match="more stations"):
        day(rules=PickRules(best=0.01))
