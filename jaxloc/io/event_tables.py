"""Tables of located events: jaxloc's events.csv, catalogues of GaMMA and PyOcto, and those with usual names of columns.

Depths are in km but for a column with m in its name (`depth(m)`). A table whose places are in km of a projection alone
(x, y, z) has to be given latitudes and longitudes by the program that projected it. GaMMA's `sigma_time` describes the
scatter of its picks, not an error of the origin time, and is not read as one.
"""

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.catalogue_csv import read_csv, write_csv
from jaxloc.io.contents import EVENTS, Contents, Format, Sample, hypocentre, origin_time, timed, written_to_file
from jaxloc.io.locations import SD
from jaxloc.io.missing_values import is_missing_code
from jaxloc.io.pick_files import PHASE
from jaxloc.io.tables import Row, Table, read_table

IDS = ("event_id", "event_index", "event_idx", "evid", "idx", "id", "source_id", "event")
TIMES = ("origin_time", "time", "source_origin_time", "time_utc", "datetime", "ot")
LATITUDES = ("latitude_deg", "latitude", "lat", "source_latitude_deg")
LONGITUDES = ("longitude_deg", "longitude", "lon", "lng", "source_longitude_deg")
DEPTHS = ("depth_km", "depth", "dep", "z_km", "source_depth_km")
DEPTHS_M = ("depth_m", "source_depth_m")
MAGNITUDES = ("magnitude", "mag", "source_magnitude")
USED = {*IDS, *TIMES, *LATITUDES, *LONGITUDES, *DEPTHS, *DEPTHS_M, *MAGNITUDES, *SD}
OWN = {"latitude_deg", "longitude_deg", "origin_s", "covariance_east_east", "confidence_level"}


def read_events(path: Path) -> Contents:
    """Events of a table with columns of time, latitude, longitude and depth, and where known id, magnitude, errors.

    Errors are standard deviations in columns `east_sd_km`, `north_sd_km`, `depth_sd_km`, `origin_sd_s`. Without ids an
    event is named by the number of its row.

    Raises:
        ValueError: where the file is missing or empty, a column is missing, or a value is missing or wrong.
    """
    table = read_table(path, "table of events")
    if not table.rows:
        raise ValueError(f"{path} has a header and no event; it must have one a row")
    wanted = {"time": TIMES, "latitude": LATITUDES, "longitude": LONGITUDES, "depth": (*DEPTHS, *DEPTHS_M)}
    if missing := [what for what, names in wanted.items() if table.find(*names) is None]:
        local = " (places in km of a projection do not suffice)" if {"x", "x_km"} & set(table.columns) else ""
        raise ValueError(f"{path} has no column of {', '.join(missing)}{local}; it has {', '.join(table.header)}")
    events = tuple(_event(table, number, row) for number, row in enumerate(table.rows, 1))
    unused = [name for name in table.columns if name and name not in USED]
    return Contents(events=events, notes=(f"columns not read: {', '.join(unused)}",) if unused else ())


def _event(table: Table, number: int, row: Row) -> Hypocentre:
    time = row.time(*TIMES)
    metres = table.find(*DEPTHS) is None
    depth_km = row.number(*DEPTHS_M) / 1000 if metres else row.number(*DEPTHS)
    latitude, longitude, magnitude = (row.number(*names) for names in (LATITUDES, LONGITUDES, MAGNITUDES))
    if time is None or not all(map(math.isfinite, (latitude, longitude, depth_km))):
        raise ValueError(f"{row.place}: an event must have time, latitude, longitude and depth; add them or remove it")
    magnitude = None if is_missing_code(magnitude, "magnitude") else magnitude
    east, north, depth, origin = (row.number(name) for name in SD)
    sd = (east, north, depth, origin)
    return hypocentre(row.code(*IDS) or str(number), time, latitude, longitude, depth_km, magnitude, sd)


def _read_own(path: Path) -> Contents:
    return Contents(events=tuple(read_csv(path)))


def _write_own(contents: Contents) -> bytes:
    return written_to_file(lambda path: write_csv(path, list(contents.events)))


def _table(
    header: tuple[str, ...], cells: Callable[[int, Hypocentre], tuple[object, ...]]
) -> Callable[[Contents], bytes]:
    def write(contents: Contents) -> bytes:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(header)
        rows.writerows(cells(number, event) for number, event in enumerate(contents.events))
        return text.getvalue().encode()

    return write


def _gamma(number: int, event: Hypocentre) -> tuple[object, ...]:
    magnitude = 999 if event.magnitude is None else event.magnitude
    phases = [pick.phase for pick in event.picks]
    counts = (len(phases), phases.count("P"), phases.count("S"))
    place = (event.longitude_deg, event.latitude_deg, event.depth_km)
    return (str(timed(event)).rstrip("Z"), magnitude, *counts, event.id, *place)


def _pyocto(number: int, event: Hypocentre) -> tuple[object, ...]:
    time = f"{timed(event).ns / 1e9:.6f}"
    return (event.id, time, len(event.picks), event.latitude_deg, event.longitude_deg, event.depth_km)


def _plain(number: int, event: Hypocentre) -> tuple[object, ...]:
    sd = [math.sqrt(variance) for variance in event.covariance.diagonal()]
    errors = ["" if math.isnan(value) else value for value in sd]
    magnitude = "" if event.magnitude is None else event.magnitude
    return (
        event.id,
        origin_time(event) or "",
        event.latitude_deg,
        event.longitude_deg,
        event.depth_km,
        magnitude,
        *errors,
    )


GAMMA = (
    "time",
    "magnitude",
    "num_picks",
    "num_p_picks",
    "num_s_picks",
    "event_index",
    "longitude",
    "latitude",
    "depth_km",
)
PYOCTO = ("idx", "time", "picks", "latitude", "longitude", "depth")
PLAIN = ("event_id", "time", "latitude", "longitude", "depth_km", "magnitude", *SD)


def _has(*names: str) -> Callable[[Sample], bool]:
    return lambda sample: set(sample.columns).issuperset(names)


def _is_table(sample: Sample) -> bool:
    there = set(sample.columns)
    placed = all(there.intersection(names) for names in (TIMES, LATITUDES, LONGITUDES, (*DEPTHS, *DEPTHS_M)))
    return placed and not there.intersection((*PHASE, "trace_name"))


TABLES = (".csv", ".tsv", ".txt")
FORMATS = (
    Format(
        "events_csv", "events as jaxloc writes them, with covariances", (EVENTS,),
        _has(*OWN), _read_own, _write_own, TABLES,
    ),
    Format(
        "gamma_events", "GaMMA catalogue with latitude and longitude", (EVENTS,),
        _has("time", "event_index", "num_picks"), read_events, _table(GAMMA, _gamma), TABLES,
    ),
    Format(
        "pyocto_events", "PyOcto events with latitude and longitude", (EVENTS,),
        _has("idx", "time", "picks"), read_events, _table(PYOCTO, _pyocto), TABLES,
    ),
    Format(
        "events_table", "events: time, latitude, longitude, depth, magnitude, standard deviations", (EVENTS,),
        _is_table, read_events, _table(PLAIN, _plain), TABLES,
    ),
)  # fmt: skip
