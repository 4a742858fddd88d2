"""HYPOINVERSE's files (Y2000) in the registry of formats, and how they are recognised.

Weight codes 0 to 3 of picks stand for HYPOINVERSE's weights 1, 0.75, 0.5 and 0.25 of a pick with a standard deviation
of 0.15 s (commands WET and ERR as they are by default); codes from 4 on leave a pick out. A magnitude of 0 is unknown.
"""

import re
from pathlib import Path

from jaxloc.data.dataset import Station
from jaxloc.io.contents import (
    EVENTS,
    PICKS,
    STATIONS,
    VELOCITY,
    Contents,
    Format,
    Sample,
    written_to_file,
)  # fmt: skip
from jaxloc.io.fixed_columns import Field, Record, read_fields
from jaxloc.io.hypoinverse import SHADOW, as_position, minute_of, read_archive, read_summaries, write_archive
from jaxloc.io.hypoinverse import write_summaries as write_summary_lines
from jaxloc.io.hypoinverse_columns import HYPO71, PHASE, STATION, SUMMARY
from jaxloc.io.hypoinverse_contents import archived, events_of, network_and_site, picked_of
from jaxloc.io.hypoinverse_stations import read_crust, read_station_lines, sites_of, write_crust, write_station_lines
from jaxloc.io.pick_files import PickFile
from jaxloc.io.tables import as_number

VP_VS = 1.73


def read_archived(path: Path) -> Contents:
    """An archive or phase file; raises as `jaxloc.io.hypoinverse.read_archive`."""
    events = read_archive(path)
    located, ids = events_of([event.summary for event in events])
    picked = tuple(picked_of(id, event) for id, event in zip(ids, events, strict=True))
    notes = (
        "picks have a standard deviation of 0.15 s over the weights 1, 0.75, 0.5, 0.25 of codes 0 to 3",
        "channels, first motions, amplitudes, durations and delays are not read",
    )
    return Contents(PickFile(picked), located, notes=notes)


def write_archived(contents: Contents) -> bytes:
    """An archive of events with their picks; of an event without location the summary has the time alone.

    Raises:
        ValueError: where a time is not UTC, or a code has more characters than two (network) and five (station).
    """
    events = archived(contents)
    return written_to_file(lambda path: write_archive(path, events))


def read_summary(path: Path) -> Contents:
    """A summary file; raises as `jaxloc.io.hypoinverse.read_summaries`."""
    return Contents(events=events_of(read_summaries(path))[0], notes=("numbers of phases and residuals are not read",))


def write_summary(contents: Contents) -> bytes:
    """A Y2000 summary file; raises as `write_archived`."""
    summaries = [event.summary for event in archived(contents._replace(picks=None))]
    return written_to_file(lambda path: write_summary_lines(path, summaries))


def read_stations(path: Path) -> Contents:
    """One station a site that has a position; raises as `jaxloc.io.hypoinverse_stations.read_station_lines`."""
    sites = sites_of(read_station_lines(path))
    stations = [Station(f"{net}.{site}" if net else site, *place) for (net, site), place in sites.items()]
    placed = tuple(station for station in stations if station[1:3] != (0.0, 0.0))
    notes = ["of the channels of a site the first counts, delays are not read"]
    if without := len(stations) - len(placed):
        notes.append(f"{without} sites are at 0 N 0 E, without a position, and left out")
    return Contents(stations=placed, notes=tuple(notes))


def write_stations(contents: Contents) -> bytes:
    """A station file of format 2, elevations to 1 m; raises as `write_archived` where a code is too long."""
    records = [_station_line(station) for station in contents.stations]
    return written_to_file(lambda path: write_station_lines(path, records))


def _station_line(station: Station) -> Record:
    network, site = network_and_site(station.code)
    place = as_position(station.latitude_deg, station.longitude_deg, 4)
    east = place.pop("west")
    return {
        "site": site, "network": network, **place, "east": "E" if east == "E" else None,
        "elevation_m": round(station.elevation_m),
    }  # fmt: skip


def read_model(path: Path) -> Contents:
    """A crust of homogeneous layers; raises as `jaxloc.io.hypoinverse_stations.read_crust`."""
    notes = (
        f"there are no S speeds: P speeds over {VP_VS} are taken",
        "depths are taken as below sea level; HYPOINVERSE counts them from the mean elevation of the nearest stations",
    )
    return Contents(velocity=read_crust(path, VP_VS), notes=notes)


