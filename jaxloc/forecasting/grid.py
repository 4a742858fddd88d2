"""Cells over a region, and maps on them: an array whose last two axes are rows (northwards) and columns (eastwards)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter


class Grid(NamedTuple):
    """Square cells; row 0 is the southernmost and column 0 the westernmost."""

    west_km: float
    south_km: float
    cell_km: float
    rows: int
    columns: int


def grid_over(box_km: Sequence[float], cell_km: float) -> Grid:
    """The cells that cover a box (west, east, south, north).

    Raises:
        ValueError: where the box is empty or cells are not positive.
    """
    west, east, south, north = map(float, box_km)
    if not (west < east and south < north and cell_km > 0):
        raise ValueError(
            f"box_km must be west < east, south < north and cell_km positive, got {list(box_km)} and {cell_km}"
        )
    return Grid(west, south, float(cell_km), *(int(np.ceil(d / cell_km)) for d in (north - south, east - west)))


def cells_of(
    grid: Grid, east_km: Float[np.ndarray, " event"], north_km: Float[np.ndarray, " event"]
) -> tuple[Int[np.ndarray, " event"], Int[np.ndarray, " event"], Bool[np.ndarray, " event"]]:
    """Row and column of each point, and whether it is on the grid; row and column are 0 outside."""
    row = np.floor((north_km - grid.south_km) / grid.cell_km).astype(int)
    column = np.floor((east_km - grid.west_km) / grid.cell_km).astype(int)
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    return np.where(inside, row, 0), np.where(inside, column, 0), inside


def centres_km(grid: Grid) -> tuple[Float[np.ndarray, " column"], Float[np.ndarray, " row"]]:
    """East of the columns' and north of the rows' centres."""
    middle = lambda low, number: low + grid.cell_km * (np.arange(number) + 0.5)
    return middle(grid.west_km, grid.columns), middle(grid.south_km, grid.rows)


def smoothed(maps: Float[np.ndarray, "*map row column"], sigma_cells: float) -> Float[np.ndarray, "*map row column"]:
    """Gaussian smoothing with reflection at the edges, which conserves the total."""
    if sigma_cells == 0:
        return maps
    blur = lambda x: gaussian_filter(x, (*(0,) * (x.ndim - 2), sigma_cells, sigma_cells), mode="reflect")
    return blur(np.asarray(maps, float))


def sum_within(
    maps: Float[np.ndarray, "*map row column"], grid: Grid, radius_km: float
) -> Float[np.ndarray, "*map row column"]:
    """The sum over all cells with centres within a radius of each cell's, itself included."""
    reach = int(radius_km / grid.cell_km + 1e-9)
    padded = np.pad(maps, [(0, 0)] * (maps.ndim - 2) + [(reach, reach)] * 2)
    rows, columns = maps.shape[-2:]
    total = np.zeros(maps.shape)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if np.hypot(down, right) * grid.cell_km <= radius_km + 1e-9:
                top, left = reach + down, reach + right
                total += padded[..., top : top + rows, left : left + columns]
    return total


def any_within(
    outcomes: Bool[np.ndarray, "*map row column"], grid: Grid, radius_km: float
) -> Bool[np.ndarray, "*map row column"]:
    """Dilated outcomes: whether any cell within a radius has an event."""
    return sum_within(outcomes.astype(np.float32), grid, radius_km) > 0


def probability_within(
    probability: Float[np.ndarray, "*map row column"], grid: Grid, radius_km: float
) -> Float[np.ndarray, "*map row column"]:
    """The probability of an event in any cell within a radius, for independent cells."""
    return -np.expm1(sum_within(np.log1p(-np.minimum(probability, 1 - 1e-7)), grid, radius_km))
