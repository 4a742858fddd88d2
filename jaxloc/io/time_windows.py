"""Windows of continuous records: where they start, and what is known of the event in each.

A window table has a column `start` (UTC time of sample zero) or `origin_time` (the window then starts some seconds
before), and where known `id`, `latitude_deg`, `longitude_deg`, `depth_km` (or `depth_m`), `magnitude`, each with or
without `source_` before it.
"""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from obspy import UTCDateTime

from jaxloc.io.missing_values import Quantity, is_missing_code, is_null_island
from jaxloc.io.tables import Row, Table, parse_time, read_table

STARTS = ("start", "start_time", "trace_start_time", "window_start", "starttime")
ORIGINS = ("origin_time", "source_origin_time", "time", "origintime")
IDS = ("id", "source_id", "event_id", "eventid")
NUMBERS: dict[Quantity, tuple[str, ...]] = {
    "latitude_deg": ("latitude_deg", "source_latitude_deg", "latitude", "lat"),
    "longitude_deg": ("longitude_deg", "source_longitude_deg", "longitude", "lon"),
    "depth_km": ("depth_km", "source_depth_km", "depth"),
    "depth_m": ("depth_m", "source_depth_m"),
    "magnitude": ("magnitude", "source_magnitude", "mag"),
}
DEPTHS_KM = (-10.0, 750.0)
EARLIEST_ORIGIN_S = 600.0
"""An origin may lie so long before the start of its window: P takes as long to 45 degrees."""
LATEST_ORIGIN_S = 3600.0
"""An origin may lie so long after the start of a window of unknown length."""


class Window(NamedTuple):
    """Start in UTC, a name, and of the event whatever is known: NaN and None where it is not."""

    start: UTCDateTime
    id: str
    origin: UTCDateTime | None = None
    latitude_deg: float = np.nan
    longitude_deg: float = np.nan
    depth_km: float = np.nan
    magnitude: float = np.nan


def read_windows(
    windows: str | Path | Sequence[str | UTCDateTime], before_s: float, duration_s: float | None = None
) -> list[Window]:
    """Windows from a list of start times or from a table.

    Args:
        windows: start times, or the path of a table.
        before_s: how long before its origin time a window starts that has no start.
        duration_s: length of the windows, where it is known: an origin must lie before their ends.

    Raises:
        ValueError: where the file is missing, empty or no table, has neither starts nor origin times, a value cannot
            be read or is impossible, an origin lies far outside its window, or an id is there twice; names file and
            line.
    """
    if not isinstance(windows, str | Path):
        return _of_times([parse_time(start) for start in windows])
    path = Path(windows)
    if not path.is_file():
        raise ValueError(f"no such file of windows: {path}; start times themselves must be a list")
    table = read_table(path, "window table")
    if table.find(*STARTS) is None and table.find(*ORIGINS) is None:
        raise ValueError(
            f"{path} has neither a column {STARTS[0]} nor {ORIGINS[0]}; it has {', '.join(table.header)}, but "
            "must have one of them"
        )
    for names in (IDS, *NUMBERS.values()):
        table.find(*names)
    if not table.rows:
        raise ValueError(f"{path} has a header and no window; it must have one a line")
    found = [_window(row, before_s, duration_s) for row in table.rows]
    _refuse_duplicates(table, found)
    _warn_of_codes(table)
    return found


def _warn_of_codes(table: Table) -> None:
    """One line for all values that stand for unknown ones: codes such as -9999, and positions at 0 N 0 E."""
    counts = {
        name: sum(
            not math.isnan(row.number(*names)) and is_missing_code(row.number(*names), name) for row in table.rows
        )
        for name, names in NUMBERS.items()
    }
    place = NUMBERS["latitude_deg"], NUMBERS["longitude_deg"]
    counts["0 N 0 E"] = sum(is_null_island(*(row.number(*names) for names in place)) for row in table.rows)
    if listed := ", ".join(f"{name} in {count} rows" for name, count in counts.items() if count):
        warnings.warn(f"{table.path}: codes such as -9999 are taken as unknown: {listed}", stacklevel=3)


def _of_times(starts: list[UTCDateTime]) -> list[Window]:
    if not starts:
        raise ValueError("windows is empty; it must have a start time, or be None for all of the data")
    if again := [name for name, count in Counter(map(str, starts)).items() if count > 1]:
        raise ValueError(f"the window at {again[0]} is given twice; every start must be given once")
    return [Window(start, str(start)) for start in starts]


def _window(row: Row, before_s: float, duration_s: float | None) -> Window:
    start, origin = row.time(*STARTS), row.time(*ORIGINS)
    if start is None and origin is None:
        raise ValueError(f"{row.place}: the window has neither a start nor an origin time; it must have one of them")
    if start is None and origin is not None:
        start = origin - before_s
    assert start is not None  # of two that are not both None
    if origin is not None:
        _check_origin(row, start, origin, duration_s)
    latitude_deg, longitude_deg = (_number(row, name) for name in ("latitude_deg", "longitude_deg"))
    if is_null_island(latitude_deg, longitude_deg):
        latitude_deg = longitude_deg = math.nan
    depth_km, depth_m = _number(row, "depth_km"), _number(row, "depth_m")
    depth_km = depth_m / 1000 if math.isnan(depth_km) else depth_km
    low, high = DEPTHS_KM
    if not math.isnan(depth_km) and not low <= depth_km <= high:
        raise ValueError(
            f"{row.place}: depth must be within {low:g} to {high:g} km, got {depth_km:g}; name the column depth_m if "
            "it is in m, or leave the cell empty"
        )
    return Window(
        start, row.code(*IDS) or str(start), origin, latitude_deg, longitude_deg, depth_km, _number(row, "magnitude")
    )


def _number(row: Row, name: Quantity) -> float:
    """A number, NaN where it is unknown or a code for that."""
    value = row.number(*NUMBERS[name])
    return math.nan if is_missing_code(value, name) else value


def _check_origin(row: Row, start: UTCDateTime, origin: UTCDateTime, duration_s: float | None) -> None:
    after_s = float(origin - start)
    latest_s = LATEST_ORIGIN_S if duration_s is None else duration_s
    if not -EARLIEST_ORIGIN_S <= after_s <= latest_s:
        raise ValueError(
            f"{row.place}: the origin time {origin} is {abs(after_s):.0f} s {'after' if after_s > 0 else 'before'} the "
            f"start of its window, {start}; it must be within {EARLIEST_ORIGIN_S:.0f} s before and {latest_s:.0f} s "
            "after it: correct one of them (both in UTC)"
        )


def _refuse_duplicates(table: Table, windows: list[Window]) -> None:
    first: dict[str, int] = {}
    for row, window in zip(table.rows, windows, strict=True):
        if window.id in first:
            raise ValueError(
                f"{row.place}: the id {window.id!r} is also that of line {first[window.id]}; ids must differ"
            )
        first[window.id] = row.line
