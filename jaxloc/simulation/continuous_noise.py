"""Noise of a network without end: the level of each station stays, blocks of it are joined without a seam.

Neighbouring blocks overlap, and fade into one another with weights whose squares add up to 1, so that noise keeps its
power. A block follows from its number alone: any part of a day can be made without what is before it.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Float, Key
from scipy.fft import next_fast_len

from jaxloc.simulation.ground_noise import (
    GroundNoiseRanges,
    NoiseKeys,
    draw_levels,
    noise_at_levels,
    positive_frequencies,
)
from jaxloc.simulation.ranges import one_of

FADE_S = 20.0  # of the overlap, at least
DAY_NOISE = GroundNoiseRanges(
    level=(0.0, 0.25), culture_chance=0.15, offset_sd_db=3.0, slope_sd_db=3.0, beyond_db=(-10.0, 5.0), line_chance=0.1,
    passing_chance=(0.8, 0.12, 0.06, 0.02), envelope_sd=(0.05, 0.25),
)  # fmt: skip
"""Levels of stations that were chosen well, with less change in time than records anywhere have."""
GAUSSIAN_NOISE = DAY_NOISE._replace(
    passing_chance=(1.0, 0.0, 0.0, 0.0), envelope_sd=(1e-3, 1e-3), microseism_sd=(1e-3, 1e-3), culture_chance=0.0
)
"""Stationary Gaussian noise of the same levels."""


class NoisePlan(NamedTuple):
    """Blocks of `chunk` samples each, which overlap by the rest of `block`."""

    chunk: int
    block: int
    rate_hz: float


def plan_of(chunk_s: float, rate_hz: float) -> NoisePlan:
    """A plan with blocks of a length that is quick to transform."""
    chunk = round(chunk_s * rate_hz)
    half = next_fast_len(-(-(chunk + round(FADE_S * rate_hz)) // 2), real=True)
    return NoisePlan(chunk, 2 * int(half or 0), rate_hz)


def noise_block(
    key: Key[Array, ""],
    plan: NoisePlan,
    number: int,
    response_db: Float[np.ndarray, " frequency"],
    num_stations: int,
    ranges: GroundNoiseRanges = DAY_NOISE,
) -> Float[np.ndarray, "station component sample"]:
    """One block of noise of all stations, before it is joined with its neighbours.

    Args:
        key: of the day.
        plan: lengths.
        number: of the block, from 0.
        response_db: gain of the sensor at `positive_frequencies` of a block.
        num_stations: of the network.
        ranges: what levels are drawn from.
    """
    made = [
        _of_station(random.fold_in(key, i), number, jnp.asarray(response_db), plan, ranges) for i in range(num_stations)
    ]
    return np.stack([np.asarray(each) for each in made])


@partial(jax.jit, static_argnums=(3, 4))
def _of_station(
    key: Key[Array, ""], number: int, response_db: Array, plan: NoisePlan, ranges: GroundNoiseRanges
) -> Float[Array, "component sample"]:
    level, coherence, own = random.split(key, 3)
    kind_key, white, envelope = random.split(random.fold_in(own, number), 3)
    kind = one_of(kind_key, ranges.passing_chance)
    levels = draw_levels(level, ranges, positive_frequencies(plan.block, plan.rate_hz), kind)
    levels = levels._replace(background_db=levels.background_db + response_db)
    keys = NoiseKeys(white, coherence, envelope)
    return noise_at_levels(keys, ranges, levels, kind, plan.block, plan.rate_hz)


def joined(
    before: Float[np.ndarray, "station component sample"] | None,
    block: Float[np.ndarray, "station component sample"],
    plan: NoisePlan,
) -> Float[np.ndarray, "station component chunk"]:
    """The chunk of a block, which fades in where the block before it fades out."""
    whole = block[..., : plan.chunk].copy()
    overlap = min(plan.block - plan.chunk, plan.chunk)
    if before is None or not overlap:
        return whole
    angle = np.pi / 2 * (np.arange(overlap, dtype=np.float32) + 0.5) / overlap
    tail = before[..., plan.chunk : plan.chunk + overlap]
    whole[..., :overlap] = np.sin(angle) * whole[..., :overlap] + np.cos(angle) * tail
    return whole
