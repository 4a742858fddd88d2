"""Velocity models from text tables of layers: the depth of each top, P and S speeds.

Names of columns, in any case, with a unit behind them or none (km and km/s then):

| quantity | names | units |
|---|---|---|
| depth of the top, below sea level | depth, top, z | km, m |
| thickness, instead of depths | thickness, h | km, m |
| P and S speed | vp, p, alpha; vs, s, beta | km/s, m/s |
| ratio, instead of S speeds | vp_vs, vpvs, ratio | |

A file without header has the columns depth, vp, vs. Text behind ` #` is a comment. All is checked against what rocks
have: a value in another unit is refused, not converted by guess.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxloc.io.tables import Table, read_table
from jaxloc.physics.layered import VelocityModel, check_layers, layered

LENGTHS_KM = {"": 1.0, "km": 1.0, "m": 1e-3}
SPEED_UNITS_KM_S = {"": 1.0, "kms": 1.0, "kmps": 1.0, "kmpers": 1.0, "ms": 1e-3, "mps": 1e-3, "mpers": 1e-3}
NAMES = {
    "depth": (("depth", "top", "z", "depthtop", "topdepth", "layertop"), LENGTHS_KM),
    "thickness": (("thickness", "h", "layerthickness"), LENGTHS_KM),
    "vp": (("vp", "p", "alpha", "pspeed", "pvelocity", "velocityp"), SPEED_UNITS_KM_S),
    "vs": (("vs", "s", "beta", "sspeed", "svelocity", "velocitys"), SPEED_UNITS_KM_S),
    "vp_vs": (("vpvs", "ratio", "vpvsratio", "vpovervs"), {"": 1.0}),
}


def read_velocity(path: str | Path) -> VelocityModel:
    """A velocity model from a table; each layer keeps the S speed that the file gives it.

    Raises:
        ValueError: where the file is missing, empty or no table, a column is missing, or a value is none or impossible
            (speeds in m/s, depths in m, tops that do not increase, Vp/Vs outside of 1.4-2.6); names line and value.
    """
    table = read_table(path, "velocity model", unnamed=("depth", "vp", "vs"), trailing_comments=True)
    found = {what: _column(table, what) for what in NAMES}
    if not table.rows or found["vp"] is None or (found["depth"] is None and found["thickness"] is None):
        raise ValueError(_needs(table))
    vp = _values(table, found["vp"])
    if found["vs"] is not None:
        vs = _values(table, found["vs"])
    elif found["vp_vs"] is not None:
        vs = vp / _values(table, found["vp_vs"])
    else:
        raise ValueError(_needs(table))
    top = _tops_km(table, found)
    check_layers(top, vp, vs, [row.place for row in table.rows])
    return layered(top.tolist(), vp.tolist(), vs.tolist())


def _needs(table: Table) -> str:
    return (
        f"{table.path} needs rows with depth_km, vp_km_s and vs_km_s (or vp_vs); it has {len(table.rows)} rows with "
        f"{', '.join(table.header)}"
    )


def _column(table: Table, what: str) -> tuple[str, float] | None:
    """The column of a quantity and the factor from its unit to km or km/s."""
    names, units = NAMES[what]
    compact = {name.replace("_", ""): name for name in table.columns}
    found = [
        (compact[f"{n}{unit}"], factor) for n in names for unit, factor in units.items() if f"{n}{unit}" in compact
    ]
    if len(found) > 1:
        raise ValueError(f"{table.path} has {' and '.join(name for name, _ in found)} for {what}; use one column")
    if found:
        table.find(found[0][0])
    return found[0] if found else None


def _values(table: Table, column: tuple[str, float] | None) -> Float[np.ndarray, " layer"]:
    name, factor = column or ("", 1.0)
    values = [row.number(name) * factor for row in table.rows]
    for row, value in zip(table.rows, values, strict=True):
        if math.isnan(value):
            raise ValueError(f"{row.place} has no {name}; a layer must have every value")
    return np.array(values)


def _tops_km(table: Table, found: dict[str, tuple[str, float] | None]) -> Float[np.ndarray, " layer"]:
    if found["depth"] is not None:
        return _values(table, found["depth"])
    thickness_km = _values(table, found["thickness"])
    if (thickness_km[:-1] <= 0).any():
        raise ValueError(f"{table.path}: thicknesses must be positive, got {thickness_km.tolist()} km")
    return np.concatenate([[0.0], np.cumsum(thickness_km[:-1])])
