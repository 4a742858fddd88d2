"""A local frame: degrees of latitude and longitude to kilometres east and north, and back.

The projection is azimuthal equidistant on the WGS 84 ellipsoid, so distances and azimuths from the
frame's origin are the geodesic ones. It is called where data enter and leave; everything in between
is in kilometres and differentiable.
"""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pyproj import Transformer


class Frame(NamedTuple):
    """A local projection about an origin in degrees."""

    latitude_deg: float
    longitude_deg: float


@lru_cache
def _projection(frame: Frame) -> Transformer:
    local = f"+proj=aeqd +lat_0={frame.latitude_deg} +lon_0={frame.longitude_deg} +datum=WGS84 +units=km"
    return Transformer.from_crs("EPSG:4326", local, always_xy=True)


def check_degrees(latitude_deg: Float[np.ndarray, "..."], longitude_deg: Float[np.ndarray, "..."], what: str) -> None:
    """Refuse coordinates that are no latitudes and longitudes.

    Raises:
        ValueError: where a latitude is outside -90..90, a longitude outside -180..360, or one is not
            finite; names the value.
    """
    latitude_deg, longitude_deg = np.atleast_1d(latitude_deg), np.atleast_1d(longitude_deg)
    bad = ~(np.abs(latitude_deg) <= 90) | ~((longitude_deg >= -180) & (longitude_deg <= 360))
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"{what}: latitude {latitude_deg[first]} and longitude {longitude_deg[first]} must be finite "
            "degrees within -90..90 and -180..360; are latitude and longitude swapped?"
        )


def format_degrees(latitude_deg: float, longitude_deg: float, digits: int = 4) -> str:
    """A position as text with hemispheres: 75.1086 S 60.9841 W; a longitude beyond 180 counts from the west."""
    longitude_deg = (longitude_deg + 180) % 360 - 180
    north, east = "NS"[int(latitude_deg < 0)], "EW"[int(longitude_deg < 0)]
    return f"{abs(latitude_deg):.{digits}f} {north} {abs(longitude_deg):.{digits}f} {east}"


def great_circle_km(
    latitude_deg: Float[np.ndarray, "*point"],
    longitude_deg: Float[np.ndarray, "*point"],
    other_latitude_deg: Float[np.ndarray, "*point"],
    other_longitude_deg: Float[np.ndarray, "*point"],
) -> Float[np.ndarray, "*point"]:
    """Distances on a sphere of 6,371 km (haversine formula), within 0.6 % of those on the ellipsoid; shapes broadcast.

    Unlike `to_km` it needs no frame and takes any latitudes.
    """
    first, second = np.deg2rad(latitude_deg), np.deg2rad(other_latitude_deg)
    along = np.sin(np.deg2rad(np.subtract(other_longitude_deg, longitude_deg)) / 2) ** 2
    chord = np.sin((second - first) / 2) ** 2 + np.cos(first) * np.cos(second) * along
    return 2 * 6371.0 * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))


def to_km(
    frame: Frame, latitude_deg: Float[np.ndarray, "..."], longitude_deg: Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Degrees to kilometres east and north of the frame's origin."""
    east_km, north_km = _projection(frame).transform(np.asarray(longitude_deg, float), np.asarray(latitude_deg, float))
    return np.asarray(east_km), np.asarray(north_km)


def to_degrees(
    frame: Frame, east_km: Float[np.ndarray, "..."], north_km: Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Kilometres east and north of the frame's origin to latitude and longitude in degrees."""
    longitude_deg, latitude_deg = _projection(frame).transform(
        np.asarray(east_km, float), np.asarray(north_km, float), direction="INVERSE"
    )
    return np.asarray(latitude_deg), np.asarray(longitude_deg)


def frame_of(latitude_deg: Float[np.ndarray, " point"], longitude_deg: Float[np.ndarray, " point"]) -> Frame:
    """The frame centred on a set of points, safe across the date line; rounded to 0.01 degree."""
    radians = np.deg2rad(longitude_deg)
    longitude = np.rad2deg(np.arctan2(np.sin(radians).mean(), np.cos(radians).mean()))
    return Frame(round(float(np.mean(latitude_deg)), 2), round(float(longitude), 2))


def distance_km(first_km: Float[Array, "*batch xyz"], second_km: Float[Array, "*batch xyz"]) -> Float[Array, " *batch"]:
    """Horizontal distance between local points; its gradient at zero distance is zero, not NaN."""
    squared = ((first_km[..., :2] - second_km[..., :2]) ** 2).sum(-1)
    apart = squared > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1.0)), 0.0)
