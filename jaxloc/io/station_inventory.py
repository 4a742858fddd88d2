"""Epochs of stations from StationXML and whatever other inventories ObsPy reads."""

import hashlib
import io
import math
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from obspy import Inventory, UTCDateTime, read_inventory
from obspy.core.inventory import Channel
from obspy.core.inventory import Station as ObspyStation

from jaxloc.data.dataset import Station
from jaxloc.io.missing_values import is_missing_code, is_null_island, look_like_km
from jaxloc.io.station_epochs import NO_END, Epoch
from jaxloc.io.tables import read_bytes

DEEP_M = 100.0
"""From this sensor depth on, the reading of ambiguous elevations is reported."""
AS_GROUND = "channel elevations are taken for the ground's, so that sensors lie at the channel's depth below them"
BOUNDS_DEG = {"Latitude": (-90.0, 90.0), "Longitude": (-180.0, 360.0)}


def load_inventory(path: str | Path) -> Inventory:
    """An inventory that ObsPy reads, gzipped or not; what ObsPy warns of becomes one warning with the file's name.

    Raises:
        ValueError: where it cannot be read; names the station whose coordinates are the reason.
    """
    path = Path(path)
    data = read_bytes(path, "station file")
    return _load(path, hashlib.sha256(data).hexdigest())


@lru_cache(maxsize=4)
def _load(path: Path, _digest: str) -> Inventory:
    """Read once what several callers need; the digest distinguishes versions of a file."""
    data = read_bytes(path, "station file")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            inventory = read_inventory(io.BytesIO(data))
        except Exception as error:  # ObsPy's readers raise many kinds
            reason = _bad_coordinate(data) or str(error)
            raise ValueError(
                f"{path} is no inventory that can be read ({reason}); it must be StationXML, or use a CSV"
            ) from error
    messages = list(dict.fromkeys(" ".join(str(w.message).split())[:160] for w in caught))
    if messages:
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        reason = _bad_coordinate(data) or messages[0]
        warnings.warn(f"{path} is read with reservations: {reason}{more}", stacklevel=3)
    return inventory


def _bad_coordinate(data: bytes) -> str:
    """The first coordinate of a StationXML that is no number or out of range, with its station; empty if none is."""
    try:
        stations = [e for e in ElementTree.fromstring(data).iter() if _tag(e) == "Station"]
    except ElementTree.ParseError:
        return ""
    return next((found for station in stations for found in _bad_coordinates_of(station)), "")


def _bad_coordinates_of(station: ElementTree.Element) -> Iterator[str]:
    for element in station.iter():
        name, text = _tag(element), (element.text or "").strip()
        if name not in ("Latitude", "Longitude", "Elevation", "Depth"):
            continue
        low, high = BOUNDS_DEG.get(name, (-math.inf, math.inf))
        try:
            good = low <= float(text) <= high
        except ValueError:
            good = False
        if not good:
            hint = "; are latitude and longitude swapped?" if name in BOUNDS_DEG else ""
            yield f"{name} of station {station.get('code')} is {text!r}{hint}"


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def inventory_epochs(inventory: Inventory) -> list[Epoch]:
    """One epoch for each station epoch and one for each channel epoch, in the order of the inventory."""
    _warn_of_km(inventory)
    return [
        epoch
        for network in inventory
        for station in network
        for epoch in _epochs(f"{network.code}.{station.code}" if network.code else station.code, station)
    ]


def _warn_of_km(inventory: Inventory) -> None:
    """Elevations in km, which the format does not allow, are recognised by their decimals."""
    elevations = [_known(station.elevation) for network in inventory for station in network]
    if look_like_km(elevations):
        warnings.warn(
            f"elevations of the inventory ({elevations[0]:g}, ...) may be in km, and are read as m, which StationXML "
            "prescribes; multiply them by 1000 if they are km",
            stacklevel=4,
        )


