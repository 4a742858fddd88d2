"""The roundness of the earth in travel times, by the earth-flattening transformation.

A ray at depth z and speed v in a sphere of radius R takes the same time as one at depth R ln(R / (R - z)) and speed
v R / (R - z) in flat ground, where horizontal distance is the arc along the surface (sea level): exact for times of P
and S (Mueller 1971, J. Geophys. 37; Aki & Richards 2002, section 9.6). A layer of constant speed becomes one whose
speed grows by 1 % in 64 km of depth, here thin layers of constant speed again (`jaxloc.physics.gradient` says how these
err), so that rays which turn in the mantle and head waves that dive below the Moho are there as head waves along
their tops.

Without it S along the Moho is late by 0.16 s at 150 km: every km of depth shortens the way of a wave by 0.016 %. With
it first arrivals of P and S to 1,000 km are those of TauP within 15 ms in iasp91 and ak135, for sources down to 200 km.

Distances are along the surface. Those of a local frame (`jaxloc.geometry`) are arcs from its origin; between two points
both 300, 500 or 1,000 km from it, at right angles, its distances are too long by 0.02, 0.05 or 0.2 %.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.gradient import MIDDLE
from jaxloc.physics.layered import VelocityModel, travel_time_s

EARTH_KM = 6371.0
THIN_KM = 2.0  # of thin layers


def flat_depth_km(depth_km: Float[Array, "*batch"], per_km: Float[Array, ""] | float) -> Float[Array, "*batch"]:
    """Depth in the flattened earth of curvature `per_km` (0: flat; 1 / 6371), good to 1 m down to 700 km.

    The series of -log(1 - c z) / c, which has no limit to mind where c is zero.
    """
    part = per_km * depth_km
    return depth_km * (1 + part * (1 / 2 + part * (1 / 3 + part * (1 / 4 + part * (1 / 5 + part / 6)))))


def flattened(
    model: VelocityModel,
    between_km: tuple[Float[Array, ""] | float, Float[Array, ""] | float],
    number: int,
    radius_km: float = EARTH_KM,
) -> VelocityModel:
    """The flat model with the travel times of a spherical one: its tops, and `number` more evenly through a range.

    Args:
        model: layers of a sphere, depths below its surface.
        between_km: depths between which thin layers are; below, layers are as fast as at their tops.
        number: of thin layers, a shape; the model's values may be traced.
        radius_km: of the sphere.
    """
    low_km, high_km = (flat_depth_km(jnp.asarray(depth_km), 1 / radius_km) for depth_km in between_km)
    tops_km = flat_depth_km(model.top_km, 1 / radius_km)
    edges_km = low_km + (high_km - low_km) * jnp.arange(number) / number
    # The first layer reaches up for ever: its top is that of the thin layers.
    first_km = jnp.minimum(tops_km[0], low_km)
    top_km = jnp.sort(jnp.concatenate([first_km[None], edges_km, tops_km[1:]]))
    thickness_km = jnp.append(jnp.diff(top_km), 0.0)
    thickness_km = jnp.minimum(thickness_km, (high_km - low_km) / number)
    # A top that is the next one too has no thickness, and the layer that begins there.
    layer = (top_km[:, None] + 1e-3 * thickness_km[:, None] >= tops_km[1:]).sum(-1)
    faster = jnp.exp((top_km + MIDDLE * thickness_km) / radius_km)
    return VelocityModel(top_km, model.vp_km_s[layer] * faster, model.vs_km_s[layer] * faster)


def deepest_ray_km(
    distance_km: Float[Array, ""] | float, source_km: Float[Array, ""] | float, deepest_top_km: Float[Array, ""] | float
) -> Float[Array, ""]:
    """How deep first arrivals go: a quarter of the distance below sources, or as deep as rays dive below all tops."""
    dive_km = distance_km**2 / (4 * EARTH_KM)
    below_km = jnp.clip(deepest_top_km, source_km, source_km + distance_km / 4)
    return below_km + dive_km + THIN_KM


def first_arrivals_s(
    model: VelocityModel,
    distance_km: Float[Array, ""],
    source_depth_km: Float[Array, ""],
    receiver_depth_km: Float[Array, ""],
    between_km: tuple[float, float] = (-3.0, 150.0),
    number: int = 80,
) -> Float[Array, " phase"]:
    """P and S first arrivals in s in a spherical earth, of one ray; slow: each thin layer has its head wave.

    Args:
        model: layers, depths below sea level.
        distance_km: along the earth's surface.
        source_depth_km: of the source.
        receiver_depth_km: of the receiver.
        between_km: depths with thin layers, as deep as first arrivals go.
        number: of thin layers.
    """
    flat = flattened(model, between_km, number)
    source_km, receiver_km = (flat_depth_km(jnp.asarray(z), 1 / EARTH_KM) for z in (source_depth_km, receiver_depth_km))
    of_phase = lambda speed_km_s: travel_time_s(flat.top_km, speed_km_s, distance_km, source_km, receiver_km)
    return jax.vmap(of_phase)(jnp.stack([flat.vp_km_s, flat.vs_km_s]))
