"""Peaks of the stacks of templates, and what else of them is kept: how often each value occurred, and for how long."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.detection.matched_filter import BLOCK, Stack, stacks
from jaxloc.detection.templates import Templates, take

BINS_EACH, LARGEST = 100, 40
"""Bins of the histogram per unit, and the absolute value from which on stacks count as that large."""
MAD_OF_NORMAL = 0.67449
MOST_WINDOWS = 4096
"""Windows of templates that are correlated at a time: their transforms take 270 MB at the default block."""


class Peaks(NamedTuple):
    """Local maxima of stacks: the template, the origin time that they mean in s, and the stack."""

    template: Int[np.ndarray, " peak"]
    origin_s: Float[np.ndarray, " peak"]
    statistic: Float[np.ndarray, " peak"]


class Scan(NamedTuple):
    """What is kept of the stacks of continuous records.

    Attributes:
        peaks: above a low level, in the order of templates and times.
        counts: histogram of each stack, in bins of 1 / `BINS_EACH` from minus to plus `LARGEST`.
        live_s: for how long at least one window of the template was recorded.
        kept_above: the level.
    """

    peaks: Peaks
    counts: Int[np.ndarray, "template bin"]
    live_s: Float[np.ndarray, " template"]
    kept_above: float


def scan(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    begin_s: float = 0.0,
    own_s: tuple[float, float] = (-np.inf, np.inf),
    kept_above: float = 3.0,
    block: int = BLOCK,
) -> Scan:
    """Peaks of the stacks of a chunk of filtered records.

    Args:
        records: within the band of the templates.
        usable: samples that were recorded.
        templates: to be found.
        begin_s: time of the first sample.
        own_s: origin times that this chunk owns, the first within and the last not.
        kept_above: level of the stack, in standard deviations of noise, above which peaks are kept.
        block: samples of a transform.

    Raises:
        ValueError: as `jaxloc.detection.matched_filter.stacks`.
    """
    parts = []
    for group in groups(templates):
        own = take(templates, group)
        parts.append((group, _scan(records, usable, own, begin_s, own_s, kept_above, block)))
    number = len(templates.id)
    counts, live_s = np.zeros((number, 2 * LARGEST * BINS_EACH), np.int64), np.zeros(number)
    peaks = []
    for group, one in parts:
        counts[group], live_s[group] = one.counts, one.live_s
        peaks.append(one.peaks._replace(template=group[one.peaks.template]))
    return Scan(in_order([Peaks(*(np.concatenate(x) for x in zip(*peaks, strict=True)))]), counts, live_s, kept_above)


def groups(templates: Templates, most: int = MOST_WINDOWS) -> Iterator[Int[np.ndarray, " template"]]:
    """Places of templates that together have at most so many windows, or are one."""
    windows = np.bincount(templates.template, minlength=len(templates.id))
    begin, total = 0, 0
    for row, number in enumerate(windows):
        if total and total + number > most:
            yield np.arange(begin, row)
            begin, total = row, 0
        total += number
    yield np.arange(begin, len(windows))


def _scan(
    records: np.ndarray,
    usable: np.ndarray,
    templates: Templates,
    begin_s: float,
    own_s: tuple[float, float],
    kept_above: float,
    block: int,
) -> Scan:
    number, rate_hz = len(templates.id), templates.rate_hz
    counts, live = np.zeros((number, 2 * LARGEST * BINS_EACH), np.int64), np.zeros(number, np.int64)
    zero_s = begin_s - templates.lead_s
    # Samples of the stack that are owned: their origin times lie in the half-open interval.
    limits = [np.ceil(np.clip((edge - zero_s) * rate_hz, -1, records.shape[-1] + 1) - 1e-6) for edge in own_s]
    found = []
    tail = np.full((number, 2), -np.inf, np.float32)
    for stack in stacks(records, usable, templates, block):
        place = stack.first + np.arange(stack.z.shape[1])
        owned = stack.live & (place >= limits[0][:, None]) & (place < limits[1][:, None])
        _count(counts, stack, owned)
        live += owned.sum(1)
        found.append(_maxima(np.concatenate([tail, stack.z], 1), stack.first - 2, kept_above))
        tail = stack.z[:, -2:] if stack.z.shape[1] > 1 else np.concatenate([tail[:, 1:], stack.z], 1)
    end = np.concatenate([tail, np.full((number, 1), -np.inf, np.float32)], 1)
    found.append(_maxima(end, records.shape[-1] - 2, kept_above))
    template, place, statistic = (np.concatenate(x) for x in zip(*found, strict=True))
    mine = (place >= limits[0][template]) & (place < limits[1][template])
    origin_s = zero_s[template] + place / rate_hz
    peaks = Peaks(*(x[mine] for x in (template, origin_s, statistic.astype(float))))
    return Scan(peaks, counts, live / rate_hz, kept_above)


def _count(counts: Int[np.ndarray, "template bin"], stack: Stack, owned: Bool[np.ndarray, "template sample"]) -> None:
    bins = np.clip((stack.z * BINS_EACH).astype(np.int32) + LARGEST * BINS_EACH, 0, counts.shape[1] - 1)
    for row in range(len(counts)):
        counts[row] += np.bincount(bins[row][owned[row]], minlength=counts.shape[1])


def _maxima(z: Float[np.ndarray, "template sample"], first: int, above: float) -> tuple[np.ndarray, ...]:
    """Templates, places and values of samples larger than that before and not smaller than that after."""
    inner = z[:, 1:-1]
    template, at = np.nonzero((inner > above) & (inner > z[:, :-2]) & (inner >= z[:, 2:]))
    return template, first + 1 + at, inner[template, at]


def in_order(parts: Sequence[Peaks]) -> Peaks:
    """Peaks of several chunks in the order of templates and times."""
    joined = Peaks(*(np.concatenate(x) for x in zip(*parts, strict=True)))
    order = np.lexsort((joined.origin_s, joined.template))
    return Peaks(*(x[order] for x in joined))


def merged(scans: Sequence[Scan]) -> Scan:
    """Scans of several chunks as one.

    Raises:
        ValueError: where there is none, or levels differ.
    """
    levels = {one.kept_above for one in scans}
    if len(levels) != 1:
        raise ValueError(f"scans must be at least one, with peaks kept above one level, got levels {sorted(levels)}")
    peaks = in_order([one.peaks for one in scans])
    return Scan(peaks, sum(one.counts for one in scans), sum(one.live_s for one in scans), levels.pop())  # pyright: ignore[reportArgumentType]


def noise_scale(counts: Int[np.ndarray, "template bin"]) -> Float[np.ndarray, " template"]:
    """Standard deviation of each stack by the median of its absolute values, which events do not affect; NaN: none."""
    middle = counts.shape[1] // 2
    size = counts[:, middle:] + counts[:, middle - 1 :: -1]
    total = size.sum(1)
    running = size.cumsum(1)
    at = (running < total[:, None] / 2).sum(1)
    before = np.where(at > 0, np.take_along_axis(running, np.maximum(at - 1, 0)[:, None], 1)[:, 0], 0)
    inside = np.take_along_axis(size, np.minimum(at, size.shape[1] - 1)[:, None], 1)[:, 0]
    median = (at + (total / 2 - before) / np.maximum(inside, 1)) / BINS_EACH
    return np.where(total > 0, median / MAD_OF_NORMAL, np.nan)