def _epochs(code: str, station: ObspyStation) -> Iterator[Epoch]:
    elevation_m = _known(station.elevation)
    start, end = station.start_date, _end(station.end_date)
    own = Station(code, float(station.latitude), float(station.longitude), elevation_m)
    yield Epoch(own, start=start, end=end)
    for channel in station.channels:
        yield _channel_epoch(code, own, channel, start, end)


def _channel_epoch(
    code: str, own: Station, channel: Channel, start: UTCDateTime | None, end: UTCDateTime | None
) -> Epoch:
    place = (float(channel.latitude), float(channel.longitude))
    if is_null_island(*place):
        place = own[1:3]
    sensor_m, note = sensor_elevation_m(own.elevation_m, _known(channel.elevation), float(channel.depth or 0.0))
    starts = [t for t in (channel.start_date or start,) if t is not None]
    ends = [t for t in (_end(channel.end_date), end) if t is not None]
    first, last = (starts[0] if starts else None), (min(ends) if ends else None)
    return Epoch(Station(code, *place, sensor_m), channel.location_code or "", channel.code, first, last, note)


def _end(time: UTCDateTime | None) -> UTCDateTime | None:
    return None if time is None or time > NO_END else time


def _known(elevation: float | None) -> float:
    return math.nan if is_missing_code(elevation, "elevation_m") else float(elevation)  # type: ignore[arg-type]


def sensor_elevation_m(station_m: float, channel_m: float, depth_m: float) -> tuple[float, str]:
    """Elevation of a sensor above sea level in m, and a note on how it was read.

    In StationXML the station's elevation is that of the ground, the channel's that of the sensor, and the channel's
    depth what lies between them (FDSN StationXML 1.2; SEED 2.4, blockette 52). Many inventories give the ground's
    elevation for the channel too: where it is nearer to the station's than to that of a sensor at this depth, it is
    taken for the ground's.

    Args:
        station_m: elevation of the station, NaN where unknown.
        channel_m: elevation of the channel, NaN where unknown.
        depth_m: depth of the sensor below ground.
    """
    if is_missing_code(depth_m, "depth_m"):
        depth_m = 0.0
    expected_m = station_m - depth_m
    if math.isnan(channel_m) or (channel_m == 0 and not math.isnan(station_m)):
        return expected_m, ""
    if math.isnan(station_m) or abs(channel_m - expected_m) <= abs(channel_m - station_m):
        return channel_m, ""
    return channel_m - depth_m, AS_GROUND if depth_m >= DEEP_M else ""


def channels_by_id(inventory: Inventory) -> dict[str, list[Channel]]:
    """The epochs of every channel, by NET.STA.LOC.CHA."""
    found: dict[str, list[Channel]] = {}
    for network in inventory:
        for station in network:
            for channel in station:
                code = f"{network.code}.{station.code}.{channel.location_code or ''}.{channel.code}"
                found.setdefault(code, []).append(channel)
    return found


def sensitivity_at(epochs: list[Channel], time: UTCDateTime) -> float | None:
    """Counts per m/s of a channel at a time, None where it is unknown then or not to m/s.

    Outside of all epochs it is what all of them agree on.
    """
    found = {_sensitivity(channel) for channel in epochs_at(epochs, time)}
    return found.pop() if len(found) == 1 else None


def _sensitivity(channel: Channel) -> float | None:
    total = None if channel.response is None else channel.response.instrument_sensitivity
    if total is None or not total.value or str(total.input_units).upper() != "M/S":
        return None
    return float(total.value)


def epochs_at(epochs: Sequence[Channel], time: UTCDateTime) -> list[Channel]:
    """The latest epoch that covers a time, all epochs where none does."""
    covering = [
        c
        for c in epochs
        if (c.start_date is None or c.start_date <= time) and (c.end_date is None or time < c.end_date)
    ]
    latest = sorted(covering, key=lambda c: c.start_date.ns if c.start_date else -(2**63))[-1:]
    return latest or list(epochs)
