"""What waveform files hold: stretches of channels, from their headers. Files that are damaged are named in one line."""

import glob
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from obspy import Stream, UTCDateTime
from obspy import read as read_stream

WAVEFORM_SUFFIXES = (".mseed", ".msd", ".miniseed", ".seed", ".sac", ".gse", ".gse2")
LONGEST_MESSAGE = 160

Read = TypeVar("Read")


class Piece(NamedTuple):
    """A stretch of one channel in one file."""

    path: str
    channel: str
    start: UTCDateTime
    end: UTCDateTime
    rate_hz: float


def _paths(files: str | Path | Sequence[str | Path]) -> list[str]:
    if isinstance(files, str | Path):
        found = sorted(map(str, Path(files).iterdir())) if Path(files).is_dir() else sorted(glob.glob(str(files)))
        if not found:
            raise ValueError(f"no waveform files at {files}")
        return found
    if not files:
        raise ValueError("the list of waveform files is empty")
    absent = [str(path) for path in files if not Path(path).is_file()]
    if absent:
        raise ValueError(f"no such waveform file: {absent[0]}")
    return [str(path) for path in files]


def index_files(files: str | Path | Sequence[str | Path]) -> list[Piece]:
    """The stretches of channels that waveform files hold, from their headers.

    In a folder or pattern, files that are no waveforms are passed over. A waveform file that cannot be read, or only
    in part, is named in a warning, and the rest is used.

    Raises:
        ValueError: where there is no file, or none holds waveforms that can be read; names the first.
    """
    paths = _paths(files)
    pieces: list[Piece] = []
    damaged: list[str] = []
    for path in paths:
        named = not isinstance(files, str | Path) or Path(path).suffix.lower() in WAVEFORM_SUFFIXES
        try:
            stream = quietly(lambda path=path: read_stream(path, headonly=True), path)
        except ValueError as error:
            damaged += [str(error)] if named else []
            continue
        for stats in (trace.stats for trace in stream if trace.stats.npts and trace.stats.sampling_rate > 0):
            channel = f"{stats.network}.{stats.station}.{stats.location}.{stats.channel}"
            pieces.append(Piece(path, channel, stats.starttime, stats.endtime, float(stats.sampling_rate)))
    if not pieces and damaged:
        raise ValueError(f"{damaged[0]}; remove or replace it")
    if not pieces:
        raise ValueError(f"none of {len(paths)} files holds waveforms that can be read; the first is {paths[0]}")
    for message in damaged:
        warnings.warn(f"{message}; it is left out", stacklevel=2)
    return pieces


def quietly(read: Callable[[], Read], what: str) -> Read:
    """What `read` returns; its library's warnings and errors become one line of ours that begins with `what`.

    Raises:
        ValueError: where it raises.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = read()
        except Exception as error:  # ObsPy's readers raise many kinds
            raise ValueError(f"{what} cannot be read ({_short(error)})") from error
    if caught:
        warnings.warn(f"{what}: {_short(caught[0].message)}; what could be read is used", stacklevel=3)
    return result


def _short(message: object) -> str:
    text = " ".join(str(message).split())
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."


def read_span(path: str, first: UTCDateTime, last: UTCDateTime) -> Stream:
    """The traces of a file between two times; a warning, and none, where it cannot be read."""
    what = f"{path}, {first} to {last}"
    try:
        return quietly(lambda: read_stream(path, starttime=first, endtime=last), what)
    except ValueError as error:
        warnings.warn(f"{error}; it is left out", stacklevel=2)
        return Stream()
