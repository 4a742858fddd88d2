"""Windows of continuous records: where they start, and what is known of the event in each.

A window file is a CSV with a column `start` (UTC time of sample zero) or `origin_time` (the window then
starts some seconds before), and where known `id`, `latitude_deg`, `longitude_deg`, `depth_km`, `magnitude`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from obspy import UTCDateTime

STARTS = ("start", "start_time", "trace_start_time", "window_start")
ORIGINS = ("origin_time", "source_origin_time", "time")


class Window(NamedTuple):
    """Start in UTC, a name, and of the event whatever is known: NaN and None where it is not."""

    start: UTCDateTime
    id: str
    origin: UTCDateTime | None = None
    latitude_deg: float = np.nan
    longitude_deg: float = np.nan
    depth_km: float = np.nan
    magnitude: float = np.nan


def read_windows(windows: str | Path | Sequence[str | UTCDateTime], before_s: float) -> list[Window]:
    """Windows from a list of start times or from a CSV.

    Raises:
        ValueError: where the file is missing or has neither starts nor origin times, or a time cannot be
        read.
    """
    if not isinstance(windows, str | Path):
        starts = [_time(start) for start in windows]
        return [Window(start, str(start)) for start in starts]
    path = Path(windows)
    if not path.is_file():
        raise ValueError(f"no such file of windows: {path}; start times themselves are given as a list")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    starts = next((name for name in STARTS if name in table), None)
    origins = next((name for name in ORIGINS if name in table), None)
    if starts is None and origins is None:
        raise ValueError(f"{path} has neither a column {STARTS[0]} nor {ORIGINS[0]}; it has {', '.join(table)}")
    return [_window(row, starts, origins, before_s) for row in table.to_dict("records")]


def _window(row: dict[str, str], starts: str | None, origins: str | None, before_s: float) -> Window:
    origin = _time(row[origins]) if origins and row[origins] else None
    if starts and row[starts]:
        start = _time(row[starts])
    elif origin is not None:
        start = origin - before_s
    else:
        raise ValueError(f"a window has neither a start nor an origin time: {row}")
    numbers = (_number(row, name) for name in ("latitude_deg", "longitude_deg", "depth_km", "magnitude"))
    return Window(start, row.get("id") or row.get("source_id") or str(start), origin, *numbers)


def _time(value: str | UTCDateTime) -> UTCDateTime:
    try:
        return UTCDateTime(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} is no time; write it as 2018-12-30T03:00:00") from error


def _number(row: dict[str, str], name: str) -> float:
    text = row.get(name) or row.get(f"source_{name}") or row.get(name.partition("_")[0]) or "nan"
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"column {name} of a window is {text!r}, which is no number") from error
