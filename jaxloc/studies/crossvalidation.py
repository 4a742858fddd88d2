"""Cross-validation of an experiment on its own labelled events, by blocks in space, in time and by network.

Each fold is a run of its own in a subfolder: trained without the left-out events, its checkpoint chosen by blocks of
its training part, and scored on the left-out events beside climatology and, where events have picks, grid search. Folds
at random give the in-distribution figures. Finished folds stay: the same command continues.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxloc import locators, prng
from jaxloc.atomic_write import write_whole
from jaxloc.data.blocks import nearest_km
from jaxloc.data.dataset import Dataset
from jaxloc.plots.scores import coverage_curve
from jaxloc.runs import predict, report, train
from jaxloc.runs.datasets import events_left_out, labelled_events
from jaxloc.runs.executors import run_jobs
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.load import load
from jaxloc.runs.located import Located
from jaxloc.runs.transfer import trained_for
from jaxloc.runs.weight_free import setup_of
from jaxloc.scores.events import score_events
from jaxloc.studies import crossvalidation_table as tables
from jaxloc.studies.folds import Planned, facts_of, plan
from jaxloc.training.run_folder import locked
from jaxloc.types import Posterior

FILE, FOLDER = "fold.json", "crossvalidation"
REGIONS = ("depth", "origin", "epicentre", "hypocentre")
CLASSICAL, CLIMATOLOGY, OWN = "grid_search", "climatology", "locator"
FEWEST_PICKS = 4  # of an event that is located by its picks
Say = Callable[[str], None]
Record = dict[str, Any]


def crossvalidate(config: Mapping[str, Any], executor: Executor, say: Say = print) -> Path:
    """Run the folds of an experiment that are not finished, and write table.csv, table.md and pictures.

    Args:
        config: of an experiment with a network; `evaluation` has the numbers of folds, the folder is
            `run_dir`/crossvalidation.
        executor: runs the folds (`jaxloc.runs.executors.executor_of`).
        say: takes a line of progress at a time.

    Raises:
        ValueError: for an experiment that trains no locator, where no fold can be made, another process works in the
            folder, or every fold failed; lists the reasons.
    """
    if "evaluation" not in config:
        raise ValueError(f"{config['name']} trains no locator of earthquakes; use an experiment with a network")
    folder = Path(config["run_dir"]) / FOLDER
    whole = labelled_events(config["data"], int(config["seed"]))
    planned, without = plan({**config, "run_dir": str(folder)}, facts_of(whole))
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, "run_dir"):
        for scheme, reason in without.items():
            say(f"no folds by {scheme}: {reason}")
        _run_folds(folder, planned, executor, say)
    return folder


def _run_folds(folder: Path, planned: Sequence[Planned], executor: Executor, say: Say) -> None:
    waiting = [each for each in planned if finished(each) is None]
    say(f"{len(planned)} folds, {len(planned) - len(waiting)} of them finished before")
    failed: dict[str, str] = {}
    for count, (each, outcome) in enumerate(run_jobs(executor, run_fold, waiting), 1):
        name = f"{each.scheme} {each.number}"
        if isinstance(outcome, Exception):
            text = failed[name] = f"{type(outcome).__name__}: {' '.join(str(outcome).split())}"
        else:
            text = tables.progress(outcome)
        say(f"{count} of {len(waiting)}: {name}: {text}")
        gather(folder, planned, failed)
    if len(failed) == len(planned):
        raise ValueError(f"every fold failed: {'; '.join(sorted(set(failed.values())))}")
    gather(folder, planned, failed)


def finished(planned: Planned) -> Record | None:
    """The record of a fold that was run and evaluated with the same settings before; None where there is none."""
    path = Path(planned.config["run_dir"]) / FILE
    if not path.is_file():
        return None
    record = json.loads(path.read_text())
    return record if record["evaluation"] == _settings(planned) else None


def _settings(planned: Planned) -> dict[str, Any]:
    return {name: planned.config["evaluation"][name] for name in ("draws", "classical")}


def run_fold(planned: Planned) -> Record:
    """Train one fold in its folder, from its last checkpoint, and score it on the events that were left out.

    Raises:
        ValueError, FloatingPointError, OSError: as `jaxloc.runs.train.run`.
    """
    folder = Path(planned.config["run_dir"])
    train.run(planned.config, folder, say=lambda line: None)
    config, fitted = load(folder)
    test = events_left_out(config["data"], int(config["seed"]))
    located = predict.of_known(predict.locate(trained_for(fitted, test, None), test))
    record = {"scheme": planned.scheme, "number": planned.number, "evaluation": _settings(planned)}
    record |= _scored(fitted, test, located, planned.config["evaluation"])
    write_whole(folder / FILE, json.dumps(record).encode())
    return record


def _scored(fitted: Fitted, test: Dataset, located: Located, evaluation: Mapping[str, Any]) -> Record:
    """Scores of every event by each locator, and distances to the nearest training event."""
    catalogue, truth = fitted.spec.catalogue, located.batch.labels["hypocentre"]
    placed, known = np.asarray(truth.value)[:, :2], np.asarray(np.asarray(truth.mask)[:, :2].all(-1))
    trained = np.asarray(catalogue.known)[:, :2].all(-1)
    far = nearest_km(placed, np.asarray(catalogue.hypocentres)[trained, :2])
    posteriors = {OWN: located.posterior, CLIMATOLOGY: report.baseline_of(fitted.spec, len(known))}
    scores = {name: plain_scores(posterior, located, evaluation) for name, posterior in posteriors.items()}
    if (picked := _by_picks(fitted, test, evaluation)) is not None:
        scores[CLASSICAL] = plain_scores(picked.posterior, picked, evaluation, _enough_picks(picked))
    return {
        "training_events": int(trained.sum()),
        "nearest_km": _rounded(np.where(known, far, np.nan)),
        "scores": scores,
    }


def _by_picks(fitted: Fitted, test: Dataset, evaluation: Mapping[str, Any]) -> Located | None:
    """The events by grid search with the experiment's velocity model; None where no event has enough picks."""
    seen = test.take(np.arange(1)).observations
    if seen.picks_s is None or seen.pick_sigma_s is None:
        return None
    locator = locators.build(CLASSICAL, setup_of(fitted.spec, test), dict(evaluation["classical"]))
    located = predict.of_known(predict.locate_by(prng.stream("baselines"), locator, test))
    return located if _enough_picks(located).any() else None


