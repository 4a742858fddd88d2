"""Tables of travel times on a regular grid, interpolated to stations and hypocentres."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel, travel_time_s

MAX_NODES = 400


class TravelTimeTable(NamedTuple):
    """Effective slowness (time over straight distance) of P and S on a regular grid.

    Slowness varies little where time itself bends, so that linear interpolation is good to a few ms.
    """

    slowness_s_km: Float[Array, "phase distance depth receiver"]
    distance_step_km: Float[Array, ""]
    depth_start_km: Float[Array, ""]
    depth_step_km: Float[Array, ""]
    receiver_start_km: Float[Array, ""]
    receiver_step_km: Float[Array, ""]


class TableGrid(NamedTuple):
    """Where a table is tabulated: far end, depth ranges in km, and the number of nodes of each."""

    distance_km: float
    depth_km: tuple[float, float]
    receiver_km: tuple[float, float]
    num_distances: int = 128
    num_depths: int = 40
    num_receivers: int = 4


def tabulate(model: VelocityModel, grid: TableGrid) -> TravelTimeTable:
    """Tabulate a model; inside `jit` and `grad` this is cheap enough to repeat at every step.

    Ends of the grid may be traced; the numbers of nodes are shapes.
    """
    ends = ((0.0, grid.distance_km), tuple(grid.depth_km), tuple(grid.receiver_km))
    return _tabulated(model, ends, (grid.num_distances, grid.num_depths, grid.num_receivers))


@partial(jax.jit, static_argnames="counts")
def _tabulated(
    model: VelocityModel, ends: tuple[tuple[float, float], ...], counts: tuple[int, int, int]
) -> TravelTimeTable:
    x, z, r = (jnp.linspace(*between, count) for between, count in zip(ends, counts, strict=True))

    def slowness(
        speed_km_s: Float[Array, " layer"], x_km: Float[Array, ""], z_km: Float[Array, ""], r_km: Float[Array, ""]
    ) -> Float[Array, ""]:
        # Half a kilometre aside from the receiver: the limit of time over distance there, without 0 / 0.
        z_km = jnp.where(jnp.abs(z_km - r_km) + x_km < 0.5, r_km + 0.5, z_km)
        time_s = travel_time_s(model.top_km, speed_km_s, x_km, z_km, r_km)
        return time_s / jnp.sqrt(x_km**2 + (z_km - r_km) ** 2)

    over_receivers = jax.vmap(slowness, (None, None, None, 0))
    over_depths = jax.vmap(over_receivers, (None, None, 0, None))
    over_distances = jax.vmap(over_depths, (None, 0, None, None))
    table = jax.vmap(over_distances, (0, None, None, None))(jnp.stack([model.vp_km_s, model.vs_km_s]), x, z, r)
    return TravelTimeTable(table, x[1] - x[0], z[0], z[1] - z[0], r[0], r[1] - r[0])


def table_around(
    model: VelocityModel, region: Region, station_km: Float[np.ndarray, "station 3"], spacing_km: float | None = None
) -> TravelTimeTable:
    """Travel times from all of a region to all stations.

    Args:
        model: flat layers.
        region: hypocentres.
        station_km: east, north and depth of the stations.
        spacing_km: of the nodes in distance and depth, at most `MAX_NODES` of them; None: the numbers of `TableGrid`.
    """
    corners = np.stack(np.meshgrid(region.east_km, region.north_km), -1).reshape(-1, 1, 2)
    farthest = float(np.linalg.norm(corners - station_km[:, :2], axis=-1).max()) + 1.0
    receiver_km = (float(station_km[:, 2].min()) - 0.1, float(station_km[:, 2].max()) + 0.1)
    if spacing_km is None:
        return tabulate(model, TableGrid(farthest, region.depth_km, receiver_km))
    lengths_km = (farthest, region.depth_km[1] - region.depth_km[0])
    nodes = (int(np.clip(length / spacing_km, 32, MAX_NODES)) for length in lengths_km)
    return tabulate(model, TableGrid(farthest, region.depth_km, receiver_km, *nodes))


class StationTable(NamedTuple):
    """A table made ready for given stations: the axis of receiver depth gives way to one of stations."""

    slowness_s_km: Float[Array, "station distance depth phase"]
    receiver_depth_km: Float[Array, " station"]
    distance_step_km: Float[Array, ""]
    depth_start_km: Float[Array, ""]
    depth_step_km: Float[Array, ""]


def for_stations(table: TravelTimeTable, receiver_depth_km: Float[Array, " station"]) -> StationTable:
    """Interpolate a table to the depths of stations (negative above sea level), in km."""
    nodes = table.slowness_s_km.shape[-1]
    position = jnp.clip((receiver_depth_km - table.receiver_start_km) / table.receiver_step_km, 0, nodes - 1)
    lower = jnp.clip(jnp.floor(position).astype(int), 0, nodes - 2)
    part = position - lower
    slowness = table.slowness_s_km[..., lower] * (1 - part) + table.slowness_s_km[..., lower + 1] * part
    return StationTable(
        jnp.moveaxis(slowness, (3, 0), (0, 3)),
        receiver_depth_km,
        table.distance_step_km,
        table.depth_start_km,
        table.depth_step_km,
    )


def look_up_s(
    table: StationTable,
    distance_km: Float[Array, "*batch station"],
    source_depth_km: Float[Array, "*batch station_or_1"],
) -> Float[Array, "*batch station phase"]:
    """P and S times in s to each station, by linear interpolation; beyond a table's ends its last slowness holds."""
    stations, distances, depths, phases = table.slowness_s_km.shape
    flat = table.slowness_s_km.reshape(-1, phases)
    x = jnp.clip(distance_km / table.distance_step_km, 0, distances - 1)
    z = jnp.clip((source_depth_km - table.depth_start_km) / table.depth_step_km, 0, depths - 1)
    x0 = jnp.clip(jnp.floor(x).astype(int), 0, distances - 2)
    z0 = jnp.clip(jnp.floor(z).astype(int), 0, depths - 2)
    along, down = (x - x0)[..., None], (z - z0)[..., None]
    corner = (jnp.arange(stations) * distances + x0) * depths + z0
    near = flat[corner] * (1 - down) + flat[corner + 1] * down
    far = flat[corner + depths] * (1 - down) + flat[corner + depths + 1] * down
    squared = distance_km**2 + (source_depth_km - table.receiver_depth_km) ** 2
    straight_km = jnp.sqrt(jnp.maximum(squared, 1e-8))
    return (near * (1 - along) + far * along) * straight_km[..., None]
