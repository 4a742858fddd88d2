"""A region cut into cells, with the travel times from each cell to each station: their middle and half range."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.table import StationTable, for_stations, look_up_s, table_around

BLOCK = 512  # points of one call, so that programs are compiled once


class Travel(NamedTuple):
    """Travel times of a network: a table made ready for its stations."""

    table: StationTable
    station_km: Float[np.ndarray, "station 3"]


class Cells(NamedTuple):
    """One level of the subdivision; cells in the order of east, north and depth, the last fastest.

    Attributes:
        shape: number of cells along each axis.
        size_km: of a cell.
        middle_s, half_s: middle and half range of travel times from anywhere in a cell.
        near_km, far_km: smallest and largest hypocentral distance.
    """

    shape: tuple[int, int, int]
    size_km: tuple[float, float, float]
    middle_s: Float[np.ndarray, "cell station phase"]
    half_s: Float[np.ndarray, "cell station phase"]
    near_km: Float[np.ndarray, "cell station"]
    far_km: Float[np.ndarray, "cell station"]


def travel_of(velocity: VelocityModel, region: Region, station_km: Float[np.ndarray, "station 3"]) -> Travel:
    """Travel times of a layered model between a region and stations at their elevations."""
    table = table_around(velocity, region, station_km)
    return Travel(for_stations(table, jnp.asarray(station_km[:, 2])), np.asarray(station_km, float))


@jax.jit
def _times_s(
    table: StationTable, distance_km: Float[Array, "point station"], depth_km: Float[Array, "point 1"]
) -> Float[Array, "point station phase"]:
    return look_up_s(table, distance_km, depth_km)


@jax.jit
def _times_and_slopes(
    table: StationTable, station_km: Float[Array, "station 3"], point_km: Float[Array, "point 3"]
) -> tuple[Float[Array, "point station phase"], Float[Array, "xyz point station phase"]]:
    def times_s(point_km: Float[Array, "point 3"]) -> Float[Array, "point station phase"]:
        squared = ((point_km[:, None, :2] - station_km[:, :2]) ** 2).sum(-1)
        return look_up_s(table, jnp.sqrt(squared + 1e-6), point_km[:, None, 2])

    along = [jnp.broadcast_to(jnp.eye(3)[axis], point_km.shape) for axis in range(3)]
    derivatives = [jax.jvp(times_s, (point_km,), (each,)) for each in along]
    return derivatives[0][0], jnp.stack([slope for _, slope in derivatives])


def times_and_slopes(
    travel: Travel, point_km: Float[np.ndarray, "point 3"]
) -> tuple[Float[np.ndarray, "point station phase"], Float[np.ndarray, "xyz point station phase"]]:
    """Travel times in s from points to all stations, and their derivatives by east, north and depth in s/km."""
    found = _in_blocks(
        lambda block: _times_and_slopes(travel.table, jnp.asarray(travel.station_km), block), np.asarray(point_km)
    )
    return np.concatenate([time_s for time_s, _ in found]), np.concatenate([slope for _, slope in found], axis=1)


def _in_blocks(function: Callable, point: Float[np.ndarray, "point dim"]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Both results of a function of points, of one shape whatever their number."""
    found = []
    for start in range(0, max(len(point), 1), BLOCK):
        block = point[start : start + BLOCK]
        padded = np.pad(block, ((0, BLOCK - len(block)), (0, 0))).astype(np.float32)
        first, second = function(padded)
        found.append((np.asarray(first)[: len(block)], np.asarray(second)[:, : len(block)]))
    return found


def cells_of(travel: Travel, region: Region, shape: tuple[int, int, int]) -> Cells:
    """Cut a region into so many cells along east, north and depth."""
    edges = [np.linspace(*ends, number + 1) for ends, number in zip(region[:3], shape, strict=True)]
    corner = np.stack(np.meshgrid(*(edge[:-1] for edge in edges), indexing="ij"), -1).reshape(-1, 1, 3)
    size_km = np.array([edge[1] - edge[0] for edge in edges])
    offset = corner - travel.station_km  # of the lower corner of a cell from a station
    nearest = np.maximum(np.maximum(offset, -(offset + size_km)), 0.0)
    farthest = np.maximum(np.abs(offset), np.abs(offset + size_km))
    near_km, far_km = (np.linalg.norm(each[..., :2], axis=-1) for each in (nearest, farthest))
    top_km = corner[..., 2]
    low_s, high_s = np.inf, -np.inf
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        depth_km = top_km + part * size_km[2]
        low_s = np.minimum(low_s, _looked_up(travel.table, near_km, depth_km))
        high_s = np.maximum(high_s, _looked_up(travel.table, far_km, depth_km))
    distances = (np.linalg.norm(each, axis=-1).astype(np.float32) for each in (nearest, farthest))
    return Cells(
        shape, (float(size_km[0]), float(size_km[1]), float(size_km[2])), (low_s + high_s) / 2, (high_s - low_s) / 2,
        *distances,
    )  # fmt: skip


def _looked_up(
    table: StationTable, distance_km: Float[np.ndarray, "cell station"], depth_km: Float[np.ndarray, "cell 1"]
) -> Float[np.ndarray, "cell station phase"]:
    block = 4096
    found = []
    for start in range(0, len(depth_km), block):
        distances, depths = distance_km[start : start + block], depth_km[start : start + block]
        rest = ((0, block - len(depths)), (0, 0))
        times_s = _times_s(table, jnp.asarray(np.pad(distances, rest)), jnp.asarray(np.pad(depths, rest)))
        found.append(np.asarray(times_s)[: len(depths)])
    return np.concatenate(found)


def middle_km(cells: Cells, region: Region, cell: Int[np.ndarray, " box"]) -> Float[np.ndarray, "box 3"]:
    """East, north and depth of the middles of cells."""
    at = np.stack(np.unravel_index(cell, cells.shape), -1)
    return np.array([ends[0] for ends in region[:3]]) + (at + 0.5) * np.array(cells.size_km)
