"""The metadata of a SeisBench folder: rows of traces, and the events and stations that they belong to.

One row is one trace. Rows are grouped into events by `source_id`, else by `source_origin_time`, else each
trace is its own event. Everything is checked here, so that errors name the columns and values of the file.
"""

# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# pyright: reportReturnType=false
# Pandas' own annotations leave open whether an operation gives a frame, a column or a number.

import warnings
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from jaxloc.data.dataset import Event, Station
from jaxloc.io.missing_values import Quantity, is_missing_code, is_null_island
from jaxloc.io.tables import parse_time

REQUIRED = ("trace_name", "station_code", "station_latitude_deg", "station_longitude_deg")
# Read as text: "NA" is a network, "00" a location, and an event's number may have more digits than a float.
AS_TEXT = (
    "trace_name",
    "source_id",
    "station_code",
    "station_network_code",
    "station_location_code",
    "trace_channel",
    "trace_component_order",
    "split",
)
NO_VALUE = ["", "nan", "NaN", "NAN", "NA", "N/A", "None", "null", "NULL", "<NA>"]
LONGEST_DELAY_S = 3600.0
SAME_ORIGIN_S, SAME_PLACE_KM = 10.0, 20.0
"""Rows of one event whose origins differ by more than this are of two earthquakes."""
KM_PER_DEGREE = 111.19


class Rows(NamedTuple):
    """The traces of the events of a data set, sorted by event, and by station within an event.

    `delay_s` is the start of a trace after the earliest of its event, `gain` the ground velocity of a count in m/s.
    """

    name: list[str]
    file: Int[np.ndarray, " row"]
    event: Int[np.ndarray, " row"]
    station: Int[np.ndarray, " row"]
    delay_s: Float[np.ndarray, " row"]
    gain: Float[np.ndarray, "row 3"]
    table: pd.DataFrame


def read_metadata(
    folder: Path, prefixes: Sequence[str] = (), required: Sequence[str] = REQUIRED
) -> tuple[pd.DataFrame, list[Path]]:
    """All metadata of a folder, chunks one after another, and the waveform files; column `file` is their number.

    Chunks are those that the folder's file `chunks` lists (metadataCHUNK.csv); where `prefixes` are given, the files
    that these begin (PREFIXmetadata.csv). Columns that are `required` must be there.

    Raises:
        ValueError: where the folder or a file in it is missing, the tables are empty, or a needed column is
            not there.
    """
    if not folder.is_dir():
        raise ValueError(f"no such folder: {folder}; it must be a folder with metadata.csv and waveforms.hdf5")
    chunks = (folder / "chunks").read_text().split() if (folder / "chunks").is_file() else [""]
    parts = [(prefix, "") for prefix in prefixes] or [("", chunk) for chunk in chunks]
    tables = [_read_table(folder / f"{pre}metadata{post}.csv").assign(file=i) for i, (pre, post) in enumerate(parts)]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if table.empty:
        raise ValueError(f"{folder}: the metadata must have at least one row, got none")
    missing = [column for column in required if column not in table]
    if missing:
        raise ValueError(f"{folder}: metadata lack the columns {', '.join(missing)}; a SeisBench folder must have them")
    return table, [folder / f"{pre}waveforms{post}.hdf5" for pre, post in parts]


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise ValueError(f"no {path.name} in {path.parent}; is it a SeisBench folder?")
    try:
        names = pd.read_csv(path, nrows=0).columns
        missing = {name: NO_VALUE for name in names if name not in AS_TEXT}
        as_text: dict[Hashable, type] = {name: str for name in AS_TEXT}
        return pd.read_csv(path, low_memory=False, dtype=as_text, keep_default_na=False, na_values=missing)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be a readable table with rows ({error})") from error


def column(table: pd.DataFrame, name: str, default: float = np.nan) -> Float[np.ndarray, " row"]:
    """A column as numbers, `default` where there is no such column or no value.

    Raises:
        ValueError: where a value is no number.
    """
    if name not in table:
        return np.full(len(table), default)
    numbers = pd.Series(pd.to_numeric(table[name], errors="coerce"), index=table.index)
    wrong = numbers.isna() & table[name].notna() & (table[name].astype(str).str.strip() != "")
    if wrong.any():
        raise ValueError(
            f"column {name} must have numbers or be empty, got {table[name][wrong].iloc[0]!r}; "
            "correct it or leave it empty"
        )
    return numbers.fillna(default).to_numpy(float)


