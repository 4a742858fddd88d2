"""Sums over sliding windows against double precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.detection.sliding_windows import window_counts, window_moments


@pytest.mark.parametrize("length", [1, 2, 7, 64, 150])
def test_moments_are_those_of_each_window_after_a_loud_event_and_with_an_offset(length: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 2000)).astype(np.float32)
    x[0, 500:600] *= 1e4
    x[1] += 100
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(float), length, -1)
    spread = ((windows - windows.mean(-1, keepdims=True)) ** 2).sum(-1)
    found = window_moments(jnp.asarray(x), length)
    np.testing.assert_allclose(found.spread, spread, rtol=1e-4, atol=1e-9)
    error = np.abs(found.total - windows.sum(-1)) / np.abs(windows).sum(-1)
    assert error.max() < 1e-6


def test_counts_are_those_of_each_window() -> None:
    mask = np.random.default_rng(1).random((3, 500)) < 0.1
    windows = np.lib.stride_tricks.sliding_window_view(mask, 40, -1)
    np.testing.assert_array_equal(window_counts(jnp.asarray(mask), 40), windows.sum(-1))


@pytest.mark.parametrize("length", [0, 11])
def test_a_window_that_does_not_fit_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 10 samples.*got {length}"):
        window_moments(jnp.zeros(10), length)
