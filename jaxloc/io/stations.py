"""Lists of stations: read from a CSV or StationXML, joined with a trained network's, put in a frame.

A table may have a header in the words of most programs (network, station or code; latitude or lat; longitude,
lon or lng; elevation, elev or elv, in metres unless the word says km), or none and the columns code,
latitude, longitude, elevation in metres. Columns are parted by commas, tabs or blanks.
"""

import csv
import re
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from obspy import Inventory, read_inventory

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame, check_degrees, frame_of, to_km

COLUMNS = {
    "network": ("network", "net", "networkcode", "stationnetworkcode"),
    "station": ("station", "sta", "code", "stationcode", "stationid", "id", "name"),
    "latitude": ("latitude", "lat", "latitudedeg", "stationlatitudedeg", "stla"),
    "longitude": ("longitude", "lon", "lng", "long", "longitudedeg", "stationlongitudedeg", "stlo"),
    "elevation": ("elevation", "elev", "elv", "elevm", "elvm", "elevationm", "stationelevationm", "stel"),
    "elevation_km": ("elevationkm", "elevkm", "elvkm"),
    "sd": ("positionsdkm", "stationpositionsdkm"),
}


def read_stations(source: str | Path | Inventory) -> tuple[Station, ...]:
    """Stations of a CSV, a StationXML or other inventory file, or an inventory, sorted by code.

    Raises:
        ValueError: where the file is missing or no list of stations, columns are missing, or a coordinate is
            no latitude and longitude; names it.
    """
    if isinstance(source, Inventory):
        return _from_inventory(source)
    path = Path(source)
    if not path.is_file():
        raise ValueError(f"no such file of stations: {path}")
    text = path.read_bytes()
    if text.lstrip()[:1] == b"<" or (text[:3] == b"\xef\xbb\xbf" and b"<" in text[:10]):
        return _from_inventory(load_inventory(path))
    return _from_table(path, text.decode("utf-8-sig", errors="replace"))


def load_inventory(path: Path) -> Inventory:
    """An inventory that ObsPy reads.

    Raises:
        ValueError: where it cannot.
    """
    try:
        return read_inventory(str(path))
    except Exception as error:  # ObsPy's readers raise many kinds
        raise ValueError(f"{path} is no inventory that can be read ({error})") from error


def _from_inventory(inventory: Inventory) -> tuple[Station, ...]:
    found = {
        f"{net.code}.{sta.code}": Station(
            f"{net.code}.{sta.code}", float(sta.latitude), float(sta.longitude), float(sta.elevation)
        )
        for net in inventory
        for sta in net
    }
    return _checked(list(found.values()), "the inventory")


def _from_table(path: Path, text: str) -> tuple[Station, ...]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError(f"{path} lists no station")
    rows = list(csv.reader(lines)) if "," in lines[0] else [re.split(r"\t| +", line.strip()) for line in lines]
    if len(rows[0]) > 2 and _is_number(rows[0][1]) and _is_number(rows[0][2]):
        columns = {"station": 0, "latitude": 1, "longitude": 2} | ({"elevation": 3} if len(rows[0]) > 3 else {})
    else:
        columns, rows = _columns(rows[0]), rows[1:]
        missing = [name for name in ("station", "latitude", "longitude") if name not in columns]
        if missing:
            raise ValueError(f"{path} has no column for {', '.join(missing)}; name them so in its first line")
    found = [_station(path, columns, row) for row in rows]
    return _checked(list({station.code: station for station in found}.values()), str(path))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(header: list[str]) -> dict[str, int]:
    words = [re.sub(r"[^a-z]", "", word.lower()) for word in header]
    return {
        name: next(words.index(word) for word in known if word in words)
        for name, known in COLUMNS.items()
        if any(word in words for word in known)
    }


def _station(path: Path, columns: dict[str, int], row: list[str]) -> Station:
    def number(name: str, default: float = 0.0) -> float:
        if name not in columns or columns[name] >= len(row) or not row[columns[name]].strip():
            return default
        text = row[columns[name]]
        if not _is_number(text):
            raise ValueError(f"{path}: {name} of station {row[columns['station']]} is {text!r}, which is no number")
        return float(text)

    # NET.STA.LOC.CHA is cut to NET.STA.
    code = ".".join(row[columns["station"]].strip().split(".")[:2])
    if "network" in columns and row[columns["network"]].strip() and "." not in code:
        code = f"{row[columns['network']].strip()}.{code}"
    elevation_m = number("elevation_km") * 1000 if "elevation_km" in columns else number("elevation")
    return Station(code, number("latitude", np.nan), number("longitude", np.nan), elevation_m, number("sd"))


def _checked(stations: list[Station], what: str) -> tuple[Station, ...]:
    if not stations:
        raise ValueError(f"{what} lists no station")
    for station in stations:
        check_degrees(
            np.array(station.latitude_deg),
            np.array(station.longitude_deg),
            f"station {station.code} in {what}",
        )
    return tuple(sorted(stations))


def centre_of(stations: tuple[Station, ...]) -> Frame:
    """The local frame centred on stations."""
    return frame_of(np.array([s.latitude_deg for s in stations]), np.array([s.longitude_deg for s in stations]))


def station_positions(stations: tuple[Station, ...], frame: Frame) -> Float[np.ndarray, "station 3"]:
    """Kilometres east, north and down (minus the elevation) of stations."""
    latitude, longitude, elevation = np.array([station[1:4] for station in stations]).T
    return np.stack([*to_km(frame, latitude, longitude), -elevation / 1000], -1).astype(np.float32)


def join_stations(
    own: tuple[Station, ...], given: tuple[Station, ...] | None, unknown: Literal["keep", "refuse"]
) -> tuple[tuple[Station, ...], int]:
    """The given stations with unknown ones of `own` behind them, and how many, from the first, are known.

    Without given stations all of one's own are known.

    Raises:
        ValueError: where there are unknown stations and `unknown` is "refuse"; names them.
    """
    if unknown not in ("keep", "refuse"):
        raise ValueError(f"unknown_stations must be 'keep' or 'refuse', got {unknown!r}")
    if given is None:
        return own, len(own)
    codes = {station.code for station in given}
    strangers = tuple(station for station in own if station.code not in codes)
    if strangers and unknown == "refuse":
        names = ", ".join(station.code for station in strangers)
        raise ValueError(
            f"stations that the given list (of a trained network: its training's) does not have: {names}; leave them "
            "out, or use a network that takes any station (unknown_stations='keep')"
        )
    return tuple(given) + strangers, len(given)
