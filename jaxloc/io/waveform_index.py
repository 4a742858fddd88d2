"""Stretches of channels in waveform files, from their headers. Files that are damaged are named in one line."""

import glob
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from obspy import Stream, UTCDateTime
from obspy import read as read_stream

WAVEFORM_SUFFIXES = (".mseed", ".msd", ".miniseed", ".seed", ".sac", ".gse", ".gse2")
LONGEST_MESSAGE = 160

Read = TypeVar("Read")

WaveformSource = str | Path | Sequence[str | Path] | Stream
"""A folder, a file, a pattern such as "data/*.mseed", a list of files, or an ObsPy stream."""


class Memory:
    """An ObsPy stream in memory, in place of a file; `str` of it is for messages."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __str__(self) -> str:
        return "the stream"


class Piece(NamedTuple):
    """A stretch of one channel in one file, or in memory."""

    path: str | Memory
    channel: str
    start: UTCDateTime
    end: UTCDateTime
    rate_hz: float


def _paths(files: str | Path | Sequence[str | Path], nested: bool) -> list[str]:
    if isinstance(files, str | Path):
        inside = lambda: filter(Path.is_file, Path(files).rglob("*")) if nested else Path(files).iterdir()
        found = sorted(map(str, inside())) if Path(files).is_dir() else sorted(glob.glob(str(files)))
        if not found:
            raise ValueError(f"no waveform files at {files}; use a folder, a file or a pattern such as data/*.mseed")
        return found
    if not files:
        raise ValueError("the list of waveform files is empty; it must have at least one path")
    absent = [str(path) for path in files if not Path(path).is_file()]
    if absent:
        raise ValueError(f"no such waveform file: {absent[0]}; every path must name a file")
    return [str(path) for path in files]


class Index(NamedTuple):
    """Stretches of channels, and the files that could not be read, or not to their end."""

    pieces: list[Piece]
    damaged: frozenset[str]


def index_files(files: WaveformSource, nested: bool = False) -> Index:
    """The stretches of channels of waveform files, or a stream, from their headers.

    In a folder or pattern, files that are no waveforms are passed over. A waveform file that cannot be read, or only
    in part, is named in a warning, and the rest is used.

    Args:
        files: where they are.
        nested: whether files in folders within the folder count too.

    Raises:
        ValueError: where there is no file, or none has waveforms that can be read; names the first.
    """
    if isinstance(files, Stream):
        return _index_stream(files)
    paths = _paths(files, nested)
    pieces: list[Piece] = []
    unreadable: list[str] = []
    damaged: set[str] = set()
    for path in paths:
        named = not isinstance(files, str | Path) or Path(path).suffix.lower() in WAVEFORM_SUFFIXES
        try:
            stream, message = quietly(lambda path=path: read_stream(path, headonly=True))
        except ValueError as error:
            unreadable += [f"{path} cannot be read ({error})"] if named else []
            damaged |= {path} if named else set()
            continue
        if message:
            damaged.add(path)
            warnings.warn(f"{path}: {message}; what could be read is used", stacklevel=2)
        pieces += _pieces(path, stream)
    if not pieces and unreadable:
        raise ValueError(f"{unreadable[0]}; remove or replace it")
    if not pieces:
        raise ValueError(
            f"none of {len(paths)} files has waveforms that can be read, the first is {paths[0]}; use files that "
            "ObsPy reads, such as miniSEED or SAC; picks are located with --locator NAME"
        )
    for message in unreadable:
        warnings.warn(f"{message}; it is left out", stacklevel=2)
    return Index(pieces, frozenset(damaged))


def _pieces(path: str | Memory, stream: Stream) -> list[Piece]:
    usable = (trace.stats for trace in stream if trace.stats.npts and trace.stats.sampling_rate > 0)
    return [
        Piece(
            path,
            f"{stats.network}.{stats.station}.{stats.location}.{stats.channel}",
            stats.starttime,
            stats.endtime,
            float(stats.sampling_rate),
        )
        for stats in usable
    ]


def _index_stream(stream: Stream) -> Index:
    pieces = _pieces(Memory(stream), stream)
    if not pieces:
        raise ValueError(f"the stream must have at least one trace with samples, got {len(stream)} traces without any")
    return Index(pieces, frozenset())


def held(index: Index, first: UTCDateTime, last: UTCDateTime) -> Index:
    """The part of an index between two times with its samples in memory: each file is read once."""
    paths = dict.fromkeys(piece.path for piece in index.pieces if piece.start <= last and piece.end >= first)
    return in_memory(paths, first, last, index.damaged)


def in_memory(
    paths: Iterable[str | Memory], first: UTCDateTime, last: UTCDateTime, damaged: Collection[str] = ()
) -> Index:
    """The samples of some files between two times; warnings as those of `read_span`."""
    traces = [trace for path in paths for trace in read_span(path, first, last, damaged) if trace.stats.npts]
    return Index(_pieces(Memory(Stream(traces)), Stream(traces)), frozenset())


def name_of(files: WaveformSource) -> str:
    """A name for a data set: that of the folder, file or pattern, or "stream"."""
    if isinstance(files, Stream):
        return "stream"
    return Path(files).name if isinstance(files, str | Path) else Path(files[0]).parent.name


def quietly(read: Callable[[], Read]) -> tuple[Read, str]:
    """What `read` returns, and the first of its library's warnings, shortened; "" where there is none.

    Raises:
        ValueError: where it raises; with the shortened message alone.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = read()
        except Exception as error:  # ObsPy's readers raise many kinds
            raise ValueError(_short(error)) from error
    return result, _short(caught[0].message) if caught else ""


def _short(message: object) -> str:
    text = " ".join(str(message).split())
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."


def read_span(path: str | Memory, first: UTCDateTime, last: UTCDateTime, damaged: Collection[str] = ()) -> Stream:
    """The traces of a file between two times, and none where it cannot be read.

    A warning names a file that cannot be read, or only in part, unless it is among those known as `damaged`.
    """
    if isinstance(path, Memory):
        return path.stream.slice(first, last).copy()
    what = f"{path}, {first} to {last}"
    try:
        stream, message = quietly(lambda: read_stream(path, starttime=first, endtime=last))
    except ValueError as error:
        warnings.warn(f"{what} cannot be read ({error}); it is left out", stacklevel=2)
        return Stream()
    if message and path not in damaged:
        warnings.warn(f"{what}: {message}; what could be read is used", stacklevel=2)
    return stream
