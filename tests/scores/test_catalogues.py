"""Matching of catalogues and their differences, against known answers."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from jaxloc.scores.catalogues import NO_PLACE, NO_TIME, OUTSIDE, TAKEN, Limits, counted, differences, match


def sequence(seed, number=300):
    """A swarm: an event each 20 s in the mean, some a second apart, within a few km."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(0, 3, (number, 2)), rng.normal(8, 2, number), rng.uniform(0, 6000, number)])


def test_events_are_found_again_in_any_order():
    """A catalogue with small errors, shuffled and thinned, matches its original event by event."""
    rng = np.random.default_rng(1)
    first = sequence(0)
    kept = rng.permutation(300)[:250]
    second = first[kept] + rng.normal(0, [0.1, 0.1, 0.1, 0.01], (250, 4))
    found = match(first, second)
    np.testing.assert_array_equal(kept[found.second], found.first)
    assert len(found.first) == 250
    assert sorted(found.only_first) == sorted(set(range(300)) - set(kept))
    assert found.only_second == {}


def test_matching_has_a_direction_no_more_than_its_sides():
    """Exchanged catalogues give the same pairs."""
    first, second = sequence(0), sequence(2)
    one, other = match(first, second, Limits(10, 20)), match(second, first, Limits(10, 20))
    assert len(one.first) > 50
    assert set(zip(one.first, one.second, strict=True)) == set(zip(other.second, other.first, strict=True))
    assert (one.only_first, one.only_second) == (other.only_second, other.only_first)
    assert len(set(one.second)) == len(one.second)


def test_time_and_place_both_count():
    """Of two events at one time the nearer one is the same; both limits count."""
    first = np.array([[0, 0, 5, 100.0], [10, 0, 5, 100.2]])
    second = np.array([[9.5, 0, 7, 100.0], [0.2, 0, np.nan, 100.2]])
    found = match(first, second)
    np.testing.assert_array_equal(found.second, [1, 0])
    for place, number in (([3, 3.9, 0, 1.9], 1), ([3, 4.1, 0, 0.0], 0), ([0, 0, 0, 2.1], 0)):
        assert len(match(np.zeros((1, 4)), np.array([place]), Limits(2, 5)).first) == number


def test_the_sum_of_all_distances_is_the_smallest():
    """Taking the nearest pair first would leave one event of each catalogue alone, or far apart."""
    first, second = np.zeros((2, 4)), np.zeros((2, 4))
    first[:, 3], second[:, 3] = [0.0, 1.0], [-1.5, 0.1]
    found = match(first, second, Limits(2, 5))
    np.testing.assert_array_equal(found.second, [0, 1])
    assert found.only_first == {}


def test_assignments_agree_with_the_hungarian_method():
    """The cost is that of SciPy's dense solver, with a row and a column of its own for each event alone."""
    first, second = sequence(0, 60) / [1, 1, 1, 20], sequence(1, 50) / [1, 1, 1, 20]
    limits = Limits(4.0, 6.0)
    apart = first[:, None] - second
    away = np.hypot(apart[..., 0], apart[..., 1]) / limits.within_km, np.abs(apart[..., 3]) / limits.within_s
    cost = np.where((away[0] <= 1) & (away[1] <= 1), away[0] ** 2 + away[1] ** 2, 2.0)
    found = match(first, second, limits)
    ours = cost[found.first, found.second].sum() + 2.0 * (50 - len(found.first))
    assert ours == pytest.approx(cost[linear_sum_assignment(cost)].sum(), rel=1e-9)


def test_errors_decide_between_neighbours():
    """A well located event takes the partner at its place, one with a wide error that of its time."""
    first = np.array([[0, 0, 5, 0.0], [0, 0, 5, 0.0]])
    second = np.array([[0.2, 0, 5, 1.0], [4.0, 0, 5, 0.1]])
    sharp, wide = [1.0, 0.1], [0.1, 5.0]
    other = np.array([[0.1, 0.1], [0.1, 0.1]])
    np.testing.assert_array_equal(match(first, second, errors=(np.array([sharp, wide]), other)).second, [0, 1])
    np.testing.assert_array_equal(match(first, second, errors=(np.array([wide, sharp]), other)).second, [1, 0])


def test_reasons():
    """Each event without a counterpart has the reason that holds for it."""
    first = np.array(
        [[0, 0, 5, 0.0], [0, 0, 5, 100], [0.5, 0, 5, 100.5], [0, 0, 5, 200], [0, 0, 5, 300], [0, 0, 5, 400]]
    )
    second = np.array([[0, 0, 5, 100.0], [90, 0, 5, 201], [0, 0, 5, 350.0]])
    found = match(first, second)
    assert (list(found.first), list(found.second)) == ([1], [0])
    expected = {0: OUTSIDE, 2: TAKEN, 3: NO_PLACE.format(3), 4: NO_TIME.format(3), 5: OUTSIDE}
    assert found.only_first == expected
    assert found.only_second == {1: NO_PLACE.format(3), 2: NO_TIME.format(3)}
    assert counted(found.only_first)[0] == (OUTSIDE, 2)


def test_a_common_shift_changes_no_separation():
    """Medians are the shift, second minus first; separations of neighbours do not change."""
    first = sequence(3)
    shift = np.array([0.5, -1.2, 2.0, 0.3])
    found = differences(first, first + shift, match(first, first + shift))
    for name, value in zip(("east (km)", "north (km)", "depth (km)", "origin time (s)"), shift, strict=True):
        np.testing.assert_allclose(found[name], [value, 0, abs(value)], atol=1e-9)
    np.testing.assert_allclose(found["epicentre (km)"], [1.3, 0, 1.3], atol=1e-9)
    for name in ("epicentre, median shift removed (km)", "neighbours, horizontally (km)", "neighbours, in depth (km)"):
        np.testing.assert_allclose(found[name], 0, atol=1e-9)


def test_statistics_of_normal_errors():
    """The median of |z| is 0.674 sd, the 90th percentile of a Rayleigh variable 2.146 sd, without unknown depths."""
    first = sequence(4, 4000) * [1, 1, 1, 10]
    second = first + np.random.default_rng(5).normal(0, [0.2, 0.2, 0.5, 0.01], (4000, 4))
    second[::2, 2] = np.nan
    found = differences(first, second, match(first, second))
    # Relative standard errors of these quantiles are 2 % for 2,000 values: four of them.
    assert found["depth (km)"].mad == pytest.approx(0.674 * 0.5, rel=0.08)
    assert found["epicentre (km)"].ninety == pytest.approx(2.146 * 0.2, rel=0.08)
    assert found["neighbours, in depth (km)"].median == pytest.approx(0.674 * np.sqrt(2) * 0.5, rel=0.08)


def test_nothing_in_common():
    """No pair: differences are unknown."""
    first = sequence(0, 3)
    found = match(first, first + [0, 0, 0, 1e5])
    assert len(found.first) == 0
    assert np.isnan(differences(first, first, found)["depth (km)"]).all()


@pytest.mark.parametrize(
    ("second", "limits", "message"),
    [
        (np.zeros((0, 4)), Limits(), "got 0 events"),
        (
            np.array([[0, 0, 0, np.nan]]),
            Limits(),
            "second catalogue must have epicentre and origin time, got 1 events, 1",
        ),
        (np.zeros((1, 4)), Limits(0.0), "within_s and within_km must be positive, got 0 and 20"),
    ],
)
def test_wrong_inputs(second, limits, message):
    with pytest.raises(ValueError, match=message):
        match(np.zeros((2, 4)), second, limits)
