"""Pairs of events by their times."""

import numpy as np

from jaxloc.detection.pairs_in_time import pairs_within


def test_pairs_are_those_of_all_comparisons():
    rng = np.random.default_rng(0)
    time_s, reach_s = rng.uniform(0, 100, 60), 3.0
    later_s = time_s - time_s[:, None]
    expected = {tuple(pair) for pair in np.argwhere((later_s > 0) & (later_s <= reach_s))}
    found = list(zip(*pairs_within(time_s, reach_s), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_events_at_one_time_make_a_pair_once():
    first, second = pairs_within(np.zeros(2), 1.0)
    assert sorted((int(first[0]), int(second[0]))) == [0, 1]
    assert len(first) == 1
