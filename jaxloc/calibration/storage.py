"""A calibration as a file in its run folder."""

import json
from pathlib import Path

import jax
import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.calibration.calibration import Calibration, Groups
from jaxloc.calibration.out_of_distribution import Detector
from jaxloc.calibration.recalibration import Recalibration

FILE = "calibration.json"


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write a calibration into its run folder, atomically."""
    record = {
        "dataset": calibration.dataset,
        "number": calibration.number,
        "map": calibration.map._asdict(),
        "groups": calibration.groups._asdict(),
        "levels": calibration.levels,
        "ordinary": calibration.detector and calibration.detector._asdict(),
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
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text())
        kept = found["ordinary"]
        return Calibration(
            found["dataset"],
            found["number"],
            Recalibration(found["map"]["kind"], np.array(found["map"]["values"])),
            Groups(found["groups"]["by"], tuple(found["groups"]["edges"])),
            {region: np.array(table) for region, table in found["levels"].items()},
            kept
            and Detector(
                np.array(kept["features"], np.float32), {name: np.array(x) for name, x in kept["scores"].items()}
            ),
        )
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); it should be deleted, or made again by `jaxloc calibrate`"
        ) from error
