"""Checks of station lists: impossible positions, isolated stations, exchanged coordinates; local positions."""

import warnings
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame, check_degrees, format_degrees, frame_of, great_circle_km, to_km
from jaxloc.io.missing_values import is_null_island
from jaxloc.io.station_epochs import named

ELEVATIONS_M = (-11_000.0, 9_000.0)
FARTHEST_EVENT_KM, WIDEST_NETWORK_KM = 2000.0, 500.0
ISOLATED_KM = 1000.0
ISOLATION = 10.0
"""A station is isolated where it is 1,000 km, and ten times as far as most, from the centre of the stations."""


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
    median_m = float(np.median(known)) if known else 0.0
    source = "the median of the others" if known else "sea level"
    warnings.warn(
        f"elevation unknown (empty or a code such as -9999) in {what}, {median_m:.0f} m, {source}, is taken: "
        f"{named(unknown)}",
        stacklevel=3,
    )
    return tuple(s._replace(elevation_m=median_m) if s.code in unknown else s for s in stations)


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
    centre = float(np.median(latitude)), float(np.median(longitude))
    apart_km = great_circle_km(latitude, longitude, *np.array(centre))
    worst = int(np.argmax(apart_km))
    if apart_km[worst] <= max(ISOLATED_KM, ISOLATION * float(np.median(apart_km))):
        return
    station = stations[worst]
    advice = _mistake(station[1:3], centre) or "its position must be corrected, or its records left out"
    raise ValueError(
        f"station {station.code} in {what}, at {format_degrees(*station[1:3])}, is {apart_km[worst]:.0f} km from the "
        f"centre of the {len(stations)} stations, which it must not be; {advice}"
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
        ValueError: gives how far stations are, and which mistake would explain it.
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


PLANE_KM = 2000.0  # from the centre of a frame, up to which distances on its plane are true within 2 %


def refuse_wide(stations: tuple[Station, ...], advice: str) -> None:
    """Refuse stations of several continents, which lie in no plane.

    Raises:
        ValueError: names the one that is the furthest from the centre, and gives advice.
    """
    east_km, north_km, _ = station_positions(stations, centre_of(stations)).T
    away_km = np.hypot(east_km, north_km)
    if away_km[furthest := int(away_km.argmax())] > PLANE_KM:
        raise ValueError(
            f"station {stations[furthest].code} is {away_km[furthest]:.0f} km from the centre of all stations, and at "
            f"most {PLANE_KM:.0f} km are searched together: locate the events of each region by themselves ({advice})"
        )


def station_positions(stations: tuple[Station, ...], frame: Frame) -> Float[np.ndarray, "station 3"]:
    """Kilometres east, north and down (minus the elevation) of stations."""
    latitude, longitude, elevation = np.array([station[1:4] for station in stations]).T
    return np.stack([*to_km(frame, latitude, longitude), -elevation / 1000], -1).astype(np.float32)


MISTAKE_KM, MISTAKE = 200.0, 3.0
"""A mistake explains a position where its correction is nearer by 200 km and to a third of the distance."""


def check_events(
    names: list[str],
    latitude_deg: Float[np.ndarray, " event"],
    longitude_deg: Float[np.ndarray, " event"],
    stations: tuple[Station, ...],
) -> None:
    """Refuse events that are no points on the earth, or more than 2,000 km from a network narrower than 500 km.

    Raises:
        ValueError: names the event and asks whether latitude and longitude are swapped.
    """
    known = np.flatnonzero(np.isfinite(latitude_deg) & np.isfinite(longitude_deg))
    if not len(known):
        return
    check_degrees(latitude_deg[known], longitude_deg[known], "an event's source_latitude_deg, source_longitude_deg")
    latitude = np.array([station.latitude_deg for station in stations])
    longitude = np.array([station.longitude_deg for station in stations])
    centre = frame_of(latitude, longitude)
    from_centre_km = np.hypot(*to_km(centre, latitude, longitude))
    away_km = np.hypot(*to_km(centre, latitude_deg[known], longitude_deg[known]))
    worst = int(np.argmax(away_km))
    if 2 * from_centre_km.max() < WIDEST_NETWORK_KM and away_km[worst] > FARTHEST_EVENT_KM:
        i = known[worst]
        raise ValueError(
            f"event {names[i]} at latitude {latitude_deg[i]}, longitude {longitude_deg[i]} lies "
            f"{away_km[worst]:.0f} km from the centre of its stations; are latitude and longitude swapped?"
        )
