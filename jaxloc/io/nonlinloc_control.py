"""NonLinLoc's control file: velocity model, stations, grid and model errors of a location run.

Read are TRANS, LAYER, GTSRCE (and LOCSRCE), VGGRID, LOCGRID, LOCSEARCH OCT, LOCMETH, LOCGAU, LOCGAU2, LOCQUAL2ERR,
LOCPHASEID and INCLUDE; other statements do not change where an event is located, or are refused: those that weight
(LOCSTAWT), delay (LOCDELAY), rename (LOCALIAS) or leave out (LOCEXCLUDE) stations or picks.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloc.data.dataset import Station
from jaxloc.io.nonlinloc_projection import Projection, projection_of, to_degrees
from jaxloc.io.tables import decode, read_bytes
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.gradient import layers_with_gradients
from jaxloc.physics.layered import VelocityModel, layered
from jaxloc.physics.pick_errors import PickErrors

METHODS = {"EDT": "edt", "EDT_OT_WT": "edt_ot_wt", "GAU_ANALYTIC": "l2", "L1_NORM": "l1"}
UNSUPPORTED = ("LOCSTAWT", "LOCDELAY", "LOCALIAS", "LOCEXCLUDE", "LOCELEVCORR", "LOCFIXOTIME", "LOCPRIOR")
DEEPEST = 8  # files that include one another


class Control(NamedTuple):
    """What a control file says; None for statements that it lacks.

    `x_km`, `y_km` and `depth_km` of the region are those of the projection. `reach_km` is the length of two-dimensional
    travel-time grids: NonLinLoc leaves out stations from which some of the search grid is farther. `vp_vs` is the ratio
    that S times are computed by from P; None where S has times of its own. `quality_s` are standard deviations of
    picks by their quality, `phases` the names that stand for P and S.
    """

    projection: Projection
    stations: tuple[Station, ...]
    velocity: VelocityModel | None
    errors: PickErrors | None
    region: Region | None
    reach_km: float | None
    vp_vs: float | None
    octree: tuple[float, ...] | None
    quality_s: tuple[float, ...]
    phases: dict[str, str]


def read_control(path: str | Path) -> Control:
    """Read a control file and what it includes.

    The origin times of the region are unbounded. Files are included from the folder of the file that includes them, or
    from its parent.

    Raises:
        ValueError: where a file is missing, a statement is wrong, or one changes locations in a way not known here.
    """
    path = Path(path)
    found = _statements(path, DEEPEST)
    if "TRANS" not in found:
        raise ValueError(f"{path} has no TRANS statement; a NonLinLoc control file must have one")
    if unknown := [name for name in UNSUPPORTED if name in found]:
        raise ValueError(f"{path}: {', '.join(unknown)} would change locations and is not supported; remove it")
    projection = projection_of(" ".join(found["TRANS"][-1]))
    try:
        method = found["LOCMETH"][-1] if "LOCMETH" in found else None
        ratio = float(method[5]) if method and len(method) > 5 else -1.0
        sources = [*found["GTSRCE"], *found["LOCSRCE"]]
        return Control(
            projection,
            tuple(_station(words, projection) for words in sources),
            _velocity(found["LAYER"], ratio) if "LAYER" in found else None,
            _errors(method[0], found) if method else None,
            _region(found["LOCGRID"][0]) if "LOCGRID" in found else None,
            _reach_km(found["VGGRID"][-1]) if "VGGRID" in found else None,
            ratio if ratio > 0 else None,
            tuple(float(w) for w in found["LOCSEARCH"][-1][1:]) if found["LOCSEARCH"][-1:] else None,
            tuple(float(word) for word in (found["LOCQUAL2ERR"] or [[]])[-1]),
            {name: words[0] for words in found["LOCPHASEID"] for name in words[1:]},
        )
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path} must be a NonLinLoc control file with whole statements: {error}") from error


def read_stations_and_layers(path: str | Path) -> tuple[tuple[Station, ...], VelocityModel | None]:
    """The stations and the velocity model of a control file, or of a file that one includes, whatever else it says.

    Raises:
        ValueError: where a file is missing, a statement is wrong, or stations are in km without a TRANS statement.
    """
    found = _statements(Path(path), DEEPEST)
    try:
        sources = [*found["GTSRCE"], *found["LOCSRCE"]]
        in_km = any(words[1:2] == ["XYZ"] for words in sources)
        if in_km and "TRANS" not in found:
            raise ValueError("stations in km (XYZ) must come with a TRANS statement")
        projection = projection_of(" ".join(found["TRANS"][-1])) if in_km else Projection("SIMPLE")
        stations = tuple(_station(words, projection) for words in sources)
        method = found["LOCMETH"][-1] if found["LOCMETH"] else []
        ratio = float(method[5]) if len(method) > 5 else -1.0
        return stations, _velocity(found["LAYER"], ratio) if found["LAYER"] else None
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path} must have whole statements of NonLinLoc: {error}") from error


def read_layers(path: str | Path) -> VelocityModel:
    """Layers as those of LAYER statements, without that word, a line each.

    Raises:
        ValueError: where the file is missing, or a line is no layer.
    """
    text = decode(read_bytes(path, "velocity model"), path)
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    try:
        return _velocity([line for line in lines if line], -1.0)
    except ValueError as error:
        raise ValueError(
            f"{path} must have depth, vp, its gradient, vs and its gradient in each line: {error}"
        ) from error


def write_stations_and_layers(path: str | Path, stations: Sequence[Station], velocity: VelocityModel | None) -> None:
    """Statements for a control file to include: LAYER and GTSRCE."""
    lines = []
    if velocity is not None:
        rows = zip(*(np.asarray(values).tolist() for values in velocity), strict=True)
        lines += [f"LAYER  {top:.6g}  {vp:.6g} 0.0  {vs:.6g} 0.0  2.7 0.0" for top, vp, vs in rows]
    for station in stations:
        place = f"{station.latitude_deg:.6f}  {station.longitude_deg:.6f}  0.0  {station.elevation_m / 1000:.6g}"
        lines.append(f"GTSRCE  {station.code}  LATLON  {place}")
    Path(path).write_text("\n".join([*lines, ""]), encoding="utf-8")


def _statements(path: Path, deepest: int) -> dict[str, list[list[str]]]:
    """Words of each statement by its name, in the order of the file."""
    if not path.is_file():
        raise ValueError(f"no such NonLinLoc control file: {path}; correct the path or its INCLUDE statement")
    found: dict[str, list[list[str]]] = defaultdict(list)
    for line in decode(read_bytes(path, "NonLinLoc control file"), path).splitlines():
        words = line.split("#")[0].split()
        if len(words) < 2:
            continue
        if words[0] != "INCLUDE":
            found[words[0]].append(words[1:])
        elif deepest == 0:
            raise ValueError(f"{path}: files include one another without end at INCLUDE {words[1]}")
        else:
            near = [folder / words[1] for folder in (path.parent, path.parent.parent)]
            included = next((file for file in near if file.is_file()), near[0])
            for name, statements in _statements(included, deepest - 1).items():
                found[name].extend(statements)
    return found


def _station(words: list[str], projection: Projection) -> Station:
    """GTSRCE: label, kind, position, depth and elevation in km."""
    label, kind, *numbers = words
    if kind not in ("LATLON", "XYZ"):
        raise ValueError(f"station {label}: coordinates must be LATLON or XYZ, got {kind}")
    first, second, depth_km, elevation_km = (float(number) for number in numbers[:4])
    if kind == "XYZ":
        first, second = (float(x) for x in to_degrees(projection, np.asarray(first), np.asarray(second)))
    return Station(label, first, second, 1000.0 * (elevation_km - depth_km))


def _velocity(layers: list[list[str]], ratio: float) -> VelocityModel:
    """LAYER: depth of the top, P speed and its gradient, then S; S by the ratio where there is one.

    Thin layers replace gradients.
    """
    top, vp, vp_gradient, vs, vs_gradient = np.array([[float(word) for word in layer[:5]] for layer in layers]).T
    if ratio > 0:
        vs, vs_gradient = vp / ratio, vp_gradient / ratio
    if not (vp_gradient.any() or vs_gradient.any()):
        return layered(top.tolist(), vp.tolist(), vs.tolist())
    thin = layers_with_gradients(top, np.stack([vp, vs], 1), np.stack([vp_gradient, vs_gradient], 1))
    return layered(*(values.tolist() for values in thin))


def _errors(method: str, found: dict[str, list[list[str]]]) -> PickErrors:
    """LOCGAU: sd in s and correlation length in km; LOCGAU2 replaces its sd by a share of travel time within limits."""
    if method not in METHODS:
        raise ValueError(f"LOCMETH must be one of {', '.join(METHODS)}, got {method}")
    sd_s, correlation_km = (float(word) for word in found["LOCGAU"][-1][:2])
    errors = PickErrors(METHODS[method], sd_s, corr_km=max(correlation_km, 0.0))
    if not found["LOCGAU2"]:
        return errors
    share, least_s, most_s = (float(word) for word in found["LOCGAU2"][-1][:3])
    return errors._replace(model_sd_s=0.0, model_share=share, model_least_s=least_s, model_most_s=most_s)


def _region(words: list[str]) -> Region:
    """LOCGRID: numbers of nodes, first node and spacing in km; negative first nodes of -1e30 are not supported."""
    number, first, step = (np.array(words[i : i + 3], float) for i in (0, 3, 6))
    if (np.abs(first) > 1e20).any():
        raise ValueError("LOCGRID must have a place of its own, not that of another grid; give its first node in km")
    east, north, depth = ((float(low), float(low + (n - 1) * d)) for n, low, d in zip(number, first, step, strict=True))
    return Region(east, north, depth, (-math.inf, math.inf))


def _reach_km(words: list[str]) -> float | None:
    """VGGRID: of two-dimensional grids, the length along distance."""
    return (float(words[1]) - 1) * float(words[7]) if int(words[0]) == 2 else None
