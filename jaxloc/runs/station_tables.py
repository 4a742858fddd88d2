"""Travel-time tables of a three-dimensional velocity model, solved once for each station and kept on disk."""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Station, positions_km
from jaxloc.geometry import Frame, to_degrees, to_km
from jaxloc.io.velocity_grids import VelocityGrid, on_model, sampled
from jaxloc.physics import eikonal, eikonal_times
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.eikonal_times import DEEPER, mean_slowness_from
from jaxloc.physics.gridded_times import StationTables, box_within, plane_between, within_memory
from jaxloc.training.log import Say

SPACING_KM = 1.0
SNAP_KM = 10.0  # sides of solved grids are multiples of it: other picks rarely need other tables
MOST_NODES = 6_000_000
FOLDER, MOST_BYTES = "travel_times", 8 * 2**30  # beside the compiled programs


def region_in_model(
    grid: VelocityGrid, frame: Frame, region: Region, station_km: Float[np.ndarray, "station 3"]
) -> Region:
    """The part of a region that a model covers.

    Depths may lie above its first node: speeds hold from there up to the surface.

    Raises:
        ValueError: as `jaxloc.physics.gridded_times.box_within`.
    """
    within = lambda place_km: bool(on_model(grid, frame, place_km[:, 0], place_km[:, 1])[1].all())
    depth_km = (min(float(grid.axes[2][0]), region.depth_km[0]), float(grid.axes[2][-1]))
    return box_within(region, depth_km, station_km.mean(0)[:2], within)


def tables_of_model(
    grid: VelocityGrid,
    frame: Frame,
    stations: Sequence[Station],
    picked: Bool[np.ndarray, "station phase"],
    region: Region,
    spacing_km: float | None = None,
    say: Say = lambda line: None,
) -> StationTables:
    """Tables for all stations with picks.

    Grids are solved in a frame about the model's middle, so that they do not depend on the events.

    Args:
        grid: velocity model.
        frame: local frame of the locations.
        stations: all stations of the data set.
        picked: which of them have a pick of each phase; others need no table.
        region: search region, within the model (`region_in_model`).
        spacing_km: of the nodes, by default `SPACING_KM`.
        say: takes one line for the user.

    Raises:
        ValueError: where a station is outside of the model (names it), or grids have too many nodes.
    """
    spacing_km = SPACING_KM if spacing_km is None else spacing_km
    if not 0.05 <= spacing_km <= 20:
        raise ValueError(f"--grid-spacing must be within 0.05 and 20 km, got {spacing_km:g}")
    used = np.flatnonzero(picked.any(1)).tolist()
    places = positions_km(frame, tuple(stations))
    covered = on_model(grid, frame, *places[used, :2].T.astype(float))[1]
    if beyond := [i for i, there in zip(used, covered, strict=True) if not there]:
        raise ValueError(
            f"the velocity model does not cover {', '.join(stations[i].code for i in beyond[:8])}; use a larger model, "
            "or leave out the picks of these stations"
        )
    own = Frame(*(round(x, 2) for x in grid.middle_deg()))
    sides = np.stack([side.ravel() for side in np.meshgrid(*(np.linspace(*side, 21) for side in region[:2]))], -1)
    on_own_km = np.stack(to_km(own, *to_degrees(frame, *sides.T)), -1)
    plane = plane_between(sides, on_own_km, "the velocity model")
    at_km = positions_km(own, tuple(stations))[used].astype(float)
    first_km, shape = _box(on_own_km, region, at_km, spacing_km)
    start, kept = _needed(on_own_km, region, first_km, spacing_km, shape)
    within_memory(len(used), tuple(side.stop - side.start for side in kept))
    slowness = sampled(grid, own, first_km, spacing_km, shape)
    tables = []
    for row, (i, each) in enumerate(zip(used, at_km, strict=True)):
        line = f"solving travel times of {stations[i].code}, station {row + 1} of {len(used)}"
        found = _kept_or_solved(slowness, first_km, spacing_km, each, lambda line=line: say(line))
        tables.append(np.array(found[(slice(None), *kept)]))
    mean = np.moveaxis(np.stack(tables), 1, -1)
    of = lambda values: jnp.asarray(values, jnp.float32)
    idle = np.setdiff1d(np.arange(len(stations)), used)
    nodes = of(first_km + spacing_km * start), of(np.full(3, spacing_km))
    return StationTables(of(mean), of(places[used]), of(at_km), of(places[idle]), *nodes, plane)


