"""Travel times of known stations on the nodes of grids, as travel times of a locator of picks.

A table has the mean slowness of the way, time over straight distance, which varies little where time itself has its
singularity, and is interpolated linearly. Grids are of distance and depth about each station, or of three dimensions.
Times are differentiable in the hypocentre. Beyond a grid they are those of its nearest side: a search has to stay in
it, and `region_within` has the region that does.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.known_stations import among
from jaxloc.physics.picks_on_cells import TravelTimes

DEGREE = 3  # of the polynomials from one plane to another
TOLERABLE_KM = 0.02  # by which these may err
PHASES, MOST_BYTES = 2, 2**30  # of all tables together
NEARLY_KM = 0.01  # beyond the last node: single precision


class Plane(NamedTuple):
    """East and north of the local frame to x and y of a grid, by polynomials of coordinates less `centre_km`."""

    coefficient_km: Float[Array, "term 2"]
    centre_km: Float[Array, " 2"]
    reach_km: float


class StationTables(NamedTuple):
    """Mean slowness of the way from each station to all nodes of its grid; the nodes are the same for all.

    `station_km` is where stations are in the local frame, `at_km` where they are on the grid, `silent_km` are stations
    without any pick, which need no table. Axes are distance and depth, or x, y and depth; `plane` leads to x and y,
    None where these are east and north.
    """

    mean_s_km: Float[Array, "station *axis phase"]
    station_km: Float[Array, "station 3"]
    at_km: Float[Array, "station 3"]
    silent_km: Float[Array, "silent 3"]
    first_km: Float[Array, " axis"]
    spacing_km: Float[Array, " axis"]
    plane: Plane | None = None


def station_times(tables: StationTables) -> TravelTimes:
    """First arrivals at the stations that have tables; any other has no number (NaN), silent and padded ones zero."""
    axes = len(tables.first_km)

    def of_stations(station_km: Float[Array, "station 3"]) -> Callable[[Array], Array]:
        row, known = among(tables.station_km, station_km)
        idle = among(tables.silent_km, station_km)[1] | (station_km == 0).all(-1)
        otherwise, at_km = jnp.where(idle, 0.0, jnp.nan)[:, None], tables.at_km[row]

        def times(place_km: Float[Array, "point 3"]) -> Float[Array, "point station phase"]:
            on_grid_km = place_km if tables.plane is None else on_plane(tables.plane, place_km)
            apart_km = on_grid_km[:, None] - at_km
            along_km = jnp.sqrt(jnp.maximum((apart_km[..., :2] ** 2).sum(-1), 1e-12))
            straight_km = jnp.sqrt(jnp.maximum((apart_km**2).sum(-1), 1e-8))
            depth_km = jnp.broadcast_to(on_grid_km[:, None, 2], along_km.shape)
            where_km = jnp.stack([along_km, depth_km], -1) if axes == 2 else on_grid_km[:, None]
            mean_s_km = _interpolated(tables.mean_s_km, row, (where_km - tables.first_km) / tables.spacing_km)
            return jnp.where(known[:, None], straight_km[..., None] * mean_s_km, otherwise)

        return times

    return of_stations


def mean_slowness(
    time_s: Float[np.ndarray, "*axis phase"], away_km: Float[np.ndarray, " *axis"]
) -> Float[np.ndarray, "*axis phase"]:
    """Times over distances from the station; a node at the station itself has the value of the nearest other one."""
    here = away_km < 1e-3
    nearest = np.unravel_index(np.argmin(np.where(here, np.inf, away_km)), away_km.shape)
    mean = time_s / np.where(here, 1.0, away_km)[..., None]
    mean[here] = mean[nearest]
    return mean.astype(np.float32)


def plane_between(
    from_km: Float[np.ndarray, "point 2"], to_km: Float[np.ndarray, "point 2"], what: str = "the grid"
) -> Plane:
    """Polynomials of degree `DEGREE` between two projections, by least squares on points that cover the region.

    Raises:
        ValueError: where they err by more than `TOLERABLE_KM`.
    """
    centre = from_km.mean(0)
    reach = float(np.abs(from_km - centre).max())
    terms = _terms((from_km - centre) / reach, np)
    coefficient = np.linalg.lstsq(terms, to_km, rcond=None)[0]
    error_km = float(np.abs(terms @ coefficient - to_km).max())
    if error_km > TOLERABLE_KM:
        raise ValueError(f"the projection of {what} differs too much from the local one ({error_km:.3f} km)")
    return Plane(jnp.asarray(coefficient, jnp.float32), jnp.asarray(centre, jnp.float32), reach)


def on_plane(plane: Plane, place_km: Float[Array, "point 3"]) -> Float[Array, "point 3"]:
    """Places of the local frame on the grid."""
    xy_km = _terms((place_km[:, :2] - plane.centre_km) / plane.reach_km, jnp) @ plane.coefficient_km
    return jnp.concatenate([xy_km, place_km[:, 2:]], -1)


def _terms(unit: Array, of: object) -> Array:
    powers = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
    return of.stack([unit[..., 0] ** i * unit[..., 1] ** j for i, j in powers], -1)  # pyright: ignore[reportAttributeAccessIssue]


def _interpolated(
    values: Float[Array, "station *axis phase"],
    row: Int[Array, " station"],
    node: Float[Array, "point station_or_1 axis"],
) -> Float[Array, "point station phase"]:
    """Linear between nodes, constant beyond the ends."""
    shape, phases = values.shape[1:-1], values.shape[-1]
    flat = values.reshape(-1, phases)
    lower = jnp.clip(node.astype(int), 0, jnp.array(shape) - 2)
    part = jnp.clip(node - lower, 0.0, 1.0)
    total = jnp.zeros(())
    for corner in product((0, 1), repeat=len(shape)):
        index, weight = row, jnp.ones(())
        for axis, up in enumerate(corner):
            index = index * shape[axis] + lower[..., axis] + up
            weight = weight * (part[..., axis] if up else 1 - part[..., axis])
        total = total + weight[..., None] * flat[index]
    return total


def inside(tables: StationTables, place_km: Float[np.ndarray, "point 3"]) -> Bool[np.ndarray, " point"]:
    """Whether places are within the grids of all stations."""
    first, spacing = np.asarray(tables.first_km, float), np.asarray(tables.spacing_km, float)
    last = first + spacing * (np.array(tables.mean_s_km.shape[1:-1]) - 1)
    on_grid = np.array(place_km if tables.plane is None else on_plane(tables.plane, jnp.asarray(place_km)), float)
    if len(first) == 2:
        along_km = np.linalg.norm(on_grid[:, None, :2] - np.asarray(tables.at_km)[:, :2], axis=-1).max(1)
        on_grid = np.stack([along_km, on_grid[:, 2]], 1)
        first = np.array([-np.inf, first[1]])  # distances are not negative
    return np.asarray(((on_grid >= first - NEARLY_KM) & (on_grid <= last + NEARLY_KM)).all(1))


def region_within(tables: StationTables, region: Region) -> Region:
    """The part of a region, a box again, that is within the grids of all stations.

    Raises:
        ValueError: as `box_within`.
    """
    top_km = float(tables.first_km[-1])
    bottom_km = top_km + float(tables.spacing_km[-1]) * (tables.mean_s_km.shape[-2] - 1)
    middle_km = np.asarray(tables.station_km, float).mean(0)[:2]
    within = lambda place_km: bool(inside(tables, place_km).all())
    return box_within(region, (top_km, bottom_km), middle_km, within)


def box_within(
    region: Region,
    depth_km: tuple[float, float],
    middle_km: Float[np.ndarray, " 2"],
    within: Callable[[Float[np.ndarray, "point 3"]], bool],
) -> Region:
    """The largest part of a region within depths and where `within` says that all of some places are.

    Sides are drawn in along the axes through the middle of the stations, then all together until the corners are in.

    Raises:
        ValueError: where the middle of the stations, as near as the region has it, or every depth is outside.
    """
    top_km, bottom_km = (float(max(region.depth_km[0], depth_km[0])), float(min(region.depth_km[1], depth_km[1])))
    if not top_km < bottom_km:
        raise ValueError(
            f"the grid has depths from {depth_km[0]:g} to {depth_km[1]:g} km, the search region from "
            f"{region.depth_km[0]:g} to {region.depth_km[1]:g} km; change --depth-km, or use a deeper grid"
        )
    middle = np.clip(middle_km, *np.array(region[:2]).T)
    holds = lambda points: within(np.column_stack([points, np.full(len(points), bottom_km)]))
    if not holds(middle[None]):
        raise ValueError(
            f"the grid does not reach the middle of the stations in the search region, {middle[0]:.1f} km east and "
            f"{middle[1]:.1f} km north of the middle of all stations; use a larger grid, or change --region"
        )
    across, up = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9))
    parts = np.column_stack([across.ravel(), up.ravel()])
    sides = np.array(region[:2], float) - middle[:, None]
    if holds(middle + sides[:, 0] + parts * np.ptp(sides, axis=1)):
        return region._replace(depth_km=(top_km, bottom_km))
    for axis, end in product((0, 1), repeat=2):
        along = np.eye(2)[axis] * sides[axis, end]
        sides[axis, end] *= _largest(lambda share, along=along: holds((middle + share * along)[None]))
    sides *= _largest(lambda share: holds(middle + share * (sides[:, 0] + parts * np.ptp(sides, axis=1))))
    east, north = ((float(low + at), float(high + at)) for (low, high), at in zip(sides, middle, strict=True))
    return region._replace(east_km=east, north_km=north, depth_km=(top_km, bottom_km))


def _largest(holds: Callable[[float], bool]) -> float:
    """The largest share up to one for which something holds that holds at zero."""
    if holds(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def within_memory(stations: int, shape: tuple[int, ...]) -> None:
    """Refuse tables of more than `MOST_BYTES` in all.

    Raises:
        ValueError: says how large they would be.
    """
    size = 4 * PHASES * stations * int(np.prod(shape))
    if size > MOST_BYTES:
        raise ValueError(
            f"travel-time tables of {stations} stations with {' x '.join(map(str, shape))} nodes "
            f"need {size / 2**30:.1f} GiB, more than {MOST_BYTES / 2**30:g}; reduce the search region (--region, "
            "--depth-km), or use grids of fewer nodes (--grid-spacing)"
        )