def times_ns(table: pd.DataFrame, name: str) -> Int[np.ndarray, " row"]:
    """A column of UTC times as nanoseconds since 1970, the lowest integer where there is none.

    Times are ISO 8601 or the other forms of `jaxloc.io.tables.parse_time`, seconds since 1970 among them.

    Raises:
        ValueError: where a value is no time.
    """
    if name not in table:
        return np.full(len(table), NO_TIME)
    text = table[name].astype("string").str.strip().replace("", pd.NA)
    is_number = text.str.fullmatch(r"[-+]?\d*\.?\d*(e[-+]?\d+)?", case=False).fillna(False).to_numpy(bool)
    times = pd.to_datetime(text.mask(is_number), utc=True, format="ISO8601", errors="coerce")
    other = (times.isna() & text.notna()).to_numpy(bool)
    ns = times.dt.tz_localize(None).astype("datetime64[ns]").to_numpy().view(np.int64).copy()
    ns[other] = [_parse_ns(name, value) for value in text[other]]
    return ns


def _parse_ns(name: str, text: str) -> int:
    try:
        return parse_time(text).ns
    except ValueError as error:
        raise ValueError(f"column {name} must have times in ISO 8601, got {text!r}") from error


NO_TIME = np.iinfo(np.int64).min


def known_numbers(table: pd.DataFrame, name: str, quantity: Quantity) -> Float[np.ndarray, " row"]:
    """A column as numbers, NaN for codes of unknown values such as -9999; a warning names them."""
    numbers = column(table, name)
    codes = np.array([np.isfinite(value) and is_missing_code(value, quantity) for value in numbers], bool)
    if codes.any():
        values = ", ".join(f"{value:g}" for value in np.unique(numbers[codes]))
        warnings.warn(f"{name} is {values} in {int(codes.sum())} rows, taken as unknown", stacklevel=3)
    return np.where(codes, np.nan, numbers)


def epicentres(table: pd.DataFrame) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
    """Latitude and longitude of each row's source in degrees, NaN where unknown; 0, 0 counts as unknown."""
    latitude, longitude = column(table, "source_latitude_deg"), column(table, "source_longitude_deg")
    nowhere = np.array([is_null_island(*place) for place in zip(latitude, longitude, strict=True)], bool)
    if nowhere.any():
        warnings.warn(f"sources of {int(nowhere.sum())} rows lie at exactly 0, 0, taken as unknown", stacklevel=3)
    return np.where(nowhere, np.nan, latitude), np.where(nowhere, np.nan, longitude)


def time_text(ns: int) -> str | None:
    """Nanoseconds since 1970 as ISO 8601 with microseconds, None for no time."""
    return None if ns == NO_TIME else f"{np.datetime64(int(ns), 'ns').astype('datetime64[us]')}Z"


def station_codes(table: pd.DataFrame) -> np.ndarray:
    """NET.STA of each row, STA alone where there is no network code."""
    code = table["station_code"].str.strip()
    if "station_network_code" not in table:
        return code.to_numpy()
    network = table["station_network_code"].fillna("").str.strip()
    return (network + np.where(network == "", "", ".") + code).to_numpy()


def event_keys(table: pd.DataFrame) -> np.ndarray:
    """What each row's event is called: source_id, else source_origin_time, else the trace's own name (in its file)."""
    key = table["trace_name"].astype(str)
    if "file" in table and table["file"].max() > 0:  # buckets have the same names in every file
        key = key + " " + table["file"].astype(str)
    for name in ("source_origin_time", "source_id"):
        if name in table:
            text = table[name].fillna("").astype(str)
            key = text.where(text != "", key)
    return key.to_numpy()


def choose_split(table: pd.DataFrame, split: str | None) -> pd.DataFrame:
    """The rows of one split, all rows for None.

    Raises:
        ValueError: where there is no such split (lists those there are), or an event lies in several.
    """
    if split is None:
        return table
    there = sorted(set(table["split"])) if "split" in table else []
    if split not in there:
        raise ValueError(f"no split {split!r}; use one that the data set has: {', '.join(map(repr, there)) or 'none'}")
    chosen = (table["split"] == split).to_numpy()
    keys = event_keys(table)
    shared = set(keys[chosen]) & set(keys[~chosen])
    if shared:
        raise ValueError(
            f"event {min(shared)} has traces in {split!r} and in another split; "
            "all traces of an event must be in one split"
        )
    return table[chosen].reset_index(drop=True)


def choose_events(table: pd.DataFrame, events: Sequence[str]) -> pd.DataFrame:
    """The rows of some events, all rows for none.

    Raises:
        ValueError: for an event that the table does not have; names some that it has.
    """
    if not events:
        return table
    keys = event_keys(table)
    if missing := [name for name in events if name not in set(keys)]:
        some = ", ".join(list(dict.fromkeys(keys))[:5])
        raise ValueError(f"no event {missing[0]!r} in the data set; its events are {some} ...")
    return table[np.isin(keys, list(events))].reset_index(drop=True)


