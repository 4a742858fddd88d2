"""Chunks of an archive: the records of all stations on one UTC grid, with what is not fit for use masked.

For each channel, in this order: traces are joined (of samples that are recorded twice the earlier trace counts),
divided by the sensitivity of the StationXML epoch of their time, freed of spikes, brought onto the grid by band-limited
interpolation with an anti-alias filter, and freed of their mean; gaps of up to 0.1 s are bridged. For each station one
instrument is used, by the rule of `jaxloc.io.instruments`, and turned to Z, N, E. Samples within a second of a missing
one are tapered and not usable; clipped ones keep their values and are not usable.

Memory: 15 bytes a station, component and sample, so 16 MB for an hour of a station at 100 Hz, and twice this of
one station while it is read.
"""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from obspy import Trace, UTCDateTime

from jaxloc.data.chunk import Chunk, Interval, first_sample, sample_time_ns
from jaxloc.data.dataset import Station
from jaxloc.data.record_quality import clipped, seconds_from_missing, spikes, tapered
from jaxloc.io.archive import Archive, as_time
from jaxloc.io.channel_orientation import Channels
from jaxloc.io.channel_records import Span, Stretch, unequal_overlap_s
from jaxloc.io.station_inventory import sensitivity_at
from jaxloc.io.station_records import Source, StationRecord, station_record
from jaxloc.io.waveform_index import read_span

PAD_S = 120.0
MARGIN_S = 2.0
"""Read beyond the pads, so that interpolation has settled within them."""
BRIDGED_S, WIDENED_S = 0.1, 1.0
"""The longest gap that is bridged, and how far from a longer one samples are not usable."""


class _Read(NamedTuple):
    """One station of a chunk."""

    record: StationRecord
    usable: Bool[np.ndarray, "3 sample"]
    in_m_s: bool
    notes: tuple[str, ...]


def read_chunk(
    archive: Archive,
    interval: Interval,
    rate_hz: float = 100.0,
    pad_s: float = PAD_S,
    rows: Sequence[int] | None = None,
) -> Chunk:
    """Records of an interval, `pad_s` before it and after it.

    Args:
        archive: of `open_archive`.
        interval: of `jaxloc.io.archive.chunks`.
        rate_hz: of the grid, whose samples are whole multiples of its step since 1970.
        pad_s: how far records go beyond the interval: at least the longest S travel time and the length of filters.
        rows: stations of the archive; by default all.

    Raises:
        ValueError: for a rate or pad that is impossible. What is wrong with a file, channel or station is a note.
    """
    if not (np.isfinite(rate_hz) and rate_hz > 0 and pad_s >= 0):
        raise ValueError(f"rate_hz must be positive and pad_s not negative, got {rate_hz:g} and {pad_s:g}")
    rows = range(len(archive.stations)) if rows is None else rows
    margin = int(np.ceil(MARGIN_S * rate_hz))
    first = first_sample(interval.start_ns - round(pad_s * 1e9), rate_hz) - margin
    number = first_sample(interval.end_ns + round(pad_s * 1e9), rate_hz) + margin - first + 1
    span = Span(UTCDateTime(ns=sample_time_ns(first, rate_hz)), number, rate_hz)
    stations, notes = _stations(archive, interval, rows)
    traces, more = _traces(archive, span, rows)
    found = [_read(archive, row, traces, span) for row in rows]
    inside = slice(margin, number - margin)
    return Chunk(
        interval,
        sample_time_ns(first + margin, rate_hz),
        rate_hz,
        stations,
        np.stack([one.record.waveforms[:, inside] for one in found]).astype(np.float32),
        np.stack([one.usable[:, inside] for one in found]),
        tuple(one.record.channels for one in found),
        tuple(one.in_m_s for one in found),
        tuple(dict.fromkeys([*notes, *more, *(note for one in found for note in one.notes)])),
    )


def _stations(archive: Archive, interval: Interval, rows: Sequence[int]) -> tuple[tuple[Station, ...], list[str]]:
    """Stations at their positions at the start of an interval, or its end; the archive's where there is none."""
    found, notes = [], []
    for row in rows:
        known = archive.stations[row]
        try:
            station = archive.positions(UTCDateTime(ns=interval.start_ns), [known.code])[known.code]
        except ValueError as error:
            try:
                station = archive.positions(UTCDateTime(ns=interval.end_ns), [known.code])[known.code]
            except ValueError:
                station = known
                notes.append(str(error))
        found.append(station)
    return tuple(found), notes


