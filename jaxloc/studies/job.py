"""One cell of a study: trained unless it is there already, then judged under every condition."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloc.atomic_write import write_whole
from jaxloc.runs import train
from jaxloc.studies.evaluate import judge
from jaxloc.studies.grid import Planned, stages_in_common

FILE = "judged.json"


def finished(planned: Planned, judged: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of a cell that was trained and judged alike before; None where it was not."""
    path = Path(planned.config["run_dir"]) / FILE
    if not path.is_file():
        return None
    record = json.loads(path.read_text())
    return record if record["judged"] == dict(judged) else None


def run_cell(planned: Planned, others: Sequence[Planned], judged: Mapping[str, Any]) -> dict[str, Any]:
    """Train and judge one cell in its run folder; what is there is gone on with.

    Args:
        planned: the cell.
        others: cells of the study, whose stages of point estimates are taken over where they are the same.
        judged: how it is judged (`judged` of a study's configuration).

    Raises:
        ValueError, FloatingPointError, OSError: as `experiment.run`.
    """
    folder = Path(planned.config["run_dir"])
    began = time.monotonic()
    if not (folder / "scores.json").is_file():
        shared_s = _take_over(planned, others)
        train.run(planned.config, folder, say=lambda line: None)
        _note_time(folder, time.monotonic() - began + shared_s)
    record = {
        "cell": planned.cell._asdict(),
        "judged": dict(judged),
        "training_s": _time_of(folder),
        **judge(planned.config, judged),
    }
    write_whole(folder / FILE, json.dumps(record).encode())
    return record


def _take_over(planned: Planned, others: Sequence[Planned]) -> float:
    """Copy the stages that another run has trained alike; the seconds that they took there."""
    folder = Path(planned.config["run_dir"])
    if (folder / "checkpoints").exists():
        return 0.0
    for other in others:
        source, alike = Path(other.config["run_dir"]), stages_in_common(planned.config, other.config)
        if alike and source != folder and (source / "scores.json").is_file():
            for stage in alike:
                shutil.copytree(source / "checkpoints" / stage, folder / "checkpoints" / stage)
            whole, own = (len(other.config["stages"]), len(alike))
            return _time_of(source) * own / whole
    return 0.0


def _note_time(folder: Path, seconds: float) -> None:
    write_whole(folder / "training_s.json", json.dumps(round(seconds, 1)).encode())


def _time_of(folder: Path) -> float:
    """Seconds of training, pictures and scores of its own events included; NaN where a run was not made by a study."""
    path = folder / "training_s.json"
    return float(json.loads(path.read_text())) if path.is_file() else float("nan")
