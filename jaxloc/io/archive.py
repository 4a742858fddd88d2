"""An archive of continuous records: an SDS archive, or a folder of any files that ObsPy reads, with its stations.

Which files have samples of a span is known from their names (SDS) or headers; samples are read by
`jaxloc.io.archive_chunks`.
"""

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from obspy import UTCDateTime

from jaxloc.data.chunk import Interval, intervals
from jaxloc.data.dataset import Station
from jaxloc.io import sds
from jaxloc.io.channel_orientation import Channels
from jaxloc.io.contributions import some
from jaxloc.io.instruments import sensor_rank, usable
from jaxloc.io.station_checks import checked
from jaxloc.io.station_epochs import Epoch, positions_at
from jaxloc.io.station_inventory import channels_by_id
from jaxloc.io.stations import StationSource, as_inventory, read_epochs
from jaxloc.io.waveform_index import Index, Piece, in_memory, index_files

HOUR_S = 3600.0

FilesOf = Callable[[Collection[str], UTCDateTime, UTCDateTime], dict[str, set[str]]]
"""Files with samples of some channels between two times, each with those of its channels that are asked for."""


class Archive(NamedTuple):
    """Continuous records and their stations.

    Attributes:
        path: where it is.
        layout: "sds" or "files".
        stations: those of the list that have records, in the order of their codes; rows of all chunks and picks.
        channels: of each station, as NET.STA.LOC.CHA.
        span: from the first to the last record; whole days of an SDS archive.
        files: finds files by channels and time.
        positions: stations by code at a time (`jaxloc.io.station_epochs.positions_at`).
        epochs: channels of the inventory, with their sensitivity and orientation; empty for a table of stations.
        damaged: files that are known to be damaged.
        notes: what of the archive or the list is left out, and why.
    """

    path: Path
    layout: str
    stations: tuple[Station, ...]
    channels: tuple[tuple[str, ...], ...]
    span: Interval
    files: FilesOf
    positions: Callable[..., dict[str, Station]]
    epochs: Channels
    damaged: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


class _Found(NamedTuple):
    """Channels of a folder, their files and their span."""

    layout: str
    channels: list[str]
    files: FilesOf
    span: Interval
    damaged: frozenset[str] = frozenset()


def open_archive(path: str | Path, stations: StationSource) -> Archive:
    """An archive with the stations of a list.

    Stations of the archive that the list lacks, stations of the list without records, channels that are no seismic
    components and files that cannot be read are left out, with a note for each kind.

    Args:
        path: an SDS archive, or a folder (with folders within) of files that ObsPy reads.
        stations: StationXML, a table of stations, any format that has stations, or an ObsPy inventory.

    Raises:
        ValueError: where the folder is missing or has no waveforms, the list cannot be read, or none of its stations
            has records; names what is wrong.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"no such archive: {path}; it must be a folder, an SDS archive or one with waveform files")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = _of_days(path) if sds.is_sds(path) else _of_files(path)
        listed = read_epochs(stations)
    notes = [str(one.message) for one in caught]
    own, more = _by_station(found.channels, {epoch.station.code for epoch in listed}, path)
    recorded = [channel for channels in own.values() for channel in channels]
    epochs = [epoch for epoch in listed if epoch.station.code in own]
    inventory = as_inventory(stations)
    return Archive(
        path,
        found.layout,
        checked((_first(epochs, code) for code in own), "the station list"),
        tuple(own.values()),
        found.span,
        found.files,
        positions_at(epochs, recorded),
        {} if inventory is None else channels_by_id(inventory),
        found.damaged,
        (*notes, *more),
    )


def _of_days(path: Path) -> _Found:
    days = sds.list_days(path)
    files = lambda channels, first, last: sds.files_between(days, channels, first, last)
    return _Found("sds", sorted(days.files), files, Interval(days.first.ns, days.last.ns))


def _of_files(path: Path) -> _Found:
    index = index_files(path, nested=True)
    pieces: dict[str, list[Piece]] = defaultdict(list)
    for piece in index.pieces:
        pieces[piece.channel].append(piece)

    def files(channels: Collection[str], first: UTCDateTime, last: UTCDateTime) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for channel in channels:
            for piece in pieces.get(channel, []):
                if piece.start <= last and piece.end >= first:
                    found[str(piece.path)].add(channel)
        return dict(found)

    # The last sample lies within the span, whose end does not.
    ends = (piece.end.ns + round(1e9 / piece.rate_hz) for piece in index.pieces)
    span = Interval(min(piece.start.ns for piece in index.pieces), max(ends))
    return _Found("files", sorted(pieces), files, span, index.damaged)


def _by_station(
    channels: Sequence[str], listed: Collection[str], path: Path
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Seismic channels of the listed stations by code, in order; and notes on the others."""
    found: dict[str, list[str]] = defaultdict(list)
    other: list[str] = []
    for channel in channels:
        network, station, _, code = channel.split(".")
        if usable(code[-1:]) and sensor_rank(code) < 2:
            found[f"{network}.{station}" if network else station].append(channel)
        else:
            other.append(channel)
    unknown, silent = sorted(found.keys() - listed), sorted(listed - found.keys())
    if not found.keys() & set(listed):
        raise ValueError(
            f"no station of the list has records in {path}: it has {some(unknown) or 'no seismic channels'}, the list "
            f"{some(silent)}; correct the codes (NET.STA) of the list"
        )
    notes = [
        f"{text}: {some(names)}"
        for text, names in (
            ("channels without ground motion are left out", other),
            ("stations of the archive that the list lacks are left out", unknown),
            ("stations of the list without records", silent),
        )
        if names
    ]
    return {code: tuple(found[code]) for code in sorted(found.keys() & set(listed))}, notes


