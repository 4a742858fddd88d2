"""Cells of a regular grid, split where a density has most of its mass (after Lomax & Curtis 2001, EGS Abstracts 3).

A posterior of few observations is a thin shell or a curved band, which no lattice of a few thousand points resolves.
Each round splits the cells of largest mass into eight.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxloc.physics.adaptive_grid import Region

CORNERS = np.stack(np.meshgrid(*[(-0.25, 0.25)] * 3, indexing="ij"), -1).reshape(8, 3)


class Cells(NamedTuple):
    """Middles of cells in km, the edges of an unsplit cell as columns, and the size of each cell relative to it.

    `trend` is how much a quantity changes along each edge of a cell, where it is known.
    """

    middle_km: Float[Array, "cell 3"]
    edge_km: Float[Array, "3 3"]
    size: Float[Array, " cell"]
    trend: Float[Array, "cell 3"] | None = None


AtCells = Callable[[Float[Array, "cell 3"], Float[Array, " cell"]], tuple[Float[Array, " cell"], Float[Array, " cell"]]]
"""Middles of cells and their longest edges in km to the log-density, smoothed to these edges, and a quantity there."""


def regular(region: Region, number: tuple[int, int, int]) -> Cells:
    """Cells of equal size that fill a region, so many along east, north and depth."""
    edges = [np.linspace(low, high, n + 1) for (low, high), n in zip(region[:3], number, strict=True)]
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    middle_km = np.stack(np.meshgrid(*middles, indexing="ij"), -1).reshape(-1, 3)
    step_km = np.diag([edge[1] - edge[0] for edge in edges])
    return Cells(jnp.asarray(middle_km, float), jnp.asarray(step_km, float), jnp.ones(len(middle_km)))


def refined(at_cells: AtCells, cells: Cells, number: tuple[int, int, int], splits: Sequence[int]) -> Cells:
    """Split the `splits[i]` cells of largest mass in round i, and follow the trend of a quantity from cell to cell.

    Args:
        at_cells: log-density and quantity; a split cell's trend is that between its eight parts, which all have it.
        cells: of a regular grid.
        number: of cells along the three edges.
        splits: number of cells that are split in each round, at most as many as there are.
    """
    log_density, quantity = at_cells(cells.middle_km, _longest_km(cells))
    log_mass = log_density + 3 * jnp.log(cells.size)
    cells = cells._replace(trend=_trend_of_grid(quantity, number))
    for split, same in groupby(splits):
        log_mass, cells = _split(at_cells, log_mass, cells, split, len(list(same)))
    return cells


def _split(
    at_cells: AtCells, log_mass: Float[Array, " cell"], cells: Cells, split: int, rounds: int
) -> tuple[Float[Array, " more"], Cells]:
    """Split so many cells again and again; rounds are a loop, so that they compile as one."""
    number, more = len(log_mass), 7 * split * rounds
    room = lambda old, value: jnp.pad(old, [(0, more), (0, 0)][: old.ndim], constant_values=value)

    def one(i: Int[Array, ""], state: tuple[Float[Array, " more"], Cells]) -> tuple[Float[Array, " more"], Cells]:
        log_mass, cells = state
        top = jax.lax.top_k(log_mass, split)[1]
        children = _children(Cells(cells.middle_km[top], cells.edge_km, cells.size[top]))
        log_density, quantity = at_cells(children.middle_km, _longest_km(children))
        trend = jnp.tile(_trend_of_children(quantity.reshape(8, split)), (8, 1))
        # The first child takes the place of its parent, the other seven are appended.
        end = number + 7 * split * i
        put = lambda old, new: jax.lax.dynamic_update_slice_in_dim(old.at[top].set(new[:split]), new[split:], end, 0)
        changed = Cells(
            put(cells.middle_km, children.middle_km),
            cells.edge_km,
            put(cells.size, children.size),
            put(cells.trend, trend),
        )
        return put(log_mass, log_density + 3 * jnp.log(children.size)), changed

    cells = Cells(room(cells.middle_km, 0.0), cells.edge_km, room(cells.size, 1.0), room(cells.trend, 0.0))
    return jax.lax.fori_loop(0, rounds, one, (room(log_mass, -jnp.inf), cells))


def _trend_of_grid(quantity: Float[Array, " cell"], number: tuple[int, int, int]) -> Float[Array, "cell 3"]:
    grid = quantity.reshape(number)
    gradient: Any = jnp.gradient
    along = [gradient(grid, axis=i) if n > 1 else jnp.zeros_like(grid) for i, n in enumerate(number)]
    return jnp.stack(along, -1).reshape(-1, 3)


def _trend_of_children(quantity: Float[Array, "8 cell"]) -> Float[Array, "cell 3"]:
    """From the middles of the lower four to those of the upper four, which are an edge of theirs apart."""
    return quantity.T @ jnp.asarray(np.sign(CORNERS) / 4, quantity.dtype)


def _longest_km(cells: Cells) -> Float[Array, " cell"]:
    return jnp.linalg.norm(cells.edge_km, axis=0).max() * cells.size


def _children(cells: Cells) -> Cells:
    """Eight cells for each, [8 * cell], child by child."""
    offset_km = jnp.asarray(CORNERS, cells.middle_km.dtype) @ cells.edge_km.T
    middle_km = cells.middle_km + offset_km[:, None] * cells.size[:, None]
    return Cells(middle_km.reshape(-1, 3), cells.edge_km, jnp.tile(cells.size / 2, 8))
