"""Noise of a network without seams."""

from itertools import pairwise

import jax
import numpy as np
import pytest

from jaxloc.simulation.continuous_noise import GAUSSIAN_NOISE, joined, noise_block, plan_of
from jaxloc.simulation.ground_noise import positive_frequencies

PLAN = plan_of(80.0, 20.0)
FLAT_DB = np.zeros(PLAN.block // 2, np.float32)


@pytest.fixture(scope="module")
def blocks():
    key = jax.random.key(0)
    return [noise_block(key, PLAN, number, FLAT_DB, 2, GAUSSIAN_NOISE) for number in range(6)]


def test_plan():
    assert PLAN.chunk == 1600
    assert PLAN.block >= 2000
    assert len(positive_frequencies(PLAN.block, 20.0)) == len(FLAT_DB)


def test_chunks_meet_without_a_step(blocks):
    """Across a seam samples differ by no more than within a chunk."""
    chunks = [joined(before, each, PLAN) for before, each in zip([None, *blocks], blocks, strict=False)]
    steps = np.abs(np.diff(np.concatenate(chunks, -1), axis=-1))
    seams = np.stack([steps[..., PLAN.chunk * n - 1] for n in range(1, 6)])
    assert (seams < 6 * np.median(steps, -1)).all()


def test_joining_keeps_the_power(blocks):
    """The mean square where blocks are mixed is that of a block, within the scatter of 20 s of noise."""
    whole = np.stack([each[..., : PLAN.chunk] for each in blocks]).astype(float)
    mixed = np.stack([joined(a, b, PLAN) for a, b in pairwise(blocks)])[..., : PLAN.block - PLAN.chunk]
    assert (mixed.astype(float) ** 2).mean() == pytest.approx((whole**2).mean(), rel=0.3)


def test_a_station_keeps_its_level(blocks):
    """Blocks of one station are alike, stations differ, and a block does not depend on what was made before."""
    level = np.log(np.stack([each.std(-1) for each in blocks]))
    assert level.std(0).max() < 0.3
    again = noise_block(jax.random.key(0), PLAN, 4, FLAT_DB, 2, GAUSSIAN_NOISE)
    np.testing.assert_array_equal(again, blocks[4])


def test_a_sensor_changes_the_level(blocks):
    louder = noise_block(jax.random.key(0), PLAN, 0, FLAT_DB + 20, 2, GAUSSIAN_NOISE)
    np.testing.assert_allclose(louder, 10 * blocks[0], rtol=1e-3, atol=1e-4 * np.abs(louder).max())


def test_gaussian_noise_is_stationary(blocks):
    """No excess kurtosis: within four standard errors of white noise, 0.12 for so many samples, and some for colour."""
    whole = np.stack(blocks).astype(float)
    z = whole / whole.std(-1, keepdims=True)
    assert abs((z**4).mean() - 3) < 0.5
