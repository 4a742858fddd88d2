"""One cell of a study: trained unless its run is finished, then evaluated under every condition."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxloc.atomic_write import write_whole
from jaxloc.runs import train
from jaxloc.studies.evaluate import evaluate_run
from jaxloc.studies.grid import Planned, stages_in_common

FILE = "evaluation.json"


def finished(planned: Planned, evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of a cell that was trained and evaluated with these settings before; None where there is none."""
    path = Path(planned.config["run_dir"]) / FILE
    if not path.is_file():
        return None
    record = json.loads(path.read_text())
    return record if record["evaluation"] == dict(evaluation) else None


def run_cell(planned: Planned, others: Sequence[Planned], evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Train and evaluate one cell in its run folder; training resumes from its last checkpoint.

    Args:
        planned: the cell.
        others: cells of the study; stages of point estimates that one of them has trained alike are copied.
        evaluation: settings of the evaluation (`evaluation` of a study's configuration).

    Raises:
        ValueError, FloatingPointError, OSError: as `jaxloc.runs.train.run`.
    """
    folder = Path(planned.config["run_dir"])
    _share_compiled_programs(folder.parents[1] / "compiled")
    began = time.monotonic()
    if not (folder / "scores.json").is_file():
        shared_s = _copy_common_stages(planned, others)
        train.run(planned.config, folder, say=lambda line: None)
        _write_training_s(folder, time.monotonic() - began + shared_s)
    record = {
        "cell": planned.cell._asdict(),
        "evaluation": dict(evaluation),
        "training_s": _read_training_s(folder),
        **evaluate_run(planned.config, evaluation),
    }
    write_whole(folder / FILE, json.dumps(record).encode())
    return record


def _share_compiled_programs(folder: Path) -> None:
    """Let JAX keep compiled programs in a folder, unless it has one: most of a small run's time is compiling."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def _copy_common_stages(planned: Planned, others: Sequence[Planned]) -> float:
    """Copy the stages that a finished run has in common with this one; the seconds that it took to train them."""
    folder = Path(planned.config["run_dir"])
    if (folder / "checkpoints").exists():
        return 0.0
    for other in others:
        source, common = Path(other.config["run_dir"]), stages_in_common(planned.config, other.config)
        if common and source != folder and (source / "scores.json").is_file():
            _copy_checkpoints(source / "checkpoints", folder / "checkpoints", common)
            return _read_training_s(source) * len(common) / len(other.config["stages"])
    return 0.0


def _copy_checkpoints(source: Path, target: Path, stages: Sequence[str]) -> None:
    """Copy whole stages or none: a copy that was interrupted lies under another name, and is deleted by the next."""
    partial = target.with_name("checkpoints.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for stage in stages:
        shutil.copytree(source / stage, partial / stage)
    partial.rename(target)


def _write_training_s(folder: Path, seconds: float) -> None:
    write_whole(folder / "training_s.json", json.dumps(round(seconds, 1)).encode())


def _read_training_s(folder: Path) -> float:
    """Seconds of training, including figures and scores of its own events; NaN for a run made outside a study."""
    path = folder / "training_s.json"
    return float(json.loads(path.read_text())) if path.is_file() else float("nan")
