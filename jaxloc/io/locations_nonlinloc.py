"""Locations of NonLinLoc (Lomax and others 2000): hypocentre files with their scatter.

A `.hyp` file has the expected hypocentre (`STAT_GEOG`, `STATISTICS`) and its covariance. NonLinLoc can save, under the
same name, a `.scat` file of samples of the posterior: little-endian, a header of sixteen bytes that starts with
the number of samples, then x, y, z in km and the density of each sample as 32-bit floats. Samples take precedence over
the covariance, since posteriors of poorly recorded events are not normal. NonLinLoc gives no error of origin time.

x and y are read as east and north but for the rotation in `TRANSFORM`; the convergence of meridians, a degree or so at
the edge of a projection, is neglected.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float
from obspy import UTCDateTime

from jaxloc.io.locations import Located, Predictions, against
from jaxloc.io.reference_catalogue import MATCH_S, by_time, read_truths, seconds

SAMPLES = 1000  # kept of a scatter file, evenly spaced along it


def read_nonlinloc(path: str | Path, truth: str | Path) -> Predictions:
    """Read a `.hyp` file, a folder of them (without summary files) or a glob, and true hypocentres by origin time.

    The true hypocentre is that of nearest origin time, within 3 s. Events that NonLinLoc did not locate are refused.

    Raises:
        ValueError: where there is no file, one is not NonLinLoc's, is truncated or not located, its scatter is broken,
            a covariance is not positive definite, or no event has a true hypocentre; names it.
    """
    path = Path(path)
    located = [one for file in hypocentre_files(path) for one in read_hypocentres(file)]
    return against(path, located, by_time([one.origin_s for one in located], read_truths(truth), MATCH_S))


def hypocentre_files(path: Path) -> list[Path]:
    """The `.hyp` files of a path: a file, a folder or a glob.

    Raises:
        ValueError: where there is none.
    """
    if path.is_file():
        return [path]
    found = path.glob("*.hyp") if path.is_dir() else path.parent.glob(path.name)
    files = sorted(file for file in found if file.suffix == ".hyp" and ".sum." not in file.name)
    if not files:
        raise ValueError(f"no NonLinLoc hypocentre file at {path}; it must be a *.hyp file or a folder of these")
    return files


def read_hypocentres(file: Path) -> list[Located]:
    """Every event of a file; the scatter file of the same name is that of its only event.

    Raises:
        ValueError: as `read_nonlinloc`.
    """
    text = file.read_text(encoding="utf-8", errors="replace")
    blocks = [part for part in text.split("\nEND_NLLOC")[:-1]]
    if not blocks:
        raise ValueError(f"{file} is no whole NonLinLoc hypocentre file: it must end in END_NLLOC")
    scatter = file.with_suffix(".scat") if len(blocks) == 1 else None
    return [_event(file, block, scatter) for block in blocks]


def _event(file: Path, block: str, scatter: Path | None) -> Located:
    lines = dict(line.split(None, 1) for line in block.splitlines() if " " in line.strip())
    try:
        status = lines["NLLOC"].split('"')
        geographic, statistics = lines["GEOGRAPHIC"].split(), lines["STATISTICS"].split()
        expected_deg = [float(value) for value in lines["STAT_GEOG"].split()[1::2]]
        expected_km = np.array([float(value) for value in statistics[1:6:2]])
        upper = [float(value) for value in statistics[7:18:2]]
        date = [int(value) for value in geographic[1:6]]
        origin_s = seconds(UTCDateTime(*date)) + float(geographic[6])
        turned_deg = _rotation_deg(lines.get("TRANSFORM", ""))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ValueError(f"{file} must be a whole NonLinLoc hypocentre file: {error}") from error
    name = Path(status[1]).name
    if status[3] != "LOCATED":
        raise ValueError(f"{file}: NonLinLoc says {status[3]} of event {name}; leave it out")
    turn = _turn(turned_deg)
    covariance = np.full((4, 4), 0.0)
    rows, columns = np.triu_indices(3)
    covariance[rows, columns] = covariance[columns, rows] = upper
    covariance[:3, :3] = turn @ covariance[:3, :3] @ turn.T
    covariance[3, 3] = math.nan
    samples_km = None
    if scatter is not None and scatter.is_file():
        if "GLOBAL" in lines.get("TRANSFORM", ""):
            raise ValueError(f"{scatter} is in degrees (TRANSFORM GLOBAL); remove it to score by the covariance")
        samples_km = (read_scatter(scatter) - expected_km) @ turn.T
    return Located((name,), expected_deg[0], expected_deg[1], expected_deg[2], origin_s, covariance, samples_km)


def _rotation_deg(transform: str) -> float:
    words = transform.split()
    return float(words[words.index("RotCW") + 1]) if "RotCW" in words else 0.0


def _turn(clockwise_deg: float) -> Float[np.ndarray, "3 3"]:
    """From x, y, z to east, north, down, where y points `clockwise_deg` east of north."""
    angle = np.radians(clockwise_deg)
    sin, cos = np.sin(angle), np.cos(angle)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def read_scatter(path: Path, number: int = SAMPLES) -> Float[np.ndarray, "sample 3"]:
    """Samples of a `.scat` file in NonLinLoc's x, y, z in km, `number` of them evenly spaced along it.

    Raises:
        ValueError: where the file is empty, cut off, or has values that are not finite.
    """
    raw = path.read_bytes()
    count = int.from_bytes(raw[:4], "little", signed=True) if len(raw) >= 16 else 0
    if count < 2 or len(raw) != 16 * (count + 1):
        raise ValueError(
            f"{path} has a header of {count} samples and {len(raw)} bytes; "
            "it must have 16 bytes for each and 16 before them"
        )
    samples = np.frombuffer(raw, "<f4", offset=16).reshape(-1, 4)[:, :3].astype(float)
    if not np.isfinite(samples).all():
        raise ValueError(f"{path} has samples that are not finite; all must be finite")
    return samples[np.linspace(0, count - 1, number).round().astype(int)]
