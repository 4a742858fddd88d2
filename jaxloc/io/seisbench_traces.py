"""Traces of a SeisBench folder as the data set wants them: one rate, one length, aligned, clean, filtered."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxloc.data.preprocessing import bandpass, clean, demean, resample, resampled_length
from jaxloc.io.hdf5 import TraceFormat, open_hdf5, read_format, read_traces, trace_lengths
from jaxloc.io.seisbench_metadata import Rows, column

ROWS_AT_ONCE = 1024


class Wanted(NamedTuple):
    """How waveforms shall come out of the files, and what each row is in them."""

    files: list[Path]
    formats: list[TraceFormat]
    native_hz: Float[np.ndarray, " row"]
    orders: list[str]
    rate_hz: float
    num_samples: int
    bandpass_hz: tuple[float, float] | None
    demeaned: bool


def read_formats(files: list[Path]) -> list[TraceFormat]:
    """What each waveform file says of itself."""

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
            f"trace {name} has no sampling rate; give trace_sampling_rate_hz, trace_dt_s or data_format/sampling_rate"
        )
    return rates


def component_orders(rows: Rows, formats: list[TraceFormat]) -> list[str]:
    """Component order of each row, from the row itself or else from its file."""
    default = [formats[file].component_order for file in rows.file]
    if "trace_component_order" not in rows.table:
        return default
    return [own or other for own, other in zip(rows.table["trace_component_order"].fillna(""), default, strict=True)]


def longest(rows: Rows, files: list[Path], formats: list[TraceFormat], native_hz: np.ndarray, rate_hz: float) -> int:
    """Samples that the longest event needs at `rate_hz`, from its earliest sample to its last."""
    most = 0
    for i in np.unique(rows.file):
        at = np.flatnonzero(rows.file == i)
        with open_hdf5(files[i]) as file:
            lengths = trace_lengths(file, [rows.name[row] for row in at], formats[i].dimension_order)
        for native in np.unique(native_hz[at]):
            same = native_hz[at] == native
            ends = np.rint(rows.delay_s[at[same]] * rate_hz) + resampled_length(lengths[same], native, rate_hz)
            most = max(most, int(ends.max()))
    return most


def process(rows: Rows, wanted: Wanted, at: Int[np.ndarray, " row"]) -> Float[np.ndarray, "row 3 num_samples"]:
    """Read and process the traces of some rows."""
    out = np.zeros((len(at), 3, wanted.num_samples), np.float32)
    for i in np.unique(rows.file[at]):
        mine = np.flatnonzero(rows.file[at] == i)
        with open_hdf5(wanted.files[i]) as file:
            for some in np.array_split(mine, -(-len(mine) // ROWS_AT_ONCE)):
                names, orders = zip(*((rows.name[row], wanted.orders[row]) for row in at[some]), strict=True)
                raw, lengths = read_traces(file, names, orders, wanted.formats[i].dimension_order)
                lengths = np.minimum(lengths, column(rows.table.iloc[at[some]], "trace_npts", np.inf)).astype(int)
                _condition(raw, lengths, rows, wanted, at[some], some, out)
    return out


def _condition(
    raw: np.ndarray,
    lengths: np.ndarray,
    rows: Rows,
    wanted: Wanted,
    at: np.ndarray,
    to: np.ndarray,
    out: np.ndarray,
) -> None:
    """Clean, demean, resample, filter and place raw traces of rows `at` into out[to]."""
    raw = clean(raw * rows.gain[at].astype(np.float32)[:, :, None], lengths)
    if wanted.demeaned:
        raw = demean(raw, lengths)
    shift = np.rint(rows.delay_s[at] * wanted.rate_hz).astype(int)
    for native in np.unique(wanted.native_hz[at]):
        same = np.flatnonzero(wanted.native_hz[at] == native)
        traces = resample(raw[same], native, wanted.rate_hz)
        if wanted.bandpass_hz is not None:
            traces = bandpass(traces, wanted.rate_hz, wanted.bandpass_hz)
        ends = resampled_length(lengths[same], native, wanted.rate_hz)
        for delay, end in np.unique(np.stack([shift[same], ends], -1), axis=0):
            alike = np.flatnonzero((shift[same] == delay) & (ends == end))
            size = min(int(end), traces.shape[-1], wanted.num_samples - int(delay))
            if size > 0:
                out[to[same[alike]], :, delay : delay + size] = traces[alike, :, :size]
