"""PAL's files in the registry of formats, and how they are recognised (`jaxloc.io.pal` reads and writes them)."""

import math
from collections.abc import Callable
from pathlib import Path

from jaxloc.io import pal
from jaxloc.io.contents import EVENTS, PICKS, STATIONS, VELOCITY, Contents, Format, Sample


def _first(sample: Sample) -> list[list[str]]:
    return sample.cells(",")[:2]


def _is_picks(sample: Sample) -> bool:
    rows = _first(sample)
    return (
        bool(rows)
        and len(rows[0]) >= 4
        and bool(pal.STATION_CODE.match(rows[0][0]))
        and all(cell.startswith(pal.MISSING) or pal.is_time(cell) for cell in rows[0][1:4])
    )


def _is_phases(sample: Sample) -> bool:
    rows = _first(sample)
    return len(rows) == 2 and _is_event(rows[0]) and len(rows[1]) >= 3 and bool(pal.STATION_CODE.match(rows[1][0]))


def _is_event(cells: list[str]) -> bool:
    return len(cells) in (5, 6) and pal.is_time(cells[0]) and all(_is_number(cell) for cell in cells[1:])


def _is_catalogue(sample: Sample) -> bool:
    rows = _first(sample)
    return bool(rows) and all(len(row) == 5 and _is_event(row) for row in rows)


def _is_stations(sample: Sample) -> bool:
    rows = _first(sample)
    return bool(rows) and all(
        len(row) >= 4 and bool(pal.STATION_CODE.match(row[0])) and all(_is_number(cell) for cell in row[1:4])
        for row in rows
    )


def _is_velocity(sample: Sample) -> bool:
    rows = [line.split() for line in sample.lines]
    numbers = [row for row in rows[1:] if len(row) >= 2 and _is_number(row[0]) and _is_number(row[1])]
    if "," in sample.text or len(rows) < 2 or len(numbers) < len(rows) - 1:
        return False
    return not all(map(_is_number, rows[0][:2])) and float(numbers[0][1]) <= 0 < float(numbers[0][0])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _format(
    name: str,
    text: str,
    holds: tuple[str, ...],
    recognise: Callable[[Sample], bool],
    read: Callable[[Path], Contents],
    write: Callable[[Contents], bytes],
    suffix: str,
) -> Format:
    return Format(f"pal_{name}", text, holds, recognise, read, write, (suffix,))


FORMATS = (
    _format("picks", "PAL picks of single stations", (PICKS,), _is_picks, pal.read_picks, pal.write_picks, ".pick"),
    _format("phases", "PAL events with picks", (PICKS, EVENTS), _is_phases, pal.read_phases, pal.write_phases, ".pha"),
    _format("catalogue", "PAL catalogue", (EVENTS,), _is_catalogue, pal.read_catalogue, pal.write_catalogue, ".ctlg"),
    _format("stations", "PAL stations", (STATIONS,), _is_stations, pal.read_station_list, pal.write_stations, ".sta"),
    _format(
        "velocity",
        "PAL velocity model, P alone",
        (VELOCITY,),
        _is_velocity,
        pal.read_velocity,
        pal.write_velocity,
        ".cre",
    ),
)
