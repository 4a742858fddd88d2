"""A folder of NonLinLoc's travel-time grids: ROOT.PHASE.LABEL.time.hdr and .buf, one a station and phase.

Grids are of three dimensions (TIME), or of distance and depth (TIME2D), all with the same nodes. Their coordinates are
those of the projection in the header. A label is a station's code (NET.STA, STA, NET_STA_LOC).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.dataset import Station, positions_km
from jaxloc.geometry import Frame, to_km
from jaxloc.io.nonlinloc_grids import Grid, read_grid
from jaxloc.io.nonlinloc_projection import Projection, projection_of, to_degrees, to_xy
from jaxloc.io.station_codes import by_spelling, code_of_label
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.gridded_times import Plane, StationTables, mean_slowness, on_plane, plane_between, within_memory
from jaxloc.types import PHASES

NAME = re.compile(r"(?P<root>.+?)\.(?P<phase>[PS])\.(?P<label>.+)\.time\.hdr")
MOVED_KM = 0.2  # by which the place of a station in a header may differ
SHOWN = 8  # stations in a message


class Folder(NamedTuple):
    """Headers of a folder by phase and station; `root` is what their names begin with."""

    path: Path
    root: str
    header: dict[tuple[str, str], Path]


def open_folder(path: Path, stations: Sequence[Station]) -> Folder:
    """The grids of a folder for stations, by their codes; `path` is the folder, or FOLDER/ROOT.

    Raises:
        ValueError: where there is none, or the names have several roots.
    """
    folder, wanted = (path, None) if path.is_dir() else (path.parent, path.name)
    found = [(NAME.fullmatch(file.name), file) for file in sorted(folder.glob("*.time.hdr"))]
    named = [(match, file) for match, file in found if match and wanted in (None, match["root"])]
    if not named:
        raise ValueError(
            f"{path} has no travel-time grids; it must be a folder (or FOLDER/ROOT) of NonLinLoc's, with files named "
            "as layer.P.STATION.time.hdr and .buf"
        )
    roots = sorted({match["root"] for match, _ in named})
    if len(roots) > 1:
        raise ValueError(f"{path} has grids named {', '.join(roots)}; say which, as {folder / roots[0]}")
    codes = [station.code for station in stations]
    spelled = by_spelling(codes)
    header = {}
    for match, file in named:
        label = code_of_label(match["label"])
        header[match["phase"], label if label in codes else spelled.get(label, label)] = file
    return Folder(folder, roots[0], header)


def read_time_grids(
    path: str | Path,
    frame: Frame,
    stations: Sequence[Station],
    picked: Bool[np.ndarray, "station phase"],
    region: Region,
    vp_vs: float | None = None,
) -> StationTables:
    """Tables for all stations with picks, of the nodes that the region needs.

    Args:
        path: the folder, or FOLDER/ROOT.
        frame: local frame of the locations.
        stations: all stations of the data set.
        picked: which of them have a pick of each phase; others need no grid.
        region: search region.
        vp_vs: of folders with grids of P alone, S times are as many times those of P.

    Raises:
        ValueError: where a station with picks has no grid (names them), grids differ in nodes or projection or are of
            another place than the station's, a file is wrong, or tables are too large (`within_memory`).
    """
    folder = open_folder(Path(path), stations)
    phases = _phases(folder, picked, vp_vs)
    used = np.flatnonzero(picked.any(1)).tolist()
    _refuse_missing(folder, [stations[i].code for i in used], phases)
    first = read_grid(folder.header["P", stations[used[0]].code])
    _check_kind(first, folder)
    projection = None if _flat(first) else _projection(first, folder)
    plane = None if projection is None else plane_of(first, projection, frame)
    places = positions_km(frame, tuple(stations))
    nodes = _nodes(first, plane, region, places[used])
    shape = tuple(side.stop - side.start for side in nodes)
    within_memory(len(used), shape)
    mean, at_km = np.empty((len(used), *shape, len(PHASES)), np.float32), np.empty((len(used), 3))
    for row, i in enumerate(used):
        grids = [read_grid(folder.header[phase, stations[i].code]) for phase in phases]
        for phase, grid in zip(phases, grids, strict=True):
            _check_same(grid, first, folder.header[phase, stations[i].code])
        at_km[row] = _place_km(grids[0], stations[i], places[i], projection, folder)
        away_km = _away_km(first, at_km[row])[nodes]
        time_s = [np.asarray(grid.value[0] if _flat(grid) else grid.value)[nodes] for grid in grids]
        second_s = time_s[1] if len(time_s) > 1 else time_s[0] * (vp_vs or 1.0)
        mean[row] = mean_slowness(np.stack([time_s[0], second_s], -1), away_km)
    if not (np.isfinite(mean).all() and (mean > 0).all()):
        raise ValueError(f"{path}: travel times must be positive and finite at all nodes; compute the grids again")
    start = np.array([side.start for side in nodes])
    origin_km, spacing_km = (np.array(x)[1 if _flat(first) else 0 :] for x in (first.origin_km, first.spacing_km))
    idle = np.setdiff1d(np.arange(len(stations)), used)
    of = lambda values: jnp.asarray(values, jnp.float32)
    tables = (
        of(mean),
        of(places[used]),
        of(at_km),
        of(places[idle]),
        of(origin_km + start * spacing_km),
        of(spacing_km),
    )
    return StationTables(*tables, plane)


def _phases(folder: Folder, picked: Bool[np.ndarray, "station phase"], vp_vs: float | None) -> tuple[str, ...]:
    """Phases whose grids are read."""
    has_s, needs_s = any(phase == "S" for phase, _ in folder.header), bool(picked[:, 1].any())
    if has_s and vp_vs is not None:
        raise ValueError(f"{folder.path} has grids of S: --vp-vs has no effect; leave it out")
    if needs_s and not has_s and vp_vs is None:
        raise ValueError(f"{folder.path} has grids of P alone, but there are picks of S; give the ratio as --vp-vs")
    return PHASES if has_s and needs_s else PHASES[:1]


def _refuse_missing(folder: Folder, codes: Sequence[str], phases: Sequence[str]) -> None:
    missing = [f"{code} ({phase})" for code in codes for phase in phases if (phase, code) not in folder.header]
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise ValueError(
            f"{folder.path} has no grid of {', '.join(missing[:SHOWN])}{more}; compute them, or leave out the picks of "
            "these stations"
        )


def plane_of(grid: Grid, projection: Projection, frame: Frame) -> Plane:
    """From the local frame to x and y of a grid."""
    size = np.array(grid.value.shape[:2])
    low, step = np.array(grid.origin_km[:2]), np.array(grid.spacing_km[:2])
    x, y = (side.ravel() for side in np.meshgrid(*np.linspace(low, low + step * (size - 1), 21).T))
    east, north = to_km(frame, *to_degrees(projection, x, y))
    return plane_between(np.column_stack([east, north]), np.column_stack([x, y]), "the travel-time grids")


def _nodes(
    grid: Grid, plane: Plane | None, region: Region, station_km: Float[np.ndarray, "station 3"]
) -> tuple[slice, ...]:
    """The nodes of each axis that the region needs, two at least."""
    east, north, depth = (side.ravel() for side in np.meshgrid(*(np.linspace(*side, 21) for side in region[:3])))
    place_km = np.column_stack([east, north, depth])
    if plane is None:
        farthest = np.linalg.norm(place_km[:, None, :2] - station_km[:, :2], axis=-1).max()
        needed = [(0.0, float(farthest)), region.depth_km]
    else:
        on_grid = np.asarray(on_plane(plane, jnp.asarray(place_km)))
        needed = [(float(side.min()), float(side.max())) for side in on_grid.T]
    axes = slice(3 - len(needed), None)
    found = []
    for (low, high), origin, step, size in zip(
        needed, grid.origin_km[axes], grid.spacing_km[axes], grid.value.shape[axes], strict=True
    ):
        start = int(np.clip(np.floor((low - origin) / step), 0, size - 2))
        found.append(slice(start, int(np.clip(np.ceil((high - origin) / step) + 1, start + 2, size))))
    return tuple(found)


def _flat(grid: Grid) -> bool:
    """Whether a grid is of distance and depth."""
    return grid.kind == "TIME2D"


def _check_kind(grid: Grid, folder: Folder) -> None:
    if grid.kind not in ("TIME", "TIME2D"):
        raise ValueError(f"{folder.path}: grids must be of the type TIME or TIME2D, got {grid.kind}")
    if min(grid.value.shape[1:] if _flat(grid) else grid.value.shape) < 2:
        raise ValueError(f"{folder.path}: grids must have two nodes along each axis at least, got {grid.value.shape}")


def _projection(grid: Grid, folder: Folder) -> Projection:
    kind = grid.transform.split()[0] if grid.transform.split() else "NONE"
    if kind in ("NONE", "GLOBAL"):
        raise ValueError(
            f"{folder.path}: the header says TRANSFORM {kind}; grids of three dimensions must have a projection to km "
            "(TRANS SIMPLE, SDC, LAMBERT, TRANS_MERC or AZIMUTHAL_EQUIDIST)"
        )
    return projection_of(grid.transform)


def _check_same(grid: Grid, first: Grid, path: Path) -> None:
    same = grid.value.shape == first.value.shape and grid.kind == first.kind and grid.transform == first.transform
    nodes = np.allclose([grid.origin_km, grid.spacing_km], [first.origin_km, first.spacing_km], atol=1e-4)
    if not (same and nodes):
        raise ValueError(
            f"{path} has other nodes, type or projection than the first grid; all grids must have the same"
        )


def _place_km(
    grid: Grid, station: Station, place_km: Float[np.ndarray, " 3"], projection: Projection | None, folder: Folder
) -> Float[np.ndarray, " 3"]:
    """Where a station is on its grid, by the header, which must agree with the list of stations."""
    assert grid.station_km is not None, "a grid of times has the place of its station"
    there = np.array(grid.station_km)
    if projection is None:
        at_km = np.array([place_km[0], place_km[1], there[2]])
        apart_km = abs(there[2] - float(place_km[2]))
    else:
        x, y = to_xy(projection, np.asarray(station.latitude_deg), np.asarray(station.longitude_deg))
        at_km, apart_km = there, float(np.linalg.norm(there - [x, y, place_km[2]]))
    if apart_km > MOVED_KM:
        raise ValueError(
            f"the grid of {station.code} in {folder.path} is for a station {apart_km:.2f} km away from that of the "
            "list; correct the list, or compute the grid again"
        )
    return at_km


def _away_km(grid: Grid, at_km: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " *axis"]:
    """Distances of all nodes from a station."""
    axes = [o + d * np.arange(n) for o, d, n in zip(grid.origin_km, grid.spacing_km, grid.value.shape, strict=True)]
    if _flat(grid):
        return np.hypot(axes[1][:, None], axes[2] - at_km[2])
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.sqrt((x - at_km[0]) ** 2 + (y - at_km[1]) ** 2 + (z - at_km[2]) ** 2)
