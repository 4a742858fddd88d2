"""The grid that PAL locates on (Zhou and others 2022, SRL 93): nodes, travel times of straight rays, magnitudes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

KM_PER_DEGREE = 111.0
UM_PER_M = 1e6
DIGITS = 2  # of a degree, in PAL's locations


class Settings(NamedTuple):
    """Settings of PAL's association; the defaults are those of its class.

    Attributes:
        origin_s: largest difference of origin times of a cluster's pairs from the seed's.
        residual_s: largest residual of P at a node.
        fewest: pairs of an event.
        failures: how often a pair may be left over by a cluster and still be tried again.
        margin: of the grid, as a part of the range of the stations, on each side.
        spacing_deg: of the grid's nodes.
        depths_km: of the grid's nodes.
        vp_km_s: of the rays.
        pair_vp_km_s, pair_vs_km_s: speeds for the origin time of a pair.
        longest_s: S minus P of a pair.
        first_version: rules of the version that made the published example. Stations are moved to the node south-west
            of them, all longitudes shrink as at the middle latitude, a second pair of a station in a cluster is left
            over, and magnitudes have no elevation.
    """

    origin_s: float = 2.5
    residual_s: float = 1.5
    fewest: int = 4
    failures: int = 1
    margin: float = 0.2
    spacing_deg: float = 0.02
    depths_km: tuple[float, ...] = (5.0,)
    vp_km_s: float = 5.9
    pair_vp_km_s: float = 5.9
    pair_vs_km_s: float = 3.4
    longest_s: float = 30.0
    first_version: bool = False


EXAMPLE = Settings(origin_s=2.0, margin=0.1, depths_km=(2.0, 5.0, 8.0, 11.0, 14.0, 17.0))
"""The configuration published with the example of Ridgecrest 2019."""
RIDGECREST = EXAMPLE._replace(depths_km=(3.0, 5.0, 7.0, 9.0), first_version=True)
"""What the files of that example were made with, found from them."""


class Places(NamedTuple):
    """Where the stations are."""

    latitude_deg: Float[np.ndarray, " station"]
    longitude_deg: Float[np.ndarray, " station"]
    elevation_km: Float[np.ndarray, " station"]


class Grid(NamedTuple):
    """Nodes of the search, and P travel times of straight rays from each to each station."""

    latitude_deg: Float[np.ndarray, " node"]
    longitude_deg: Float[np.ndarray, " node"]
    depth_km: Float[np.ndarray, " node"]
    times_s: Float[np.ndarray, "station node"]


def check(settings: Settings) -> None:
    """Refuse settings that no cluster can satisfy.

    Raises:
        ValueError: names the setting.
    """
    for name in ("origin_s", "residual_s", "spacing_deg", "vp_km_s", "fewest"):
        value = getattr(settings, name)
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g}")
    for name in ("margin", "failures"):
        if not getattr(settings, name) >= 0:
            raise ValueError(f"{name} must be 0 or more, got {getattr(settings, name):g}")
    if not settings.depths_km:
        raise ValueError("depths_km must have at least one depth of nodes, got none")


def grid_of(places: Places, settings: Settings = Settings()) -> Grid:
    """Nodes over the range of the stations and its margin, and travel times to each station.

    Nodes vary slowest in depth and fastest in latitude: of equal residuals the first wins.

    Raises:
        ValueError: where the stations span less than one spacing in latitude or longitude; or as `check`.
    """
    check(settings)
    north, east = _axis(places.latitude_deg, settings), _axis(places.longitude_deg, settings)
    if not (len(east) and len(north)):
        span = " and ".join(f"{np.ptp(x):.4f}" for x in places[:2])
        raise ValueError(
            f"stations must span more than spacing_deg, {settings.spacing_deg:g} degrees, in latitude and longitude, "
            f"got {span}; reduce spacing_deg or raise margin"
        )
    depth, lon, lat = (x.ravel() for x in np.meshgrid(settings.depths_km, east, north, indexing="ij"))
    stations = _at_nodes(places, north[0], east[0], settings.spacing_deg) if settings.first_version else places
    shrink_at = np.full(len(lat), np.mean([places[0].min(), places[0].max()])) if settings.first_version else None
    return Grid(lat, lon, depth, distances_km(stations, lat, lon, depth, shrink_at) / settings.vp_km_s)


def _axis(degrees: Float[np.ndarray, " station"], settings: Settings) -> Float[np.ndarray, " node"]:
    margin = settings.margin * np.ptp(degrees)
    first = degrees.min() - margin
    number = int((degrees.max() + margin - first) / settings.spacing_deg)
    return first + settings.spacing_deg * np.arange(number)


def _at_nodes(places: Places, south_deg: float, west_deg: float, spacing_deg: float) -> Places:
    north = np.floor((places.latitude_deg - south_deg) / spacing_deg)
    east = np.floor((places.longitude_deg - west_deg) / spacing_deg)
    return Places(south_deg + spacing_deg * north, west_deg + spacing_deg * east, places.elevation_km)


def distances_km(
    places: Places,
    latitude_deg: Float[np.ndarray, " point"],
    longitude_deg: Float[np.ndarray, " point"],
    depth_km: Float[np.ndarray, " point"],
    shrink_at_deg: Float[np.ndarray, " point"] | None = None,
) -> Float[np.ndarray, "station point"]:
    """Straight distances on a plane with 111 km to a degree; elevations are added to depths.

    A degree of longitude is shorter by the cosine of the station's latitude, or of `shrink_at_deg`.
    """
    latitude, longitude, elevation_km = (x[:, None] for x in places)
    shrunk = np.cos(np.deg2rad(latitude if shrink_at_deg is None else shrink_at_deg))
    east_km = KM_PER_DEGREE * (longitude_deg - longitude) * shrunk
    north_km = KM_PER_DEGREE * (latitude_deg - latitude)
    return np.sqrt(east_km**2 + north_km**2 + (depth_km + elevation_km) ** 2)


def magnitude_of(amplitude_m: Float[np.ndarray, " station"], distance_km: Float[np.ndarray, " station"]) -> float:
    """PAL's magnitude: log10(A / um) + log10(R / km) + 1, median over stations without the one furthest from it.

    Stations without a positive amplitude are left out; of one or two stations none is removed. NaN for none.
    """
    known = np.isfinite(amplitude_m) & (amplitude_m > 0)
    each = np.log10(UM_PER_M * amplitude_m[known]) + np.log10(distance_km[known]) + 1
    if len(each) > 2:
        each = np.delete(each, np.abs(each - np.median(each)).argmax())
    return float(np.median(each)) if len(each) else np.nan
