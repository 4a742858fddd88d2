"""Lists of stations: read from a table or an inventory, checked, joined with those of a trained network.

`jaxloc.io.station_table` and `jaxloc.io.station_inventory` read the formats, `jaxloc.io.station_epochs` chooses the
position of each station at the time of a record.
"""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from obspy import Inventory, UTCDateTime

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame, check_degrees, format_degrees, frame_of, great_circle_km, to_km
from jaxloc.io.missing_values import is_null_island
from jaxloc.io.station_epochs import Epoch, apart_km, named, positions_at
from jaxloc.io.station_inventory import inventory_epochs, load_inventory
from jaxloc.io.station_table import table_epochs
from jaxloc.io.tables import read_bytes

SAME_STATION_KM = 1.0
"""A station is one of training where its code is the same and its position no further than this."""
REPORTED_KM = 0.2
"""From this difference on, a position that differs from training is reported."""
ELEVATIONS_M = (-11_000.0, 9_000.0)
ISOLATED_KM = 1000.0
ISOLATION = 10.0
"""A station is isolated where it is 1,000 km, and ten times as far as most, from the middle of the stations."""

MISTAKE_KM, MISTAKE = 200.0, 3.0
"""A mistake explains a position where its correction is nearer by 200 km and to a third of the distance."""

StationSource = str | Path | Inventory


def read_stations(source: StationSource, time: UTCDateTime | None = None) -> tuple[Station, ...]:
    """Stations of a table, a StationXML or other inventory file, or an ObsPy inventory, sorted by code.

    Args:
        source: a file, gzipped or not, or an inventory.
        time: which epochs to take.

    Raises:
        ValueError: where the file is missing or no list of stations, columns are missing, a position is unknown or
            impossible, or epochs disagree and no time is given; names the station.
    """
    stations = positions_at(read_epochs(source))(time)
    return checked(stations.values(), _name(source))


def read_epochs(source: StationSource) -> tuple[Epoch, ...]:
    """All epochs of all sensors and stations of a list, unchecked but for being numbers.

    Raises:
        ValueError: where the file is missing or no list of stations, or a cell of a table is no value.
    """
    if isinstance(source, Inventory):
        epochs = inventory_epochs(source)
    else:
        data = read_bytes(source, "file of stations")
        if not data.strip():
            raise ValueError(f"{source} lists no station; it must have one a line, and is empty")
        is_inventory = _is_inventory(data)
        epochs = inventory_epochs(load_inventory(source)) if is_inventory else table_epochs(data, source)
    if not epochs:
        raise ValueError(f"{_name(source)} lists no station; it must have at least one")
    return tuple(epochs)


def as_inventory(source: StationSource | None) -> Inventory | None:
    """The inventory of a source that is or holds one, None for a table."""
    if source is None or isinstance(source, Inventory):
        return source
    return load_inventory(source) if _is_inventory(read_bytes(source, "file of stations")) else None


