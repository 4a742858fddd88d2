"""Ground displacement, or Wood-Anderson records, of stations over a span of time, by ObsPy's response tools.

The instrument of a station is chosen by the rule of `jaxloc.io.instruments` among those with a response; where one has
reached its limit, one that has not is taken instead, if there is one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from obspy import Trace, UTCDateTime

from jaxloc.data.clipping import clipped_samples
from jaxloc.io.channel_orientation import orientation
from jaxloc.io.channel_records import Span, Stretch, join, on_span
from jaxloc.io.instruments import Instrument, Quality, choose_instrument, instruments_of, sensor_rank, usable
from jaxloc.io.responses import ON_TIME, Corrected, corrected, response_at
from jaxloc.io.station_inventory import channels_by_id
from jaxloc.io.stations import StationSource, as_inventory
from jaxloc.io.waveform_index import Index, Piece, WaveformSource, index_files, read_span
from jaxloc.physics.wood_anderson import ABOUT

PAD_S = 10.0  # read beyond either end, so that tapers lie outside
LOW_HZ = 0.5
NEGLIGIBLE = 1e-3
EMPTY = "empty"


class GroundMotion(NamedTuple):
    """Records of stations on one time grid.

    Attributes:
        records: Z, N, E in m, or in mm of a Wood-Anderson seismograph; zero where nothing was recorded.
        usable: samples that were recorded and are free of edge effects.
        clipped: samples at which the recorder was at its limit.
        reasons: why a station has no record; "" where it has one.
        rate_hz: of the grid.
        start: time of the first sample.
        about: how the records were made.
    """

    records: Float[np.ndarray, "station 3 sample"]
    usable: Bool[np.ndarray, "station 3 sample"]
    clipped: Bool[np.ndarray, "station 3 sample"]
    reasons: tuple[str, ...]
    rate_hz: float
    start: UTCDateTime
    about: str


class _Station(NamedTuple):
    records: Float[np.ndarray, "3 sample"]
    usable: Bool[np.ndarray, "3 sample"]
    clipped: Bool[np.ndarray, "3 sample"]
    reason: str = ""


class Held(NamedTuple):
    """Records in memory, joined: stretches of the channels of each station. Windows of them take little time."""

    stretches: Mapping[str, Mapping[str, Sequence[Stretch]]]


def hold(index: Index, first: UTCDateTime, last: UTCDateTime) -> Held:
    """The records of all stations of an index between two times."""
    traces = _read(index, first, last, {_code(piece) for piece in index.pieces})
    whole = lambda own: {name: _joined(part, float(last - first))[0] for name, part in own.items()}
    return Held({code: whole(own) for code, own in traces.items()})


def _joined(traces: Sequence[Trace], span_s: float) -> tuple[list[Stretch], Quality]:
    return join(traces, lambda time: 1.0, span_s)


def _window(stretches: Sequence[Stretch], first: UTCDateTime, last: UTCDateTime) -> tuple[list[Stretch], Quality]:
    """What of joined stretches lies between two times."""
    found = []
    for one in stretches:
        low = max(int(np.ceil(float(first - one.start) * one.rate_hz - ON_TIME)), 0)
        high = min(int(np.floor(float(last - one.start) * one.rate_hz + ON_TIME)) + 1, len(one.samples))
        if low < high and one.recorded[low:high].any():
            part = Stretch(one.samples[low:high], one.recorded[low:high], one.rate_hz, one.start + low / one.rate_hz)
            found.append(part)
    recorded_s = sum(part.recorded.sum() / part.rate_hz for part in found)
    rate_hz = max((part.rate_hz for part in found), default=0.0)
    return found, Quality("" if found else EMPTY, min(recorded_s / float(last - first), 1.0), rate_hz)


def to_wood_anderson(
    records: WaveformSource | Index | Held,
    inventory: StationSource,
    codes: Sequence[str],
    start: UTCDateTime,
    duration_s: float,
    *,
    rate_hz: float = 100.0,
    low_hz: float = LOW_HZ,
) -> GroundMotion:
    """Wood-Anderson records in mm.

    Args:
        records: waveform files or a stream of counts, the index of such, or what `hold` keeps.
        inventory: StationXML with responses, or an ObsPy inventory.
        codes: stations as NET.STA.
        start: time of the first sample.
        duration_s: length of the records.
        rate_hz: their sampling rate.
        low_hz: frequencies below half of it are cut, which microseisms dominate; full response from it on.

    Raises:
        ValueError: where no file can be read, or a number is not positive.
    """
    return _motion(records, inventory, codes, start, duration_s, rate_hz, low_hz, True)


def to_displacement(
    records: WaveformSource | Index | Held,
    inventory: StationSource,
    codes: Sequence[str],
    start: UTCDateTime,
    duration_s: float,
    *,
    rate_hz: float = 100.0,
    low_hz: float = LOW_HZ,
) -> GroundMotion:
    """Ground displacement in m; arguments and errors as for `to_wood_anderson`."""
    return _motion(records, inventory, codes, start, duration_s, rate_hz, low_hz, False)


def has_responses(inventory: StationSource | None) -> bool:
    """Whether any channel of an inventory has a response with stages."""
    known = as_inventory(inventory)
    channels = [] if known is None else [c for own in channels_by_id(known).values() for c in own]
    return any(c.response is not None and bool(c.response.response_stages) for c in channels)


def _motion(
    records: WaveformSource | Index | Held,
    source: StationSource,
    codes: Sequence[str],
    start: UTCDateTime,
    duration_s: float,
    rate_hz: float,
    low_hz: float,
    wood_anderson: bool,
) -> GroundMotion:
    for name, value in (("duration_s", duration_s), ("rate_hz", rate_hz), ("low_hz", low_hz)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive, got {value}")
    inventory = as_inventory(source)
    epochs = {} if inventory is None else channels_by_id(inventory)
    span = Span(start, round(duration_s * rate_hz), rate_hz)
    first, last = start - PAD_S, start + duration_s + PAD_S
    if isinstance(records, Held):
        whole = {code: records.stretches.get(code, {}) for code in codes}
        joined = {code: {name: _window(part, first, last) for name, part in own.items()} for code, own in whole.items()}
    else:
        traces = _read(records if isinstance(records, Index) else index_files(records), first, last, set(codes))
        joined = {code: {name: _joined(part, duration_s) for name, part in own.items()} for code, own in traces.items()}
    convert = _Convert(epochs, low_hz, wood_anderson, span)
    found = [_station(joined.get(code, {}), span, convert) for code in codes]
    if inventory is None:
        found = [one._replace(reason="the station list is a table, without responses") for one in found]
    unit = f"in mm of a {ABOUT}" if wood_anderson else "ground displacement in m"
    stack = lambda parts: np.stack(parts) if codes else np.zeros((0, 3, span.num_samples))
    return GroundMotion(
        stack([one.records for one in found]),
        stack([one.usable for one in found]).astype(bool),
        stack([one.clipped for one in found]).astype(bool),
        tuple(one.reason for one in found),
        rate_hz,
        start,
        f"{unit}, high-passed at {low_hz:g} Hz",
    )


class _Convert(NamedTuple):
    """What turns counts into ground motion."""

    epochs: Mapping[str, list]
    low_hz: float
    wood_anderson: bool
    span: Span

    def __call__(self, channel: str, stretch: Stretch) -> Corrected:
        response, why = response_at(self.epochs, channel, stretch.start)
        if response is None:
            return Corrected(None, why)
        return corrected(stretch, response, self.low_hz, self.wood_anderson, self.span)


def _read(index: Index, first: UTCDateTime, last: UTCDateTime, codes: set[str]) -> dict[str, dict[str, list[Trace]]]:
    """Traces of seismometers by station and channel, each file read once."""
    wanted: dict = defaultdict(set)
    for piece in index.pieces:
        if piece.start <= last and piece.end >= first and _code(piece) in codes and _is_seismic(piece.channel):
            wanted[piece.path].add(piece.channel)
    found: dict[str, dict[str, list[Trace]]] = defaultdict(lambda: defaultdict(list))
    for path, channels in wanted.items():
        for trace in read_span(path, first, last, index.damaged):
            if trace.id in channels and trace.stats.npts:
                found[".".join(trace.id.split(".")[:2]).lstrip(".")][trace.id].append(trace)
    return found


def _code(piece: Piece) -> str:
    return ".".join(piece.channel.split(".")[:2]).lstrip(".")


def _is_seismic(channel: str) -> bool:
    code = channel.split(".")[3]
    return usable(code[-1:]) and sensor_rank(code) < 2


def _station(joined: Mapping[str, tuple[list[Stretch], Quality]], span: Span, convert: _Convert) -> _Station:
    shape = (3, span.num_samples)
    nothing = _Station(np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool))
    if all(quality.silent == EMPTY for _, quality in joined.values()):
        return nothing._replace(reason="no record")
    limits = {name: [clipped_samples(s.samples) for s in stretches] for name, (stretches, _) in joined.items()}
    converted, reasons = _converted({name: stretches for name, (stretches, _) in joined.items()}, convert)
    names = [name for name in converted if converted[name]]
    if not names:
        silent = sorted({quality.silent for _, quality in joined.values() if quality.silent})
        return nothing._replace(reason=reasons[0] if reasons else f"silent ({', '.join(silent)})")
    at_limit = {name: any(part.any() for part in limits[name]) for name in names}
    best = _chosen(names, at_limit, {name: joined[name][1] for name in names}, span.rate_hz)
    alive = {letter: name for letter, name in best.channels.items() if name in converted}
    matrix, _ = orientation(convert.epochs, list(alive.values()), list(alive), span.start)
    parts = [_on_span(converted[name], span) for name in alive.values()]
    needed = np.abs(matrix) > NEGLIGIBLE
    there = np.stack([part[1] for part in parts])
    recorded = np.stack([there[row].all(0) & row.any() for row in needed])
    stops = np.stack([_on_grid(joined[name][0], limits[name], span) for name in alive.values()])
    records = (matrix @ np.stack([part[0] for part in parts])) * recorded
    return _Station(records, recorded, np.stack([stops[row].any(0) for row in needed]))


def _on_span(
    stretches: Sequence[Stretch], span: Span
) -> tuple[Float[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]:
    """Ground motion on a time grid: where all stretches are on its times already, they are only put there."""
    places = [float(stretch.start - span.start) * span.rate_hz for stretch in stretches]
    on_time = all(abs(place - round(place)) < ON_TIME for place in places)
    if not (on_time and all(stretch.rate_hz == span.rate_hz for stretch in stretches)):
        return on_span(stretches, span, None)
    out, there = np.zeros(span.num_samples), np.zeros(span.num_samples, bool)
    for place, stretch in sorted(zip(map(round, places), stretches, strict=True), key=lambda x: -len(x[1].samples)):
        low, high = max(place, 0), min(place + len(stretch.samples), span.num_samples)
        if low < high:
            new = stretch.recorded[low - place : high - place] & ~there[low:high]
            out[low:high][new] = stretch.samples[low - place : high - place][new]
            there[low:high] |= new
    return out, there


def _converted(
    joined: Mapping[str, Sequence[Stretch]], convert: _Convert
) -> tuple[dict[str, list[Stretch]], list[str]]:
    """Stretches of each channel as ground motion, and the reasons for those that are not."""
    done = {name: [convert(name, stretch) for stretch in stretches] for name, stretches in joined.items()}
    found = {name: [c.stretch for c in own if c.stretch is not None] for name, own in done.items()}
    return found, [c.reason for own in done.values() for c in own if c.reason]


def _chosen(names: Sequence[str], at_limit: Mapping[str, bool], qualities: Mapping, rate_hz: float) -> Instrument:
    """The instrument of a station; one that is clipped only where all are."""
    instruments = instruments_of(names)
    whole = [each for each in instruments if not any(at_limit[name] for name in each.channels.values())]
    return choose_instrument(whole or instruments, qualities, rate_hz)[0]


def _on_grid(
    stretches: Sequence[Stretch], marked: Sequence[Bool[np.ndarray, " sample"]], span: Span
) -> Bool[np.ndarray, " sample"]:
    """Marked samples of stretches on a time grid, each with its neighbours."""
    grid = np.zeros(span.num_samples, bool)
    for stretch, marks in zip(stretches, marked, strict=True):
        begin_s = float(stretch.start - span.start)
        at = np.round((begin_s + np.flatnonzero(marks) / stretch.rate_hz) * span.rate_hz).astype(int)
        for shift in (-1, 0, 1):
            inside = at + shift
            grid[inside[(inside >= 0) & (inside < len(grid))]] = True
    return grid
