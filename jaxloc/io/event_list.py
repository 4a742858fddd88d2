"""Catalogues as lists of events with times, epicentres and magnitudes, for forecasts.

Days count from 1970-01-01 UTC; epicentres are in km east and north. `COLUMNS` names the columns that each kind of file
needs.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from jaxloc.geometry import Frame, check_degrees, to_degrees, to_km
from jaxloc.io.tables import column_key, decode, read_bytes, separator_of

SECONDS_A_DAY = 86400.0
SOUTHERN_CALIFORNIA = Frame(34.5, -118.0)
COLUMNS = {
    "japan": ("time", "latitude", "longitude", "magnitude", "x", "y"),
    "southern_california": ("time_utc", "lat", "lon", "mag"),
}


class EventList(NamedTuple):
    """Events in the order of their times."""

    day: Float[np.ndarray, " event"]
    east_km: Float[np.ndarray, " event"]
    north_km: Float[np.ndarray, " event"]
    magnitude: Float[np.ndarray, " event"]
    latitude_deg: Float[np.ndarray, " event"]
    longitude_deg: Float[np.ndarray, " event"]


def read_event_list(kind: str, path: str | Path) -> EventList:
    """A catalogue from a CSV of one of the kinds of `COLUMNS`.

    Raises:
        ValueError: for a kind that does not exist, a file that is missing, empty or no table, a column that is
            missing, or a value that is none; names it.
    """
    if kind not in _READERS:
        raise ValueError(f"no such kind of catalogue: {kind!r}; use one of {', '.join(_READERS)}")
    return in_order(_READERS[kind](_table(Path(path), COLUMNS[kind]), str(path)))


def in_order(events: EventList) -> EventList:
    """The same events, the earliest first."""
    return chosen(events, np.argsort(events.day, kind="stable"))


def chosen(events: EventList, which: Bool[np.ndarray, " event"] | Int[np.ndarray, " chosen"]) -> EventList:
    """Some of the events, by a mask or by their numbers."""
    return EventList(*(values[which] for values in events))


def day_of(date: str) -> float:
    """Days since 1970-01-01 UTC of a date or time in ISO 8601.

    Raises:
        ValueError: where it is none.
    """
    time = pd.to_datetime(date, utc=True, errors="coerce")
    if time is pd.NaT:
        raise ValueError(f"{date!r} is no date; it must be written as 1995-12-31")
    return time.timestamp() / SECONDS_A_DAY


def date_of(day: float) -> str:
    """The date in ISO 8601 on which a day is that many after 1970-01-01 UTC."""
    return pd.Timestamp(day * SECONDS_A_DAY, unit="s").strftime("%Y-%m-%d")


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise ValueError(f"no such catalogue: {path}; set data.path, or JAXLOC_DATA to the folder of data sets")
    text = decode(read_bytes(path, "catalogue"), path)
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator_of(text.partition("\n")[0]) or ",", low_memory=False)
        table.columns = [column_key(str(name)) for name in table.columns]
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} must be a table of comma-separated values: {error}") from error
    if missing := [name for name in columns if name not in table]:
        raise ValueError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(map(str, table))}, and must have all"
        )
    if table.empty:
        raise ValueError(f"{path} has no event; a catalogue must have one per line")
    return table


def _numbers(table: pd.DataFrame, name: str, path: str) -> np.ndarray:
    values = np.asarray(pd.to_numeric(table[name], errors="coerce"), float)
    if not (known := np.isfinite(values)).all():
        row = int(np.argmin(known))
        raise ValueError(f"{path}: {name} {table[name].iloc[row]!r} in line {row + 2} must be a finite number")
    return values


def _days(table: pd.DataFrame, name: str, path: str) -> np.ndarray:
    times = pd.to_datetime(table[name], utc=True, errors="coerce", format="ISO8601")
    if (unknown := times.isna().to_numpy()).any():
        row = int(np.argmax(unknown))
        raise ValueError(f"{path}: {name} {table[name].iloc[row]!r} in line {row + 2} is no time; it must be ISO 8601")
    return np.asarray((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1), float)


def _japan(table: pd.DataFrame, path: str) -> EventList:
    """The file's x grows to the north and its y to the east."""
    latitude, longitude = _numbers(table, "latitude", path), _numbers(table, "longitude", path)
    check_degrees(latitude, longitude, path)
    return EventList(
        _days(table, "time", path),
        _numbers(table, "y", path),
        _numbers(table, "x", path),
        _numbers(table, "magnitude", path),
        latitude,
        longitude,
    )


def _southern_california(table: pd.DataFrame, path: str) -> EventList:
    """In km relative to the centre of the region."""
    latitude, longitude = _numbers(table, "lat", path), _numbers(table, "lon", path)
    check_degrees(latitude, longitude, path)
    east_km, north_km = to_km(SOUTHERN_CALIFORNIA, latitude, longitude)
    return EventList(
        _days(table, "time_utc", path), east_km, north_km, _numbers(table, "mag", path), latitude, longitude
    )


def californian_degrees(
    east_km: Float[np.ndarray, " event"], north_km: Float[np.ndarray, " event"]
) -> tuple[Float[np.ndarray, " event"], Float[np.ndarray, " event"]]:
    """Latitude and longitude of places in southern California."""
    return to_degrees(SOUTHERN_CALIFORNIA, east_km, north_km)


_READERS: dict[str, Callable[[pd.DataFrame, str], EventList]] = {
    "japan": _japan,
    "southern_california": _southern_california,
}
