"""Waveform files that ObsPy reads, cut into windows, as a data set.

Headers are read once; samples are read when a window is taken, and those of its time span alone. The instrument of each
station is chosen for each window by the rule of `jaxloc.io.instruments`. Where StationXML is given, counts become m/s
by the overall sensitivity of the channel's epoch, which is flat within the instrument's band (nothing is deconvolved),
and components are rotated to Z, N, E by its azimuths and dips; without them, horizontals called 1 and 2 are taken for
N and E.
"""

# pyright: reportArgumentType=false
# A batch has NumPy arrays until it reaches the device, and its fields are annotated as JAX arrays.

import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from obspy import UTCDateTime

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.data.gaps import is_silent
from jaxloc.data.preprocessing import check_band
from jaxloc.geometry import Frame, to_km
from jaxloc.io.channel_orientation import Channels, orientation
from jaxloc.io.contributions import Contribution, lost, some
from jaxloc.io.instruments import Instrument, instruments_of, sensor_rank, usable
from jaxloc.io.station_checks import (
    centre_of,
    check_events,
    check_isolated,
    checked,
    refuse_mistaken,
    station_positions,
)
from jaxloc.io.station_epochs import Epoch, positions_at
from jaxloc.io.station_inventory import channels_by_id, sensitivity_at
from jaxloc.io.station_records import Cut, Note, Source, cut_window
from jaxloc.io.stations import StationSource, as_inventory, join_stations, read_epochs
from jaxloc.io.time_windows import Window, read_windows
from jaxloc.io.waveform_index import Piece, WaveformSource, index_files, name_of
from jaxloc.types import Batch, Label, Labels, Observations


def read_waveforms(
    files: WaveformSource,
    inventory: StationSource | None,
    windows: str | Path | Sequence[str | UTCDateTime] | None = None,
    *,
    rate_hz: float | None = None,
    num_samples: int | None = None,
    bandpass_hz: tuple[float, float] | None = None,
    stations: tuple[Station, ...] | None = None,
    frame: Frame | None = None,
    unknown_stations: Literal["keep", "refuse"] = "keep",
    before_s: float = 5.0,
    memory_mb: float = 2048,
) -> Dataset:
    """Cut windows out of waveform files.

    Stretches of a channel are joined, freed of their mean, brought onto the window's time grid (interpolated, where
    they start between its samples), filtered and cut. Samples that were not recorded (gaps, padding, constant runs) are
    zero, with `sample_mask` False. One warning for each window names the stations of which something is missing, and
    why; `jaxloc.io.contributions` gives the same as a table.

    Args:
        files: a folder, a file, a pattern such as "data/*.mseed", a list of files, or an ObsPy stream.
        inventory: StationXML, a station table (`jaxloc.io.stations`) or an ObsPy inventory; None where
            `stations` has all.
        windows: start times, or a CSV (`jaxloc.io.time_windows`); by default one window from the data's start.
        rate_hz: by default the commonest rate of the files.
        num_samples: needed where windows are given; by default all that there is.
        bandpass_hz: corners of a causal Butterworth band-pass of order 4.
        stations: the list of a trained network, kept in its order.
        frame: the local frame; by default centred on the stations.
        unknown_stations: what to do with stations that are not in `stations`: "keep" appends them with
            station index -1, "refuse" raises.
        before_s: how long before an origin time its window starts.
        memory_mb: windows are kept after the first use where all of them need no more than this.

    Returns:
        The data set. Labels: "hypocentre" and "magnitude" as far as the windows give them, "arrivals" all masked.

    Raises:
        ValueError: where no file can be read, a station is not in the inventory, or an argument is impossible.
    """
    index = index_files(files)
    pieces = _by_station(index.pieces)
    used = [piece for own in pieces.values() for piece in own]
    preferred = {code: _preferred(own) for code, own in pieces.items()}
    first = [p for code, own in pieces.items() for p in own if p.channel in preferred[code].channels.values()]
    if rate_hz is None:
        rate_hz = Counter(piece.rate_hz for piece in first).most_common(1)[0][0]
    if bandpass_hz is not None:
        check_band(bandpass_hz, rate_hz)
    _warn_of_slow(first, rate_hz)
    begin, end = min(piece.start for piece in used), max(piece.end for piece in used)
    duration_s = None if num_samples is None else num_samples / rate_hz
    cut = [Window(begin, str(begin))] if windows is None else read_windows(windows, before_s, duration_s)
    num_samples = _length(num_samples, windows is None, float(end - begin), rate_hz)
    _check_span(cut, begin, end, num_samples / rate_hz)
    starts = [window.start for window in cut]
    recording = _recording(pieces, starts, num_samples / rate_hz)
    listed = _station_lists(inventory, stations, starts, recording, index.damaged)
    joined = {own: join_stations(own, stations, unknown_stations) for own in dict.fromkeys(listed)}
    everyone = joined[listed[0]][0]
    codes = [station.code for station in everyone]
    channels = _channels(inventory, first)
    own = [pieces.get(code, []) for code in codes]
    source = Source(codes, own, channels, rate_hz, num_samples, bandpass_hz, index.damaged)
    frame = frame or centre_of(everyone)
    events = tuple(_event(window) for window in cut)
    places = {own: (station_positions(all_of, frame), index) for own, (all_of, index) in joined.items()}
    station_km, station_index = (np.stack(each) for each in zip(*(places[own] for own in listed), strict=True))
    take = _Take(source, cut, _labels(cut, everyone, frame), station_km, station_index, memory_mb)
    take.name_once(_notes(preferred, pieces, channels))
    return Dataset(name_of(files), frame, everyone, events, float(rate_hz), num_samples, take)


