"""Epochs of stations from text tables: CSV, FDSN station text, the lists of GaMMA, PALM, GrowClust, SeisBench.

A table has a header in the words of most programs, or none and the columns code, latitude, longitude, elevation in
metres (or network, station, latitude, longitude, elevation). What is understood, with or without a leading
`station_` and blanks, in any case:

| quantity | names | units |
|---|---|---|
| code | network, net; station, sta, code, id, name (NET.STA or NET.STA.LOC.CHA is taken apart) | |
| position | latitude, lat; longitude, lon, lng, long | degrees |
| elevation of the ground | elevation, elev, elv, altitude, alt, height, with _m, _km or _ft | m by default |
| elevation of the sensor | sensor_elevation, with the same units | m |
| depth of the sensor below ground | depth, sensor_depth, burial_depth, local_depth, with the same units | m |
| epochs | start_time, start, on_date, ...; end_time, end, off_date, ... | UTC |
| sensor | location, location_code; channel, channel_code | |

A column whose name looks like a height or depth and is none of these is refused, never ignored.
"""

import math
import re
import warnings
from pathlib import Path
from typing import NamedTuple

from jaxloc.data.dataset import Station
from jaxloc.io.missing_values import is_missing_code, look_like_km
from jaxloc.io.station_epochs import NO_END, Epoch
from jaxloc.io.tables import Row, Table, as_number, decode, parse_table

UNITS_M = {"": 1.0, "m": 1.0, "meters": 1.0, "metres": 1.0, "masl": 1.0, "km": 1000.0, "ft": 0.3048, "feet": 0.3048}
NAMES = {
    "network": ("network", "net", "networkcode", "netcode", "stationnetworkcode", "stationnetwork", "knetwk"),
    "station": ("station", "stationcode", "sta", "code", "stationid", "id", "stationname", "stacode", "name", "kstnm"),
    "latitude": (
        "latitude",
        "lat",
        "latitudedeg",
        "latdeg",
        "stationlatitudedeg",
        "stationlatitude",
        "stationlat",
        "stla",
    ),
    "longitude": (
        *("longitude", "lon", "lng", "long", "longitudedeg", "londeg"),
        *("stationlongitudedeg", "stationlongitude", "stationlon", "stlo"),
    ),
    "location": ("location", "loc", "locationcode", "stationlocationcode", "khole"),
    "channel": ("channel", "cha", "chan", "channelcode", "stationchannelcode"),
    "start": ("starttime", "start", "startdate", "ondate", "ontime", "begin", "begintime", "installed"),
    "end": ("endtime", "end", "enddate", "offdate", "offtime", "removed"),
    "sd": ("positionsdkm", "stationpositionsdkm"),
}
ELEVATIONS = ("elevation", "elev", "elv", "ele", "altitude", "alt", "height", "hgt", "stel")
SENSOR_ELEVATIONS = ("sensorelevation", "sensorelev", "sensoraltitude", "channelelevation")
DEPTHS = (
    *("depth", "sensordepth", "burialdepth", "burial", "localdepth", "boreholedepth", "instrumentdepth"),
    *("channeldepth", "dep", "stdp"),
)
HEIGHT_LIKE = re.compile(
    r"(^|_)(elev|alti|height|hgt|hoehe|depth|burial|quota|topo|msl|amsl)|(^|_)(z|alt|ele|elv|dep)(_|$)"
)
FORMS = (
    ("station", "latitude", "longitude", "elevation"),
    ("network", "station", "latitude", "longitude", "elevation"),
)


class _Columns(NamedTuple):
    """Columns of a table by quantity, and the factor to metres of those that are heights."""

    text: dict[str, str]
    heights: dict[str, tuple[str, float]]
    without_unit: bool


def table_epochs(data: bytes, path: str | Path) -> list[Epoch]:
    """One epoch a row; a station's rows differ in time, location or channel code, or are the same.

    Raises:
        ValueError: where a column is missing, twice or not understood, or a cell is no value; names file and line.
    """
    table = _read(decode(data, path), path)
    columns = _columns(table)
    missing = [name for name in ("station", "latitude", "longitude") if name not in columns.text]
    if missing:
        raise ValueError(
            f"{path} has no column for {', '.join(missing)}; its header must name them so, and has "
            f"{', '.join(table.header)}"
        )
    if not {"elevation", "sensor"} & set(columns.heights):
        warnings.warn(f"{path} has no column of elevations: stations are put at 0 m above sea level", stacklevel=4)
    epochs = [_epoch(row, columns) for row in table.rows]
    if columns.without_unit:
        _check_unit(table, columns)
    return epochs


def _read(text: str, path: str | Path) -> Table:
    first = parse_table(text, path, "station list", FORMS[0])
    if first.columns != FORMS[0] or not first.rows:
        return first
    by_network = as_number(first.rows[0].cells.get("latitude", "")) is None
    return parse_table(text, path, "station list", FORMS[1]) if by_network else first


