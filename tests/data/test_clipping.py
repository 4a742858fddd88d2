"""Clipped samples of raw counts."""

import numpy as np
import pytest

from jaxloc.data.clipping import clipped_samples

TIME_S = np.arange(2000) / 100
SINE = np.round(50_000 * np.sin(2 * np.pi * 1.7 * TIME_S) * np.exp(-(((TIME_S - 10) / 4) ** 2)))


def test_a_record_that_is_not_clipped_has_no_clipped_samples():
    assert not clipped_samples(SINE).any()
    assert not clipped_samples(np.round(3 * np.sin(TIME_S))).any()  # a few quantisation steps
    assert not clipped_samples(np.zeros(100)).any()
    assert not clipped_samples(np.full(5, np.nan)).any()


@pytest.mark.parametrize("limit", [30_000.0, 12_345.0])
def test_flat_tops_are_clipped_samples(limit):
    clipped = clipped_samples(np.clip(SINE, -limit, limit))
    np.testing.assert_array_equal(clipped & (np.abs(SINE) > limit), clipped & (np.abs(SINE) >= limit))
    assert clipped.sum() > 0.8 * (np.abs(SINE) > limit).sum()


def test_the_full_scale_of_24_bits_is_clipped_though_no_two_samples_are_equal():
    counts = SINE.copy()
    counts[1000] = 2.0**23 - 5
    counts[1003] = -0.985 * 2**23
    assert np.flatnonzero(clipped_samples(counts)).tolist() == [1000, 1003]


def test_gaps_are_not_clipped():
    counts = SINE.copy()
    counts[300:500] = np.nan
    assert not clipped_samples(counts).any()
