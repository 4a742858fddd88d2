"""The search region of a location: around stations by default, or as options `--region` and `--depth-km` give it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.geometry import Frame, check_degrees, to_km
from jaxloc.physics.adaptive_grid import Region

LEAST_MARGIN_KM = 20.0
DEEPEST_KM = 700.0
DEFAULT_DEPTH_KM = 40.0
BEFORE_S = 20.0  # an event may begin so long before its record, and longer in wide regions
FAST_KM_S = 6.0


def parse_region(text: str) -> tuple[float, float, float, float]:
    """West, east, south and north in degrees of an option WEST/EAST/SOUTH/NORTH, as GMT's -R has it.

    Raises:
        ValueError: where there are not four numbers, they are no longitudes and latitudes, or south is not below north.
    """
    try:
        west, east, south, north = map(float, text.split("/"))
    except ValueError as error:
        raise ValueError(
            f"--region must be WEST/EAST/SOUTH/NORTH in degrees, as -118.5/-117.2/35.1/36, got {text!r}"
        ) from error
    check_degrees(np.array([south, north]), np.array([west, east]), f"--region {text}")
    if not (south < north and west != east):
        raise ValueError(f"--region must be WEST/EAST/SOUTH/NORTH with south below north, got {text!r}")
    return west, east, south, north


def parse_depths(values: Sequence[float]) -> tuple[float, float]:
    """Shallowest and deepest searched depth in km below sea level, of an option `--depth-km`.

    Raises:
        ValueError: where they are not two numbers within -10 and 700 km, the first the smaller.
    """
    if len(values) != 2 or not -10 <= values[0] < values[1] <= DEEPEST_KM:
        shown = " ".join(f"{value:g}" for value in values)
        raise ValueError(f"--depth-km must be SHALLOWEST DEEPEST within -10 and {DEEPEST_KM:g} km, got {shown}")
    return float(values[0]), float(values[1])


def with_options(
    region: Region,
    frame: Frame,
    degrees: tuple[float, float, float, float] | None,
    depth_km: tuple[float, float] | None,
) -> Region:
    """A region with its sides, as `parse_region` gives them, or its depths replaced where these are given.

    The sides are those of the smallest rectangle in the local frame that contains corners and midpoints of the edges.
    """
    if degrees is not None:
        west, east, south, north = degrees
        east = east + 360 if east < west else east  # across the date line
        longitude, latitude = np.meshgrid(np.linspace(west, east, 3), np.linspace(south, north, 3))
        east_km, north_km = to_km(frame, latitude.ravel(), (longitude.ravel() + 180) % 360 - 180)
        sides = [(float(x.min()), float(x.max())) for x in (east_km, north_km)]
        region = region._replace(east_km=sides[0], north_km=sides[1])
    return region if depth_km is None else region._replace(depth_km=depth_km)


def around_stations(
    station_km: Float[np.ndarray, "station 3"], origin_s: tuple[float, float], reach_km: float = 0.0
) -> Region:
    """The box around stations with a margin: half of its diagonal, `reach_km`, and at least 20 km.

    Depths are from the highest station, or sea level, to 40 km or `reach_km`.
    """
    low, high = station_km.min(0), station_km.max(0)
    margin = max(LEAST_MARGIN_KM, 0.5 * float(np.hypot(*(high - low)[:2])), reach_km)
    sides = [(float(a - margin), float(b + margin)) for a, b in zip(low[:2], high[:2], strict=True)]
    depth_km = (min(0.0, float(low[2])), min(max(DEFAULT_DEPTH_KM, reach_km), DEEPEST_KM))
    return Region(sides[0], sides[1], depth_km, origin_s)


def region_of_records(region: Region, duration_s: float, highest_km: float) -> Region:
    """The search region for records of some length: origin times of all of them, depths up to the highest station.

    Origin times begin 20 s before the record, or by half of the region's diagonal at 6 km/s where that is longer.
    """
    east_km, north_km = (high - low for low, high in region[:2])
    before_s = min(max(BEFORE_S, 0.5 * float(np.hypot(east_km, north_km)) / FAST_KM_S), max(duration_s, BEFORE_S))
    origin_s = (min(region.origin_s[0], -before_s), duration_s)
    return region._replace(origin_s=origin_s, depth_km=(min(region.depth_km[0], highest_km), region.depth_km[1]))


def highest_km(dataset: Dataset) -> float:
    """The depth of the highest station in km, negative above sea level; 0 where none is above it."""
    return min(0.0, float(positions_km(dataset.frame, dataset.stations)[:, 2].min()))
