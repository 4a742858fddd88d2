"""Lists of stations: read from a table, an inventory or a file of another program, checked, joined with trained ones.

`jaxloc.io.station_table` and `jaxloc.io.station_inventory` read tables and inventories, the registry of formats
(`jaxloc.io.formats`) has the others, `jaxloc.io.station_epochs` chooses the position of each station at the time of a
record.
"""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int
from obspy import Inventory, UTCDateTime

from jaxloc.data.dataset import Station
from jaxloc.io.contents import STATIONS
from jaxloc.io.station_checks import checked
from jaxloc.io.station_epochs import Epoch, apart_km, positions_at
from jaxloc.io.station_inventory import inventory_epochs, load_inventory
from jaxloc.io.station_table import table_epochs
from jaxloc.io.tables import read_bytes

SAME_STATION_KM = 1.0
"""A station is one of training where its code is the same and its position no further than this."""
REPORTED_KM = 0.2
"""From this difference on, a position that differs from training is reported."""


StationSource = str | Path | Inventory
TABLES = ("station_table", "pal_stations", "growclust_stations")
"""Formats that are tables of `jaxloc.io.station_table`."""


def read_stations(source: StationSource, time: UTCDateTime | None = None) -> tuple[Station, ...]:
    """Stations of a table, an inventory file, any format that has stations, or an ObsPy inventory, sorted by code.

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
        epochs = inventory_epochs(load_inventory(source)) if is_inventory else _listed(data, source)
    if not epochs:
        raise ValueError(f"{_name(source)} lists no station; it must have at least one")
    return tuple(epochs)


def _listed(data: bytes, path: str | Path) -> list[Epoch]:
    """Stations of a file that is no inventory: of a format of another program, else of a table."""
    from jaxloc.io import formats  # the registry has modules that read stations

    found = formats.recognised_with(path, STATIONS, TABLES)
    if found is not None:
        contents, _ = found
        if contents.notes:
            warnings.warn(f"{path}: {'; '.join(contents.notes)}", stacklevel=4)
        return [Epoch(station) for station in contents.stations]
    try:
        return table_epochs(data, path)
    except ValueError as error:
        raise ValueError(f"{error}{formats.other_kind(path, STATIONS)}") from error


def as_inventory(source: StationSource | None) -> Inventory | None:
    """The inventory of a source that is or contains one, None for a table."""
    if source is None or isinstance(source, Inventory):
        return source
    return load_inventory(source) if _is_inventory(read_bytes(source, "file of stations")) else None


def _is_inventory(data: bytes) -> bool:
    """XML, or a dataless SEED volume."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or re.match(rb"\d{6}V", data) is not None


def _name(source: StationSource) -> str:
    return "the inventory" if isinstance(source, Inventory) else str(source)


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
    new_stations = tuple(s for s in own if s.code not in moved_km)
    others = [code for code, km in moved_km.items() if km > SAME_STATION_KM]
    if unknown == "refuse" and (new_stations or others):
        raise ValueError(_refusal([s.code for s in new_stations], {code: moved_km[code] for code in others}))
    report_moves(own, trained)
    everyone = tuple(given.get(s.code, s) for s in trained) + new_stations
    known = [-1 if s.code in others else row for row, s in enumerate(trained)]
    return everyone, np.array(known + [-1] * len(new_stations), np.int32)


def _refusal(new_stations: list[str], moved_km: dict[str, float]) -> str:
    reasons = []
    if new_stations:
        reasons.append(
            "stations that the given list (of a trained network: its training's) does not have: "
            + ", ".join(new_stations)
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