def sort_rows(
    table: pd.DataFrame, stations: tuple[Station, ...], gain_m_s: float = 1.0
) -> tuple[Rows, tuple[Event, ...]]:
    """Group the rows of a table into events, in the order in which the events first appear.

    Delays are those of a trace behind the earliest of its event. `gain_m_s` is the ground velocity of a count where
    no column gives it. Rows of one station and event stay side by side: `jaxloc.io.seisbench_choice` merges them.

    Raises:
        ValueError: where the traces of an event start more than an hour apart, or their origins are of two events.
    """
    number, keys = pd.factorize(event_keys(table))
    place = {station.code: i for i, station in enumerate(stations)}
    station = np.array([place[code] for code in station_codes(table)])
    order = np.argsort(number, kind="stable")
    table, number, station = table.iloc[order].reset_index(drop=True), number[order], station[order]
    start_ns = times_ns(table, "trace_start_time")
    earliest = np.full(len(keys), np.iinfo(np.int64).max)
    np.minimum.at(earliest, number, np.where(start_ns == NO_TIME, np.iinfo(np.int64).max, start_ns))
    delay_s = np.where(start_ns == NO_TIME, 0.0, (start_ns - earliest[number]) * 1e-9)
    if delay_s.max() > LONGEST_DELAY_S:
        late = int(np.argmax(delay_s))
        raise ValueError(
            f"event {keys[number[late]]}: trace {table['trace_name'][late]} starts {delay_s[late]:.0f} s "
            "after the earliest of the event; correct trace_start_time or source_id"
        )
    _check_one_origin(table, number, np.asarray(keys))
    gain = np.stack([column(table, f"trace_gain_{letter}", gain_m_s) for letter in "zne"], -1)
    names = table["trace_name"].tolist()
    rows = Rows(names, table["file"].to_numpy(int), number, station, delay_s, gain, table)
    return rows, _events(rows, np.asarray(keys), earliest)


def _check_one_origin(table: pd.DataFrame, event: Int[np.ndarray, " row"], keys: Shaped[np.ndarray, " event"]) -> None:
    """Refuse rows of one event whose origin times or epicentres are those of two earthquakes."""
    origin_ns, number = times_ns(table, "source_origin_time"), len(keys)
    origin_s = np.where(origin_ns == NO_TIME, np.nan, (origin_ns - origin_ns.max()) * 1e-9)
    latitude, longitude = column(table, "source_latitude_deg"), column(table, "source_longitude_deg")
    apart_s, apart_north, apart_east = (_spread(value, event, number) for value in (origin_s, latitude, longitude))
    apart_east = np.minimum(apart_east, 360 - apart_east) * np.cos(np.deg2rad(latitude[first_rows(event, number)]))
    apart_km = KM_PER_DEGREE * np.hypot(apart_north, np.nan_to_num(apart_east))
    two = (apart_s > SAME_ORIGIN_S) | (apart_km > SAME_PLACE_KM)
    if two.any():
        i = int(np.argmax(two))
        raise ValueError(
            f"event {keys[i]} has rows whose origin times differ by {apart_s[i]:.0f} s and whose "
            f"epicentres differ by {apart_km[i]:.0f} km; give each earthquake its own source_id"
        )


def _spread(
    values: Float[np.ndarray, " row"], event: Int[np.ndarray, " row"], num_events: int
) -> Float[np.ndarray, " event"]:
    """Largest less smallest value over the rows of each event, 0 where none is known."""
    largest, smallest = np.full(num_events, -np.inf), np.full(num_events, np.inf)
    known = np.isfinite(values)
    np.maximum.at(largest, event[known], values[known])
    np.minimum.at(smallest, event[known], values[known])
    return np.maximum(largest - smallest, 0.0)


def first_rows(event: Int[np.ndarray, " row"], num_events: int) -> Int[np.ndarray, " event"]:
    """The first row of each event, for rows sorted by event."""
    return np.searchsorted(event, np.arange(num_events))


def _events(rows: Rows, keys: Shaped[np.ndarray, " event"], earliest: Int[np.ndarray, " event"]) -> tuple[Event, ...]:
    table = rows.table.iloc[first_rows(rows.event, len(keys))]
    split = table["split"].fillna("").astype(str) if "split" in table else [""] * len(keys)
    origin_ns, magnitude = times_ns(table, "source_origin_time"), column(table, "source_magnitude")
    start_ns = np.where(earliest == np.iinfo(np.int64).max, NO_TIME, earliest)
    return tuple(
        Event(str(key), str(s), time_text(t), time_text(o), None if np.isnan(m) else float(m))
        for key, s, t, o, m in zip(keys, split, start_ns, origin_ns, magnitude, strict=True)
    )
