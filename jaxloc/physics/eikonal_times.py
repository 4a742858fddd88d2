"""Travel times from tables of gridded first arrivals (`jaxloc.physics.eikonal`), one table a station.

A table holds the mean slowness of the way, time over straight distance, which varies little where time itself has its
singularity and is interpolated linearly in every coordinate (of three dimensions by `jaxloc.physics.gridded_times`).
Times are differentiable in the hypocentre; stations and sources change places, as travel times allow. The earth is flat
here: grids reach up to some 60 km.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from jaxloc.geometry import distance_km
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.eikonal import first_arrivals_s
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.picks_on_cells import TravelTimes

DEEPER = 0.25  # of the distance: how deep below sources rays may turn


class SlownessGrid(NamedTuple):
    """Slowness of P and S in s/km at the nodes of a regular grid, and the place of its first node.

    Axes are distance and depth, or east, north and depth, in km.
    """

    slowness_s_km: Float[Array, "phase *axis"]
    first_km: Float[Array, " dimension"]
    spacing_km: float


class EikonalTables(NamedTuple):
    """Mean slowness of the way from each receiver to all nodes; receivers' depths, or places, in km."""

    mean_s_km: Float[Array, "receiver phase *axis"]
    receiver_km: Float[Array, "receiver coordinate"]
    first_km: Float[Array, " dimension"]
    spacing_km: float


def radial_grid(
    model: VelocityModel, region: Region, station_km: Float[np.ndarray, "station 3"], spacing_km: float = 0.5
) -> SlownessGrid:
    """Distance and depth from all of a region to all stations; nodes have the mean slowness of a spacing about them."""
    corners = np.stack(np.meshgrid(region.east_km, region.north_km), -1).reshape(-1, 1, 2)
    farthest_km = float(np.linalg.norm(corners - station_km[:, :2], axis=-1).max())
    highest_km = min(region.depth_km[0], float(station_km[:, 2].min())) - spacing_km
    deepest_km = region.depth_km[1] + DEEPER * farthest_km
    distances, depths = (int(np.ceil(km / spacing_km)) + 2 for km in (farthest_km, deepest_km - highest_km))
    depth_km = highest_km + spacing_km * np.arange(depths)
    edges = depth_km[:, None] + spacing_km * np.array([-0.5, 0.5])
    tops = np.append(np.asarray(model.top_km, float)[1:], np.inf)
    bottoms = np.append(-np.inf, tops[:-1])
    part = np.maximum(np.minimum(edges[:, 1:], tops) - np.maximum(edges[:, :1], bottoms), 0) / spacing_km
    mean = np.stack([part @ (1 / np.asarray(speed, float)) for speed in (model.vp_km_s, model.vs_km_s)])
    slowness = np.broadcast_to(mean[:, None], (2, distances, depths))
    return SlownessGrid(jnp.asarray(slowness), jnp.array([0.0, highest_km]), spacing_km)


def tabulated(grid: SlownessGrid, receiver_km: Float[np.ndarray, "receiver coordinate"]) -> EikonalTables:
    """Solve the eikonal equation for every receiver, one after the other, compiled once.

    Args:
        grid: slowness.
        receiver_km: depths [receiver, 1] for a grid of distance and depth, else places [receiver, 3].

    Raises:
        ValueError: where a receiver is outside of the grid; names it.
    """
    receiver_km = np.asarray(receiver_km, float)
    axes = grid.slowness_s_km.ndim - 1
    if receiver_km.shape[1:] != ((1,) if axes == 2 else (axes,)):
        raise ValueError(f"receivers of a grid with {axes} axes cannot have the shape {receiver_km.shape}")
    place_km = np.concatenate([np.zeros((len(receiver_km), 1)), receiver_km], 1) if axes == 2 else receiver_km
    node = (place_km - np.asarray(grid.first_km)) / grid.spacing_km
    outside = ((node < 0) | (node > np.array(grid.slowness_s_km.shape[1:]) - 1)).any(-1)
    if outside.any():
        raise ValueError(
            f"the receiver at {place_km[outside][0].tolist()} km is outside of the grid; it must reach every station"
        )
    mean = [mean_slowness_from(grid.slowness_s_km, grid.spacing_km, at) for at in jnp.asarray(node, jnp.float32)]
    return EikonalTables(jnp.stack(mean), jnp.asarray(receiver_km), grid.first_km, grid.spacing_km)


@jax.jit
def mean_slowness_from(
    slowness_s_km: Float[Array, "phase *axis"], spacing_km: float, receiver: Float[Array, " dimension"]
) -> Float[Array, "phase *axis"]:
    """Time over straight distance from a receiver, whose place is in nodes, to all nodes; compiled once for a shape."""
    nodes = jnp.moveaxis(jnp.indices(slowness_s_km.shape[1:], jnp.float32), 0, -1)
    away_km = spacing_km * jnp.sqrt(((nodes - receiver) ** 2).sum(-1))

    def of_phase(slowness: Float[Array, "*axis"]) -> Float[Array, "*axis"]:
        return jnp.where(
            away_km > 1e-3 * spacing_km,
            first_arrivals_s(slowness, spacing_km, receiver) / jnp.maximum(away_km, 1e-6),
            map_coordinates(slowness, list(receiver), 1),
        )

    return jax.lax.map(of_phase, slowness_s_km)


def radial_times(tables: EikonalTables) -> TravelTimes:
    """First arrivals by distance and depth; between the depths of two receivers those are interpolated."""
    depths_km = tables.receiver_km[:, 0]
    order = jnp.argsort(depths_km)
    tables, depths_km = tables._replace(mean_s_km=tables.mean_s_km[order]), depths_km[order]

    def of_stations(station_km: Float[Array, "station 3"]) -> Callable[[Array], Array]:
        receiver = jnp.interp(station_km[:, 2], depths_km, jnp.arange(len(depths_km), dtype=jnp.float32))

        def times(place_km: Float[Array, "point 3"]) -> Float[Array, "point station phase"]:
            away_km = distance_km(place_km[:, None], station_km)
            down_km = jnp.broadcast_to(place_km[:, None, 2], away_km.shape)
            node = (jnp.stack([away_km, down_km], -1) - tables.first_km) / tables.spacing_km
            straight_km = jnp.sqrt(jnp.maximum(away_km**2 + (down_km - station_km[:, 2]) ** 2, 1e-8))
            return straight_km[..., None] * _interpolated(tables, jnp.broadcast_to(receiver, away_km.shape), node)

        return times

    return of_stations


def _interpolated(
    tables: EikonalTables, receiver: Float[Array, "point station"], node: Float[Array, "point station dimension"]
) -> Float[Array, "point station phase"]:
    """Linear in the coordinates of the grid and between receivers, constant beyond their ends."""
    at = [receiver, *jnp.moveaxis(node, -1, 0)]
    of_phase = lambda mean: map_coordinates(mean, at, 1, mode="nearest")
    return jax.vmap(of_phase, 1, -1)(tables.mean_s_km)
