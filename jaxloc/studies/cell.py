"""One cell of a study: trained unless it is there already, then judged under every condition."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloc import alarm, calibration, experiment, reporting
from jaxloc.application import trained_for
from jaxloc.calibrating import calibrate_run
from jaxloc.calibration import Calibration
from jaxloc.data.files import write_whole
from jaxloc.experiment import Fitted, Located
from jaxloc.metrics import score_card, score_events
from jaxloc.studies.conditions import calibration_events, conditions
from jaxloc.studies.plan import Planned, stages_in_common
from jaxloc.study_plots import ORDINARY
from jaxloc.types import Label, Posterior

FILE = "judged.json"
RESAMPLES = 200  # of events, for intervals that the table does not show
FEW = 500  # events that the catalogue is judged by


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
        experiment.run(planned.config, folder, say=lambda line: None)
        _note_time(folder, time.monotonic() - began + shared_s)
    record = {
        "cell": planned.cell._asdict(),
        "judged": dict(judged),
        "training_s": _time_of(folder),
        **_judged(planned, judged),
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


def _judged(planned: Planned, judged: Mapping[str, Any]) -> dict[str, Any]:
    config, fitted = experiment.load(Path(planned.config["run_dir"]))
    data, seed = config["data"], int(config["seed"])
    _, learnt = calibrate_run(fitted, calibration_events(data, seed, judged))
    found: dict[str, Any] = {}
    ordinary: dict[str, np.ndarray] = {}
    for name, dataset in conditions(data, seed, judged, fitted.system.any_station):
        began = time.monotonic()
        located = experiment.locate(trained_for(fitted, dataset, None), dataset, with_features=True)
        seconds = (time.monotonic() - began) / len(dataset)
        strange = _strangeness(learnt, located)
        ordinary = ordinary or strange
        found[name] = {
            "locating_s": seconds,
            "auroc": {score: alarm.auroc(ordinary[score], values) for score, values in strange.items()},
            **_cards(learnt, located, int(judged["draws"])),
        }
        if name == ORDINARY:
            found[name] |= {"catalogue": _catalogue(fitted, located, int(judged["draws"]))}
    size = sum(x.size for x in jax.tree.leaves(experiment.draw_of(fitted)))
    return {"parameters": int(size), "map": learnt.map.kind, "conditions": found}


def _strangeness(learnt: Calibration, located: Located) -> dict[str, np.ndarray]:
    if learnt.ordinary is None or located.features is None:
        return {}
    return alarm.scores(learnt.ordinary, located.features, calibration.epistemic_share(located.posterior))


def _cards(learnt: Calibration, located: Located, num_draws: int) -> dict[str, Any]:
    """Score cards as stated and as calibrated, and levels for curves of coverage."""
    truth = located.batch.labels["hypocentre"]
    of = {"stated": located.posterior, "calibrated": experiment.as_calibrated(learnt, located).posterior}
    return {name: _card(posterior, truth, num_draws) for name, posterior in of.items()}


def _catalogue(fitted: Fitted, located: Located, num_draws: int) -> dict[str, Any]:
    """The score card of one who knows the training catalogue alone; of few events, for all have the same posterior."""
    truth = jax.tree.map(lambda x: x[:FEW], located.batch.labels["hypocentre"])
    return {"card": _card(reporting.baseline_of(fitted.blueprint, len(truth.mask)), truth, num_draws)["card"]}


def _card(posterior: Posterior, truth: Label, num_draws: int) -> dict[str, Any]:
    key = jax.random.key(reporting.SCORE_SEED)
    scores = score_events(key, posterior, truth, num_draws)
    levels = {f"{region}/level": np.round(scores[f"{region}/level"], 4).tolist() for region in calibration.DENSEST}
    return {"card": score_card(key, scores, RESAMPLES), "levels": levels}
