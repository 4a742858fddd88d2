"""Head waves along the tops of layers, linear in distance and, within a layer, in the depths of both ends.

Below a refractor speed may grow little by little, by the earth's roundness or a gradient, in thin layers. Waves along
their tops are one wave that dives below the refractor: earlier than along its top by the cube of how far it goes
there, g^2 / (24 v^3) in a gradient g at speed v. What its legs above save or lose is of second order and left out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxloc.physics.layered import VelocityModel

NEVER_S = 1e5  # head waves that do not exist
SMALL_STEP = 0.006  # of speed, as a share: tops below a refractor whose waves are the diving one


class HeadWaves(NamedTuple):
    """Of each refractor: intercept time and critical distance from a depth in a layer, linear in it; large: no wave.

    `dive_s_km3` times the cube of the distance beyond the critical one is how much earlier the diving wave is.
    """

    top_km: Float[Array, " layer"]
    slowness_s_km: Float[Array, "phase refractor"]
    dive_s_km3: Float[Array, "phase refractor"]
    intercept_s: Float[Array, "layer phase refractor"]  # at the top of a layer, and its change downwards
    change_s_km: Float[Array, "layer phase refractor"]
    critical_km: Float[Array, "layer phase refractor"]
    change: Float[Array, "layer phase refractor"]


def layer_of(top_km: Float[Array, " layer"], depth_km: Float[Array, " *batch"]) -> Int[Array, " *batch"]:
    """The layer in which a depth is."""
    return (depth_km[..., None] >= top_km[1:]).sum(-1)


def head_waves(model: VelocityModel) -> HeadWaves:
    """Head waves of both phases along the top of every layer (none along the first), without diving ones."""
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
    along = found[0]
    return HeadWaves(tops, along, jnp.zeros_like(along), *(jnp.moveaxis(each, 0, 1) for each in found[1:]))


def parts_of(model: VelocityModel, refractors: Bool[Array, " layer"]) -> Int[Array, " layer"]:
    """The refractor whose diving wave runs along the top of each layer: speeds grow little by little from one to it.

    A top's own number where it belongs to none.
    """
    steps = jnp.abs(jnp.diff(jnp.log(jnp.stack([model.vp_km_s, model.vs_km_s])))).max(0)
    starts = jnp.append(True, steps >= SMALL_STEP) | refractors
    index = jnp.arange(len(starts))
    last = jax.lax.cummax(jnp.where(starts, index, 0))
    return jnp.where(refractors[last], last, index)


def with_dives(heads: HeadWaves, part_of: Int[Array, " layer"], farthest_km: Float[Array, ""]) -> HeadWaves:
    """Head waves whose diving is as early at the farthest distance as the earliest wave along one of their parts."""
    index = jnp.arange(len(part_of))
    own = (part_of == index[:, None]) & (index > index[:, None])  # [refractor, part]
    legs_s = jnp.moveaxis(heads.intercept_s, 1, 0)  # from the top of a layer to each refractor
    faster = heads.slowness_s_km[:, :, None] - heads.slowness_s_km[:, None]
    earlier_s = jnp.where(own, farthest_km * faster - 2 * legs_s, 0.0).max(-1)
    return heads._replace(dive_s_km3=jnp.maximum(earlier_s, 0.0) / farthest_km**3)


def to_refractors(
    heads: HeadWaves, depth_km: Float[Array, "*batch"]
) -> tuple[Float[Array, "*batch phase refractor"], Float[Array, "*batch phase refractor"]]:
    """Intercept times and critical distances from a depth."""
    layer = layer_of(heads.top_km, depth_km)
    down_km = (depth_km - heads.top_km[layer])[..., None, None]
    return (
        heads.intercept_s[layer] - down_km * heads.change_s_km[layer],
        heads.critical_km[layer] - down_km * heads.change[layer],
    )


def with_heads(
    first_s: Float[Array, "phase distance depth receiver"],
    heads: HeadWaves,
    part_of: Int[Array, " layer"],
    refractors: Bool[Array, " layer"],
    x_km: Float[Array, " distance"],
    z_km: Float[Array, " depth"],
    r_km: Float[Array, " receiver"],
) -> Float[Array, "phase distance depth receiver"]:
    """First arrivals of given waves and of the head waves along all tops but `refractors`.

    Parts of a refractor's diving wave count for sources and receivers below it alone.
    """
    both = [a[:, None] + b for a, b in zip(to_refractors(heads, z_km), to_refractors(heads, r_km), strict=True)]
    x = x_km[:, None, None]
    lower_km = jnp.maximum(z_km[:, None], r_km)

    def earlier(first_s: Array, wave: tuple[Array, ...]) -> tuple[Array, None]:
        slowness, intercept_s, critical_km, within_km = wave
        time_s = x * slowness[:, None, None, None] + intercept_s[:, None]
        seen = (x >= critical_km[:, None]) & (lower_km >= within_km) & (time_s < first_s)
        return jnp.where(seen, time_s, first_s), None

    index = jnp.arange(len(refractors))
    within_km = jnp.where(part_of == index, -jnp.inf, heads.top_km[part_of])
    within_km = jnp.where(refractors, jnp.inf, within_km)
    waves = (heads.slowness_s_km.T, *(jnp.moveaxis(each, (3, 2), (0, 1)) for each in both), within_km)
    return jax.lax.scan(earlier, first_s, jax.tree.map(lambda each: each[1:], waves))[0]