def _columns(table: Table) -> _Columns:
    compact = {name.replace("_", ""): name for name in reversed(table.columns) if name}
    text = {what: next((compact[n] for n in names if n in compact), "") for what, names in NAMES.items()}
    text = {what: name for what, name in text.items() if name}
    heights, understood = {}, set(text.values())
    for what, names in (("elevation", ELEVATIONS), ("sensor", SENSOR_ELEVATIONS), ("depth", DEPTHS)):
        found = [(compact[f"{before}{n}{unit}"], factor) for n in names for before in ("", "station", "site")
                 for unit, factor in UNITS_M.items() if f"{before}{n}{unit}" in compact]  # fmt: skip
        understood.update(name for name, _ in found)
        if len(found) > 1:
            raise ValueError(
                f"{table.path} gives the {what} of stations twice, as {' and '.join(n for n, _ in found)}; use one"
            )
        if found:
            heights[what] = found[0]
    _refuse_unknown_heights(table, understood, "elevation" in heights or "sensor" in heights)
    for name in understood:
        table.find(name)
    elevation = heights.get("elevation", heights.get("sensor", ("", 0.0)))[0].replace("_", "")
    return _Columns(text, heights, elevation in {f"{b}{n}" for b in ("", "station", "site") for n in ELEVATIONS})


def _refuse_unknown_heights(table: Table, understood: set[str], elevated: bool) -> None:
    """Of a table with an understood elevation only unknown depths can be meant for the station."""
    unknown = [n for n in table.columns if n not in understood and HEIGHT_LIKE.search(n)]
    if elevated:
        unknown = [n for n in unknown if re.search(r"(sensor|instrument|hole|burial|station).*(depth|burial)", n)]
    if unknown:
        raise ValueError(
            f"{table.path}: the column {unknown[0]} looks like a height or depth and is not understood; use the name "
            "elevation_m or elevation_km (of the ground, upwards) or sensor_depth_m (below ground), or remove it"
        )


def _epoch(row: Row, columns: _Columns) -> Epoch:
    cell = lambda what: row.code(columns.text[what]) if what in columns.text else ""
    parts = cell("station").split(".")
    if not parts[0] and len(parts) < 2:
        raise ValueError(f"{row.place} has no station code; it must be in column {columns.text['station']}")
    code = ".".join(parts[:2]).strip(".")
    if cell("network") and "." not in code:
        code = f"{cell('network')}.{code}"
    number = lambda what: _number(row, columns.text.get(what, ""), f"{what} of station {code}")
    location = cell("location") if len(cell("location")) <= 2 else ""
    sensor = (location or (parts[2] if len(parts) > 2 else ""), cell("channel") or (parts[3] if len(parts) > 3 else ""))
    located = bool(sensor[0]) or ("location" in columns.text and bool(sensor[1]))
    latitude, longitude = (_degrees(number(name), f"{name}_deg") for name in ("latitude", "longitude"))
    sd = number("sd")
    elevation_m = _elevation_m(row, columns, code)
    station = Station(code, latitude, longitude, elevation_m, 0.0 if math.isnan(sd) else sd)
    start, end = (row.time(columns.text[n]) if n in columns.text else None for n in ("start", "end"))
    end = None if end is not None and end > NO_END else end
    return Epoch(station, sensor[0] if located else None, sensor[1] or None, start, end)


def _number(row: Row, name: str, what: str) -> float:
    text = row.text(name)
    value = as_number(text, row.decimal_comma) if text else math.nan
    if value is None or math.isinf(value):
        raise ValueError(
            f"{row.place}: {what} is {text!r}, which is not a finite number; column {name} must have numbers"
        )
    return value


def _degrees(value: float, quantity: str) -> float:
    return math.nan if is_missing_code(value, quantity) else value  # type: ignore[arg-type]


def _elevation_m(row: Row, columns: _Columns, code: str) -> float:
    """Elevation of the sensor, NaN where unknown; 0 m of a table without such a column."""
    raw = {what: _number(row, name, f"{what} of station {code}") for what, (name, _) in columns.heights.items()}
    known = {what: value * columns.heights[what][1] for what, value in raw.items() if not _is_code(value, what)}
    if "sensor" in known:
        return known["sensor"]
    if "elevation" in raw and "elevation" not in known:
        return math.nan
    return known.get("elevation", 0.0) - known.get("depth", 0.0)


def _is_code(raw: float, what: str) -> bool:
    return is_missing_code(raw, "depth_m" if what == "depth" else "elevation_m")


def _check_unit(table: Table, columns: _Columns) -> None:
    """Refuse elevations in a column without unit that may be in km."""
    name, _ = columns.heights.get("elevation", columns.heights.get("sensor", ("", 0.0)))
    values = [value for value in (row.number(name) for row in table.rows) if not _is_code(value, "elevation")]
    if look_like_km(values):
        raise ValueError(
            f"{table.path}: elevations that are all below 10 ({values[0]:g}, ...) may be in m or km, and column {name} "
            "has no unit; use the name elevation_m or elevation_km in the header"
        )
