"""Reference models of the whole earth's crust and upper mantle, down to 760 km: iasp91 and ak135.

Speeds are linear in depth between rows. Rows of iasp91 are the ends of the polynomials of its publication, which are
linear in radius above 760 km; those of ak135 are its table. The earth's radius is 6,371 km.

Kennett & Engdahl (1991), GJI 105, 429-465, table 2; Kennett, Engdahl & Buland (1995), GJI 122, 108-124, table 3.
"""

import numpy as np
from jaxtyping import Float

from jaxloc.physics.gradient import MIDDLE
from jaxloc.physics.layered import VelocityModel, layered

Rows = tuple[tuple[float, float, float], ...]

IASP91: Rows = (
    (0.0, 5.8, 3.36),
    (20.0, 5.8, 3.36),
    (20.0, 6.5, 3.75),
    (35.0, 6.5, 3.75),
    (35.0, 8.04, 4.47),
    (120.0, 8.05, 4.5),
    (210.0, 8.3, 4.518),
    (210.0, 8.3, 4.522),
    (410.0, 9.03, 4.87),
    (410.0, 9.36, 5.07),
    (660.0, 10.2, 5.6),
    (660.0, 10.79, 5.95),
    (760.0, 11.0558, 6.2095),
)
AK135: Rows = (
    (0.0, 5.8, 3.46),
    (20.0, 5.8, 3.46),
    (20.0, 6.5, 3.85),
    (35.0, 6.5, 3.85),
    (35.0, 8.04, 4.48),
    (77.5, 8.045, 4.49),
    (120.0, 8.0505, 4.5),
    (165.0, 8.175, 4.509),
    (210.0, 8.3007, 4.5184),
    (210.0, 8.3007, 4.523),
    (260.0, 8.4822, 4.609),
    (310.0, 8.665, 4.696),
    (360.0, 8.8476, 4.783),
    (410.0, 9.0302, 4.8702),
    (410.0, 9.3601, 5.0806),
    (460.0, 9.528, 5.1864),
    (510.0, 9.6962, 5.2922),
    (560.0, 9.864, 5.3989),
    (610.0, 10.032, 5.5047),
    (660.0, 10.2, 5.6104),
    (660.0, 10.7909, 5.9607),
    (710.0, 10.9222, 6.0898),
    (760.0, 11.0553, 6.21),
)
MODELS = {"iasp91": IASP91, "ak135": AK135}


THIN_KM = ((210.0, 5.0), (410.0, 10.0), (760.0, 25.0))
"""Down to a depth, the thickness of the layers that replace gradients: first arrivals to 1,000 km err by 10 ms."""


def reference_model(name: str) -> VelocityModel:
    """A reference model by name, with thin layers of constant speed instead of gradients.

    Raises:
        ValueError: where there is no model of this name.
    """
    if name not in MODELS:
        raise ValueError(f"no such reference model: {name!r}; use one of {', '.join(MODELS)}")
    depth, vp, vs = rows_of(name)
    tops, speeds = [], []
    for i in np.flatnonzero(np.diff(depth) > 0):
        thin_km = next(thin for deepest, thin in THIN_KM if depth[i + 1] <= deepest)
        count = int(np.ceil((depth[i + 1] - depth[i]) / thin_km)) if vs[i + 1] != vs[i] else 1
        part = np.arange(count) / count
        at = depth[i] + (part + MIDDLE / count) * (depth[i + 1] - depth[i])
        tops.extend(depth[i] + part * (depth[i + 1] - depth[i]))
        speeds.extend(np.stack([np.interp(at, depth[i : i + 2], v[i : i + 2]) for v in (vp, vs)], -1))
    fastest = np.array([vp[-1], vs[-1]])
    return layered([*tops, depth[-1]], *np.stack([*speeds, fastest], -1).tolist())


def rows_of(name: str) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
    """Depth, P and S speed of the rows of a reference model; a step of speed has two rows at one depth."""
    top, vp, vs = np.array(MODELS[name], float).T
    return top, vp, vs
