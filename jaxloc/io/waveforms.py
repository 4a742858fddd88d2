"""Waveform files that ObsPy reads, cut into windows, as a data set.

Headers are read once; samples are read when a window is taken, and those of its time span alone. Components
are brought to Z, N, E: horizontals called 1 and 2 are taken for N and E as they stand, without rotation,
for orientations are often unknown. Where StationXML is given, counts become m/s by the channel's overall
sensitivity, which is flat within the instrument's band; nothing is deconvolved.
"""

# pyright: reportArgumentType=false
# A batch holds NumPy arrays until it reaches the device, and says JAX arrays.

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from obspy import Stream, Trace, UTCDateTime
from obspy import read as read_stream

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.data.preprocessing import bandpass, check_band, clean, demean, is_dead, resample
from jaxloc.geometry import Frame, to_km
from jaxloc.io.seisbench_metadata import check_events
from jaxloc.io.station_epochs import Epoch, positions_at
from jaxloc.io.station_inventory import channels_by_id, sensitivity_at
from jaxloc.io.stations import (
    StationSource,
    as_inventory,
    centre_of,
    check_isolated,
    checked,
    join_stations,
    read_epochs,
    refuse_mistaken,
    station_positions,
)
from jaxloc.io.time_windows import Window, read_windows
from jaxloc.io.waveform_index import Piece, choose_channels, index_files
from jaxloc.types import Batch, Label, Labels, Observations

MARGIN_S = 5.0
"""Read beyond either end of a window, so that filters have settled within it."""
SMALLEST_GAP = 0.01


class _Source(NamedTuple):
    """Pieces of the chosen channels, [station][component], and the counts per m/s of a channel at a time."""

    pieces: list[list[list[Piece]]]
    sensitivity: Callable[[str, UTCDateTime], float]
    codes: list[str]
    rate_hz: float
    num_samples: int
    bandpass_hz: tuple[float, float] | None


