"""One channel over a span of time: its stretches joined, then freed of the mean, resampled and filtered.

Files are joined before anything else is done, so that a record that is split in several (at midnight, say) comes out as
if it were whole.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from obspy import Trace, UTCDateTime
from obspy.signal.interpolation import lanczos_interpolation

from jaxloc.data.gaps import bridged, demean, recorded_samples, silent_reasons
from jaxloc.data.preprocessing import (
    HALF_WIDTH,
    bandpass_settled,
    drift_samples,
    grid_position,
    low_passed,
    onto_grid,
)
from jaxloc.data.record_quality import without_short_gaps
from jaxloc.io.instruments import Quality

SAME_RATE, SAME_PHASE = 1e-4, 0.1
"""Stretches are joined sample by sample where their rates agree within the first, their sample times within the second
part of a sample; others are joined after they have been resampled."""
MOST_DRIFT = 0.02
"""Samples of the grid by which a rational ratio of rates may misplace the end of a stretch."""
MUCH_FASTER = 1.02
"""From this ratio of rates on, what the grid cannot have is filtered out before a stretch is interpolated onto it."""


class Stretch(NamedTuple):
    """A part of a channel on its own samples: which were recorded, their rate, and the time of the first."""

    samples: Float[np.ndarray, " sample"]
    recorded: Bool[np.ndarray, " sample"]
    rate_hz: float
    start: UTCDateTime


class Span(NamedTuple):
    """A regular time grid."""

    start: UTCDateTime
    num_samples: int
    rate_hz: float


def join(
    traces: Sequence[Trace], scale_of: Callable[[UTCDateTime], float], span_s: float
) -> tuple[list[Stretch], Quality]:
    """The stretches of one channel, joined as far as their samples fit, and their content within a span of `span_s`.

    Where traces overlap, samples of the earlier one are kept. Stretches without a signal are left out.

    Args:
        traces: of one channel, in any order.
        scale_of: counts per unit at a time, from the inventory; samples are divided by it.
        span_s: the length of time that the traces were asked for.
    """
    whole = [_joined(group, scale_of) for group in _groups(traces)]
    silent = [str(silent_reasons(s.samples[None, None], s.recorded[None, None])[0, 0]) for s in whole]
    alive = [stretch for stretch, why in zip(whole, silent, strict=True) if not why]
    recorded_s = sum(stretch.recorded.sum() / stretch.rate_hz for stretch in alive)
    rate_hz = max((stretch.rate_hz for stretch in whole), default=0.0)
    why = "" if alive else next(iter(silent), "empty")
    return alive, Quality(why, min(recorded_s / span_s, 1.0), rate_hz)


def _groups(traces: Sequence[Trace]) -> list[list[Trace]]:
    groups: list[list[Trace]] = []
    for trace in sorted(traces, key=lambda trace: trace.stats.starttime):
        for group in groups:
            first, rate_hz = group[0].stats, group[0].stats.sampling_rate
            offset = (trace.stats.starttime - first.starttime) * rate_hz
            alike = abs(trace.stats.sampling_rate / rate_hz - 1) < SAME_RATE
            if alike and abs(offset - round(offset)) < SAME_PHASE:
                group.append(trace)
                break
        else:
            groups.append([trace])
    return groups


def _joined(traces: Sequence[Trace], scale_of: Callable[[UTCDateTime], float]) -> Stretch:
    start, rate_hz = traces[0].stats.starttime, float(traces[0].stats.sampling_rate)
    places = [round((trace.stats.starttime - start) * rate_hz) for trace in traces]
    samples = np.full(max(at + trace.stats.npts for at, trace in zip(places, traces, strict=True)), np.nan)
    for at, trace in zip(places, traces, strict=True):
        with np.errstate(all="ignore"):
            own = np.ma.filled(np.ma.asarray(trace.data).astype(np.float64), np.nan) / scale_of(trace.stats.starttime)
        part = samples[at : at + len(own)]
        part[:] = np.where(np.isnan(part), own, part)
    return Stretch(samples, recorded_samples(samples[None, None])[0, 0], rate_hz, start)


def _samples_of(
    traces: Sequence[Trace], start: UTCDateTime, rate_hz: float, first: int, number: int
) -> Float[np.ndarray, " sample"]:
    """Samples of a group of traces from a place on, NaN where there are none; those of earlier traces count."""
    out = np.full(number, np.nan)
    for trace in traces:
        at = round((trace.stats.starttime - start) * rate_hz) - first
        low, high = max(at, 0), min(at + trace.stats.npts, number)
        if low < high:
            own = np.ma.filled(np.ma.asarray(trace.data[low - at : high - at]).astype(float), np.nan)
            out[low:high] = np.where(np.isnan(out[low:high]), own, out[low:high])
    return out


def unequal_overlap_s(traces: Sequence[Trace]) -> float:
    """For how long traces of one channel disagree where they overlap, in s."""
    total_s = 0.0
    for group in _groups(traces):
        start, rate_hz, end = group[0].stats.starttime, group[0].stats.sampling_rate, -1
        for i, trace in enumerate(group):
            at = round((trace.stats.starttime - start) * rate_hz)
            overlap = min(max(end + 1 - at, 0), trace.stats.npts)
            if overlap:
                earlier = _samples_of(group[:i], start, rate_hz, at, overlap)
                own = np.ma.filled(np.ma.asarray(trace.data[:overlap]).astype(float), np.nan)
                both = np.isfinite(earlier) & np.isfinite(own)
                both = np.isfinite(earlier) & np.isfinite(own)
                total_s += float((both & ~np.isclose(earlier, own, rtol=1e-6, atol=0)).sum()) / rate_hz
            end = max(end, at + trace.stats.npts - 1)
    return total_s


def on_span(
    stretches: Sequence[Stretch], span: Span, bandpass_hz: tuple[float, float] | None, bridged_s: float = 0.0
) -> tuple[Float[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]:
    """A channel on a time grid without its mean, band-passed; zero where its mask marks that nothing was recorded.

    Gaps of up to `bridged_s` are bridged by a straight line, and count as recorded.
    """
    out, there = np.zeros(span.num_samples), np.zeros(span.num_samples, bool)
    if not stretches:
        return out, there
    offset = np.concatenate([stretch.samples[stretch.recorded] for stretch in stretches]).mean()
    for stretch in sorted(stretches, key=lambda stretch: -len(stretch.samples)):
        _put(stretch._replace(samples=stretch.samples - offset), span, out, there)
    if not there.any():
        return out, there
    out, there = bridged(np.where(there, out, 0), there), without_short_gaps(there, int(bridged_s * span.rate_hz))
    out = bridged(demean(out[None, None], there[None, None]), there[None, None])[0]
    if bandpass_hz is not None:
        out = bandpass_settled(out, there[None], span.rate_hz, bandpass_hz)
    return np.where(there, out[0], 0), there


def _put(stretch: Stretch, span: Span, out: Float[np.ndarray, " sample"], there: Bool[np.ndarray, " sample"]) -> None:
    """Resample a stretch onto the grid, where nothing is yet."""
    samples = bridged(np.where(stretch.recorded, stretch.samples, 0), stretch.recorded)
    if drift_samples(len(samples), stretch.rate_hz, span.rate_hz) > MOST_DRIFT:
        begin, moved, recorded = _interpolated(samples, stretch, span)
    else:
        begin, moved, recorded = _resampled(samples, stretch, span)
    low, high = max(begin, 0), min(begin + len(moved), span.num_samples)
    if low < high:
        new = recorded[low - begin : high - begin] & ~there[low:high]
        out[low:high][new] = moved[low - begin : high - begin][new]
        there[low:high] |= new


Moved = tuple[int, Float[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]
"""Place of the first sample on the grid, samples on the grid, and which of them were recorded."""


def _resampled(samples: Float[np.ndarray, " sample"], stretch: Stretch, span: Span) -> Moved:
    """Onto the grid by a ratio of whole numbers."""
    first, skip, part = grid_position(np.array([stretch.start - span.start]), stretch.rate_hz, span.rate_hz)
    moved, recorded = onto_grid(samples, stretch.recorded, stretch.rate_hz, span.rate_hz, int(skip[0]), float(part[0]))
    return int(first[0]), moved, recorded


def _interpolated(samples: Float[np.ndarray, " sample"], stretch: Stretch, span: Span) -> Moved:
    """Onto the grid at the true time of each sample, where rates have no ratio of small whole numbers."""
    start_s, length_s = float(stretch.start - span.start), (len(samples) - 1) / stretch.rate_hz
    begin, end = int(np.ceil(start_s * span.rate_hz)), int(np.floor((start_s + length_s) * span.rate_hz))
    nothing = np.zeros(0)
    if end < begin:
        return begin, nothing, nothing.astype(bool)
    if stretch.rate_hz > MUCH_FASTER * span.rate_hz:
        samples = low_passed(samples, stretch.rate_hz, span.rate_hz / 2)
    number = end - begin + 1
    padded = np.pad(np.ascontiguousarray(samples, float), HALF_WIDTH, mode="edge")
    at = (begin / span.rate_hz - start_s) * stretch.rate_hz + HALF_WIDTH  # in samples of the padded stretch
    step = stretch.rate_hz / span.rate_hz
    moved = lanczos_interpolation(padded, 0.0, 1.0, at, step, number, a=HALF_WIDTH, window="blackman")
    place = at - HALF_WIDTH + step * np.arange(number)
    before, after = (np.clip(f(place), 0, len(samples) - 1).astype(int) for f in (np.floor, np.ceil))
    return begin, moved, stretch.recorded[before] & stretch.recorded[after]
