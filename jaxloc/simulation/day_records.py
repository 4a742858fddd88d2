"""Continuous records of a simulated day, chunk by chunk: noise, seismograms, disturbances and recorder faults.

Each chunk follows from its number: a day can be made in any order, by several processes, or go on after it was stopped.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.simulation.continuous_noise import DAY_NOISE, joined, noise_block, plan_of
from jaxloc.simulation.day import DAY_PATH, Day, FaultSettings, Interval
from jaxloc.simulation.day_disturbances import Disturbance, add_at, add_disturbance, overlapping
from jaxloc.simulation.day_seismograms import (
    COUNTS_PER_M_S,
    Recorded,
    anti_alias,
    noise_power,
    recorded_sources,
    sensor,
    within_band,
)
from jaxloc.simulation.ground_noise import GroundNoiseRanges, positive_frequencies
from jaxloc.simulation.propagation import Path
from jaxloc.simulation.seismicity import generator_of

BEFORE_P_S = 2.2, 0.2
LARGEST_COUNT = 2**23 - 1  # of a converter of 24 bits: larger ones are clipped


class RecordSettings(NamedTuple):
    """Sampling, noise and path of the records; `chunk_s` must be a minute or more."""

    rate_hz: float = 50.0
    chunk_s: float = 3600.0
    noise: GroundNoiseRanges = DAY_NOISE
    path: Path = DAY_PATH
    faults: FaultSettings = FaultSettings()


class Chunk(NamedTuple):
    """Records of all stations over a chunk.

    Attributes:
        number: of the chunk, from 0.
        first: its first sample, counted from the beginning of the day.
        counts: components Z, N, E.
        mask: False within gaps and outages.
        snr_db: by source whose origin time lies within the chunk: of P and S at each station, the power of the second
            after the arrival over that of noise, or of everything in the two seconds before P where that is more.
    """

    number: int
    first: int
    counts: Int[np.ndarray, "station component sample"]
    mask: Bool[np.ndarray, "station sample"]
    snr_db: dict[int, Float[np.ndarray, "station phase"]]


def num_chunks(day: Day, settings: RecordSettings) -> int:
    """Chunks of a day; the last may be shorter."""
    return int(np.ceil(day.length_s / settings.chunk_s - 1e-9))


def check_records(settings: RecordSettings) -> None:
    """Refuse an invalid rate or chunk; raises a ValueError that names the value."""
    if not 10 <= settings.rate_hz <= 1000 or settings.chunk_s < 60:
        raise ValueError(
            "rate_hz must be within 10-1000 Hz and chunk_s at least 60 s, got "
            f"{settings.rate_hz:g} and {settings.chunk_s:g}"
        )
    if abs(settings.rate_hz * settings.chunk_s % 1) > 1e-6:
        raise ValueError(f"a chunk must have a whole number of samples, got {settings.rate_hz * settings.chunk_s:g}")


def day_records(
    key: Key[Array, ""],
    day: Day,
    settings: RecordSettings = RecordSettings(),
    disturbances: tuple[Disturbance, ...] = (),
    numbers: Sequence[int] | None = None,
) -> Iterator[Chunk]:
    """Chunks of a day's records, of all numbers or of some.

    Raises:
        ValueError: for an invalid rate or chunk.
    """
    check_records(settings)
    noise_key, source_key, disturbance_key, fault_key = random.split(key, 4)
    plan = plan_of(settings.chunk_s, settings.rate_hz)
    hz = positive_frequencies(plan.block, settings.rate_hz)
    response = COUNTS_PER_M_S * np.abs(sensor(hz) * anti_alias(hz, settings.rate_hz))
    response_db = np.maximum(20 * np.log10(response + 1e-30), -60).astype(np.float32)
    block = lambda number: noise_block(noise_key, plan, number, response_db, len(day.stations), settings.noise)
    power, noise_sd = _levels(block(0), settings.rate_hz)
    last = -2, np.zeros(0)
    for number in range(num_chunks(day, settings)) if numbers is None else numbers:
        before = last[1] if last[0] == number - 1 else block(number - 1) if number else None
        last = number, block(number)
        counts = joined(before, last[1], plan)
        first = number * plan.chunk
        begin_s, end_s = first / settings.rate_hz, (first + plan.chunk) / settings.rate_hz
        began = []
        for each in recorded_sources(source_key, day, settings.path, settings.rate_hz, begin_s, end_s):
            add_at(counts, each.traces, each.first - first)
            if begin_s <= day.sources.hypocentre[each.event, 3] < end_s:
                began.append(each._replace(traces=each.traces[..., :0]))
        for each in overlapping(disturbances, begin_s, end_s):
            add_disturbance(counts, disturbance_key, each, noise_sd, first, settings.rate_hz)
        snr_db = _signal_to_noise(began, counts, power, first, settings.rate_hz)
        _add_spikes(random.fold_in(fault_key, number), counts, settings, noise_sd)
        rounded = np.clip(np.rint(counts), -LARGEST_COUNT, LARGEST_COUNT).astype(np.int32)
        _hold(rounded, day.faults.constants, begin_s, settings.rate_hz)
        mask = _recorded(day, begin_s, plan.chunk, settings.rate_hz)
        yield Chunk(number, first, *_cut(day, first, rounded, mask, settings.rate_hz), snr_db)


def _levels(
    block: Float[np.ndarray, "station component sample"], rate_hz: float
) -> tuple[Float[np.ndarray, "station component"], Float[np.ndarray, " station"]]:
    power = noise_power(block, rate_hz)
    return power, np.sqrt(power.max(-1))


def _signal_to_noise(
    began: list[Recorded],
    counts: Float[np.ndarray, "station component sample"],
    noise: Float[np.ndarray, "station component"],
    first: int,
    rate_hz: float,
) -> dict[int, Float[np.ndarray, "station phase"]]:
    """Signal-to-noise ratios in dB of the best component; what is before P may be the coda of another event."""
    energy = (
        np.cumsum(within_band(counts, rate_hz).astype(float) ** 2, -1) if began else np.zeros((*counts.shape[:2], 1))
    )
    found = {}
    for each in began:
        at = each.first - first + np.rint(each.onset_s[:, 0] * rate_hz).astype(int)
        low, high = (np.clip(at - round(s * rate_hz), 0, counts.shape[-1] - 1) for s in BEFORE_P_S)
        rows = np.arange(len(counts))
        before = (energy[rows, :, high] - energy[rows, :, low]) / np.maximum(high - low, 1)[:, None]
        ratio = (each.power / np.maximum(noise, before)[:, None]).max(-1)
        found[each.event] = 10 * np.log10(np.maximum(ratio, 1e-6))
    return found


def _add_spikes(
    key: Key[Array, ""],
    counts: Float[np.ndarray, "station component sample"],
    settings: RecordSettings,
    noise_sd: Float[np.ndarray, " station"],
) -> None:
    """Single wrong samples."""
    rng, faults = generator_of(key), settings.faults
    mean = faults.spikes * settings.chunk_s / 86400
    for station, component in np.ndindex(counts.shape[:2]):
        for at in rng.integers(counts.shape[-1], size=rng.poisson(mean)):
            height = np.exp(rng.uniform(*np.log(faults.spike_gain))) * rng.choice([-1, 1])
            counts[station, component, at] += noise_sd[station] * height


def _hold(
    counts: Int[np.ndarray, "station component sample"], intervals: tuple[Interval, ...], begin_s: float, rate_hz: float
) -> None:
    """Runs in which the recorder repeats one value."""
    for each in intervals:
        low, high = (round((t - begin_s) * rate_hz) for t in (each.start_s, each.end_s))
        if high > 0 and low < counts.shape[-1]:
            low = max(low, 0)
            counts[each.station, :, low:high] = counts[each.station, :, low : low + 1]


def _recorded(day: Day, begin_s: float, num_samples: int, rate_hz: float) -> Bool[np.ndarray, "station sample"]:
    mask = np.ones((len(day.stations), num_samples), bool)
    for each in (*day.faults.outages, *day.faults.gaps):
        low, high = (max(round((t - begin_s) * rate_hz), 0) for t in (each.start_s, each.end_s))
        mask[each.station, low:high] = False
    return mask


def _cut(
    day: Day,
    first: int,
    counts: Int[np.ndarray, "station component sample"],
    mask: Bool[np.ndarray, "station sample"],
    rate_hz: float,
) -> tuple[Int[np.ndarray, "station component sample"], Bool[np.ndarray, "station sample"]]:
    """Without what lies after the end of the day."""
    left = min(counts.shape[-1], round(day.length_s * rate_hz) - first)
    return counts[..., :left], mask[:, :left]
