"""One channel over a span of time: its stretches joined, then freed of the mean, resampled and filtered.

Files are joined before anything else is done, so that a record that is split in several (at midnight, say) comes out as
if it were whole.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from obspy import Trace, UTCDateTime

from jaxloc.data.gaps import bridged, demean, recorded_samples, silent_reasons
from jaxloc.data.preprocessing import bandpass_settled, grid_position, onto_grid
from jaxloc.io.instruments import Quality

SAME_RATE, SAME_PHASE = 1e-4, 0.1
"""Stretches are joined sample by sample where their rates agree within the first, their sample times within the second
part of a sample; others are joined after they have been resampled."""


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


def on_span(
    stretches: Sequence[Stretch], span: Span, bandpass_hz: tuple[float, float] | None
) -> tuple[Float[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]:
    """A channel on a time grid without its mean, band-passed; zero where its mask marks that nothing was recorded."""
    out, there = np.zeros(span.num_samples), np.zeros(span.num_samples, bool)
    if not stretches:
        return out, there
    offset = np.concatenate([stretch.samples[stretch.recorded] for stretch in stretches]).mean()
    for stretch in sorted(stretches, key=lambda stretch: -len(stretch.samples)):
        _put(stretch._replace(samples=stretch.samples - offset), span, out, there)
    if not there.any():
        return out, there
    out = bridged(demean(out[None, None], there[None, None]), there[None, None])[0]
    if bandpass_hz is not None:
        out = bandpass_settled(out, there[None], span.rate_hz, bandpass_hz)
    return np.where(there, out[0], 0), there


def _put(stretch: Stretch, span: Span, out: Float[np.ndarray, " sample"], there: Bool[np.ndarray, " sample"]) -> None:
    """Resample a stretch onto the grid, where nothing is yet."""
    samples = bridged(np.where(stretch.recorded, stretch.samples, 0), stretch.recorded)
    first, skip, part = grid_position(np.array([stretch.start - span.start]), stretch.rate_hz, span.rate_hz)
    moved, recorded = onto_grid(samples, stretch.recorded, stretch.rate_hz, span.rate_hz, int(skip[0]), float(part[0]))
    begin = int(first[0])
    low, high = max(begin, 0), min(begin + len(moved), span.num_samples)
    if low < high:
        new = recorded[low - begin : high - begin] & ~there[low:high]
        out[low:high][new] = moved[low - begin : high - begin][new]
        there[low:high] |= new
