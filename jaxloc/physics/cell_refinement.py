"""Cells of a regular grid, split where a density has most of its mass (after Lomax & Curtis 2001, EGS Abstracts 3).

A posterior of few observations is a thin shell or a curved band, which no lattice of a few thousand points resolves.
Each round splits the cells of largest mass into eight.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

CORNERS = np.stack(np.meshgrid(*[(-0.25, 0.25)] * 3, indexing="ij"), -1).reshape(8, 3)


class Cells(NamedTuple):
    """Middles of cells in km, the edges of an unsplit cell as columns, and the size of each cell relative to it."""

    middle_km: Float[Array, "cell 3"]
    edge_km: Float[Array, "3 3"]
    size: Float[Array, " cell"]


def refined(
    log_density: Callable[[Float[Array, "cell 3"], Float[Array, " cell"]], Float[Array, " cell"]],
    cells: Cells,
    splits: Sequence[int],
) -> Cells:
    """Split the `splits[i]` cells of largest mass in round i.

    Args:
        log_density: middles of cells and their longest edges in km to the log-density, smoothed to these edges.
        cells: of any sizes.
        splits: number of cells that are split in each round, at most as many as there are.
    """
    mass = lambda cells: log_density(cells.middle_km, _longest_km(cells)) + 3 * jnp.log(cells.size)
    log_mass = mass(cells)
    for number in splits:
        top = jax.lax.top_k(log_mass, number)[1]
        children = _children(Cells(cells.middle_km[top], cells.edge_km, cells.size[top]))
        of_children = mass(children)
        # The first child takes the place of its parent, the other seven are appended.
        put = lambda old, new, top=top: jnp.concatenate([old.at[top].set(new[0]), new[1:].reshape(-1, *old.shape[1:])])
        by_child = lambda x, number=number: x.reshape(8, number, *x.shape[1:])
        middle_km = put(cells.middle_km, by_child(children.middle_km))
        cells = Cells(middle_km, cells.edge_km, put(cells.size, by_child(children.size)))
        log_mass = put(log_mass, by_child(of_children))
    return cells


def _longest_km(cells: Cells) -> Float[Array, " cell"]:
    return jnp.linalg.norm(cells.edge_km, axis=0).max() * cells.size


def _children(cells: Cells) -> Cells:
    """Eight cells for each, [8 * cell], child by child."""
    offset_km = jnp.asarray(CORNERS, cells.middle_km.dtype) @ cells.edge_km.T
    middle_km = cells.middle_km + offset_km[:, None] * cells.size[:, None]
    return Cells(middle_km.reshape(-1, 3), cells.edge_km, jnp.tile(cells.size / 2, 8))