def _box(
    on_own_km: Float[np.ndarray, "point 2"], region: Region, at_km: Float[np.ndarray, "station 3"], spacing_km: float
) -> tuple[Float[np.ndarray, " 3"], tuple[int, int, int]]:
    """First node and numbers of nodes of the solved grid: region, stations, and rays that turn below."""
    across = np.concatenate([on_own_km, at_km[:, :2]])
    low = SNAP_KM * np.floor((across.min(0) - 2 * spacing_km) / SNAP_KM)
    high = SNAP_KM * np.ceil((across.max(0) + 2 * spacing_km) / SNAP_KM)
    top_km = np.floor(min(region.depth_km[0], at_km[:, 2].min()) - spacing_km)
    farthest_km = float(np.linalg.norm(on_own_km[:, None] - at_km[:, :2], axis=-1).max())
    bottom_km = SNAP_KM * np.ceil((region.depth_km[1] + DEEPER * farthest_km) / SNAP_KM)
    first, last = np.array([*low, top_km]), np.array([*high, bottom_km])
    nodes = np.ceil((last - first) / spacing_km).astype(int) + 1
    if np.prod(nodes) > MOST_NODES:
        wanted = spacing_km * (np.prod(nodes) / MOST_NODES) ** (1 / 3)
        raise ValueError(
            f"the grid of travel times would have {' x '.join(map(str, nodes))} nodes, more than {MOST_NODES:,}; "
            f"reduce the search region (--region, --depth-km), or use --grid-spacing {np.ceil(10 * wanted) / 10:g}"
        )
    return first, (int(nodes[0]), int(nodes[1]), int(nodes[2]))


def _needed(
    on_own_km: Float[np.ndarray, "point 2"],
    region: Region,
    first_km: Float[np.ndarray, " 3"],
    spacing_km: float,
    shape: tuple[int, int, int],
) -> tuple[np.ndarray, tuple[slice, ...]]:
    """The nodes that the region needs: the first of them, and all."""
    low = np.array([*on_own_km.min(0), region.depth_km[0]])
    high = np.array([*on_own_km.max(0), region.depth_km[1]])
    start = np.maximum(np.floor((low - first_km) / spacing_km).astype(int), 0)
    stop = np.minimum(np.ceil((high - first_km) / spacing_km).astype(int) + 1, shape)
    return start, tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def _kept_or_solved(
    slowness: Float[np.ndarray, "phase x y depth"],
    first_km: Float[np.ndarray, " 3"],
    spacing_km: float,
    at_km: Float[np.ndarray, " 3"],
    before: Callable[[], None],
) -> Float[Array | np.ndarray, "phase x y depth"]:
    """Mean slowness from one station to all nodes, from its file where there is one; `before` is called else."""
    folder = _folder()
    node = ((at_km - first_km) / spacing_km).astype(np.float32)
    path = None if folder is None else folder / f"{_name(slowness, spacing_km, node)}.npy"
    if path is not None and path.is_file():
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            if found.shape == slowness.shape:
                os.utime(path)
                return found
        except (OSError, ValueError):  # damaged: solved again
            pass
    before()
    mean = np.asarray(mean_slowness_from(jnp.asarray(slowness), spacing_km, jnp.asarray(node)), np.float32)
    if path is not None:
        _keep(path, mean)
    return mean


def _keep(path: Path, mean: Float[np.ndarray, "phase x y depth"]) -> None:
    """Written whole; the oldest files go where all exceed `MOST_BYTES`. Without room or permission nothing is kept."""
    buffer = io.BytesIO()
    np.save(buffer, mean)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
        size = 0
        for file in sorted(path.parent.glob("*.npy"), key=os.path.getmtime, reverse=True):
            size += file.stat().st_size
            if size > MOST_BYTES:
                file.unlink(missing_ok=True)
    except OSError:
        pass


def _folder() -> Path | None:
    """Beside the folder of compiled programs; None where JAX keeps none."""
    settings: Any = jax.config
    base: str | None = settings.jax_compilation_cache_dir
    return Path(base).parent / FOLDER if base and settings.jax_enable_compilation_cache else None


def _name(slowness: Float[np.ndarray, "phase x y depth"], spacing_km: float, node: Float[np.ndarray, " 3"]) -> str:
    """A digest of all that times depend on: slowness, spacing, the station's place and the code of the solver."""
    digest = hashlib.sha256(np.ascontiguousarray(slowness).tobytes())
    digest.update(repr((slowness.shape, float(spacing_km), node.tobytes())).encode())
    for module in (eikonal, eikonal_times):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
