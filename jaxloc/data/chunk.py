"""Continuous records in chunks: which part of time a chunk owns, and the records of all stations in and about it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.dataset import Station

SECOND_NS = 10**9


class Interval(NamedTuple):
    """From `start_ns` (within) to `end_ns` (not within), in ns since 1970 UTC: what lies at a border has one owner."""

    start_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """Length in seconds."""
        return (self.end_ns - self.start_ns) / SECOND_NS


class Chunk(NamedTuple):
    """Records of all stations over an interval and some time before and after it.

    Attributes:
        interval: what the chunk owns; its records go beyond it on both sides.
        start_ns: time of the first sample; those of all chunks lie on one grid of whole samples since 1970.
        rate_hz: samples per second.
        stations: at their positions at the start of the interval.
        records: components Z, N, E of each station, in m/s where the sensitivity is known, else in counts; without
            their mean, and zero where nothing was recorded, which they reach by a cosine taper.
        usable: which samples are measurements and not near one that is missing (`jaxloc.data.record_quality`).
        instruments: the channels that were used at each station, as "00.HH"; "" for none.
        in_m_s: whether the unit of the records is m/s.
        notes: what was chosen, assumed, repaired or left out, one sentence each.
    """

    interval: Interval
    start_ns: int
    rate_hz: float
    stations: tuple[Station, ...]
    records: Float[np.ndarray, "station 3 sample"]
    usable: Bool[np.ndarray, "station 3 sample"]
    instruments: tuple[str, ...] = ()
    in_m_s: tuple[bool, ...] = ()
    notes: tuple[str, ...] = ()


def intervals(start_ns: int, end_ns: int, length_s: float, offset_s: float = 0.0) -> Iterator[Interval]:
    """Intervals that cover a span without gap or overlap, whose borders lie `length_s` apart from 1970 on.

    The first and the last one end with the span, so that chunks of another span are the same ones in its middle.

    Args:
        start_ns: begin of the span, within.
        end_ns: its end, not within.
        length_s: of an interval.
        offset_s: by which all borders are shifted.

    Raises:
        ValueError: for a length that is not positive.
    """
    if not length_s > 0:
        raise ValueError(f"the length of a chunk must be positive, got {length_s:g} s")
    step_ns, offset_ns = round(length_s * SECOND_NS), round(offset_s * SECOND_NS)
    at = start_ns
    while at < end_ns:
        border = ((at - offset_ns) // step_ns + 1) * step_ns + offset_ns
        yield Interval(at, min(border, end_ns))
        at = border


def sample_time_ns(number: int, rate_hz: float) -> int:
    """Time of a sample of the grid that all chunks share, by its number from 1970."""
    return (
        round(number * SECOND_NS / rate_hz) if not float(rate_hz).is_integer() else number * SECOND_NS // int(rate_hz)
    )


def first_sample(time_ns: int, rate_hz: float) -> int:
    """Number of the last sample of the shared grid that is not after a time."""
    number = int(time_ns * rate_hz // SECOND_NS)
    while sample_time_ns(number, rate_hz) > time_ns:
        number -= 1
    while sample_time_ns(number + 1, rate_hz) <= time_ns:
        number += 1
    return number


def owned(
    chunk: Chunk, time_s: Float[np.ndarray, " pick"]
) -> tuple[Float[np.ndarray, " pick"], Bool[np.ndarray, " pick"]]:
    """Times from the first sample of a chunk as times from the start of its interval; and which ones it owns."""
    after_s = (chunk.start_ns - chunk.interval.start_ns) / SECOND_NS + time_s
    return after_s, (after_s >= 0) & (after_s < chunk.interval.length_s)


def usable_share(chunk: Chunk) -> Float[np.ndarray, " station"]:
    """Share of the interval in which each station has a usable sample of some component."""
    time_ns = chunk.start_ns + np.arange(chunk.usable.shape[-1]) * (SECOND_NS / chunk.rate_hz)
    own = (time_ns >= chunk.interval.start_ns) & (time_ns < chunk.interval.end_ns)
    return chunk.usable[..., own].any(1).mean(-1) if own.any() else np.zeros(len(chunk.usable))
