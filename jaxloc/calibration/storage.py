"""A calibration and a detector of shifts as files in their run folder."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.calibration.calibration import Calibration, Groups
from jaxloc.calibration.covariates import Scaling
from jaxloc.calibration.local_levels import Local
from jaxloc.calibration.out_of_distribution import Detector
from jaxloc.calibration.recalibration import Recalibration
from jaxloc.calibration.shift_detector import ShiftDetector

Found = TypeVar("Found")
FILE, SHIFTS = "calibration.json", "shifts.json"


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write a calibration into its run folder, atomically."""
    record = {
        "dataset": calibration.dataset,
        "number": calibration.number,
        "map": calibration.map._asdict(),
        "groups": calibration.groups._asdict(),
        "levels": calibration.levels,
        "ordinary": calibration.detector and calibration.detector._asdict(),
        "local": calibration.local and calibration.local._asdict() | {"scaling": calibration.local.scaling._asdict()},
    }
    plain = lambda x: np.round(np.asarray(x, float), 7).tolist() if isinstance(x, np.ndarray | jax.Array) else x
    path = folder / FILE
    write_whole(path, json.dumps(jax.tree.map(plain, record)).encode())
    return path


def read_calibration(folder: Path) -> Calibration | None:
    """The calibration of a run; None where it has none.

    Raises:
        ValueError: where the file is damaged.
    """
    return _read(folder / FILE, _calibration, "it should be deleted, or made again by `jaxloc calibrate`")


def _read(path: Path, of: Callable[[Any], Found], advice: str) -> Found | None:
    """The content of a JSON file; None where there is no file."""
    if not path.is_file():
        return None
    try:
        return of(json.loads(path.read_text()))
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); {advice}") from error


def _calibration(found: Mapping[str, Any]) -> Calibration:
    kept = found["ordinary"]
    return Calibration(
        found["dataset"],
        found["number"],
        Recalibration(found["map"]["kind"], np.array(found["map"]["values"])),
        Groups(found["groups"]["by"], tuple(found["groups"]["edges"])),
        {region: np.array(table) for region, table in found["levels"].items()},
        kept
        and Detector(np.array(kept["features"], np.float32), {name: np.array(x) for name, x in kept["scores"].items()}),
        _local(found.get("local")),
    )


def _local(kept: Mapping[str, Any] | None) -> Local | None:
    if kept is None:
        return None
    scaling = Scaling(*(np.array(kept["scaling"][name], float) for name in Scaling._fields))
    levels = {region: np.array(values, float) for region, values in kept["levels"].items()}
    trained_km = np.array(kept["trained_km"], float).reshape(-1, 2)
    return Local(trained_km, scaling, np.array(kept["covariates"], float), levels)


def write_shifts(folder: Path, detector: ShiftDetector) -> Path:
    """Write a detector of shifts into its run folder, atomically."""
    plain = lambda x: np.round(x, 7).tolist() if isinstance(x, np.ndarray) else x
    path = folder / SHIFTS
    write_whole(path, json.dumps({name: plain(value) for name, value in detector._asdict().items()}).encode())
    return path


def read_shifts(folder: Path) -> ShiftDetector | None:
    """The detector of shifts of a run; None where it has none.

    Raises:
        ValueError: where the file is damaged.
    """
    return _read(folder / SHIFTS, _shifts, "delete it to locate without out-of-distribution flags")


def _shifts(found: Mapping[str, Any]) -> ShiftDetector:
    names, kinds = (tuple(map(str, found[name])) for name in ("names", "kinds"))
    centre, scale, weights, bias = (np.array(found[x], float) for x in ("centre", "scale", "weights", "bias"))
    limits = float(found["flag_above"]), float(found["refuse_above"])
    return ShiftDetector(names, kinds, centre, scale, weights, bias, *limits, int(found["number"]))
