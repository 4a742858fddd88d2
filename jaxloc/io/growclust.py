"""Files of GrowClust (Trugman & Shearer 2017, SRL 88(2), 379-391): event and station lists, times, catalogue.

| file | line |
|---|---|
| event list 1 | year, month, day, hour, minute, second, latitude, longitude, depth, magnitude, eh, ez, rms, id |
| event list 2 | year to second, id, latitude, longitude, depth, magnitude |
| event list 3 | id, year to second, latitude, longitude, depth, rms, eh, ez, magnitude |
| station list | station, latitude, longitude, elevation (m, optional) |
| xcordata | `# id1 id2 correction`, then station, time of event 1 less that of event 2, correlation, phase |
| catalogue | year to second, id, place, magnitude, 9 numbers on clusters and fit, eh, ez, et, place before |

eh is the horizontal error in km (of both components together), ez that of depth; in the catalogue they are median
absolute deviations of bootstrap samples, scaled to standard deviations, and -1 or NaN where an event was not relocated.
Here each horizontal component has eh/sqrt(2). Lists have no network codes.
"""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

from obspy import UTCDateTime

from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import (
    DIFFERENCES,
    EVENTS,
    STATIONS,
    Contents,
    Format,
    PairTime,
    Sample,
    hypocentre,
    timed,
)  # fmt: skip
from jaxloc.io.stations import read_stations
from jaxloc.io.tables import as_number, decode, read_bytes

CATALOGUE = 25  # numbers of a line
LISTS = {11: 2, 14: 1}  # numbers of a line, and the version of the list; version 3 has 14 and begins with an id
CELLS = {1: (0, 6, 9, 10, 13), 2: (0, 7, 10, 0, 6), 3: (1, 7, 13, 11, 0)}
"""By version of the list the cells of date, place, magnitude, errors (0: none) and id."""
UNKNOWN = (math.nan, math.nan, math.nan, math.nan)


