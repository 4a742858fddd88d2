"""Linear gradients of velocity as thin flat layers of constant speed, thin where rays bend most.

A ray that turns in a gradient g at speed v becomes a head wave at the top of a layer of thickness d, which is too early
by 0.59 d^(3/2) sqrt(g / v^3): each leg lacks -zeta(-1/2) = 0.208 of the vertical slowness across one layer. Layers
whose speeds have equal ratios err alike; S has the largest errors and chooses them. Speeds are those a little above the
middle of each layer, which makes direct rays late by as much as turning ones are early.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

ERROR_S = 0.003
MOST_LAYERS = 60
DEEPEST_KM = 700.0
EARLY = 0.59  # 2 sqrt(2) times 0.208
MIDDLE = 0.48  # of a layer, from its top: where it has its speed
FORMS = ("layers", "gradient")
"""What lies between two rows of a velocity model: the speed of the upper one, or a linear gradient."""


def thin_layers(
    top_km: Float[np.ndarray, " row"],
    vp_km_s: Float[np.ndarray, " row"],
    vs_km_s: Float[np.ndarray, " row"],
    linear: Sequence[bool],
) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, " layer"], Float[np.ndarray, " layer"]]:
    """Tops, P and S speeds of constant layers that replace gradients.

    Travel times err by up to `ERROR_S`, or by as little as `MOST_LAYERS` allow. Rows without gradients stay, and count.

    Args:
        top_km: depth of each row; two rows at one depth are a step of speed, with the lower side second.
        vp_km_s: P speed at that depth.
        vs_km_s: S speed.
        linear: whether speeds are linear between a row and the next one.
    """
    error_s, number = ERROR_S, _numbers(top_km, vs_km_s, linear, ERROR_S)
    while number.sum() >= MOST_LAYERS and (number > 1).any():
        error_s *= 1.05
        number = _numbers(top_km, vs_km_s, linear, error_s)
    tops, speeds = [], []
    for i, count in enumerate(number):
        # Edges at equal ratios of speed.
        part = (np.geomspace(vs_km_s[i], vs_km_s[i + 1], count + 1) - vs_km_s[i]) / (
            vs_km_s[i + 1] - vs_km_s[i] or np.inf
        )
        at = part[:-1] + MIDDLE * np.diff(part) if linear[i] else part[:-1]
        tops.append(top_km[i] + part[:-1] * (top_km[i + 1] - top_km[i]))
        speeds.append([v[i] + at * (v[i + 1] - v[i]) for v in (vp_km_s, vs_km_s)])
    vp, vs = np.concatenate([*speeds, [[vp_km_s[-1]], [vs_km_s[-1]]]], axis=1)
    return np.append(np.concatenate([*tops, []]), top_km[-1]), vp, vs


def layers_with_gradients(
    top_km: Float[np.ndarray, " row"],
    speed_km_s: Float[np.ndarray, "row 2"],
    gradient: Float[np.ndarray, "row 2"],
) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, " layer"], Float[np.ndarray, " layer"]]:
    """Tops, P and S speeds of constant layers for layers with gradients, as `thin_layers`.

    Args:
        top_km: depth of the top of each layer; the last one reaches to `DEEPEST_KM` where it has a gradient.
        speed_km_s: P and S speed there.
        gradient: their increase with depth inside the layer, in km/s per km.
    """
    bottom = np.append(top_km[1:], DEEPEST_KM if gradient[-1].any() else top_km[-1])
    ends = speed_km_s + gradient * (bottom - top_km)[:, None]
    depth, speed = np.stack([top_km, bottom], 1).ravel(), np.stack([speed_km_s, ends], 1).reshape(-1, 2)
    linear = [bool(flag) for steep in np.any(gradient != 0, axis=1).tolist() for flag in (steep, False)]
    kept = [i for i in range(len(depth)) if i % 2 == 0 or linear[i - 1]]
    top, vp, vs = thin_layers(depth[kept], speed[kept, 0], speed[kept, 1], [linear[i] for i in kept])
    last = np.append(np.diff(top) > 0, True)  # of two rows at one depth the lower side
    return top[last], vp[last], vs[last]


def _numbers(
    top_km: Float[np.ndarray, " row"], speed_km_s: Float[np.ndarray, " row"], linear: Sequence[bool], error_s: float
) -> np.ndarray:
    """The number of layers between each row and the next one, none between rows at one depth."""
    thickness_km = np.diff(top_km)
    gradient = np.abs(np.diff(speed_km_s)) / np.maximum(thickness_km, 1e-6)
    ratio = np.abs(np.diff(np.log(speed_km_s)))
    number = ratio * np.maximum(gradient, 1e-6) ** (-2 / 3) * (EARLY / error_s) ** (2 / 3)
    number = np.where(np.asarray(linear[:-1], bool), np.maximum(np.ceil(number), 1), 1)
    return np.where(thickness_km > 0, number, 0).astype(int)
