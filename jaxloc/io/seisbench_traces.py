"""Traces of a SeisBench folder on one time grid: one rate, one length, gaps masked, filtered."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.gaps import bridged, demean, recorded_samples, silent_reasons
from jaxloc.data.preprocessing import bandpass_settled, grid_position, onto_grid, resampled_length
from jaxloc.io.hdf5 import TraceFormat, open_hdf5, read_format, read_traces, trace_lengths
from jaxloc.io.seisbench_metadata import Rows, column

ROWS_AT_ONCE = 1024


class Records(NamedTuple):
    """Waveforms of rows, which samples any component recorded, and why a component is silent ("" where it is not)."""

    waveforms: Float[np.ndarray, "row 3 sample"]
    recorded: Bool[np.ndarray, "row sample"]
    silent: np.ndarray


class Pieces(NamedTuple):
    """Rows that are parts of one record: which of `rows` belong to each row that is used, earliest first."""

    rows: Rows
    native_hz: Float[np.ndarray, " row"]
    orders: list[str]
    members: Mapping[int, list[int]]


class Wanted(NamedTuple):
    """How waveforms are to be processed, and the sampling rate and component order of each row."""

    files: list[Path]
    formats: list[TraceFormat]
    native_hz: Float[np.ndarray, " row"]
    orders: list[str]
    rate_hz: float
    num_samples: int
    bandpass_hz: tuple[float, float] | None
    demeaned: bool
    pieces: Pieces | None = None


def read_formats(files: list[Path]) -> list[TraceFormat]:
    """The `data_format` of each waveform file."""

    def one(path: Path) -> TraceFormat:
        with open_hdf5(path) as file:
            return read_format(file)

    return [one(path) for path in files]


def native_rates(rows: Rows, formats: list[TraceFormat]) -> Float[np.ndarray, " row"]:
    """Sampling rate of each row in Hz, from the row itself or else from its file.

    Raises:
        ValueError: where a trace has none; names it.
    """
    rates = column(rows.table, "trace_sampling_rate_hz")
    rates = np.where(np.isnan(rates), 1 / column(rows.table, "trace_dt_s"), rates)
    of_file = np.array([np.nan if fmt.rate_hz is None else fmt.rate_hz for fmt in formats])
    rates = np.where(np.isnan(rates), of_file[rows.file], rates)
    bad = ~(np.isfinite(rates) & (rates > 0))
    if bad.any():
        name = rows.name[int(np.argmax(bad))]
        raise ValueError(
            f"trace {name} must have a sampling rate; "
            "add trace_sampling_rate_hz, trace_dt_s or data_format/sampling_rate"
        )
    return rates


def component_orders(rows: Rows, formats: list[TraceFormat]) -> list[str]:
    """Component order of each row, from the row itself or else from its file."""
    default = [formats[file].component_order for file in rows.file]
    if "trace_component_order" not in rows.table:
        return default
    return [own or other for own, other in zip(rows.table["trace_component_order"].fillna(""), default, strict=True)]


def row_lengths(rows: Rows, files: list[Path], formats: list[TraceFormat]) -> Int[np.ndarray, " row"]:
    """Samples of each row in its file."""
    out = np.zeros(len(rows.name), int)
    for i in np.unique(rows.file):
        at = np.flatnonzero(rows.file == i)
        with open_hdf5(files[i]) as file:
            out[at] = trace_lengths(file, [rows.name[row] for row in at], formats[i].dimension_order)
    return out


def longest(rows: Rows, lengths: Int[np.ndarray, " row"], native_hz: Float[np.ndarray, " row"], rate_hz: float) -> int:
    """Samples that the longest event needs at `rate_hz`, from its earliest sample to its last."""
    most = 0
    for native in np.unique(native_hz):
        same = native_hz == native
        ends = np.rint(rows.delay_s[same] * rate_hz) + resampled_length(lengths[same], native, rate_hz)
        most = max(most, int(ends.max()))
    return most


def process(rows: Rows, wanted: Wanted, at: Int[np.ndarray, " row"]) -> Records:
    """Read and process the traces of some rows."""
    out = Records(
        np.zeros((len(at), 3, wanted.num_samples), np.float32),
        np.zeros((len(at), wanted.num_samples), bool),
        np.full((len(at), 3), "empty", object),
    )
    for to, raw, recorded in read_raw(rows, wanted, at):
        _condition(raw, recorded, rows, wanted, at[to], to, out)
    for i, row in enumerate(at.tolist()):
        if wanted.pieces is not None and row in wanted.pieces.members:
            raw, recorded = _join(wanted, wanted.pieces, wanted.pieces.members[row])
            _condition(raw, recorded, rows, wanted, at[[i]], np.array([i]), out)
    return out


def _join(
    wanted: Wanted, pieces: Pieces, members: list[int]
) -> tuple[Float[np.ndarray, "1 3 sample"], Bool[np.ndarray, "1 3 sample"]]:
    """One record of several rows; of components that overlap and differ, that of the earlier row is kept."""
    own = wanted._replace(native_hz=pieces.native_hz, orders=pieces.orders)
    native_hz, begin_s = pieces.native_hz[members[0]], pieces.rows.delay_s[members[0]]
    parts = [next(read_raw(pieces.rows, own, np.array([row])))[1:] for row in members]
    places = [round((pieces.rows.delay_s[row] - begin_s) * native_hz) for row in members]
    length = max(place + raw.shape[-1] for place, (raw, _) in zip(places, parts, strict=True))
    samples, there = np.zeros((1, 3, length), np.float32), np.zeros((1, 3, length), bool)
    for place, (raw, recorded) in zip(places, parts, strict=True):
        inside = np.s_[..., place : place + raw.shape[-1]]
        recorded = recorded & (silent_reasons(raw, recorded) == "")[..., None]
        both = recorded & there[inside]
        differ = (both & ~np.isclose(raw, samples[inside], rtol=1e-4)).any(-1, keepdims=True)
        new = recorded & ~there[inside] & ~differ
        samples[inside] = np.where(new, raw, samples[inside])
        there[inside] |= new
    return samples, there


def read_raw(
    rows: Rows, wanted: Wanted, at: Int[np.ndarray, " row"]
) -> Iterator[tuple[Int[np.ndarray, " some"], Float[np.ndarray, "some 3 sample"], Bool[np.ndarray, "some 3 sample"]]]:
    """Traces times their gains, a part of the rows at a time: their places in `at`, samples, which were recorded."""
    for i in np.unique(rows.file[at]):
        mine = np.flatnonzero(rows.file[at] == i)
        with open_hdf5(wanted.files[i]) as file:
            for some in np.array_split(mine, -(-len(mine) // ROWS_AT_ONCE)):
                names, orders = zip(*((rows.name[row], wanted.orders[row]) for row in at[some]), strict=True)
                raw, lengths = read_traces(file, names, orders, wanted.formats[i].dimension_order)
                lengths = np.minimum(lengths, column(rows.table.iloc[at[some]], "trace_npts", np.inf)).astype(int)
                with np.errstate(over="ignore", invalid="ignore"):  # what overflows is missing
                    raw = raw * rows.gain[at[some]].astype(np.float32)[:, :, None]
                yield some, raw, recorded_samples(raw, lengths)


def _condition(
    raw: Float[np.ndarray, "some 3 sample"],
    recorded: Bool[np.ndarray, "some 3 sample"],
    rows: Rows,
    wanted: Wanted,
    at: Int[np.ndarray, " some"],
    to: Int[np.ndarray, " some"],
    out: Records,
) -> None:
    """Subtract means, bridge gaps, and put raw traces of rows `at` on the grid, into rows `to` of `out`."""
    out.silent[to] = silent_reasons(raw, recorded)
    recorded = recorded & (out.silent[to] == "")[..., None]
    raw = np.where(recorded, raw, 0)
    raw = bridged(demean(raw, recorded) if wanted.demeaned else raw, recorded)
    for native in np.unique(wanted.native_hz[at]):
        same = np.flatnonzero(wanted.native_hz[at] == native)
        first, skip, part = grid_position(rows.delay_s[at[same]], native, wanted.rate_hz)
        part = np.round(part, 4)
        for s, p in np.unique(np.stack([skip, part], -1), axis=0):
            alike = np.flatnonzero((skip == s) & (part == p))
            some = same[alike]
            moved, there = onto_grid(raw[some], recorded[some], native, wanted.rate_hz, int(s), p)
            if wanted.bandpass_hz is not None:
                moved = bandpass_settled(moved, there, wanted.rate_hz, wanted.bandpass_hz)
            _place(np.where(there, moved, 0), np.asarray(there.any(1)), first[alike], to[some], out)


def _place(
    waveforms: Float[np.ndarray, "some 3 sample"],
    recorded: Bool[np.ndarray, "some sample"],
    first: Int[np.ndarray, " some"],
    to: Int[np.ndarray, " some"],
    out: Records,
) -> None:
    for begin in np.unique(first):
        alike = first == begin
        size = min(waveforms.shape[-1], out.waveforms.shape[-1] - int(begin))
        if size > 0:
            out.waveforms[to[alike], :, begin : begin + size] = waveforms[alike, :, :size]
            out.recorded[to[alike], begin : begin + size] = recorded[alike, :size]