def _rows(path: Path, what: str) -> list[tuple[str, list[str]]]:
    """Cells of each line, with its place for messages."""
    text = decode(read_bytes(path, what), path)
    found = [(f"{path}, line {n}", line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not found:
        raise ValueError(f"{path} is empty; a {what} must have at least one line")
    return found


def _numbers(place: str, cells: list[str], count: int) -> list[float]:
    values = [as_number(cell) for cell in cells]
    if len(cells) != count or None in values:
        raise ValueError(f"{place} must have {count} numbers, got {' '.join(cells)!r}")
    return [math.nan if value is None else value for value in values]


def _origin(place: str, values: list[float]) -> UTCDateTime:
    year, month, day, hour, minute = (int(value) for value in values[:5])
    try:
        return UTCDateTime(year, month, day, hour, minute) + values[5]
    except ValueError as error:
        raise ValueError(f"{place} must begin with a date and time, got {values[:6]}: {error}") from error


def _sd(eh: float, ez: float, et: float = math.nan) -> tuple[float, float, float, float]:
    """Standard deviations of both horizontal components, depth and origin time; NaN for what is not positive."""
    east, depth, origin = (value if value > 0 else math.nan for value in (eh / math.sqrt(2), ez, et))
    return east, east, depth, origin


def read_events(path: Path) -> Contents:
    """Events of a list of version 1, 2 or 3.

    Raises:
        ValueError: where the file is missing or empty, or a line has other numbers; names it.
    """
    events, with_rms = [], False
    for place, cells in _rows(path, "GrowClust event list"):
        with_rms = len(cells) == 14
        if len(cells) not in LISTS:
            raise ValueError(f"{place} has {len(cells)} cells; it must have {' or '.join(map(str, LISTS))}")
        version = 3 if len(cells) == 14 and not _is_date(cells) else LISTS[len(cells)]
        date, place_at, magnitude, errors, id = CELLS[version]
        values = _numbers(place, cells, len(cells))
        sd = _sd(values[errors], values[errors + 1]) if errors else UNKNOWN
        latitude, longitude, depth_km = values[place_at : place_at + 3]
        time = _origin(place, values[date:])
        events.append(hypocentre(cells[id], time, latitude, longitude, depth_km, values[magnitude], sd))
    return Contents(events=tuple(events), notes=("rms residuals are not read",) if with_rms else ())


def read_catalogue(path: Path) -> Contents:
    """Relocated events of `out.growclust_cat`, with bootstrap errors where there are any; raises as `read_events`."""
    events = []
    for place, cells in _rows(path, "GrowClust catalogue"):
        values = _numbers(place, cells, CATALOGUE)
        latitude, longitude, depth_km, magnitude = values[7:11]
        sd = _sd(values[19], values[20], values[21])
        events.append(hypocentre(cells[6], _origin(place, values), latitude, longitude, depth_km, magnitude, sd))
    return Contents(
        events=tuple(events),
        notes=("clusters, numbers of pairs, rms residuals and places before relocation are not read",),
    )


def read_differences(path: Path) -> Contents:
    """Differential times of xcordata, which HypoDD's dt.cc is as well; corrections of origin times are subtracted.

    Raises:
        ValueError: where the file is missing or empty, or a line is none of these; names it.
    """
    found: list[PairTime] = []
    pair, correction_s = ("", ""), 0.0
    for place, cells in _rows(path, "file of differential times"):
        if cells[0].startswith("#"):
            cells = " ".join(cells)[1:].split()
            correction = as_number(cells[2]) if len(cells) == 3 else None
            if correction is None:
                raise ValueError(f"{place} must be # and two event ids, and the correction of their origin times in s")
            pair, correction_s = (cells[0], cells[1]), correction
            continue
        time_s, weight = (as_number(cell) for cell in cells[1:3]) if len(cells) == 4 else (None, None)
        if time_s is None or weight is None or cells[3] not in ("P", "S") or not pair[0]:
            raise ValueError(f"{place} must have station, time, correlation and phase below a line of two event ids")
        found.append(PairTime(*pair, cells[0], cells[3], time_s - correction_s, weight))
    return Contents(differences=tuple(found))


def _is_date(cells: list[str]) -> bool:
    values = [as_number(cell) for cell in cells[:5]]
    if len(values) < 5 or None in values:
        return False
    year, month, day, hour, minute = (value or 0.0 for value in values)
    return 1900 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= 31 and 0 <= hour <= 24 and 0 <= minute < 60


def _when(event: Hypocentre) -> str:
    time = timed(event)
    return f"{time.strftime('%Y %m %d %H %M')} {time.second:02d}.{time.microsecond:06d}"


def _errors(event: Hypocentre) -> tuple[float, float, float]:
    """eh, ez in km and et in s; -1 where unknown."""
    variance = event.covariance.diagonal()
    found = (math.sqrt(variance[0] + variance[1]), math.sqrt(variance[2]), math.sqrt(variance[3]))
    return tuple(-1.0 if math.isnan(value) else value for value in found)  # type: ignore[return-value]


def _ids(events: Iterable[Hypocentre]) -> list[str]:
    """Ids as whole numbers, which GrowClust needs.

    Raises:
        ValueError: where an id is none; names it.
    """
    ids = [event.id for event in events]
    if wrong := [id for id in ids if not id.isdecimal()]:
        raise ValueError(f"event id {wrong[0]!r} must be a whole number for GrowClust; number the events")
    return ids


def write_events(contents: Contents) -> bytes:
    """An event list of version 1; unknown magnitudes and errors are 0, as GrowClust reads them.

    Raises:
        ValueError: where an event has no origin time or an id that is no whole number.
    """
    lines = []
    for id, event in zip(_ids(contents.events), contents.events, strict=True):
        eh, ez, _ = (max(value, 0.0) for value in _errors(event))
        place = f"{event.latitude_deg:9.5f} {event.longitude_deg:10.5f} {event.depth_km:7.3f}"
        lines.append(f"{_when(event)} {place} {event.magnitude or 0.0:5.2f} {eh:7.3f} {ez:7.3f} 0.000 {id:>10}")
    return _text(lines)


def write_catalogue(contents: Contents) -> bytes:
    """A catalogue as GrowClust writes it: each event its own cluster, without pairs, places before as after."""
    lines = []
    for number, (id, event) in enumerate(zip(_ids(contents.events), contents.events, strict=True), 1):
        place = f"{event.latitude_deg:9.5f} {event.longitude_deg:10.5f} {event.depth_km:7.3f}"
        fit = f"{number:7d} {number:7d} {1:7d} {0:5d} {0:5d} {0:5d} {-1:5.2f} {-1:5.2f}"
        errors = " ".join(f"{value:7.3f}" for value in _errors(event))
        lines.append(f"{_when(event)} {id:>9} {place} {event.magnitude or 0.0:5.2f} {fit} {errors} {place}")
    return _text(lines)


def write_stations(contents: Contents) -> bytes:
    """A station list with elevations (version 2); codes without network."""
    codes = [station.code.split(".")[-1] for station in contents.stations]
    if again := {code for code in codes if codes.count(code) > 1}:
        raise ValueError(
            f"stations {', '.join(sorted(again))} of several networks have one code; GrowClust has no networks"
        )
    return _text(
        f"{code:<5} {s.latitude_deg:10.5f} {s.longitude_deg:11.5f} {s.elevation_m:7.1f}"
        for code, s in zip(codes, contents.stations, strict=True)
    )


def write_differences(contents: Contents) -> bytes:
    """xcordata, pairs in the order of their first time."""
    pairs: dict[tuple[str, str], list[PairTime]] = {}
    for one in contents.differences:
        pairs.setdefault((one.first, one.second), []).append(one)
    lines = []
    for (first, second), times in pairs.items():
        lines.append(f"# {first:>9} {second:>9} 0.0")
        lines += [f"{t.station.split('.')[-1]:<7} {t.time_s:11.7f} {t.weight:7.4f} {t.phase}" for t in times]
    return _text(lines)


def _text(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _read_stations(path: Path) -> Contents:
    return Contents(stations=read_stations(path))


def _all_numbers(sample: Sample, count: int) -> bool:
    rows = sample.cells()[:3]
    return bool(rows) and all(len(row) == count and None not in map(as_number, row) for row in rows)


def _is_events(sample: Sample) -> bool:
    rows = sample.cells()[:3]
    dated = all(_is_date(row) or (len(row) == 14 and _is_date(row[1:])) for row in rows)
    return any(_all_numbers(sample, count) for count in LISTS) and dated


def _is_differences(sample: Sample) -> bool:
    rows = [line.replace("#", "# ").split() for line in sample.lines[:2]]
    return len(rows) == 2 and rows[0][0] == "#" and len(rows[0]) == 4 and len(rows[1]) == 4 and rows[1][3] in ("P", "S")


def _is_stations(sample: Sample) -> bool:
    rows = sample.cells()[:3]
    if "," in sample.text or not rows:
        return False
    return all(len(row) in (3, 4) and as_number(row[0]) is None and _is_place(row[1:]) for row in rows)


def _is_place(cells: list[str]) -> bool:
    """Whether cells are a latitude, a longitude, which has decimals, and numbers."""
    values = [as_number(cell) for cell in cells]
    latitude, longitude = values[:2]
    if latitude is None or longitude is None or None in values or "." not in cells[1]:
        return False
    return abs(latitude) <= 90 and abs(longitude) <= 360


def _format(
    name: str,
    text: str,
    kind: str,
    recognise: Callable[[Sample], bool],
    read: Callable[[Path], Contents],
    write: Callable[[Contents], bytes],
    suffix: str,
) -> Format:
    return Format(f"growclust_{name}", text, (kind,), recognise, read, write, (suffix,))


FORMATS = (
    _format(
        "catalogue", "GrowClust's relocated catalogue", EVENTS,
        lambda sample: _all_numbers(sample, CATALOGUE), read_catalogue, write_catalogue, ".growclust_cat",
    ),
    _format("events", "GrowClust event list (evlist)", EVENTS, _is_events, read_events, write_events, ".evlist"),
    _format(
        "stations", "GrowClust station list (stlist)", STATIONS,
        _is_stations, _read_stations, write_stations, ".stlist",
    ),
    _format(
        "times", "GrowClust differential times (xcordata), HypoDD dt.cc", DIFFERENCES,
        _is_differences, read_differences, write_differences, ".xcordata",
    ),
)  # fmt: skip