def _traces(archive: Archive, span: Span, rows: Sequence[int]) -> tuple[dict[str, list[Trace]], list[str]]:
    """Traces of the span by channel, each file read once; and notes on files that cannot be read."""
    last = span.start + (span.num_samples - 1) / span.rate_hz
    channels = {channel for row in rows for channel in archive.channels[row]}
    found: dict[str, list[Trace]] = defaultdict(list)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path, wanted in archive.files(channels, span.start, last).items():
            for trace in read_span(path, span.start, last, archive.damaged):
                if trace.id in wanted and trace.stats.npts and trace.stats.sampling_rate > 0:
                    found[trace.id] += _by_epoch(trace, archive.epochs)
    return found, [str(one.message) for one in caught]


def _by_epoch(trace: Trace, epochs: Channels) -> list[Trace]:
    """A trace in parts, one for each epoch of its channel."""
    limits = [time for each in epochs.get(trace.id, []) for time in (each.start_date, each.end_date)]
    edges = sorted({int(time.ns) for time in limits if time is not None})
    parts, rest = [], trace
    for edge in map(as_time, edges):
        if not trace.stats.starttime < edge <= trace.stats.endtime:
            continue
        parts.append(rest.slice(endtime=edge - rest.stats.delta / 2, nearest_sample=False))
        rest = rest.slice(starttime=edge, nearest_sample=False)
    return [part for part in (*parts, rest) if part.stats.npts]


def _read(archive: Archive, row: int, traces: dict[str, list[Trace]], span: Span) -> _Read:
    """One station; where it cannot be read, nothing and the reason."""
    code = archive.stations[row].code
    try:
        return _station(archive, row, traces, span)
    except Exception as error:  # of whatever kind: one station's record does not end the run
        empty = np.zeros((3, span.num_samples))
        reason = f"{code} is left out: {' '.join(str(error).split())[:160] or type(error).__name__}"
        return _Read(StationRecord(empty, empty.astype(bool)), empty.astype(bool), False, (reason,))


def _station(archive: Archive, row: int, traces: dict[str, list[Trace]], span: Span) -> _Read:
    code, channels = archive.stations[row].code, archive.channels[row]
    own = {name: traces[name] for name in channels if name in traces}
    notes: list[str] = []

    def repaired(stretch: Stretch) -> Stretch:
        recorded = stretch.recorded.copy()
        found = spikes(stretch.samples[recorded], stretch.rate_hz)
        if found.any():
            notes.append(f"{code}: {found.sum()} spikes of one or two samples are taken out")
        recorded[recorded] = ~found
        return stretch._replace(recorded=recorded)

    source = Source([code], [], archive.epochs, span.rate_hz, span.num_samples, None, frozenset(), BRIDGED_S)
    record = station_record(source, code, own, span, repaired)
    usable, flat_s, records = record.recorded.copy(), 0.0, record.waveforms.copy()
    for i, there in enumerate(record.recorded):
        away_s = seconds_from_missing(there, span.rate_hz)
        records[i] = tapered(records[i], away_s, WIDENED_S)
        usable[i] &= away_s >= WIDENED_S
    for name, stretches in record.stretches.items():
        for stretch in stretches:
            flat = clipped(stretch.samples, stretch.recorded)
            flat_s += flat.sum() / stretch.rate_hz
            usable[:, _on_grid(flat, stretch, span)] = False
        if (apart_s := unequal_overlap_s(own[name])) > 0:
            notes.append(f"{name}: traces that overlap disagree for {apart_s:.3g} s, the earlier one is used")
    if flat_s:
        notes.append(f"{code}: {flat_s:.2g} s of its channels are clipped")
    if record.reason:
        notes.append(f"{code}: {record.reason}")
    notes += [f"{note.name}: {note.text}" for note in record.notes]
    known = [sensitivity_at(archive.epochs.get(name, []), span.start) is not None for name in record.stretches]
    return _Read(record._replace(waveforms=records), usable, bool(known) and all(known), tuple(notes))


def _on_grid(flags: Bool[np.ndarray, " sample"], stretch: Stretch, span: Span) -> Bool[np.ndarray, " gridded"]:
    """The samples of the grid next to those of a stretch that are True."""
    out = np.zeros(span.num_samples, bool)
    at = (float(stretch.start - span.start) + np.flatnonzero(flags) / stretch.rate_hz) * span.rate_hz
    for place in (np.floor(at).astype(int), np.ceil(at).astype(int)):
        out[place[(place >= 0) & (place < span.num_samples)]] = True
    return out
