"""HYPOINVERSE's archive, phase and summary files, Y2000 format (Klein 2002, USGS OFR 02-171; version 1.40).

An archive holds, for each event, its summary line, one line a station with P and S, and a terminator; phase files in
archive format are the same with fields that were not computed left blank. Shadow lines, which begin with "$", are left
out. Records are dicts of fields by name (`jaxloc.io.hypoinverse_columns`), in the units of their names.
"""

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxloc.atomic_write import write_whole
from jaxloc.io.fixed_columns import Record, Value, read_fields, written_fields
from jaxloc.io.hypoinverse_columns import HYPO71, PHASE, SUMMARY, TERMINATOR
from jaxloc.io.tables import decode, read_bytes

SHADOW = "$"


class ArchivedEvent(NamedTuple):
    """A summary and the phases of one event, a record a line."""

    summary: Record
    phases: tuple[Record, ...]


def read_archive(path: Path) -> list[ArchivedEvent]:
    """The events of an archive (.arc) or of a phase file in archive format (.phs).

    Raises:
        ValueError: where a field that must be a number is none, or the file ends within an event; names the line.
    """
    events: list[ArchivedEvent] = []
    summary: Record | None = None
    phases: list[Record] = []
    for place, line in _lines(path):
        if summary is None:
            summary = read_fields(line, SUMMARY, place)
            _check_time(summary, place)
        elif line[:5].strip():
            phases.append(read_fields(line, PHASE, place))
        else:
            known = read_fields(line, TERMINATOR, place)
            events.append(
                ArchivedEvent({**summary, **{k: v for k, v in known.items() if v is not None}}, tuple(phases))
            )
            summary, phases = None, []
    if summary is not None:
        raise ValueError(f"{path}: the last event has no terminator; add a line that is blank but for columns 63-72")
    return events


def write_archive(path: Path, events: Iterable[ArchivedEvent]) -> None:
    """Write events as `read_archive` reads them.

    Raises:
        ValueError: where a value does not fit into its columns; names it.
    """
    lines: list[str] = []
    for summary, phases in events:
        lines += [written_fields(summary, SUMMARY)]
        lines += [written_fields(phase, PHASE) for phase in phases]
        lines += [written_fields(summary, TERMINATOR)]
    write_whole(path, ("".join(line + "\n" for line in lines)).encode("ascii"))


def read_summaries(path: Path) -> list[Record]:
    """The lines of a summary file (.sum): Y2000, or HYPO71's format with a four-digit year (H71 2), told apart by line.

    Raises:
        ValueError: where a field that must be a number is none; names the line.
    """
    found = []
    for place, line in _lines(path):
        if line.strip():
            found.append(read_fields(line, HYPO71 if line[8:9] == " " and line[13:14] == " " else SUMMARY, place))
            _check_time(found[-1], place)
    return found


def write_summaries(path: Path, summaries: Iterable[Mapping[str, Value]], hypo71: bool = False) -> None:
    """Write a summary file, in HYPO71's format where `hypo71`.

    Raises:
        ValueError: where a value does not fit into its columns; names it.
    """
    fields = HYPO71 if hypo71 else SUMMARY
    write_whole(path, ("".join(written_fields(summary, fields) + "\n" for summary in summaries)).encode("ascii"))


def _lines(path: Path) -> list[tuple[str, str]]:
    lines = decode(read_bytes(path, "file of HYPOINVERSE"), path).splitlines()
    return [(f"{path}, line {i}", line) for i, line in enumerate(lines, 1) if not line.startswith(SHADOW)]


def _check_time(record: Record, place: str) -> None:
    try:
        minute_of(record)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: columns 1-12 must hold year, month, day, hour and minute ({error})") from None


def minute_of(record: Mapping[str, Value]) -> datetime.datetime:
    """The minute that a record's seconds count from, UTC.

    Raises:
        ValueError, TypeError: where it has no such minute.
    """
    parts: list = [record[name] for name in ("year", "month", "day", "hour", "minute")]
    return datetime.datetime(*parts, tzinfo=datetime.UTC)


def origin_time(summary: Mapping[str, Value]) -> datetime.datetime:
    """The origin time of a summary, UTC."""
    return minute_of(summary) + datetime.timedelta(seconds=float(summary["origin_s"] or 0))


def position_deg(record: Mapping[str, Value]) -> tuple[float, float]:
    """Latitude and longitude of a summary or of a station in degrees, north and east positive.

    A longitude without "E" is west, as HYPOINVERSE takes it.
    """
    degree = lambda name: float(record[f"{name}_degree"] or 0) + float(record[f"{name}_minute"] or 0) / 60
    south = str(record.get("south") or "N") == "S"
    east = "E" in (record.get("east"), record.get("west"))
    latitude, longitude = degree("latitude"), degree("longitude")
    return -latitude if south else latitude, longitude if east else -longitude


def as_position(latitude_deg: float, longitude_deg: float, decimals: int = 2) -> Record:
    """The fields of a summary for a position in degrees, minutes rounded to the format's decimals."""
    parts = 10**decimals
    degrees: dict[str, tuple[int, float]] = {}
    for name, value in (("latitude", abs(latitude_deg)), ("longitude", abs(longitude_deg))):
        whole = round(value * 60 * parts)
        degrees[name] = whole // (60 * parts), whole % (60 * parts) / parts
    return {
        "latitude_degree": degrees["latitude"][0],
        "latitude_minute": degrees["latitude"][1],
        "south": "S" if latitude_deg < 0 else None,
        "longitude_degree": degrees["longitude"][0],
        "longitude_minute": degrees["longitude"][1],
        "west": "E" if longitude_deg >= 0 else "W",
    }


def as_origin(time: datetime.datetime) -> Record:
    """The fields of a summary for an origin time in UTC, rounded to the format's hundredths of a second."""
    time = time.astimezone(datetime.UTC)
    rounded = time + datetime.timedelta(microseconds=5000)
    second = rounded.second + rounded.microsecond // 10000 / 100
    names = ("year", "month", "day", "hour", "minute")
    return {name: getattr(rounded, name) for name in names} | {"origin_s": second}
