"""Velocity models from files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxloc.physics.layered import layered

VELOCITY_COLUMNS = {"depth": ("depth", "top", "z"), "vp": ("vp",), "vs": ("vs",)}


def read_velocity(path: str | Path) -> dict[str, Any]:
    """A velocity model from a CSV of layer tops (depth in km), P and S speeds in km/s, under usual names.

    Raises:
        ValueError: where the file is missing or empty, a column is not found, or a value is impossible.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such velocity model: {path}")
    try:
        table = pd.read_csv(path, comment="#")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV: {error}") from error
    names = {name.strip().lower().replace("_km_s", "").replace("_km", ""): name for name in table}
    found = {want: next((names[n] for n in also if n in names), None) for want, also in VELOCITY_COLUMNS.items()}
    missing = [want for want, name in found.items() if name is None]
    if missing or table.empty:
        raise ValueError(f"{path} needs rows with depth_km, vp_km_s and vs_km_s; it has {', '.join(map(str, table))}")
    top, vp, vs = (table[found[want]].to_numpy(float) for want in VELOCITY_COLUMNS)
    layered(list(top), list(vp), list(vs))
    return {"top_km": top.tolist(), "vp_km_s": vp.tolist(), "vp_vs": float(np.mean(vp / vs))}
