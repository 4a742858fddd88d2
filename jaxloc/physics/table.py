"""Tables of travel times, interpolated to stations and hypocentres.

Direct waves are tabulated, head waves along the tops of layers with the largest contrasts are computed: they are linear
in distance and, within a layer, in the depths of both ends. The earlier of the two has no error where they cross.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel, direct_s

MAX_NODES = (192, 64)  # of distance and of depth
MAX_RECEIVERS = 32
MOST_NUMBERS = 2_000_000  # of layers at nodes at once
DEPTH_TOPS, RECEIVER_TOPS = 6, 2  # tops of layers that have further nodes
SMALL_CONTRAST = 0.06  # of speed, as a share: tops that need no nodes of their own
MAJOR = 4  # refractors whose head waves are computed; those of others are tabulated
ASIDE_KM = 1e-3  # of a node above a layer's top, where direct waves are not continuous
BELOW_KM = (0.2,)  # further nodes: below a top, direct waves change fast near the critical distance
NEVER_S = 1e5  # head waves that do not exist


class HeadWaves(NamedTuple):
    """Of each refractor: intercept time and critical distance from a depth in a layer, linear in it; large: no wave."""

    top_km: Float[Array, " layer"]
    slowness_s_km: Float[Array, "phase refractor"]
    intercept_s: Float[Array, "layer phase refractor"]  # at the top of a layer, and its change downwards
    change_s_km: Float[Array, "layer phase refractor"]
    critical_km: Float[Array, "layer phase refractor"]
    change: Float[Array, "layer phase refractor"]


class TravelTimeTable(NamedTuple):
    """Direct waves of P and S, less the straight distance at the speed of the source's layer; and head waves.

    Where there are many layers, first arrivals of direct and of those head waves that are not computed. The difference
    varies little where time itself bends, and is zero in the layer of the receiver. Distances are squares of
    equidistant numbers: denser close to a station.
    """

    excess_s: Float[Array, "phase distance depth receiver"]
    slowness_s_km: Float[Array, "depth phase"]
    farthest_km: Float[Array, ""]
    depth_km: Float[Array, " depth"]
    receiver_km: Float[Array, " receiver"]
    heads: HeadWaves


class TableGrid(NamedTuple):
    """Where a table is tabulated: far end, depth ranges in km, and the number of nodes of each.

    More nodes of depth lie about the tops of layers.
    """

    distance_km: float
    depth_km: tuple[float, float]
    receiver_km: tuple[float, float]
    num_distances: int = 128
    num_depths: int = 40
    num_receivers: int = 4


def tabulate(
    model: VelocityModel,
    grid: TableGrid,
    receiver_km: Float[np.ndarray, " receiver"] | None = None,
    reference: VelocityModel | None = None,
) -> TravelTimeTable:
    """Tabulate a model; inside `jit` and `grad` this is cheap enough to repeat at every step.

    Ends of the grid may be traced; the numbers of nodes are shapes. Receivers are at `receiver_km` where these depths
    are known, and anywhere within the grid without them. The contrasts of `reference`, by default the model, choose
    nodes and refractors: tables of models that have the same reference may be averaged.
    """
    ends = (grid.distance_km, tuple(grid.depth_km), tuple(grid.receiver_km))
    counts = (grid.num_distances, grid.num_depths, grid.num_receivers)
    return _tabulated(model, model if reference is None else reference, ends, receiver_km, counts)


@partial(jax.jit, static_argnames="counts")
def _tabulated(
    model: VelocityModel,
    reference: VelocityModel,
    ends: tuple[float, tuple[float, float], tuple[float, float]],
    receiver_km: Float[Array, " receiver"] | None,
    counts: tuple[int, int, int],
) -> TravelTimeTable:
    farthest_km, depth_km, receiver_range_km = ends
    x = farthest_km * jnp.linspace(0, 1, counts[0]) ** 2
    z = _nodes(reference, depth_km, counts[1], DEPTH_TOPS, (-ASIDE_KM, 0.0, *BELOW_KM))
    if receiver_km is None:
        receiver_km = _nodes(reference, receiver_range_km, counts[2], RECEIVER_TOPS, (-ASIDE_KM, 0.0))
    speeds = jnp.stack([model.vp_km_s, model.vs_km_s])
    z_at, receiver_at = (_off_tops(model.top_km, depth_km) for depth_km in (z, receiver_km))
    slowness = 1 / speeds[:, _layer_of(model.top_km, z_at)]

    def excess(
        speed_km_s: Float[Array, " layer"],
        source_s_km: Float[Array, ""],
        x_km: Float[Array, ""],
        z_km: Float[Array, ""],
        r_km: Float[Array, ""],
    ) -> Float[Array, ""]:
        straight_km = jnp.sqrt(jnp.maximum(x_km**2 + (z_km - r_km) ** 2, ASIDE_KM**2))
        return direct_s(model.top_km, speed_km_s, x_km, z_km, r_km) - straight_km * source_s_km

    over_receivers = jax.vmap(excess, (None, None, None, None, 0))
    over_depths = jax.vmap(over_receivers, (None, 0, None, 0, None))
    over_phases = jax.vmap(over_depths, (0, 0, None, None, None))
    at_distance = lambda x_km: over_phases(speeds, slowness, x_km, z_at, receiver_at)
    size = 2 * len(z) * len(receiver_km) * len(model.top_km)
    table = jnp.moveaxis(jax.lax.map(at_distance, x, batch_size=max(MOST_NUMBERS // size, 1)), 0, 1)
    heads = _head_waves(model)
    rise = jax.lax.stop_gradient(jnp.diff(jnp.log(reference.vp_km_s)))
    _, major = jax.lax.top_k(rise, min(MAJOR, len(rise)))
    if len(rise) > MAJOR:
        minor = jnp.ones(len(rise) + 1, bool).at[major + 1].set(False)
        straight_s = jnp.sqrt(x[:, None, None] ** 2 + (z[:, None] - receiver_km) ** 2) * slowness[:, None, :, None]
        table = _with_heads(table + straight_s, heads, minor, x, z, receiver_km) - straight_s
    heads = HeadWaves(heads.top_km, *(each[..., major + 1] for each in heads[1:]))
    return TravelTimeTable(table, slowness.T, jnp.asarray(farthest_km), z, receiver_km, heads)


def _with_heads(
    first_s: Float[Array, "phase distance depth receiver"],
    heads: HeadWaves,
    which: Bool[Array, " refractor"],
    x_km: Float[Array, " distance"],
    z_km: Float[Array, " depth"],
    r_km: Float[Array, " receiver"],
) -> Float[Array, "phase distance depth receiver"]:
    """First arrivals of given waves and of the head waves along some refractors."""
    both = [a[:, None] + b for a, b in zip(_to_refractors(heads, z_km), _to_refractors(heads, r_km), strict=True)]
    x = x_km[:, None, None]
    for k in range(1, len(heads.top_km)):
        intercept_s, critical_km = (jnp.moveaxis(each[..., k], -1, 0)[:, None] for each in both)
        time_s = x * heads.slowness_s_km[:, k, None, None, None] + intercept_s
        first_s = jnp.where(which[k] & (x >= critical_km) & (time_s < first_s), time_s, first_s)
    return first_s


def _nodes(
    model: VelocityModel, between_km: tuple[float, float], number: int, most: int, aside_km: tuple[float, ...]
) -> Float[Array, " node"]:
    """Equidistant nodes, and others about those tops between that have large contrasts."""
    low, high = between_km[0], between_km[1] - ASIDE_KM
    tops, steps = jax.lax.stop_gradient(model.top_km[1:]), len(model.top_km) - 1
    contrast = jax.lax.stop_gradient(jnp.abs(jnp.diff(jnp.log(model.vp_km_s))))
    within = (tops > low - max(aside_km)) & (tops < high)
    contrast, best = jax.lax.top_k(jnp.where(within, contrast, 0.0), min(most, steps))
    beside = jnp.clip(tops[best][:, None] + jnp.array(aside_km), low, high).reshape(-1)
    at = jnp.arange(number + len(beside))
    even = len(at) - (contrast > (SMALL_CONTRAST if steps > most else 0.0)).sum() * len(aside_km)
    nodes = low + (high - low) * jnp.minimum(at / (even - 1), 1.0)
    if len(beside):
        nodes = jnp.where(at < even, nodes, beside[jnp.clip(at - even, 0, len(beside) - 1)])
    return jnp.sort(nodes)


def _off_tops(top_km: Float[Array, " layer"], depth_km: Float[Array, " node"]) -> Float[Array, " node"]:
    """Depths with those on the top of a layer moved into it: on it a direct wave knows the layer above alone."""
    on_top = (jnp.abs(depth_km[:, None] - top_km[1:]) < ASIDE_KM / 2).any(-1)
    return jnp.where(on_top, depth_km + ASIDE_KM, depth_km)


def _layer_of(top_km: Float[Array, " layer"], depth_km: Float[Array, " *batch"]) -> Int[Array, " *batch"]:
    return (depth_km[..., None] >= top_km[1:]).sum(-1)


def _head_waves(model: VelocityModel) -> HeadWaves:
    """Head waves of both phases along the top of every layer but the first."""
    tops, layers = model.top_km, len(model.top_km)
    thickness_km = jnp.append(jnp.diff(tops), 0.0)[:, None]
    above = jnp.arange(layers)[:, None] < jnp.arange(layers)

    def of_phase(speed_km_s: Float[Array, " layer"]) -> tuple[Array, ...]:
        ratio = speed_km_s[:, None] / speed_km_s
        crossed = above & (ratio < 1)
        ratio = jnp.where(crossed, ratio, 0.5)
        cosine = jnp.sqrt(1 - ratio**2)
        slowness, tangent = crossed * cosine / speed_km_s[:, None], crossed * ratio / cosine
        down = lambda values: jnp.cumsum(values[::-1], 0)[::-1]
        exists = above & (down(above & ~crossed) == 0)
        intercept_s = jnp.where(exists, down(thickness_km * slowness), NEVER_S)
        return 1 / speed_km_s, intercept_s, exists * slowness, down(thickness_km * tangent), exists * tangent

    found = [jnp.stack(both) for both in zip(*(of_phase(v) for v in (model.vp_km_s, model.vs_km_s)), strict=True)]
    return HeadWaves(tops, found[0], *(jnp.moveaxis(each, 0, 1) for each in found[1:]))


def _to_refractors(
    heads: HeadWaves, depth_km: Float[Array, "*batch"]
) -> tuple[Float[Array, "*batch phase refractor"], Float[Array, "*batch phase refractor"]]:
    """Intercept times and critical distances from a depth."""
    layer = _layer_of(heads.top_km, depth_km)
    down_km = (depth_km - heads.top_km[layer])[..., None, None]
    return (
        heads.intercept_s[layer] - down_km * heads.change_s_km[layer],
        heads.critical_km[layer] - down_km * heads.change[layer],
    )


def table_around(
    model: VelocityModel, region: Region, station_km: Float[np.ndarray, "station 3"], spacing_km: float | None = None
) -> TravelTimeTable:
    """Travel times from all of a region to all stations.

    Args:
        model: flat layers.
        region: hypocentres.
        station_km: east, north and depth of the stations.
        spacing_km: of the nodes in distance (on average) and depth, at most `MAX_NODES` of them; None: the numbers of
            `TableGrid`.
    """
    corners = np.stack(np.meshgrid(region.east_km, region.north_km), -1).reshape(-1, 1, 2)
    farthest = float(np.linalg.norm(corners - station_km[:, :2], axis=-1).max()) + 1.0
    depths_km = np.unique(station_km[:, 2])
    if len(depths_km) > MAX_RECEIVERS:
        depths_km = np.quantile(depths_km, np.linspace(0, 1, MAX_RECEIVERS))
    grid = TableGrid(farthest, region.depth_km, (depths_km[0], depths_km[-1]))
    if spacing_km is not None:
        lengths_km = (farthest, region.depth_km[1] - region.depth_km[0])
        nodes = [
            int(np.clip(length / spacing_km, 32, most)) for length, most in zip(lengths_km, MAX_NODES, strict=True)
        ]
        grid = grid._replace(num_distances=nodes[0], num_depths=nodes[1])
    return tabulate(model, grid, depths_km)


class StationTable(NamedTuple):
    """A table made ready for given stations: the axis of receiver depth gives way to one of stations."""

    excess_s: Float[Array, "station distance depth phase"]
    slowness_s_km: Float[Array, "depth phase"]
    receiver_depth_km: Float[Array, " station"]
    farthest_km: Float[Array, ""]
    depth_km: Float[Array, " depth"]
    heads: HeadWaves
    intercept_s: Float[Array, "station phase refractor"]
    critical_km: Float[Array, "station phase refractor"]


def for_stations(table: TravelTimeTable, receiver_depth_km: Float[Array, " station"]) -> StationTable:
    """Interpolate a table to the depths of stations (negative above sea level), in km."""
    lower, part = _between(table.receiver_km, receiver_depth_km)
    excess = table.excess_s[..., lower] * (1 - part)
    if len(table.receiver_km) > 1:
        excess = excess + table.excess_s[..., lower + 1] * part
    return StationTable(
        jnp.moveaxis(excess, (3, 0), (0, 3)),
        table.slowness_s_km,
        receiver_depth_km,
        table.farthest_km,
        table.depth_km,
        table.heads,
        *_to_refractors(table.heads, receiver_depth_km),
    )


def _between(
    nodes: Float[Array, " node"], value: Float[Array, " *batch"]
) -> tuple[Int[Array, " *batch"], Float[Array, " *batch"]]:
    """The node at or below a value, and the part of the way to the next one."""
    lower = (value[..., None] >= nodes[1:-1]).sum(-1)
    if len(nodes) == 1:
        return lower, jnp.zeros_like(value)
    width = jnp.maximum(nodes[lower + 1] - nodes[lower], 1e-6)
    return lower, jnp.clip((value - nodes[lower]) / width, 0, 1)


def look_up_s(
    table: StationTable,
    distance_km: Float[Array, "*batch station"],
    source_depth_km: Float[Array, "*batch station_or_1"],
) -> Float[Array, "*batch station phase"]:
    """P and S times in s to each station; direct waves by linear interpolation, which ends where the table does."""
    stations, distances, depths, phases = table.excess_s.shape
    flat = table.excess_s.reshape(-1, phases)
    source_depth_km = jnp.asarray(source_depth_km)
    z0, down = _between(table.depth_km, source_depth_km)
    spaces = distances - 1
    squares = distance_km * (spaces**2 / table.farthest_km)
    x0 = jnp.minimum(jnp.sqrt(jax.lax.stop_gradient(squares)).astype(int), spaces - 1)
    along = jnp.minimum((squares - x0**2) / (2 * x0 + 1), 1)[..., None]
    corner = (jnp.arange(stations) * distances + x0) * depths + z0
    down = down[..., None]
    near = flat[corner] * (1 - down) + flat[corner + 1] * down
    far = flat[corner + depths] * (1 - down) + flat[corner + depths + 1] * down
    squared = distance_km**2 + (source_depth_km - table.receiver_depth_km) ** 2
    straight_km = jnp.sqrt(jnp.maximum(squared, 1e-8))[..., None]
    slowness = table.slowness_s_km[z0] * (1 - down) + table.slowness_s_km[z0 + 1] * down
    time_s = near * (1 - along) + far * along + straight_km * slowness
    intercept_s, critical_km = _to_refractors(table.heads, source_depth_km)
    x_km = distance_km[..., None]
    for k in range(table.heads.slowness_s_km.shape[-1]):
        head_s = x_km * table.heads.slowness_s_km[:, k] + (intercept_s[..., k] + table.intercept_s[..., k])
        reached = x_km >= critical_km[..., k] + table.critical_km[..., k]
        time_s = jnp.where(reached & (head_s < time_s), head_s, time_s)
    return time_s