def read_waveforms(
    files: str | Path | Sequence[str | Path],
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

    Channels are freed of their mean, resampled, filtered and cut. Gaps are filled with zeros, and a warning
    names the stations that have any. Of several instruments at a station that with the most components is
    taken, then the one of the highest sampling rate.

    Args:
        files: a folder, a file, a pattern such as "data/*.mseed", or a list of files.
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
        The data set. Labels: "hypocentre" and "magnitude" as far as the windows say, "arrivals" all masked.

    Raises:
        ValueError: where a file cannot be read, a station is not in the inventory, or an argument is impossible.
    """
    chosen = choose_channels(index_files(files))
    used = [piece for channels in chosen.values() for channel in channels for piece in channel]
    if rate_hz is None:
        rate_hz = Counter(piece.rate_hz for piece in used).most_common(1)[0][0]
    if bandpass_hz is not None:
        check_band(bandpass_hz, rate_hz)
    begin, end = min(piece.start for piece in used), max(piece.end for piece in used)
    duration_s = None if num_samples is None else num_samples / rate_hz
    cut = [Window(begin, str(begin))] if windows is None else read_windows(windows, before_s, duration_s)
    num_samples = _length(num_samples, windows is None, float(end - begin), rate_hz)
    _check_span(cut, begin, end, num_samples / rate_hz)
    listed = _station_lists(inventory, stations, chosen, [window.start for window in cut])
    joined = {own: join_stations(own, stations, unknown_stations) for own in dict.fromkeys(listed)}
    everyone = joined[listed[0]][0]
    codes = [station.code for station in everyone]
    source = _Source(
        [chosen.get(code, [[], [], []]) for code in codes],
        _sensitivities(inventory, used),
        codes,
        rate_hz,
        num_samples,
        bandpass_hz,
    )
    frame = frame or centre_of(everyone)
    events = tuple(_event(window) for window in cut)
    places = {own: (station_positions(all_of, frame), index) for own, (all_of, index) in joined.items()}
    station_km, station_index = (np.stack(each) for each in zip(*(places[own] for own in listed), strict=True))
    take = _Take(source, cut, _labels(cut, everyone, frame), station_km, station_index, memory_mb)
    name = Path(files).name if isinstance(files, str | Path) else Path(files[0]).parent.name
    return Dataset(name, frame, everyone, events, float(rate_hz), num_samples, take)


def _station_lists(
    inventory: StationSource | None,
    trained: tuple[Station, ...] | None,
    chosen: dict[str, list[list[Piece]]],
    times: list[UTCDateTime],
) -> list[tuple[Station, ...]]:
    """The stations that recorded, where they stood at each of several times; positions given win over trained ones."""
    channels = [piece.channel for components in chosen.values() for pieces in components for piece in pieces]
    given = () if inventory is None else read_epochs(inventory)
    codes = {epoch.station.code for epoch in given}
    epochs = [*given, *(Epoch(station) for station in trained or () if station.code not in codes)]
    missing = sorted(set(chosen) - {epoch.station.code for epoch in epochs})
    if missing:
        raise ValueError(f"stations in the waveforms that the inventory lacks: {', '.join(missing)}")
    at, what = positions_at(epochs, channels), "the station list"
    lists = {frozenset(found.items()): checked(found.values(), what) for found in map(at, times)}
    for stations in lists.values():
        check_isolated(stations, what)
    return [lists[frozenset(at(time).items())] for time in times]


def _sensitivities(source: StationSource | None, pieces: list[Piece]) -> Callable[[str, UTCDateTime], float]:
    """Counts per m/s of a channel at a time, from the epochs of an inventory; 1 for a table of stations."""
    inventory = as_inventory(source)
    if inventory is None:
        return lambda channel, time: 1.0

    channels = channels_by_id(inventory)
    at = lambda channel, time: sensitivity_at(channels.get(channel, []), time)
    other = sorted({piece.channel for piece in pieces if at(piece.channel, piece.start) is None})
    if other:
        warnings.warn(f"left in counts, for want of a sensitivity to m/s: {', '.join(other)}", stacklevel=3)
    return lambda channel, time: at(channel, time) or 1.0


def _length(num_samples: int | None, everything: bool, span_s: float, rate_hz: float) -> int:
    if num_samples is None and not everything:
        raise ValueError("num_samples is needed where windows are given")
    length = int(span_s * rate_hz) + 1 if num_samples is None else num_samples
    if length < 1 or not (np.isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(f"num_samples and rate_hz must be positive, got {length} and {rate_hz}")
    return length


def _check_span(windows: list[Window], begin: UTCDateTime, end: UTCDateTime, length_s: float) -> None:
    for window in windows:
        if window.start > end or window.start + length_s < begin:
            raise ValueError(f"window at {window.start} lies outside the data, which go from {begin} to {end}")


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
        source: _Source,
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

    def _window(self, i: int) -> Float[np.ndarray, "station 3 sample"]:
        if i in self.kept:
            return self.kept[i]
        waveforms = _cut_window(self.source, self.windows[i].start)
        if self.keep:
            self.kept[i] = waveforms
        return waveforms

    def __call__(self, index: Int[np.ndarray, " event"]) -> Batch:
        index = np.atleast_1d(np.asarray(index, int))
        if index.size and not (index.min() >= 0 and index.max() < len(self.windows)):
            raise ValueError(f"event index must lie in 0..{len(self.windows) - 1}, got {index.tolist()}")
        shape = (len(index), self.station_index.shape[1])
        waveforms = np.zeros((*shape, 3, self.source.num_samples), np.float32)
        for row, i in enumerate(index):
            waveforms[row] = self._window(int(i))
        observations = Observations(
            waveforms,
            self.station_km[index],
            ~is_dead(waveforms),
            self.station_index[index],
            np.full(shape[0], self.source.rate_hz, np.float32),
        )
        return Batch(
            observations,
            {name: Label(*(part[index] for part in label)) for name, label in self.labels.items()},
        )


def _cut_window(source: _Source, start: UTCDateTime) -> Float[np.ndarray, "station 3 sample"]:
    """Read and process one window; warns of gaps, with the share of samples that each station lacks."""
    margin = round(MARGIN_S * source.rate_hz)
    first, total = start - margin / source.rate_hz, source.num_samples + 2 * margin
    last = first + (total - 1) / source.rate_hz
    out = np.zeros((len(source.codes), 3, total), np.float32)
    filled = np.zeros(out.shape, bool)
    for path, wanted in _by_file(source, first, last).items():
        for trace in _read(path, first, last):
            for at in wanted.get(trace.id, []):
                _add(trace, source, first, out[at], filled[at])
    if source.bandpass_hz is not None:
        out = np.where(filled, bandpass(out, source.rate_hz, source.bandpass_hz), 0).astype(np.float32)
    inside = slice(margin, margin + source.num_samples)
    out, filled = clean(out[..., inside]), filled[..., inside]
    lacking = 1 - filled.mean(-1).max(-1)
    named = [f"{source.codes[i]} {lacking[i]:.0%}" for i in np.flatnonzero((lacking > SMALLEST_GAP) & (lacking < 1))]
    if named:
        warnings.warn(f"window at {start}: gaps filled with zeros at {', '.join(named)}", stacklevel=2)
    return out


def _by_file(source: _Source, first: UTCDateTime, last: UTCDateTime) -> dict[str, dict[str, list[tuple[int, int]]]]:
    """File -> channel -> (station, component), for pieces that overlap a span of time."""
    wanted: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for station, components in enumerate(source.pieces):
        for component, pieces in enumerate(components):
            for piece in pieces:
                places = wanted[piece.path][piece.channel] if piece.start <= last and piece.end >= first else None
                if places is not None and (station, component) not in places:
                    places.append((station, component))
    return wanted


def _read(path: str, first: UTCDateTime, last: UTCDateTime) -> Stream:
    try:
        return read_stream(path, starttime=first, endtime=last)
    except Exception as error:  # ObsPy's readers raise many kinds
        raise ValueError(f"{path} cannot be read ({error})") from error


def _add(
    trace: Trace, source: _Source, first: UTCDateTime, out: Float[np.ndarray, " sample"], filled: np.ndarray
) -> None:
    """Put one stretch of a channel, without its mean, in its place; an overlap keeps what came first."""
    data = np.ma.filled(np.ma.asarray(trace.data, np.float64), np.nan)[None, None]
    data = demean(clean(data)) / source.sensitivity(trace.id, trace.stats.starttime)
    data = resample(data, trace.stats.sampling_rate, source.rate_hz)[0, 0]
    begin = round((trace.stats.starttime - first) * source.rate_hz)
    low, high = max(begin, 0), min(begin + len(data), len(out))
    if low >= high:
        return
    new = ~filled[low:high]
    out[low:high][new] = data[low - begin : high - begin][new]
    filled[low:high] = True
