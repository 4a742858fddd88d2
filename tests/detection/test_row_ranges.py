"""Ranges of rows of different lengths."""

import numpy as np

from jaxloc.detection.row_ranges import rows_within


def test_rows_are_those_of_each_range_in_turn():
    owner, row = rows_within(np.array([3, 7, 0]), np.array([5, 7, 3]))
    np.testing.assert_array_equal(owner, [0, 0, 2, 2, 2])
    np.testing.assert_array_equal(row, [3, 4, 0, 1, 2])


def test_no_range_has_no_rows():
    owner, row = rows_within(np.zeros(0, int), np.zeros(0, int))
    assert len(owner) == len(row) == 0