def _is_inventory(data: bytes) -> bool:
    """XML, or a dataless SEED volume."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or re.match(rb"\d{6}V", data) is not None


def _name(source: StationSource) -> str:
    return "the inventory" if isinstance(source, Inventory) else str(source)


def checked(stations: Iterable[Station], what: str) -> tuple[Station, ...]:
    """The stations sorted by code, unknown elevations replaced by the median of the others, with a warning.

    Raises:
        ValueError: where there is none, or a position is unknown, at 0 N 0 E or impossible; names the station.
    """
    stations = sorted(stations)
    if not stations:
        raise ValueError(f"{what} lists no station; it must have at least one")
    for station in stations:
        _check_position(station, f"station {station.code} in {what}")
    unknown = {s.code for s in stations if np.isnan(s.elevation_m)}
    if not unknown:
        return tuple(stations)
    known = [s.elevation_m for s in stations if s.code not in unknown]
    middle_m = float(np.median(known)) if known else 0.0
    source = "the median of the others" if known else "sea level"
    warnings.warn(
        f"elevation unknown (empty or a code such as -9999) in {what}, {middle_m:.0f} m, {source}, is taken: "
        f"{named(unknown)}",
        stacklevel=3,
    )
    return tuple(s._replace(elevation_m=middle_m) if s.code in unknown else s for s in stations)


def _check_position(station: Station, what: str) -> None:
    if np.isnan(station.latitude_deg) or np.isnan(station.longitude_deg):
        raise ValueError(
            f"{what} has no finite latitude and longitude (an empty cell or a code such as -999); it must have "
            "both, or be left out"
        )
    check_degrees(np.array(station.latitude_deg), np.array(station.longitude_deg), what)
    if is_null_island(station.latitude_deg, station.longitude_deg):
        raise ValueError(
            f"{what} is at 0 N 0 E, which stands for an unknown position; it must be corrected or left out"
        )
    low, high = ELEVATIONS_M
    if not np.isnan(station.elevation_m) and not low <= station.elevation_m <= high:
        raise ValueError(
            f"{what}: elevation {station.elevation_m:g} m of the sensor must be within {low:g} to {high:g} m; correct "
            "it, name its unit in the header (elevation_m, elevation_km, sensor_depth_m), or leave the cell empty"
        )


def check_isolated(stations: tuple[Station, ...], what: str) -> None:
    """Refuse a station far away from all others, whose position is most likely wrong.

    Raises:
        ValueError: names the station, its position, and the mistake that explains it, if one does.
    """
    if len(stations) < 4:
        return
    latitude, longitude = np.array([s[1:3] for s in stations]).T
    middle = float(np.median(latitude)), float(np.median(longitude))
    apart_km = great_circle_km(latitude, longitude, *np.array(middle))
    worst = int(np.argmax(apart_km))
    if apart_km[worst] <= max(ISOLATED_KM, ISOLATION * float(np.median(apart_km))):
        return
    station = stations[worst]
    advice = _mistake(station[1:3], middle) or "its position must be corrected, or its records left out"
    raise ValueError(
        f"station {station.code} in {what}, at {format_degrees(*station[1:3])}, is {apart_km[worst]:.0f} km from the "
        f"middle of the {len(stations)} stations, which it must not be; {advice}"
    )


def _mistake(place: tuple[float, float], target: tuple[float, float]) -> str:
    """The slip that explains why a place (latitude, longitude) is not near a target; empty where none does."""
    latitude, longitude = place
    slips = {
        "are latitude and longitude exchanged?": (longitude, latitude),
        "has longitude the wrong sign?": (latitude, -longitude),
        "has latitude the wrong sign?": (-latitude, longitude),
    }
    away_km = lambda other: float(great_circle_km(*np.array(other), *np.array(target)))
    now_km = away_km(place)
    found = {slip: away_km(other) for slip, other in slips.items() if abs(other[0]) <= 90}
    slip = min(found, key=lambda name: found[name])
    if now_km <= MISTAKE_KM + MISTAKE * found[slip]:
        return ""
    return f"{slip} it would then be {found[slip]:.0f} km away"


def refuse_mistaken(
    stations: tuple[Station, ...],
    latitude_deg: Float[np.ndarray, " event"],
    longitude_deg: Float[np.ndarray, " event"],
    what: str,
) -> None:
    """Refuse stations far from events, or a region, that would be among them with exchanged or negated coordinates.

    Args:
        stations: of one network.
        latitude_deg: of events or of the middle of a region; NaN is unknown.
        longitude_deg: likewise.
        what: what these are, for the message.

    Raises:
        ValueError: says how far stations are, and which mistake would explain it.
    """
    known = np.isfinite(latitude_deg) & np.isfinite(longitude_deg)
    if not known.any():
        return
    latitude, longitude = centre_of(stations)
    target = frame_of(latitude_deg[known], longitude_deg[known])
    if slip := _mistake((latitude, longitude), target):
        now_km = float(great_circle_km(*np.array((latitude, longitude)), *np.array(target)))
        raise ValueError(
            f"the stations, about {format_degrees(latitude, longitude)}, are {now_km:.0f} km from {what}, which are "
            f"about {format_degrees(*target)}: {slip}; the list must be corrected"
        )


def centre_of(stations: tuple[Station, ...]) -> Frame:
    """The local frame centred on stations."""
    return frame_of(np.array([s.latitude_deg for s in stations]), np.array([s.longitude_deg for s in stations]))


def station_positions(stations: tuple[Station, ...], frame: Frame) -> Float[np.ndarray, "station 3"]:
    """Kilometres east, north and down (minus the elevation) of stations."""
    latitude, longitude, elevation = np.array([station[1:4] for station in stations]).T
    return np.stack([*to_km(frame, latitude, longitude), -elevation / 1000], -1).astype(np.float32)


def is_same_station(first: Station, second: Station) -> bool:
    """Whether two lists mean the same station: equal codes, and positions within `SAME_STATION_KM`."""
    return first.code == second.code and apart_km(first, second) <= SAME_STATION_KM


def recognised(stations: Iterable[Station], trained: Iterable[Station]) -> set[str]:
    """Codes of the stations that are stations of training, by code and position."""
    by_code = {station.code: station for station in trained}
    return {s.code for s in stations if s.code in by_code and is_same_station(s, by_code[s.code])}


def join_stations(
    own: tuple[Station, ...], trained: tuple[Station, ...] | None, unknown: Literal["keep", "refuse"]
) -> tuple[tuple[Station, ...], Int[np.ndarray, " station"]]:
    """The stations of training, in their order, at the positions of `own`, and unknown ones of `own` behind them.

    A station of `own` is the one of training where `is_same_station`. One that has its code alone takes its place in
    the list, at its own position, as an unknown station. Differences of more than `REPORTED_KM` give one warning.

    Returns:
        The stations, and the row of each in training, -1 for an unknown one. Without `trained` all are known.

    Raises:
        ValueError: where there are unknown stations and `unknown` is "refuse"; names them, and how far they moved.
    """
    if unknown not in ("keep", "refuse"):
        raise ValueError(f"unknown_stations must be 'keep' or 'refuse', got {unknown!r}")
    if trained is None:
        return own, np.arange(len(own), dtype=np.int32)
    given = {station.code: station for station in own}
    moved_km = moves_km(own, trained)
    strangers = tuple(s for s in own if s.code not in moved_km)
    others = [code for code, km in moved_km.items() if km > SAME_STATION_KM]
    if unknown == "refuse" and (strangers or others):
        raise ValueError(_refusal([s.code for s in strangers], {code: moved_km[code] for code in others}))
    report_moves(own, trained)
    everyone = tuple(given.get(s.code, s) for s in trained) + strangers
    known = [-1 if s.code in others else row for row, s in enumerate(trained)]
    return everyone, np.array(known + [-1] * len(strangers), np.int32)


def _refusal(strangers: list[str], moved_km: dict[str, float]) -> str:
    reasons = []
    if strangers:
        reasons.append(
            f"stations that the given list (of a trained network: its training's) does not have: {', '.join(strangers)}"
        )
    if moved_km:
        far = ", ".join(f"{code} by {km:.1f} km" for code, km in moved_km.items())
        reasons.append(f"stations whose positions differ from those of training: {far}")
    return (
        f"{'; '.join(reasons)}; correct the station list, leave them out, or use a network that takes any station "
        "(unknown_stations='keep')"
    )


def moves_km(own: Iterable[Station], trained: Iterable[Station]) -> dict[str, float]:
    """How far each station of training is from the one of the same code among others, in km."""
    given = {station.code: station for station in own}
    return {s.code: apart_km(s, given[s.code]) for s in trained if s.code in given}


def report_moves(own: Iterable[Station], trained: Iterable[Station]) -> None:
    """One warning for all given positions that differ by more than `REPORTED_KM` from those of training."""
    moved = sorted(moves_km(own, trained).items(), key=lambda item: -item[1])
    far = {code: km for code, km in moved if km > REPORTED_KM}
    if far:
        listed = ", ".join(f"{code} by {km:.1f} km" for code, km in list(far.items())[:5])
        more = f" and {len(far) - 5} more" if len(far) > 5 else ""
        warnings.warn(
            f"the given positions are used; they differ from those of training: {listed}{more} (from "
            f"{SAME_STATION_KM:g} km on, a station counts as another one)",
            stacklevel=3,
        )