def _first(epochs: Sequence[Epoch], code: str) -> Station:
    """The first position of a station."""
    return min((e for e in epochs if e.station.code == code), key=lambda e: e.start.ns if e.start else -(2**63)).station


def time_ns(time: str | UTCDateTime | int) -> int:
    """A time in ns since 1970, of text such as 2019-07-04T12:00:00.

    Raises:
        ValueError: where the text is no time.
    """
    if isinstance(time, int):
        return time
    try:
        return UTCDateTime(time).ns
    except Exception as error:  # ObsPy's parser raises many kinds
        raise ValueError(f"{time!r} is no time; use UTC such as 2019-07-04T12:00:00") from error


def chunks(
    archive: Archive,
    start: str | UTCDateTime | int | None = None,
    end: str | UTCDateTime | int | None = None,
    length_s: float = HOUR_S,
    offset_s: float = 0.0,
) -> Iterator[Interval]:
    """The intervals of an archive, or of a part of its span, each of which owns the picks and events within it.

    Args:
        archive: to be cut.
        start: within the first one; by default the archive's start.
        end: after the last one; by default the archive's end.
        length_s: of an interval; their borders are whole multiples of it since 1970.
        offset_s: by which all borders are shifted.

    Raises:
        ValueError: where start or end is no time, or the archive has no records between them.
    """
    first_ns = archive.span.start_ns if start is None else max(time_ns(start), archive.span.start_ns)
    last_ns = archive.span.end_ns if end is None else min(time_ns(end), archive.span.end_ns)
    if first_ns >= last_ns:
        here, there = (f"{UTCDateTime(ns=a)} to {UTCDateTime(ns=b)}" for a, b in ((first_ns, last_ns), archive.span))
        raise ValueError(f"{archive.path} has no records from {start} to {end} ({here}); it goes from {there}")
    return intervals(first_ns, last_ns, length_s, offset_s)


def held_records(archive: Archive, first: UTCDateTime, last: UTCDateTime) -> Index:
    """All records of an archive between two times in memory, each file read once."""
    channels = [channel for own in archive.channels for channel in own]
    return in_memory(sorted(archive.files(channels, first, last)), first, last, archive.damaged)


def content_hash(paths: Collection[str]) -> str:
    """A hash of the content of files, in the order of their names; of what is missing, its name alone."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.encode())
        if Path(path).is_file():
            status = Path(path).stat()
            total.update(_file_hash(path, status.st_size, status.st_mtime_ns))
    return total.hexdigest()


@lru_cache(4096)
def _file_hash(path: str, _size: int, _modified_ns: int) -> bytes:
    """Of one file, read once as long as it is not modified."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def as_time(value_ns: int) -> Any:
    """ObsPy's form of a time in ns since 1970."""
    return UTCDateTime(ns=value_ns)
