"""The joint problem on cases whose best solution is known."""

import numpy as np
import pytest

from jaxloc.detection.assignment import assign
from jaxloc.detection.candidate_refinement import NONE, Fitted
from jaxloc.detection.duplicates import duplicates

PICK_S = np.arange(12.0)


def fitted(base, pick, gain):
    """Candidates with one pick a station and phase."""
    number, rays = np.shape(pick)
    pick = np.stack([pick, np.full((number, rays), NONE)], -1)
    gain = np.stack([gain, np.full((number, rays), -np.inf)], -1).astype(float)
    zeros = np.zeros((number, 4))
    return Fitted(
        zeros, np.tile(np.eye(4), (number, 1, 1)), np.zeros((number, rays // 2)), np.zeros((number, rays)),
        np.zeros(number, int), np.array(base, float), pick, np.where(pick == NONE, -np.inf, gain),
    )  # fmt: skip


def test_a_pick_goes_where_it_adds_most():
    # Both events share pick 11 (station 1, S); it is worth 5 to the second and 2 to the first.
    pick = [[0, 1, 2, 11], [4, 5, 6, 11]]
    found = assign(fitted([-6, -6], pick, [[3, 3, 3, 2], [3, 3, 3, 5]]), PICK_S, 3, 2, print)
    assert found.is_event.all()
    assert found.pick[0].tolist() == [0, 1, 2, NONE]
    assert found.pick[1].tolist() == [4, 5, 6, 11]
    np.testing.assert_allclose(found.log_odds, [3.0, 8.0])


def test_one_event_explains_what_two_candidates_claim():
    pick = [[0, 1, 2, 3], [0, 1, 2, 3]]
    found = assign(fitted([-6, -7], pick, np.full((2, 4), 3.0)), PICK_S, 3, 2, print)
    assert found.is_event.tolist() == [True, False]


def test_p_is_before_s():
    found = assign(fitted([-1.0], [[5, 1, 6, 7]], [[4, 3, 3, 3]]), PICK_S, 3, 2, print)
    assert found.pick[0].tolist() == [5, NONE, 6, 7]


def test_too_few_picks_make_no_event():
    found = assign(fitted([-1.0], [[0, 1, 2, NONE]], [[5, 5, 5, 5]]), PICK_S, 4, 2, print)
    assert not found.is_event.any()


def test_the_solution_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pick = np.stack([rng.choice(6, 4, replace=False) for _ in range(3)])
        pick = np.sort(pick, axis=1)
        gain = rng.uniform(0.5, 4, (3, 4))
        base = rng.uniform(-8, -2, 3)
        found = assign(fitted(base, pick, gain), PICK_S, 1, 1, print)
        assert found.log_odds[found.is_event].sum() == pytest.approx(
            best_by_trial(base, pick, gain), rel=2e-3, abs=1e-6
        )


def best_by_trial(base, pick, gain):
    """Every choice of events and of one owner a pick."""
    best = 0.0
    for chosen in range(8):
        events = [e for e in range(3) if chosen >> e & 1]
        total = {e: base[e] for e in events}
        owners = [[e for e in events if p in pick[e]] for p in range(6)]
        # Gains are positive: each pick goes to the event that it adds most to.
        for p, owner in enumerate(owners):
            if owner:
                e = max(owner, key=lambda e: gain[e][list(pick[e]).index(p)])
                total[e] += gain[e][list(pick[e]).index(p)]
        best = max(best, sum(total.values()))
    return best


def test_doublets_stay_two_and_an_event_found_twice_is_one():
    hypocentre = np.array([[0, 0, 5, 0.0], [0.1, 0, 5, 0.1]])
    covariance = np.tile(np.eye(4) * 0.04, (2, 1, 1))
    log_odds = np.array([5.0, 9.0])
    apart = np.array([[0, 1, NONE, NONE], [NONE, NONE, 2, 3]])
    sigma_s = np.full(12, 0.1)
    assert duplicates(hypocentre, covariance, log_odds, apart, PICK_S, sigma_s).tolist() == [1, 1]
    contradicting = np.array([[0, 1, NONE, 5], [NONE, NONE, 2, 3]])
    assert duplicates(hypocentre, covariance, log_odds, contradicting, PICK_S, sigma_s).tolist() == [0, 1]
