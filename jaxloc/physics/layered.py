"""Travel times of first arrivals through flat layers, differentiable in everything.

The direct ray is found by Newton's method for the tangent of its angle in the fastest layer that it crosses, which
makes offset against unknown almost a straight line (Kim & Baag 2002, BSSA 92(2)). A head wave runs
along the top of every faster layer below both ends. The first arrival is the earliest of these.

Depths are in km, positive downwards, so a station at 1,200 m above sea level has depth -1.2. The first layer reaches
up for ever, the last one down.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxloc.physics.gradient import FORMS, thin_layers

NEWTON_STEPS = 8
TOPS_KM = (-10.0, 700.0)
SPEEDS_KM_S = (0.05, 14.0)
VP_VS = (1.4, 2.6)
"""Ratios of P to S speed: from dry quartz-rich rock to soft saturated sediments."""


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


def velocity_of(velocity: Mapping[str, Any]) -> VelocityModel:
    """The velocity model of settings: `top_km`, `vp_km_s`, and `vs_km_s` by layer or one `vp_vs`; double precision.

    With `form` "gradient" speeds are linear between these depths, and thin layers replace them (`thin_layers`).

    Raises:
        ValueError: where a layer lacks a value, or a value is out of range (`check_layers`).
    """
    top, vp = (np.array(velocity[name], float) for name in ("top_km", "vp_km_s"))
    by_layer, ratio = velocity.get("vs_km_s"), velocity.get("vp_vs")
    if (by_layer is None) == (ratio is None):
        raise ValueError(f"velocity needs either vs_km_s or vp_vs, got {by_layer} and {ratio}; set the other to null")
    if ratio is not None and not float(ratio) > 0:
        raise ValueError(f"velocity.vp_vs must be positive, got {ratio}")
    vs = vp / float(ratio) if ratio is not None else np.array(by_layer, float)
    if not top.shape == vp.shape == vs.shape or top.ndim != 1:
        raise ValueError(
            f"velocity needs one vp_km_s, and one vs_km_s or a common vp_vs, for each top_km; got {top.size} tops, "
            f"{vp.size} P and {vs.size} S velocities"
        )
    form = velocity.get("form", FORMS[0])
    if form not in FORMS:
        raise ValueError(f"velocity.form must be one of {', '.join(FORMS)}, got {form}")
    check_layers(top, vp, vs, [f"velocity, layer {i + 1}" for i in range(len(top))])
    layers: Any = (top, vp, vs) if form == FORMS[0] else thin_layers(top, vp, vs, [True] * len(top))
    return VelocityModel(*layers)


def velocity_settings(model: VelocityModel) -> dict[str, list[float]]:
    """A velocity model as configurations have it (`velocity_of`)."""
    return {name: np.asarray(values, float).tolist() for name, values in model._asdict().items()}


def mean_vp_vs(model: VelocityModel) -> float:
    """The mean of Vp/Vs over the layers."""
    return float(np.mean(np.asarray(model.vp_km_s, float) / np.asarray(model.vs_km_s, float)))


def check_layers(
    top_km: Float[np.ndarray, " layer"],
    vp_km_s: Float[np.ndarray, " layer"],
    vs_km_s: Float[np.ndarray, " layer"],
    places: Sequence[str],
    linear: Sequence[bool] | None = None,
) -> None:
    """Refuse layers that no rock has; `places` names the origin of each layer in messages.

    Where speeds are `linear` between two rows and the next has the depth of the second, that is a step of speed.

    Raises:
        ValueError: where a top, a speed or Vp/Vs is out of range, or tops do not increase; names the first such value.
    """
    for i, place in enumerate(places):
        _check_within(place, "depth", top_km[i], TOPS_KM, "km", "depths in m are named depth_m")
        _check_within(place, "vp", vp_km_s[i], SPEEDS_KM_S, "km/s", "speeds in m/s are named vp_m_s")
        _check_within(place, "vs", vs_km_s[i], SPEEDS_KM_S, "km/s", "speeds in m/s are named vs_m_s")
        _check_within(place, "vp / vs", vp_km_s[i] / vs_km_s[i], VP_VS, "", "correct vp, vs or their ratio")
        step = linear is not None and i > 1 and linear[i - 2] and top_km[i - 2] < top_km[i - 1] == top_km[i]
        if i and top_km[i] <= top_km[i - 1] and not step:
            raise ValueError(
                f"{place}: the top at {top_km[i]:g} km is not below the one before it, at {top_km[i - 1]:g} km; tops "
                "must increase downwards, one for each layer"
            )


def _check_within(place: str, name: str, value: float, limits: tuple[float, float], unit: str, advice: str) -> None:
    low, high = limits
    if not low <= value <= high:
        of_unit = f" {unit}" if unit else ""
        raise ValueError(f"{place}: {name} must be within {low:g} to {high:g}{of_unit}, got {value:g}; {advice}")


def mean_speed_km_s(
    top_km: Float[np.ndarray, " layer"], speed_km_s: Float[np.ndarray, " layer"], depth_km: float
) -> float:
    """The mean speed straight up from a depth: each layer for as long as the ray takes through it."""
    top_km, speed_km_s = np.asarray(top_km, float), np.asarray(speed_km_s, float)
    thick_km = np.clip(depth_km - top_km, 0.0, np.append(np.diff(top_km), np.inf))
    return float(thick_km.sum() / (thick_km / speed_km_s).sum()) if thick_km.sum() > 0 else float(speed_km_s[0])


def travel_time_s(
    top_km: Float[Array, " layer"],
    speed_km_s: Float[Array, " layer"],
    distance_km: Float[Array, ""],
    source_depth_km: Float[Array, ""],
    receiver_depth_km: Float[Array, ""],
) -> Float[Array, ""]:
    """First arrival in seconds of one ray, of P or of S as the speeds are."""
    direct = direct_s(top_km, speed_km_s, distance_km, source_depth_km, receiver_depth_km)
    heads = head_waves_s(top_km, speed_km_s, distance_km, source_depth_km, receiver_depth_km)
    return jnp.minimum(direct, heads.min())


def crossed_layers_km(
    top_km: Float[Array, " layer"], upper_km: Float[Array, ""], lower_km: Float[Array, ""]
) -> Float[Array, " layer"]:
    """How much of each layer lies between two depths."""
    tops = jnp.concatenate([jnp.full(1, -jnp.inf), top_km[1:]])
    bottoms = jnp.concatenate([top_km[1:], jnp.full(1, jnp.inf)])
    return jnp.maximum(jnp.minimum(lower_km, bottoms) - jnp.maximum(upper_km, tops), 0.0)


def direct_s(
    top_km: Float[Array, " layer"],
    speed_km_s: Float[Array, " layer"],
    distance_km: Float[Array, ""],
    source_depth_km: Float[Array, ""],
    receiver_depth_km: Float[Array, ""],
) -> Float[Array, ""]:
    """Travel time of the direct wave, straight but for refraction, in seconds."""
    upper_km = jnp.minimum(source_depth_km, receiver_depth_km)
    # A ray needs some depth to cross: one metre keeps a source at its receiver's depth regular.
    lower_km = jnp.maximum(jnp.maximum(source_depth_km, receiver_depth_km), upper_km + 1e-3)
    return refracted_ray(crossed_layers_km(top_km, upper_km, lower_km), speed_km_s, distance_km)[0]


def refracted_ray(
    crossed_km: Float[Array, " layer"], speed_km_s: Float[Array, " layer"], distance_km: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Travel time in s and horizontal slowness in s/km of a ray that crosses so much of each layer, up or down.

    Layers crossed twice, by reflections, count twice.
    """
    fastest = jnp.max(jnp.where(crossed_km > 0, speed_km_s, 0.0))
    # Exactly one for the fastest layer, which rounding of the ratio would not give.
    slower = jnp.where(speed_km_s >= fastest, 1.0, speed_km_s / fastest)

    def newton(tangent: Float[Array, ""]) -> Float[Array, ""]:
        bent = 1 / jnp.sqrt(1 + (1 - slower**2) * tangent**2)
        offset_km = (crossed_km * slower * bent).sum() * tangent
        return jnp.maximum(tangent - (offset_km - distance_km) / (crossed_km * slower * bent**3).sum(), 0.0)

    # The curve is concave, below both its tangent at zero and its asymptote: where these reach the distance is left of
    # the root, and from the left Newton's steps cannot overshoot.
    bends = slower < 1
    limit = jnp.where(bends, slower / jnp.sqrt(jnp.where(bends, 1 - slower**2, 1.0)), 0.0)
    start = jnp.maximum(
        distance_km / (crossed_km * slower).sum(),
        (distance_km - (crossed_km * limit).sum()) / jnp.where(bends, 0.0, crossed_km).sum(),
    )
    # Unrolled: with a loop and automatic derivatives, XLA on the CPU (jax 0.10.2) gave a few elements of large batches
    # wrong values.
    tangent = jax.lax.stop_gradient(start)
    for _ in range(NEWTON_STEPS):
        tangent = newton(tangent)
    # One step more outside the loop carries the derivatives (implicit function theorem).
    tangent = newton(jax.lax.stop_gradient(tangent))
    ray = tangent / (fastest * jnp.sqrt(1 + tangent**2))
    vertical = jnp.sqrt(jnp.maximum(1 / (slower * fastest) ** 2 - ray**2, 1e-12))
    return ray * distance_km + (crossed_km * vertical).sum(), ray


def head_waves_s(
    top_km: Float[Array, " layer"],
    speed_km_s: Float[Array, " layer"],
    distance_km: Float[Array, ""],
    source_depth_km: Float[Array, ""],
    receiver_depth_km: Float[Array, ""],
) -> Float[Array, " layer"]:
    """Travel time along the top of each layer; infinite where there is no such head wave."""

    def along(refractor_top_km: Float[Array, ""], refractor_speed: Float[Array, ""]) -> Float[Array, ""]:
        crossed = crossed_layers_km(top_km, source_depth_km, refractor_top_km) + crossed_layers_km(
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
