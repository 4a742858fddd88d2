"""Read traces of SeisBench HDF5 files in bulk: contiguous rows of a bucket are read as one slice.

A trace name is that of its own dataset, or a part of a block: `bucket0$12,:3,:6000` is
`data/bucket0[12, :3, :6000]`, and shorter forms (`bucket0$12`, `bucket0$12,:3`) follow NumPy's indexing.
The format is that of Woollam et al. (2022, Seismol. Res. Lett. 93).
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxloc.data.components import order_components

LONGEST_RUN = 512
LARGEST_GAP = 16
"""Rows of a bucket that lie at most this far apart are read together: about one HDF5 chunk."""


class TraceFormat(NamedTuple):
    """The `data_format` group of a file; defaults are those of the format."""

    component_order: str = "ZNE"
    dimension_order: str = "CW"
    rate_hz: float | None = None


Part = int | slice
Member = tuple[int, tuple[Part, ...], int]
"""A trace of a bucket: its row, the index into the row, and its place among the traces asked for."""


@lru_cache(maxsize=65536)
def _parts(location: str) -> tuple[Part, ...]:
    def part(text: str) -> Part:
        numbers = [int(number) if number else None for number in text.split(":")]
        return slice(*numbers) if ":" in text else int(text)

    return tuple(part(text) for text in location.strip("[]").replace(" ", "").split(","))


def parse_name(name: str) -> tuple[str, tuple[Part, ...]]:
    """Split a trace name into its HDF5 dataset and the index into it, () for the whole dataset.

    Raises:
        ValueError: where the part behind `$` is no NumPy index; names the trace.
    """
    block, dollar, location = name.partition("$")
    if not dollar:
        return block, ()
    try:
        return block, _parts(location)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"trace_name {name!r}: {location!r} must be an index such as 12,:3,:6000; correct it in metadata.csv"
        ) from error


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        ValueError: where it does not exist, or is truncated or no HDF5 file.
    """
    if not path.is_file():
        raise ValueError(f"no waveform file {path}; a SeisBench folder must have one for each metadata file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} must be a whole HDF5 file ({error}); copy it again") from error


def read_format(file: h5py.File) -> TraceFormat:
    """The file's `data_format`, with defaults for what it lacks."""
    group = file.get("data_format")
    if not isinstance(group, h5py.Group):
        return TraceFormat()

    def text(key: str, default: str) -> str:
        found = group.get(key)
        if not isinstance(found, h5py.Dataset):
            return default
        value = found[()]
        return value.decode() if isinstance(value, bytes) else str(value)

    rate = group.get("sampling_rate")
    rate_hz = float(rate[()]) if isinstance(rate, h5py.Dataset) else None
    # The axis N of a block's traces is dropped when one trace is taken.
    dimension_order = text("dimension_order", "CW").replace("N", "")
    return TraceFormat(text("component_order", "ZNE"), dimension_order, rate_hz)


def _block(file: h5py.File, block: str) -> h5py.Dataset:
    found = file.get(f"data/{block}")
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{file.filename} has no trace data/{block}, which the metadata name; use the pair as written")
    return found


def trace_lengths(file: h5py.File, names: Sequence[str], dimension_order: str) -> Int[np.ndarray, " trace"]:
    """Samples of each trace, from names and dataset shapes; reads no waveform."""
    axis = dimension_order.index("W") - len(dimension_order)
    shapes: dict[str, tuple[int, ...]] = {}

    def length(name: str) -> int:
        block, parts = parse_name(name)
        if block not in shapes:
            shapes[block] = _block(file, block).shape
        shape, size = shapes[block], shapes[block][axis]
        part = parts[axis] if len(parts) == len(shape) else slice(None)
        return len(range(*part.indices(size))) if isinstance(part, slice) else size

    return np.array([length(name) for name in names], int)


def read_traces(
    file: h5py.File, names: Sequence[str], orders: Sequence[str], dimension_order: str
) -> tuple[Float[np.ndarray, "trace 3 sample"], Int[np.ndarray, " trace"]]:
    """Read traces as Z, N, E in float32, zero-padded to the longest, with their true lengths.

    Args:
        names: trace names; `orders` the component order of each, e.g. "ZNE".
        dimension_order: "CW" or "WC".

    Raises:
        ValueError: where a trace is not in the file or cannot be read from it.
    """
    lengths = trace_lengths(file, names, dimension_order)
    out = np.zeros((len(names), 3, int(lengths.max(initial=0))), np.float32)
    blocks: dict[str, list[tuple[int, tuple[Part, ...]]]] = defaultdict(list)
    for i, name in enumerate(names):
        block, parts = parse_name(name)
        blocks[block].append((i, parts))
    for block, members in blocks.items():
        try:
            _read_block(_block(file, block), members, orders, dimension_order, out)
        except (OSError, IndexError, TypeError) as error:
            raise ValueError(
                f"{file.filename}: cannot read data/{block} ({error}); it may be truncated, copy it again"
            ) from error
    return out, lengths


def _read_block(
    block: h5py.Dataset,
    members: list[tuple[int, tuple[Part, ...]]],
    orders: Sequence[str],
    dimension_order: str,
    out: Float[np.ndarray, "row component sample"],
) -> None:
    in_rows = [(parts[0], parts[1:], i) for i, parts in members if parts and isinstance(parts[0], int)]
    for i, parts in members:
        if not parts or not isinstance(parts[0], int):
            _place(block[parts][None], [i], orders[i], dimension_order, out)
    for low, high, run in _runs(sorted(in_rows, key=lambda member: member[0]), len(block)):
        slab = block[low:high]
        alike: dict[tuple[str, str], list[tuple[int, int, tuple[Part, ...]]]] = defaultdict(list)
        for row, rest, i in run:
            alike[str(rest), orders[i]].append((row - low, i, rest))
        for (_, order), rows in alike.items():
            picked = slab[(np.array([row for row, _, _ in rows]), *rows[0][2])]
            _place(picked, [i for _, i, _ in rows], order, dimension_order, out)


def _runs(rows: list[Member], length: int) -> list[tuple[int, int, list[Member]]]:
    """Split sorted rows of a bucket into runs without large gaps: (first, last + 1, members)."""
    runs: list[list[Member]] = []
    for member in rows:
        row = member[0]
        if not 0 <= row < length:
            raise IndexError(f"row must be within 0-{length - 1}, got {row}")
        near = runs and row - runs[-1][-1][0] <= LARGEST_GAP and row - runs[-1][0][0] < LONGEST_RUN
        if near:
            runs[-1].append(member)
        else:
            runs.append([member])
    return [(run[0][0], run[-1][0] + 1, run) for run in runs]


def _place(
    traces: Shaped[np.ndarray, "trace *each"],
    at: list[int],
    order: str,
    dimension_order: str,
    out: Float[np.ndarray, "row component sample"],
) -> None:
    if traces.ndim == 2:  # a trace of one component without its axis
        traces = traces[:, None, :]
    elif dimension_order == "WC":
        traces = traces.swapaxes(1, 2)
    order = order[: traces.shape[1]]
    out[at, :, : traces.shape[-1]] = order_components(traces, order)