def write_model(contents: Contents) -> bytes:
    """A crust of the P speeds, to 0.01 km/s and 0.01 km.

    Raises:
        ValueError: where a value does not fit into its columns.
    """
    model = contents.velocity
    assert model is not None, "the caller checks that there is a velocity model"
    return written_to_file(lambda path: write_crust(path, "P VELOCITY MODEL", model))


def _record(line: str, fields: tuple[Field, ...]) -> Record | None:
    try:
        return read_fields(line, fields, "")
    except ValueError:
        return None


def _is_timed(record: Record | None) -> bool:
    try:
        return record is not None and 1900 <= minute_of(record).year < 2100
    except (TypeError, ValueError):
        return False


def _is_place(record: Record) -> bool:
    limits = {"latitude_degree": 90, "latitude_minute": 60, "longitude_degree": 360, "longitude_minute": 60}
    return all(0 <= float(record[name] or 0) <= most for name, most in limits.items())


def _is_summary_line(line: str) -> bool:
    record = _record(line, SUMMARY)
    return bool(re.match(r"\d{8}[\d ]{8}", line)) and record is not None and _is_timed(record) and _is_place(record)


def _is_hypo71_line(line: str) -> bool:
    record = _record(line, HYPO71)
    shaped = re.match(r"\d{8} [\d ]{4} ", line) and record is not None and record["latitude_degree"] is not None
    return bool(shaped) and _is_timed(record) and _is_place(record or {})


def _lines(sample: Sample) -> list[str]:
    return [line for line in sample.lines if not line.startswith(SHADOW)]


def is_archive(sample: Sample) -> bool:
    """A summary, then a station's line or a terminator."""
    lines = _lines(sample)
    if len(lines) < 2 or not _is_summary_line(lines[0]):
        return False
    ends = not lines[1][:62].strip() and lines[1][62:72].strip().isdecimal()
    return ends or (bool(lines[1][:5].strip()) and _is_timed(_record(lines[1], PHASE)))


def is_summary(sample: Sample) -> bool:
    """Lines of summaries alone."""
    lines = _lines(sample)[:3]
    return bool(lines) and any(all(map(test, lines)) for test in (_is_summary_line, _is_hypo71_line))


def is_stations(sample: Sample) -> bool:
    """Site, network, channel, degrees and minutes in their columns."""
    return bool(sample.lines) and all(map(_is_station_line, sample.lines[:3]))


def _is_station_line(line: str) -> bool:
    record = _record(line, STATION)
    if record is None or not line[:5].strip() or line[5:6] != " " or "." not in line[18:25]:
        return False
    needed = ("latitude_degree", "latitude_minute", "longitude_degree", "longitude_minute")
    return None not in [record[name] for name in needed] and _is_place(record)


def is_model(sample: Sample) -> bool:
    """A name, then speed and depth in their columns, as a reader of words finds them where a blank parts them."""
    lines = sample.text.splitlines()[:22]
    if not lines or "," in sample.text or None not in map(as_number, lines[0].split()[:2] or ["0"]):
        return False
    layers = [_layer(line) for line in lines[1:] if line.strip()]
    if not layers or None in layers:
        return False
    speed, top = layers[0] or (0.0, 0.0)
    return speed > 0 >= top


def _layer(line: str) -> tuple[float, float] | None:
    columns, words = ([as_number(text) for text in row] for row in ((line[:5], line[5:10]), line.split()[:2]))
    speed, top = columns
    if speed is None or top is None:
        return None
    return (speed, top) if words == columns or (len(words) == 1 and len(line.rstrip()) == 10) else None


FORMATS = (
    Format(
        "hypoinverse_archive", "HYPOINVERSE archive or phases of events, Y2000 (.arc, .phs)", (PICKS, EVENTS),
        is_archive, read_archived, write_archived, (".arc", ".phs"),
    ),
    Format(
        "hypoinverse_summary", "HYPOINVERSE summary, Y2000 or HYPO71's (.sum)", (EVENTS,),
        is_summary, read_summary, write_summary, (".sum",),
    ),
    Format(
        "hypoinverse_stations", "HYPOINVERSE stations (.sta)", (STATIONS,),
        is_stations, read_stations, write_stations, (".sta",),
    ),
    Format(
        "hypoinverse_crust", "HYPOINVERSE crust of layers, P alone (.crh)", (VELOCITY,),
        is_model, read_model, write_model, (".crh",),
    ),
)  # fmt: skip