def _enough_picks(located: Located) -> Bool[np.ndarray, " event"]:
    seen = located.batch.observations
    return (np.asarray(seen.pick_mask) & np.asarray(seen.station_mask)[..., None]).sum((1, 2)) >= FEWEST_PICKS


def plain_scores(
    posterior: Posterior, located: Located, evaluation: Mapping[str, Any], use: Bool[np.ndarray, " event"] | None = None
) -> dict[str, list[float | None]]:
    """Scores of events as JSON takes them; those of events that are not used are unknown."""
    truth = located.batch.labels["hypocentre"]
    if use is not None:
        truth = truth._replace(mask=np.asarray(truth.mask) & use[:, None])
    scores = score_events(prng.stream("scores"), posterior, truth, int(evaluation["draws"]))
    return {name: _rounded(np.asarray(x)) for name, x in scores.items() if name.partition("/")[0] in REGIONS}


def _rounded(values: Float[np.ndarray, " event"]) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in np.asarray(values, float)]


def gather(folder: Path, planned: Sequence[Planned], failed: Mapping[str, str]) -> None:
    """Write the table and the figures of all finished folds; reasons of failed folds are listed below the table."""
    records = [record for each in planned if (record := finished(each)) is not None]
    if not records:
        return
    tables.write(folder, tables.rows_of(records), failed)
    name = str(planned[0].config["name"]).rsplit(" ", 1)[0]
    coverage_curve(folder / "reliability.png", tables.levels_of(records), f"{name}: reliability on left-out events")
