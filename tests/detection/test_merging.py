"""Events that are one, against doublets."""

import numpy as np

from jaxloc.data.pick_list import PickList
from jaxloc.detection.arrival_model import first_model
from jaxloc.detection.candidate_refinement import NONE, Problem, fit, pick_order, resized
from jaxloc.detection.merging import merged
from jaxloc.detection.travel_cells import times_and_slopes, travel_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform

REGION = Region((0.0, 100.0), (0.0, 100.0), (0.0, 20.0), (0.0, 0.0))
RNG = np.random.default_rng(2)
STATION_KM = np.column_stack([RNG.uniform(0, 100, (16, 2)), np.zeros(16)])


def problem_of(*hypocentres):
    """P and S of events at all stations, and the pick of each station and phase of each."""
    travel = travel_of(uniform(6.0, 1.75), REGION, STATION_KM)
    place = np.reshape(hypocentres, (-1, 4))
    arrival_s = place[:, 3:] + times_and_slopes(travel, place[:, :3])[0].reshape(len(place), -1)
    event, ray = (each.ravel() for each in np.indices(arrival_s.shape))
    time_s = arrival_s[event, ray] + 0.05 * RNG.normal(size=len(event))
    order = np.argsort(time_s)
    ones = np.ones(len(order))
    picks = PickList(ray[order] // 2, ray[order] % 2, time_s[order], 0.05 * ones, ones, np.nan * ones)
    pick = np.full((len(place), 2 * len(STATION_KM)), NONE)
    pick[event[order], ray[order]] = np.arange(len(order))
    model = first_model(picks, len(STATION_KM), (20.0, 160.0), 2e5, 0.01)
    model = model._replace(clutter_hz=np.full(len(order), 0.01))
    return Problem(travel, REGION, picks, model, 4.0, 1.0), pick


def test_halves_of_an_event_become_one():
    true = [50.0, 45.0, 8.0, 30.0]
    problem, pick = problem_of(true)
    even = np.arange(pick.shape[1]) % 4 < 2
    halves = np.concatenate([np.where(even, pick, NONE), np.where(even, NONE, pick)])
    order = pick_order(problem.picks)
    own = fit(problem, order, np.array([true, true]), allowed=halves)
    found = merged(problem, order, own, halves)
    assert found.stays.sum() == 1
    np.testing.assert_allclose(found.hypocentre[found.stays][0, :2], true[:2], atol=0.5)


def test_a_doublet_stays_two():
    problem, pick = problem_of([50.0, 45.0, 8.0, 30.0], [51.0, 46.0, 8.0, 31.0])
    order = pick_order(problem.picks)
    own = fit(problem, order, np.array([[50.0, 45.0, 8.0, 30.0], [51.0, 46.0, 8.0, 31.0]]), allowed=pick)
    assert merged(problem, order, own, pick).stays.all()


def test_no_event_and_one_event_stay_as_they_are():
    problem, pick = problem_of([50.0, 45.0, 8.0, 30.0])
    order = pick_order(problem.picks)
    own = fit(problem, order, np.array([[50.0, 45.0, 8.0, 30.0]]), allowed=pick)
    assert merged(problem, order, own, pick).stays.all()
    assert len(merged(problem, order, own.at(np.zeros(1, bool)), pick[:0]).stays) == 0


def test_size_is_by_free_picks():
    problem, _ = problem_of([50.0, 45.0, 8.0, 30.0])
    order = pick_order(problem.picks)
    whole = fit(problem, order, np.array([[50.0, 45.0, 8.0, 30.0]]))
    near = (whole.distance_km < 30).repeat(2, axis=1)[..., None] & np.ones(2, bool)
    assert near.any()
    smaller = resized(problem.model, whole, near)
    assert smaller.size[0] < whole.size[0]
    assert smaller.base[0] > whole.base[0]
    same = resized(problem.model, whole, np.ones_like(near))
    np.testing.assert_allclose(same.log_odds, whole.log_odds)
