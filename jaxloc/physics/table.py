"""Tables of travel times, interpolated to stations and hypocentres.

Direct waves are tabulated, head waves along the tops of layers with the largest contrasts are computed: they are linear
in distance and, within a layer, in the depths of both ends. The earlier of the two has no error where they cross.

A table that reaches further than `ROUND_BEYOND_KM` is one of a spherical earth (`jaxloc.physics.spherical`), whose
depths it takes; up to there a flat one makes crustal sources late by 0.02 s (P) and 0.04 s (S) at most.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.head_waves import HeadWaves, head_waves, layer_of, parts_of, to_refractors, with_dives, with_heads
from jaxloc.physics.layered import VelocityModel, direct_s
from jaxloc.physics.spherical import EARTH_KM, THIN_KM, deepest_ray_km, flat_depth_km, flattened

MAX_NODES = (192, 128)  # of distance and of depth
MAX_RECEIVERS = 32
MOST_NUMBERS = 2_000_000  # of layers at nodes at once
DEPTH_TOPS, RECEIVER_TOPS = 6, 2  # tops of layers that have further nodes
SMALL_CONTRAST = 0.06  # of speed, as a share: tops that need no nodes of their own
MAJOR = 4  # refractors whose head waves are computed; those of others are tabulated
ASIDE_KM = 1e-3  # of a node above a layer's top, where direct waves are not continuous
BELOW_KM = (0.2,)  # further nodes: below a top, direct waves change fast near the critical distance
ROUND_BEYOND_KM = 60.0  # distance up to which the earth counts as flat
THIN_LAYERS = (12, 96)  # of a spherical earth, at least and at most


class TravelTimeTable(NamedTuple):
    """Direct waves of P and S, less the straight distance at the speed of the source's layer; and head waves.

    Where there are many layers, first arrivals of direct and of those head waves that are not computed. The difference
    varies little where time itself bends, and is zero in the layer of the receiver. Distances are squares of
    equidistant numbers: denser close to a station. `depth_km` and `heads` are of the earth flattened from one of
    curvature `per_km` (`jaxloc.physics.spherical`), 0 for a flat one.
    """

    excess_s: Float[Array, "phase distance depth receiver"]
    slowness_s_km: Float[Array, "depth phase"]
    farthest_km: Float[Array, ""]
    depth_km: Float[Array, " depth"]
    receiver_km: Float[Array, " receiver"]
    heads: HeadWaves
    per_km: Float[Array, ""]


class TableGrid(NamedTuple):
    """Where a table is tabulated: far end, depth ranges in km, and the number of nodes of each.

    More nodes of depth lie about the tops of layers. `num_thin` is the number of thin layers that flatten a spherical
    earth, which take so much longer to tabulate; 0: a flat earth.
    """

    distance_km: float
    depth_km: tuple[float, float]
    receiver_km: tuple[float, float]
    num_distances: int = 128
    num_depths: int = 40
    num_receivers: int = 4
    num_thin: int = 0


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
    counts = (grid.num_distances, grid.num_depths, grid.num_receivers, grid.num_thin)
    return _tabulated(model, model if reference is None else reference, ends, receiver_km, counts)


@partial(jax.jit, static_argnames="counts")
def _tabulated(
    model: VelocityModel,
    reference: VelocityModel,
    ends: tuple[float, tuple[float, float], tuple[float, float]],
    receiver_km: Float[Array, " receiver"] | None,
    counts: tuple[int, int, int, int],
) -> TravelTimeTable:
    farthest_km, depth_km, receiver_range_km = ends
    x = farthest_km * jnp.linspace(0, 1, counts[0]) ** 2
    z = _nodes(reference, depth_km, counts[1], DEPTH_TOPS, (-ASIDE_KM, 0.0, *BELOW_KM))
    if receiver_km is None:
        receiver_km = _nodes(reference, receiver_range_km, counts[2], RECEIVER_TOPS, (-ASIDE_KM, 0.0))
    rise = jax.lax.stop_gradient(_steps(reference).max(0))
    _, major = jax.lax.top_k(rise, min(MAJOR, len(rise)))
    refractor, per_km, r = reference.top_km[major + 1], jnp.zeros(()), receiver_km
    if counts[3]:
        per_km = jnp.full((), 1 / EARTH_KM)
        low_km = jnp.minimum(depth_km[0], jnp.min(receiver_km))
        between_km = (low_km, deepest_ray_km(farthest_km, depth_km[1], model.top_km[-1]))
        model, reference = (flattened(each, between_km, counts[3]) for each in (model, reference))
        refractor, z, r = (flat_depth_km(depth, per_km) for depth in (refractor, z, r))
    major = layer_of(reference.top_km, refractor)
    is_major = jnp.zeros(len(model.top_km), bool).at[major].set(True)
    part_of = parts_of(reference, is_major) if counts[3] else jnp.arange(len(model.top_km))
    excess_s, slowness = _direct(model, x, z, r)
    heads = with_dives(head_waves(model), part_of, jnp.asarray(farthest_km))
    if len(model.top_km) > MAJOR + 1:
        straight_s = jnp.sqrt(x[:, None, None] ** 2 + (z[:, None] - r) ** 2) * slowness[:, None, :, None]
        excess_s = with_heads(excess_s + straight_s, heads, part_of, is_major, x, z, r) - straight_s
    heads = HeadWaves(heads.top_km, *(each[..., major] for each in heads[1:]))
    return TravelTimeTable(excess_s, slowness.T, jnp.asarray(farthest_km), z, receiver_km, heads, per_km)


def _direct(
    model: VelocityModel,
    x: Float[Array, " distance"],
    z: Float[Array, " depth"],
    r: Float[Array, " receiver"],
) -> tuple[Float[Array, "phase distance depth receiver"], Float[Array, "phase depth"]]:
    """Direct waves less the straight distance at the speed of the source's layer, and one over that speed."""
    speeds = jnp.stack([model.vp_km_s, model.vs_km_s])
    z_at, receiver_at = (_off_tops(model.top_km, depth_km) for depth_km in (z, r))
    slowness = 1 / speeds[:, layer_of(model.top_km, z_at)]

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
    size = 2 * len(z) * len(r) * len(model.top_km)
    table = jax.lax.map(at_distance, x, batch_size=max(MOST_NUMBERS // size, 1))
    return jnp.moveaxis(table, 0, 1), slowness


def _nodes(
    model: VelocityModel, between_km: tuple[float, float], number: int, most: int, aside_km: tuple[float, ...]
) -> Float[Array, " node"]:
    """Equidistant nodes, and others about those tops between that have large contrasts."""
    low, high = between_km[0], between_km[1] - ASIDE_KM
    tops, steps = jax.lax.stop_gradient(model.top_km[1:]), len(model.top_km) - 1
    contrast = jax.lax.stop_gradient(jnp.abs(_steps(model)).max(0))
    within = (tops > low - max(aside_km)) & (tops < high)
    contrast, best = jax.lax.top_k(jnp.where(within, contrast, 0.0), min(most, steps))
    beside = jnp.clip(tops[best][:, None] + jnp.array(aside_km), low, high).reshape(-1)
    at = jnp.arange(number + len(beside))
    even = len(at) - (contrast > (SMALL_CONTRAST if steps > most else 0.0)).sum() * len(aside_km)
    nodes = low + (high - low) * jnp.minimum(at / (even - 1), 1.0)
    if len(beside):
        nodes = jnp.where(at < even, nodes, beside[jnp.clip(at - even, 0, len(beside) - 1)])
    return jnp.sort(nodes)


def _steps(model: VelocityModel) -> Float[Array, "phase top"]:
    """Changes of the logarithm of speed at the tops of layers."""
    return jnp.diff(jnp.log(jnp.stack([model.vp_km_s, model.vs_km_s])))


def _off_tops(top_km: Float[Array, " layer"], depth_km: Float[Array, " node"]) -> Float[Array, " node"]:
    """Depths with those on the top of a layer moved into it: on it a direct wave knows the layer above alone."""
    on_top = (jnp.abs(depth_km[:, None] - top_km[1:]) < ASIDE_KM / 2).any(-1)
    return jnp.where(on_top, depth_km + ASIDE_KM, depth_km)


def table_around(
    model: VelocityModel,
    region: Region,
    station_km: Float[np.ndarray, "station 3"],
    spacing_km: float | None = None,
    round_earth: bool | None = None,
) -> TravelTimeTable:
    """Travel times from all of a region to all stations.

    Args:
        model: layers.
        region: hypocentres.
        station_km: east, north and depth of the stations.
        spacing_km: of the nodes in distance (on average), twice that in depth, at most `MAX_NODES` of them: with 0.5
            direct waves of layers err by 3 ms at most, those of steep gradients by 9 ms (S, rarely above 5 ms); None:
            the numbers of `TableGrid`.
        round_earth: whether the earth is a sphere; None: where the table reaches beyond `ROUND_BEYOND_KM`.
    """
    corners = np.stack(np.meshgrid(region.east_km, region.north_km), -1).reshape(-1, 1, 2)
    farthest = float(np.linalg.norm(corners - station_km[:, :2], axis=-1).max()) + 1.0
    depths_km = np.unique(station_km[:, 2])
    if len(depths_km) > MAX_RECEIVERS:
        depths_km = np.quantile(depths_km, np.linspace(0, 1, MAX_RECEIVERS))
    grid = TableGrid(farthest, region.depth_km, (depths_km[0], depths_km[-1]))
    if spacing_km is not None:
        lengths_km = (farthest, 2 * (region.depth_km[1] - region.depth_km[0]))
        nodes = [
            int(np.clip(length / spacing_km, 32, most)) for length, most in zip(lengths_km, MAX_NODES, strict=True)
        ]
        grid = grid._replace(num_distances=nodes[0], num_depths=nodes[1])
    if farthest > ROUND_BEYOND_KM if round_earth is None else round_earth:
        model = _down_to(model, _deepest_km(farthest, region.depth_km[1], float(np.asarray(model.top_km)[-1])))
        grid = grid._replace(num_thin=num_thin_layers(farthest, grid.depth_km))
    return tabulate(model, grid, depths_km)


def num_thin_layers(distance_km: float, depth_km: tuple[float, float]) -> int:
    """How many thin layers make a spherical earth flat for distances and depths up to these."""
    deepest_km = _deepest_km(distance_km, depth_km[1], depth_km[1] + 20.0)
    return int(np.clip((deepest_km - depth_km[0]) / THIN_KM, *THIN_LAYERS))


def _down_to(model: VelocityModel, deepest_km: float) -> VelocityModel:
    """The layers that first arrivals reach."""
    number = max(int((np.asarray(model.top_km) < deepest_km).sum()), 1)
    return VelocityModel(*(each[:number] for each in model))


def _deepest_km(distance_km: float, source_km: float, deepest_top_km: float) -> float:
    """As `deepest_ray_km`, as a number: that of layers is part of a program, also where a table is made within one."""
    with jax.ensure_compile_time_eval():
        return float(deepest_ray_km(distance_km, source_km, deepest_top_km))


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
    per_km: Float[Array, ""]


def for_stations(table: TravelTimeTable, receiver_depth_km: Float[Array, " station"]) -> StationTable:
    """Interpolate a table to the depths of stations (negative above sea level), in km."""
    lower, part = _between(table.receiver_km, receiver_depth_km)
    excess = table.excess_s[..., lower] * (1 - part)
    if len(table.receiver_km) > 1:
        excess = excess + table.excess_s[..., lower + 1] * part
    flat_km = flat_depth_km(receiver_depth_km, table.per_km)
    return StationTable(
        jnp.moveaxis(excess, (3, 0), (0, 3)),
        table.slowness_s_km,
        flat_km,
        table.farthest_km,
        table.depth_km,
        table.heads,
        *to_refractors(table.heads, flat_km),
        table.per_km,
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
    source_depth_km = flat_depth_km(jnp.asarray(source_depth_km), table.per_km)
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
    intercept_s, critical_km = to_refractors(table.heads, source_depth_km)
    x_km = distance_km[..., None]
    for k in range(table.heads.slowness_s_km.shape[-1]):
        beyond_km = x_km - (critical_km[..., k] + table.critical_km[..., k])
        head_s = x_km * table.heads.slowness_s_km[:, k] + (intercept_s[..., k] + table.intercept_s[..., k])
        head_s = head_s - table.heads.dive_s_km3[:, k] * beyond_km**3
        time_s = jnp.where((beyond_km >= 0) & (head_s < time_s), head_s, time_s)
    return time_s