def _warn_of_slow(pieces: Sequence[Piece], rate_hz: float) -> None:
    """Names stations that are sampled below the rate asked for: their high frequencies are missing."""
    slow = {".".join(p.channel.split(".")[:2]): p.rate_hz for p in pieces if p.rate_hz < 0.99 * rate_hz}
    if slow:
        listed = some([f"{code} {rate:g} Hz" for code, rate in sorted(slow.items())])
        warnings.warn(
            f"sampled below {rate_hz:g} Hz, so that frequencies above half their rate are missing: {listed}",
            stacklevel=3,
        )


def _by_station(pieces: list[Piece]) -> dict[str, list[Piece]]:
    """Pieces of seismic components by NET.STA; a warning names channels that are none.

    Raises:
        ValueError: where no channel ends in the letter of a component.
    """
    found: dict[str, list[Piece]] = defaultdict(list)
    other: set[str] = set()
    for piece in pieces:
        network, station, _, channel = piece.channel.split(".")
        if usable(channel[-1:]) and sensor_rank(channel) < 2:
            found[f"{network}.{station}" if network else station].append(piece)
        else:
            other.add(piece.channel)
    if not found:
        raise ValueError(
            f"no channel of a seismometer ends in Z, N, E, 1, 2 or 3, the first is {pieces[0].channel}; give records "
            "of ground motion, with their SEED channel codes"
        )
    if other:
        warnings.warn(f"channels without ground motion are left out: {some(sorted(other))}", stacklevel=3)
    return found


def _preferred(pieces: Sequence[Piece]) -> Instrument:
    """The instrument of a station that the rule of `jaxloc.io.instruments` prefers by its name alone."""
    return min(instruments_of({piece.channel for piece in pieces}), key=lambda i: (-len(i.channels), i.rank))


def _recording(
    pieces: Mapping[str, list[Piece]], starts: Sequence[UTCDateTime], length_s: float
) -> list[frozenset[str]]:
    """Channels of the instrument of each station that is preferred by name in each window; if none records, of any."""
    first_ns = np.array([start.ns for start in starts])
    last_ns = first_ns + round(length_s * 1e9)
    found: list[set[str]] = [set() for _ in starts]
    for own in pieces.values():
        begin, end = np.array([(piece.start.ns, piece.end.ns) for piece in own]).T
        there = (begin <= last_ns[:, None]) & (end >= first_ns[:, None])
        kept: dict[bytes, list[str]] = {}
        for channels, row in zip(found, there, strict=True):
            if row.tobytes() not in kept:
                some_pieces = [piece for piece, inside in zip(own, row, strict=True) if inside] or own
                kept[row.tobytes()] = list(_preferred(some_pieces).channels.values())
            channels |= set(kept[row.tobytes()])
    return [frozenset(channels) for channels in found]


