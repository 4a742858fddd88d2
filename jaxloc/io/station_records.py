"""All stations over one window: channels read and joined, an instrument chosen for each, turned to Z, N, E."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from obspy import Trace, UTCDateTime

from jaxloc.io.channel_orientation import Channels, orientation
from jaxloc.io.channel_records import Span, Stretch, join, on_span
from jaxloc.io.contributions import Contribution, contribution
from jaxloc.io.instruments import choose_instrument, instruments_of
from jaxloc.io.station_inventory import sensitivity_at
from jaxloc.io.waveform_index import Memory, Piece, read_span

MARGIN_S = 5.0
"""Read beyond either end of a window, so that filters have settled within it."""
NEGLIGIBLE = 1e-3


class Source(NamedTuple):
    """Where the records of each station are, and how they are to come out."""

    codes: list[str]
    pieces: list[list[Piece]]
    channels: Channels
    rate_hz: float
    num_samples: int
    bandpass_hz: tuple[float, float] | None
    damaged: frozenset[str] = frozenset()
    bridged_s: float = 0.0


class Note(NamedTuple):
    """What was chosen or assumed, and for which instrument of which station."""

    text: str
    name: str


class Cut(NamedTuple):
    """One window: waveforms, which samples any component recorded, what each station contributes, and notes on them."""

    waveforms: Float[np.ndarray, "station 3 sample"]
    recorded: Bool[np.ndarray, "station sample"]
    contributions: tuple[Contribution, ...]
    notes: list[Note]


class StationRecord(NamedTuple):
    """One station over a span: components Z, N, E and which samples each has, on `stretches` of the used channels."""

    waveforms: Float[np.ndarray, "3 sample"]
    recorded: Bool[np.ndarray, "3 sample"]
    channels: str = ""
    reason: str = ""
    notes: tuple[Note, ...] = ()
    stretches: Mapping[str, list[Stretch]] = MappingProxyType({})


def cut_window(source: Source, start: UTCDateTime) -> Cut:
    """Read and process the window that starts at a time."""
    margin = round(MARGIN_S * source.rate_hz)
    span = Span(start - margin / source.rate_hz, source.num_samples + 2 * margin, source.rate_hz)
    traces = read_traces(source, span)
    channels = [sorted({piece.channel for piece in pieces} & set(traces)) for pieces in source.pieces]
    found = [
        station_record(source, code, {name: traces[name] for name in own}, span)
        for code, own in zip(source.codes, channels, strict=True)
    ]
    inside = slice(margin, margin + source.num_samples)
    waveforms = np.stack([one.waveforms[:, inside] for one in found]).astype(np.float32)
    recorded = np.stack([one.recorded[:, inside] for one in found])
    alive = (waveforms != 0).any(-1)
    share = np.where(alive, recorded.mean(-1), 0).max(-1)
    reports = tuple(
        contribution(code, alive[i], float(share[i]), found[i].channels, found[i].reason)
        for i, code in enumerate(source.codes)
    )
    return Cut(waveforms, np.asarray(recorded.any(1)), reports, [note for one in found for note in one.notes])


def read_traces(source: Source, span: Span) -> dict[str, list[Trace]]:
    """Traces of the span by channel, each file read once."""
    last = span.start + (span.num_samples - 1) / span.rate_hz
    wanted: dict[str | Memory, set[str]] = defaultdict(set)
    for piece in (piece for pieces in source.pieces for piece in pieces):
        if piece.start <= last and piece.end >= span.start:
            wanted[piece.path].add(piece.channel)
    found: dict[str, list[Trace]] = defaultdict(list)
    for path, channels in wanted.items():
        for trace in read_span(path, span.start, last, source.damaged):
            if trace.id in channels and trace.stats.npts:
                found[trace.id].append(trace)
    return found


def station_record(
    source: Source,
    code: str,
    traces: Mapping[str, list[Trace]],
    span: Span,
    repaired: Callable[[Stretch], Stretch] = lambda stretch: stretch,
) -> StationRecord:
    """One station from its traces by channel, by its best instrument in this span.

    Args:
        source: how records are to come out.
        code: of the station.
        traces: of its channels.
        span: grid of the result.
        repaired: applied to each stretch of the instrument's channels before they are brought onto the grid.
    """
    names = sorted(traces)
    nothing = StationRecord(np.zeros((3, span.num_samples)), np.zeros((3, span.num_samples), bool))
    if not names:
        return nothing
    span_s = span.num_samples / span.rate_hz
    joined = {name: join(traces[name], lambda time, name=name: _scale(source, name, time), span_s) for name in names}
    qualities = {name: quality for name, (_, quality) in joined.items()}
    best, others = choose_instrument(instruments_of(names), qualities, span.rate_hz)
    silent = sorted({quality.silent for name in best.channels.values() if (quality := qualities[name]).silent})
    alive = {letter: name for letter, name in best.channels.items() if not qualities[name].silent}
    if not alive:
        return nothing._replace(channels=best.name, reason=f"silent ({', '.join(silent)})")
    used = {name: [repaired(stretch) for stretch in joined[name][0]] for name in alive.values()}
    waveforms, recorded, text = _components(source, alive, used, span)
    name = f"{code} {best.name}"
    notes = [Note(text, name)] if text else []
    if others:
        notes.append(Note("chosen among several instruments", f"{name} (not {', '.join(o.name for o in others)})"))
    if "+" in best.name:
        notes.append(Note("combined of several instruments", name))
    silent = [f"{letter} {qualities[n].silent}" for letter, n in best.channels.items() if letter not in alive]
    reason = ", ".join(silent)
    return StationRecord(waveforms, recorded, best.name, reason, tuple(notes), used)


def _scale(source: Source, channel: str, time: UTCDateTime) -> float:
    """Counts per m/s, 1 where it is unknown."""
    return sensitivity_at(source.channels.get(channel, []), time) or 1.0


def _components(
    source: Source, alive: Mapping[str, str], joined: Mapping[str, list[Stretch]], span: Span
) -> tuple[Float[np.ndarray, "3 sample"], Bool[np.ndarray, "3 sample"], str]:
    """Channels by letter as Z, N, E, which samples were recorded, and a note on how they were turned."""
    letters, names = list(alive), list(alive.values())
    parts = [on_span(joined[name], span, source.bandpass_hz, source.bridged_s) for name in names]
    matrix, note = orientation(source.channels, names, letters, span.start)
    needed = np.abs(matrix) > NEGLIGIBLE
    samples, there = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
    recorded = np.stack([there[row].all(0) & row.any() for row in needed])
    return (matrix @ samples) * recorded, recorded, note
