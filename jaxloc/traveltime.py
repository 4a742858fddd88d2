"""Travel times of first arrivals through flat layers, differentiable in everything.

The direct ray is found by Newton's method for the tangent of its angle in the fastest layer that it crosses, which
makes offset against unknown almost a straight line (Kim & Baag 2002, BSSA 92(2)). A head wave runs
along the top of every faster layer below both ends. The first arrival is the earliest of these.

Depths are in km, positive downwards, so a station at 1,200 m above sea level has depth -1.2. The first layer reaches
up for ever, the last one down.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NEWTON_STEPS = 8


class VelocityModel(NamedTuple):
    """Flat layers: depth of each top in km, P and S speed in km/s."""

    top_km: Float[Array, " layer"]
    vp_km_s: Float[Array, " layer"]
    vs_km_s: Float[Array, " layer"]


def uniform(vp_km_s: float, vp_vs: float = 1.73) -> VelocityModel:
    """One speed everywhere."""
    return layered([0.0], [vp_km_s], [vp_km_s / vp_vs])


def layered(top_km: list[float], vp_km_s: list[float], vs_km_s: list[float]) -> VelocityModel:
    """A checked model of flat layers.

    Raises:
        ValueError: where lengths differ, tops do not increase, a value is not finite, a speed is not positive, or S is
            not slower than P.
    """
    top, vp, vs = (np.asarray(x, float) for x in (top_km, vp_km_s, vs_km_s))
    if not (top.shape == vp.shape == vs.shape and top.ndim == 1 and top.size):
        raise ValueError(
            f"top_km, vp_km_s and vs_km_s must have one value a layer, got {top.size}, {vp.size} and {vs.size}"
        )
    if not np.isfinite([*top, *vp, *vs]).all():
        raise ValueError(
            f"depths of tops and speeds must be finite, got {top.tolist()} km, {vp.tolist()} and {vs.tolist()} km/s"
        )
    if (np.diff(top) <= 0).any():
        raise ValueError(f"top_km must increase downwards, got {top.tolist()}")
    if not ((vs > 0) & (vp > vs)).all():
        raise ValueError(f"speeds must be positive and S slower than P, got P {vp.tolist()} and S {vs.tolist()} km/s")
    return VelocityModel(jnp.asarray(top), jnp.asarray(vp), jnp.asarray(vs))


def travel_time_s(
    top_km: Float[Array, " layer"],
    speed_km_s: Float[Array, " layer"],
    distance_km: Float[Array, ""],
    source_depth_km: Float[Array, ""],
    receiver_depth_km: Float[Array, ""],
) -> Float[Array, ""]:
    """First arrival in seconds of one ray, of P or of S as the speeds are."""
    direct = _direct_s(top_km, speed_km_s, distance_km, source_depth_km, receiver_depth_km)
    heads = _head_waves_s(top_km, speed_km_s, distance_km, source_depth_km, receiver_depth_km)
    return jnp.minimum(direct, heads.min())


def _crossed_km(
    top_km: Float[Array, " layer"], upper_km: Float[Array, ""], lower_km: Float[Array, ""]
) -> Float[Array, " layer"]:
    """How much of each layer lies between two depths."""
    tops = jnp.concatenate([jnp.full(1, -jnp.inf), top_km[1:]])
    bottoms = jnp.concatenate([top_km[1:], jnp.full(1, jnp.inf)])
    return jnp.maximum(jnp.minimum(lower_km, bottoms) - jnp.maximum(upper_km, tops), 0.0)


def _direct_s(
    top_km: Float[Array, " layer"],
    speed_km_s: Float[Array, " layer"],
    distance_km: Float[Array, ""],
    source_depth_km: Float[Array, ""],
    receiver_depth_km: Float[Array, ""],
) -> Float[Array, ""]:
    upper_km = jnp.minimum(source_depth_km, receiver_depth_km)
    # A ray needs some depth to cross: one metre keeps a source at its receiver's depth regular.
    lower_km = jnp.maximum(jnp.maximum(source_depth_km, receiver_depth_km), upper_km + 1e-3)
    thickness_km = _crossed_km(top_km, upper_km, lower_km)
    fastest = jnp.max(jnp.where(thickness_km > 0, speed_km_s, 0.0))
    # Exactly one for the fastest layer, which rounding of the ratio would not give.
    slower = jnp.where(speed_km_s >= fastest, 1.0, speed_km_s / fastest)

    def offset_km(tangent: Float[Array, ""]) -> Float[Array, ""]:
        return (thickness_km * slower * tangent / jnp.sqrt(1 + (1 - slower**2) * tangent**2)).sum()

    def newton(tangent: Float[Array, ""]) -> Float[Array, ""]:
        value, slope = jax.value_and_grad(offset_km)(tangent)
        return jnp.maximum(tangent - (value - distance_km) / slope, 0.0)

    # The curve is concave, below both its tangent at zero and its asymptote: where these reach the distance is left of
    # the root, and from the left Newton's steps cannot overshoot.
    bends = slower < 1
    limit = jnp.where(bends, slower / jnp.sqrt(jnp.where(bends, 1 - slower**2, 1.0)), 0.0)
    start = jnp.maximum(
        distance_km / (thickness_km * slower).sum(),
        (distance_km - (thickness_km * limit).sum()) / jnp.where(bends, 0.0, thickness_km).sum(),
    )
    tangent = jax.lax.fori_loop(0, NEWTON_STEPS, lambda _, t: newton(t), jax.lax.stop_gradient(start))
    # One step more outside the loop carries the derivatives (implicit function theorem).
    tangent = newton(jax.lax.stop_gradient(tangent))
    ray = tangent / (fastest * jnp.sqrt(1 + tangent**2))
    vertical = jnp.sqrt(jnp.maximum(1 / (slower * fastest) ** 2 - ray**2, 1e-12))
    return ray * distance_km + (thickness_km * vertical).sum()


def _head_waves_s(
    top_km: Float[Array, " layer"],
    speed_km_s: Float[Array, " layer"],
    distance_km: Float[Array, ""],
    source_depth_km: Float[Array, ""],
    receiver_depth_km: Float[Array, ""],
) -> Float[Array, " layer"]:
    """Travel time along the top of each layer; infinite where there is no such head wave."""

    def along(refractor_top_km: Float[Array, ""], refractor_speed: Float[Array, ""]) -> Float[Array, ""]:
        crossed = _crossed_km(top_km, source_depth_km, refractor_top_km) + _crossed_km(
            top_km, receiver_depth_km, refractor_top_km
        )
        slowest_ratio = jnp.max(jnp.where(crossed > 0, speed_km_s / refractor_speed, 0.0))
        below_both = refractor_top_km >= jnp.maximum(source_depth_km, receiver_depth_km)
        exists = below_both & (slowest_ratio < 1)
        ratio = jnp.where(exists & (crossed > 0), speed_km_s / refractor_speed, 0.5)
        cosine = jnp.sqrt(1 - ratio**2)
        critical_km = (crossed * ratio / cosine).sum()
        time_s = distance_km / refractor_speed + (crossed * cosine / speed_km_s).sum()
        return jnp.where(exists & (distance_km >= critical_km), time_s, jnp.inf)

    return jax.vmap(along)(top_km.at[0].set(-jnp.inf), speed_km_s)


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


@partial(jax.jit, static_argnames="grid")
def tabulate(model: VelocityModel, grid: TableGrid) -> TravelTimeTable:
    """Tabulate a model; inside `jit` and `grad` this is cheap enough to repeat at every step."""
    x, z, r = (
        jnp.linspace(*ends, count)
        for ends, count in (
            ((0.0, grid.distance_km), grid.num_distances),
            (grid.depth_km, grid.num_depths),
            (grid.receiver_km, grid.num_receivers),
        )
    )

    def slowness(speed_km_s: Float[Array, " layer"], x_km: Array, z_km: Array, r_km: Array) -> Float[Array, ""]:
        # Half a kilometre aside from the receiver: the limit of time over distance there, without 0 / 0.
        z_km = jnp.where(jnp.abs(z_km - r_km) + x_km < 0.5, r_km + 0.5, z_km)
        time_s = travel_time_s(model.top_km, speed_km_s, x_km, z_km, r_km)
        return time_s / jnp.sqrt(x_km**2 + (z_km - r_km) ** 2)

    over_receivers = jax.vmap(slowness, (None, None, None, 0))
    over_depths = jax.vmap(over_receivers, (None, None, 0, None))
    over_distances = jax.vmap(over_depths, (None, 0, None, None))
    table = jax.vmap(over_distances, (0, None, None, None))(jnp.stack([model.vp_km_s, model.vs_km_s]), x, z, r)
    return TravelTimeTable(table, x[1] - x[0], z[0], z[1] - z[0], r[0], r[1] - r[0])


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