def _station_lists(
    inventory: StationSource | None,
    trained: tuple[Station, ...] | None,
    times: Sequence[UTCDateTime],
    channels: Sequence[frozenset[str]],
    damaged: Collection[str],
) -> list[tuple[Station, ...]]:
    """The stations with records at their positions at each of several times; given positions replace trained ones."""
    given = () if inventory is None else read_epochs(inventory)
    codes = {epoch.station.code for epoch in given}
    epochs = [*given, *(Epoch(station) for station in trained or () if station.code not in codes)]
    recorded = {".".join(channel.split(".")[:2]).lstrip(".") for channel in channels[0]}
    known = {epoch.station.code for epoch in epochs}
    if missing := sorted(recorded - known):
        raise ValueError(
            f"stations in the waveforms that the inventory lacks: {', '.join(missing)}; add them, or leave "
            "their files out"
        )
    _warn_of_absent(sorted(known - recorded), damaged)
    at = {own: positions_at(epochs, own) for own in dict.fromkeys(channels)}
    found = [frozenset(at[own](time).items()) for own, time in zip(channels, times, strict=True)]
    what = "the station list"
    lists = {own: checked((station for _, station in own), what) for own in dict.fromkeys(found)}
    for stations in lists.values():
        check_isolated(stations, what)
    return [lists[own] for own in found]


def _warn_of_absent(codes: list[str], damaged: Collection[str]) -> None:
    if codes:
        why = f"; damaged: {some(sorted(damaged))}" if damaged else ""
        text = f"{len(codes)} stations of the list have no record in the files: {some(codes)}{why}"
        warnings.warn(text, stacklevel=3)


def _channels(source: StationSource | None, pieces: Sequence[Piece]) -> Channels:
    """The epochs of every channel of an inventory, none for a table; names channels without a sensitivity to m/s."""
    inventory = as_inventory(source)
    if inventory is None:
        return {}
    found = channels_by_id(inventory)
    other = sorted({p.channel for p in pieces if sensitivity_at(found.get(p.channel, []), p.start) is None})
    if other:
        warnings.warn(f"left in counts, for want of a sensitivity to m/s: {', '.join(other)}", stacklevel=3)
    return found


def _notes(preferred: Mapping[str, Instrument], pieces: Mapping[str, list[Piece]], channels: Channels) -> list[Note]:
    """What is assumed of the preferred instruments' orientation at the start of their first records."""
    notes = []
    for code, instrument in preferred.items():
        start = min(piece.start for piece in pieces[code] if piece.channel in instrument.channels.values())
        names, letters = list(instrument.channels.values()), list(instrument.channels)
        text = orientation(channels, names, letters, start)[1]
        notes += [Note(text, f"{code} {instrument.name}")] if text else []
    return notes


