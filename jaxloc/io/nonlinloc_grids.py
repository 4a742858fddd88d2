"""NonLinLoc's grids: models, travel times and densities on nodes, a header (.hdr) and 32-bit floats (.buf).

The header has the numbers of nodes, the first node and the spacing along x, y and z, and the type; then, of travel
times, the station; then the projection. z changes fastest in the buffer, x slowest. A two-dimensional grid has
one node along x, distance along y and depth along z.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

TIMES = ("TIME", "TIME2D", "ANGLE", "ANGLE2D")  # types that have a station


class Grid(NamedTuple):
    """Values at nodes, [x, y, z]; first node and spacing in km; type, station and projection as in the header."""

    value: Float[np.ndarray, "x y z"]
    origin_km: tuple[float, float, float]
    spacing_km: tuple[float, float, float]
    kind: str
    station: str | None = None
    station_km: tuple[float, float, float] | None = None
    transform: str = "NONE"


def read_grid(path: str | Path, *, swapped: bool = False) -> Grid:
    """Read a grid by the path of its header or buffer, or without suffix; `swapped` is for bytes in big-endian order.

    Raises:
        ValueError: where a file is missing, the header is wrong, or the buffer has another size; names it.
    """
    header = _with_suffix(path, ".hdr")
    buffer = _with_suffix(path, ".buf")
    for file in (header, buffer):
        if not file.is_file():
            raise ValueError(f"no such NonLinLoc grid: {file}; a grid has a .hdr and a .buf of the same name")
    lines = [line.split() for line in header.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        first = lines[0]
        x, y, z = (int(word) for word in first[:3])
        origin, spacing = (tuple(float(word) for word in first[i : i + 3]) for i in (3, 6))
        kind = first[9]
        station = lines[1] if kind in TIMES else None
        place = tuple(float(word) for word in station[1:4]) if station else None
    except (IndexError, ValueError) as error:
        raise ValueError(f"{header} must begin with nodes, origin, spacing and type of a grid: {error}") from error
    if len(first) > 10 and first[10] != "FLOAT":
        raise ValueError(f"{header}: values must be FLOAT, got {first[10]}")
    transform = next((" ".join(line[1:]) for line in lines if line[0] in ("TRANSFORM", "TRANS")), "NONE")
    size = 4 * x * y * z
    if buffer.stat().st_size != size:
        raise ValueError(f"{buffer} must have {size} bytes for {x} x {y} x {z} nodes, got {buffer.stat().st_size}")
    value = np.fromfile(buffer, ">f4" if swapped else "<f4").reshape(x, y, z).astype(np.float32)
    return Grid(value, origin, spacing, kind, station[0] if station else None, place, transform)  # pyright: ignore[reportArgumentType]


def write_grid(path: str | Path, grid: Grid) -> None:
    """Write header and buffer, in little-endian order.

    Raises:
        ValueError: where values are not on three axes, or travel times lack their station.
    """
    if np.ndim(grid.value) != 3:
        raise ValueError(f"values of a grid must be [x, y, z], got the shape {np.shape(grid.value)}")
    if grid.kind in TIMES and (grid.station is None or grid.station_km is None):
        raise ValueError(f"a grid of type {grid.kind} must have a station and its place")
    shape = " ".join(str(number) for number in np.shape(grid.value))
    numbers = [" ".join(f"{number:.6f}" for number in numbers) for numbers in (grid.origin_km, grid.spacing_km)]
    lines = [f"{shape}  {numbers[0]}  {numbers[1]} {grid.kind} FLOAT"]
    if grid.station is not None and grid.station_km is not None:
        lines.append(f"{grid.station} {' '.join(f'{number:.6f}' for number in grid.station_km)}")
    lines.append(f"TRANSFORM  {grid.transform}")
    _with_suffix(path, ".hdr").write_text("\n".join([*lines, ""]), encoding="utf-8")
    np.asarray(grid.value, "<f4").tofile(_with_suffix(path, ".buf"))


def _with_suffix(path: str | Path, suffix: str) -> Path:
    path = Path(path)
    return path.with_suffix(suffix) if path.suffix in (".hdr", ".buf") else path.with_name(path.name + suffix)


def speed_km_s(grid: Grid) -> Float[np.ndarray, "x y z"]:
    """Speeds of a model grid, whatever it is a grid of.

    Raises:
        ValueError: where the grid is no model.
    """
    value = np.asarray(grid.value, float)
    spacing_km = grid.spacing_km[2]
    known = {
        "VELOCITY": lambda: value,
        "VELOCITY_METERS": lambda: value / 1000,
        "SLOWNESS": lambda: 1 / value,
        "SLOW_LEN": lambda: spacing_km / value,
        "VEL2": lambda: np.sqrt(value),
        "SLOW2": lambda: 1 / np.sqrt(value),
        "SLOW2_METERS": lambda: 1 / np.sqrt(value) / 1000,
    }
    if grid.kind not in known:
        raise ValueError(f"a model grid must be one of {', '.join(known)}, got {grid.kind}")
    return known[grid.kind]()
