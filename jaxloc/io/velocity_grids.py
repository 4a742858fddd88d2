"""Velocity models of three dimensions: NonLinLoc's model grids, and tables of speeds by longitude, latitude and depth.

NonLinLoc's are ROOT.P.mod.hdr and .buf, with those of S (ROOT.S.mod) beside them or a ratio of speeds; the values are
taken as those at nodes. A table is CSV with longitude_deg, latitude_deg, depth_km, vp_km_s and vs_km_s (or vp_vs), a
row for each node, or NPZ with longitude_deg, latitude_deg and depth_km along the axes, and vp_km_s and vs_km_s (or
vp_vs) [longitude, latitude, depth]. Depths are below sea level.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.interpolate import RegularGridInterpolator

from jaxloc.geometry import Frame, check_degrees
from jaxloc.geometry import to_degrees as frame_to_degrees
from jaxloc.io.nonlinloc_grids import read_grid, speed_km_s
from jaxloc.io.nonlinloc_projection import Projection, projection_of, to_degrees, to_xy

AXES = ("longitude_deg", "latitude_deg", "depth_km")
SPEEDS_KM_S, RATIOS = (0.05, 14.0), (1.2, 3.5)
BEYOND = 1e-6  # of the model's size: rounding


class VelocityGrid(NamedTuple):
    """Slowness of P and S in s/km at the nodes, and the nodes along x, y and depth (km).

    x and y are km of a projection, or without one longitude and latitude in degrees.
    """

    slowness_s_km: Float[np.ndarray, "phase x y depth"]
    axes: tuple[Float[np.ndarray, " x"], Float[np.ndarray, " y"], Float[np.ndarray, " depth"]]
    projection: Projection | None = None

    def middle_deg(self) -> tuple[float, float]:
        """Latitude and longitude of the middle."""
        x, y = (np.asarray((axis[0] + axis[-1]) / 2) for axis in self.axes[:2])
        latitude, longitude = (y, x) if self.projection is None else to_degrees(self.projection, x, y)
        return float(latitude), float((longitude + 180) % 360 - 180)


def is_velocity_grid(path: str | Path) -> bool:
    """Whether a file has a model of three dimensions, by its name, or of a CSV its columns."""
    path = Path(path)
    if path.suffix == ".npz" or (path.suffix in (".hdr", ".buf") and path.stem.endswith(".mod")):
        return True
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        return {b"longitude_deg", b"latitude_deg", b"vp_km_s"} <= {word.strip() for word in file.readline().split(b",")}


def read_velocity_grid(path: str | Path, vp_vs: float | None = None) -> VelocityGrid:
    """The model of a file.

    Args:
        path: the file; of NonLinLoc's grids that of P.
        vp_vs: ratio of speeds, of models without S.

    Raises:
        ValueError: where a file is missing or wrong, speeds of S are not given or given twice, or one is impossible.
    """
    path = Path(path)
    if path.suffix in (".hdr", ".buf"):
        grid = _of_nonlinloc(path, vp_vs)
    elif not path.is_file():
        raise ValueError(f"no such velocity model: {path}")
    else:
        grid = _of_arrays(path, _of_npz(path) if path.suffix == ".npz" else _of_csv(path), vp_vs)
    _check(grid, path)
    return grid


def _of_nonlinloc(path: Path, vp_vs: float | None) -> VelocityGrid:
    name = path.name
    if ".P.mod" not in name:
        raise ValueError(f"{path} must be the grid of P, named as layer.P.mod.hdr; that of S is found beside it")
    other = path.with_name(name.replace(".P.mod", ".S.mod"))
    has_s = other.with_suffix(".hdr").is_file()
    _one_ratio(path, has_s, vp_vs)
    grids = [read_grid(file) for file in ([path, other] if has_s else [path])]
    first = grids[0]
    if min(first.value.shape) < 3:
        raise ValueError(f"{path} has {first.value.shape} nodes and is no model of three dimensions; give its layers")
    if any(grid.value.shape != first.value.shape or grid[1:3] != first[1:3] for grid in grids):
        raise ValueError(f"{other} has other nodes than {path}; both must have the same")
    if first.transform.split()[:1] in ([], ["NONE"], ["GLOBAL"]):
        raise ValueError(f"{path} has no projection to km (TRANSFORM {first.transform}); it must have one")
    slowness = [1 / speed_km_s(grid) for grid in grids]
    if not has_s and vp_vs is not None:
        slowness.append(vp_vs * slowness[0])
    axes = tuple(
        o + d * np.arange(n) for o, d, n in zip(first.origin_km, first.spacing_km, first.value.shape, strict=True)
    )
    return VelocityGrid(np.stack(slowness), axes, projection_of(first.transform))


def _one_ratio(path: Path, has_s: bool, vp_vs: float | None) -> None:
    if has_s and vp_vs is not None:
        raise ValueError(f"{path} has speeds of S: --vp-vs has no effect; leave it out")
    if not has_s and vp_vs is None:
        raise ValueError(f"{path} has no speeds of S; give the ratio of speeds as --vp-vs")


def _of_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        found = {name: np.asarray(file[name], float) for name in file.files}
    if missing := [name for name in (*AXES, "vp_km_s") if name not in found]:
        raise ValueError(
            f"{path} has no {', '.join(missing)}; a model must have {', '.join(AXES)}, vp_km_s and vs_km_s"
        )
    return found


def _of_csv(path: Path) -> dict[str, np.ndarray]:
    """Columns as arrays on the axes."""
    table = pd.read_csv(path, comment="#", skipinitialspace=True)
    table.columns = [str(name).strip() for name in table.columns]
    if missing := [name for name in (*AXES, "vp_km_s") if name not in table]:
        raise ValueError(
            f"{path} has no {', '.join(missing)}; a model must have {', '.join(AXES)}, vp_km_s and vs_km_s"
        )
    axes = {name: np.unique(table[name].to_numpy(float)) for name in AXES}
    shape = tuple(len(axis) for axis in axes.values())
    rows = np.ravel_multi_index([np.searchsorted(axes[name], table[name].to_numpy(float)) for name in AXES], shape)
    if len(rows) != np.prod(shape) or len(np.unique(rows)) != len(rows):
        raise ValueError(
            f"{path} has {len(rows)} rows for {shape[0]} longitudes, {shape[1]} latitudes and {shape[2]} depths; a "
            "grid must have one row for each node"
        )
    speeds = [name for name in ("vp_km_s", "vs_km_s", "vp_vs") if name in table]
    order = np.argsort(rows)
    return axes | {name: table[name].to_numpy(float)[order].reshape(shape) for name in speeds}


def _of_arrays(path: Path, found: dict[str, np.ndarray], vp_vs: float | None) -> VelocityGrid:
    axes, vp = (found[AXES[0]], found[AXES[1]], found[AXES[2]]), found["vp_km_s"]
    _one_ratio(path, "vs_km_s" in found or "vp_vs" in found, vp_vs)
    vs = found["vs_km_s"] if "vs_km_s" in found else vp / found.get("vp_vs", vp_vs)
    shape = tuple(axis.size for axis in axes)
    if any(axis.ndim != 1 for axis in axes) or vp.shape != shape or vs.shape != shape:
        raise ValueError(f"{path}: speeds must be [longitude, latitude, depth], {shape}, got {vp.shape} and {vs.shape}")
    check_degrees(axes[1], np.resize(axes[0], axes[1].shape), str(path))
    return VelocityGrid(1 / np.stack([vp, vs]), axes)


def _check(grid: VelocityGrid, path: Path) -> None:
    for name, axis in zip(("x", "y", "depth") if grid.projection else AXES, grid.axes, strict=True):
        if len(axis) < 2 or not (np.diff(axis) > 0).all():
            raise ValueError(f"{path}: {name} must have two nodes at least, and increase")
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, speed in zip(("vp_km_s", "vs_km_s"), 1 / grid.slowness_s_km, strict=True):
            if not ((speed >= SPEEDS_KM_S[0]) & (speed <= SPEEDS_KM_S[1])).all():
                worst = speed.ravel()[np.argmax(~((speed >= SPEEDS_KM_S[0]) & (speed <= SPEEDS_KM_S[1])))]
                raise ValueError(f"{path}: {name} must be within {SPEEDS_KM_S[0]}-{SPEEDS_KM_S[1]}, got {worst:g}")
        ratio = grid.slowness_s_km[1] / grid.slowness_s_km[0]
    if not ((ratio >= RATIOS[0]) & (ratio <= RATIOS[1])).all():
        raise ValueError(
            f"{path}: Vp/Vs must be within {RATIOS[0]}-{RATIOS[1]}, got {ratio.min():.3g} to {ratio.max():.3g}; are "
            "columns exchanged?"
        )


def on_model(
    grid: VelocityGrid, frame: Frame, east_km: Float[np.ndarray, " point"], north_km: Float[np.ndarray, " point"]
) -> tuple[Float[np.ndarray, "point 2"], Bool[np.ndarray, " point"]]:
    """Places of a local frame as x and y of the model, and whether they are within it."""
    latitude, longitude = frame_to_degrees(frame, east_km, north_km)
    if grid.projection is None:
        middle = (grid.axes[0][0] + grid.axes[0][-1]) / 2
        x, y = middle + (longitude - middle + 180) % 360 - 180, latitude  # across the date line
    else:
        x, y = to_xy(grid.projection, latitude, longitude)
    xy = np.stack([x, y], -1)
    low, high = (np.array([axis[end] for axis in grid.axes[:2]]) for end in (0, -1))
    room = BEYOND * (high - low)
    return xy, np.asarray(((xy >= low - room) & (xy <= high + room)).all(-1))


def sampled(
    grid: VelocityGrid,
    frame: Frame,
    first_km: Float[np.ndarray, " 3"],
    spacing_km: float,
    shape: tuple[int, int, int],
) -> Float[np.ndarray, "phase x y depth"]:
    """Slowness at regular nodes of a local frame, linear between those of the model, and beyond as at its sides."""
    east, north, depth = (low + spacing_km * np.arange(n) for low, n in zip(first_km, shape, strict=True))
    east, north = (side.ravel() for side in np.meshgrid(east, north, indexing="ij"))
    xy, _ = on_model(grid, frame, east, north)
    xy = np.clip(xy, *(np.array([axis[end] for axis in grid.axes[:2]]) for end in (0, -1)))
    depth = np.clip(depth, grid.axes[2][0], grid.axes[2][-1])
    found = np.empty((2, *shape), np.float32)
    for phase in range(2):
        between = RegularGridInterpolator(grid.axes, grid.slowness_s_km[phase])
        for k, z in enumerate(depth):  # layer by layer: all nodes at once would take several times the memory
            found[phase, :, :, k] = between(np.column_stack([xy, np.full(len(xy), z)])).reshape(shape[:2])
    return found