def _length(num_samples: int | None, everything: bool, span_s: float, rate_hz: float) -> int:
    if num_samples is None and not everything:
        raise ValueError("num_samples must be given with windows: the length of a window in samples")
    length = int(span_s * rate_hz) + 1 if num_samples is None else num_samples
    if length < 1 or not (np.isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(f"num_samples and rate_hz must be positive, got {length} and {rate_hz}")
    return length


def _check_span(windows: list[Window], begin: UTCDateTime, end: UTCDateTime, length_s: float) -> None:
    for window in windows:
        if window.start > end or window.start + length_s < begin:
            raise ValueError(
                f"window at {window.start} lies outside the data, which go from {begin} to {end}; correct its start, "
                "or give the files of that time"
            )


def _event(window: Window) -> Event:
    origin = None if window.origin is None else str(window.origin)
    magnitude = None if np.isnan(window.magnitude) else window.magnitude
    return Event(window.id, "", str(window.start), origin, magnitude)


def _labels(windows: list[Window], stations: tuple[Station, ...], frame: Frame) -> Labels:
    latitude, longitude, depth, magnitude = np.array([window[3:] for window in windows], float).T
    refuse_mistaken(stations, latitude, longitude, "the events of the windows")
    check_events([window.id for window in windows], latitude, longitude, stations)
    placed = np.isfinite(latitude) & np.isfinite(longitude)
    east, north = to_km(frame, np.where(placed, latitude, 0), np.where(placed, longitude, 0))
    timed = np.array([window.origin is not None for window in windows])
    origin_s = np.array([(w.origin or w.start) - w.start for w in windows])
    mask = np.stack([placed, placed, np.isfinite(depth), timed], -1)
    value = np.where(mask, np.stack([east, north, depth, origin_s], -1), 0).astype(np.float32)
    nothing = np.zeros((len(windows), len(stations), 2))
    return {
        "hypocentre": Label(value, mask),
        "arrivals": Label(nothing.astype(np.float32), nothing.astype(bool)),
        "magnitude": Label(np.nan_to_num(magnitude).astype(np.float32), np.isfinite(magnitude)),
    }


class _Take:
    """Takes windows by index, keeping those that it has read where memory allows."""

    def __init__(
        self,
        source: Source,
        windows: list[Window],
        labels: Labels,
        station_km: Float[np.ndarray, "window station 3"],
        station_index: Int[np.ndarray, "window station"],
        memory_mb: float,
    ) -> None:
        self.source, self.windows, self.labels = source, windows, labels
        self.station_km, self.station_index = station_km, station_index
        size_mb = station_index.size * 3 * source.num_samples * 4e-6
        self.keep, self.kept = size_mb <= memory_mb, {}
        self.named: set[Note] = set()

    def _window(self, i: int) -> Cut:
        if i in self.kept:
            return self.kept[i]
        start = self.windows[i].start
        cut = cut_window(self.source, start)
        self.name_once(cut.notes)
        missing = lost(one for one, pieces in zip(cut.contributions, self.source.pieces, strict=True) if pieces)
        if missing:
            warnings.warn(f"window at {start}: {missing}", stacklevel=3)
        if self.keep:
            self.kept[i] = cut
        return cut

    def name_once(self, notes: Sequence[Note]) -> None:
        """Warn of notes that are new, those of one text in one line."""
        new = [note for note in notes if note not in self.named]
        self.named |= set(new)
        for text in dict.fromkeys(note.text for note in new):
            warnings.warn(f"{text}: {some([note.name for note in new if note.text == text])}", stacklevel=3)

    def contributions(self, event: int) -> tuple[Contribution, ...]:
        """What each station contributes to a window, and why not."""
        return self._window(event).contributions

    def __call__(self, index: Int[np.ndarray, " event"]) -> Batch:
        index = np.atleast_1d(np.asarray(index, int))
        if index.size and not (index.min() >= 0 and index.max() < len(self.windows)):
            raise ValueError(f"event index must lie in 0..{len(self.windows) - 1}, got {index.tolist()}")
        shape = (len(index), self.station_index.shape[1])
        waveforms = np.zeros((*shape, 3, self.source.num_samples), np.float32)
        recorded = np.zeros((*shape, self.source.num_samples), bool)
        for row, i in enumerate(index):
            waveforms[row], recorded[row], *_ = self._window(int(i))
        alive = ~is_silent(waveforms)
        observations = Observations(
            waveforms,
            self.station_km[index],
            alive,
            self.station_index[index],
            np.full(shape[0], self.source.rate_hz, np.float32),
            sample_mask=recorded & alive[..., None],
        )
        return Batch(
            observations,
            {name: Label(*(part[index] for part in label)) for name, label in self.labels.items()},
        )
