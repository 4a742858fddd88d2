"""What a model says under faults of stations, records and velocities: python -m jaxloc.studies.faults MODEL FOLDER.

Events of a SeisBench folder with known hypocentres are located as they are, and again with one fault at a time. A row
for each fault: errors, coverage, the share of events with a flag and without a location (`jaxloc.runs.flags`), whether
faulty stations are named, and how well the scores behind the flags tell faulty events from intact ones (AUROC). Writes
faults.md, and faults.json with the scores of each event, after every fault.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from jaxloc import prng
from jaxloc.atomic_write import write_whole
from jaxloc.data import faults
from jaxloc.data.dataset import Dataset
from jaxloc.data.selection import evenly, held
from jaxloc.io.velocity_model import VelocityFile, velocity_file
from jaxloc.physics.layered import mean_vp_vs, velocity_of
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.physics.velocity_error import velocity_error_of
from jaxloc.runs import report
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.flags import verdicts
from jaxloc.runs.inputs import open_input
from jaxloc.runs.load import load
from jaxloc.runs.new_events import searched
from jaxloc.runs.predict import locate
from jaxloc.runs.shift_windows import changed
from jaxloc.runs.station_flags import faulty_in_all, faulty_stations, largest_evidence, velocity_surprise
from jaxloc.runs.transfer import prepared, trained_for
from jaxloc.scores.auroc import auroc
from jaxloc.studies.command import run_as_command
from jaxloc.studies.table import Row, markdown_of, value_of
from jaxloc.studies.wrong_velocity import changed as changed_velocity
from jaxloc.studies.wrong_velocity import written

INTACT = "none"
SPEEDS = (0.8, 0.9, 0.95, 1.05, 1.1, 1.2)  # factors on the speeds of the velocity model
VP_VS = 0.1  # added to the ratio of speeds
SCORES = {
    "epicentre_median_km": "epicentre/error/median",
    "epicentre_mean_km": "epicentre/error/mean",
    "energy_km": "hypocentre/energy/mean",
    "epicentre_50": "epicentre/coverage/50",
    "epicentre_90": "epicentre/coverage/90",
    "hypocentre_50": "hypocentre/coverage/50",
    "hypocentre_90": "hypocentre/coverage/90",
}
FLAG_SCORES = ("evidence", "station", "velocity")
SHOWN = {
    "fault": "fault",
    "epicentre, median (km)": "epicentre_median_km",
    "mean": "epicentre_mean_km",
    "energy (km)": "energy_km",
    "epicentre 50 %": "epicentre_50",
    "90 %": "epicentre_90",
    "hypocentre 50 %": "hypocentre_50",
    "90 % ": "hypocentre_90",
    "flagged": "flagged",
    "refused": "refused",
    "right station named": "named",
    "wrong names an event": "wrong_names",
    "AUROC: evidence": "auroc_evidence",
    "stations": "auroc_station",
    "velocity": "auroc_velocity",
    "named by all events": "named_in_all",
}


class Condition(NamedTuple):
    """Events with a fault, a model that is ready for them, and which stations are at fault (None: no single ones)."""

    name: str
    dataset: Dataset
    fitted: Fitted
    faulty: Bool[np.ndarray, "event station"] | None = None


def evaluate_faults(
    config: Mapping[str, Any],
    fitted: Fitted,
    dataset: Dataset,
    velocity: VelocityFile | None,
    folder: Path,
    only: Sequence[str] = (),
) -> list[Row]:
    """A row for each fault; writes faults.md and faults.json into a folder.

    Args:
        config: of the model.
        fitted: the model, as it was loaded.
        dataset: events with known hypocentres.
        velocity: the velocity model taken as right; None: that of the model.
        folder: for the results, made if missing.
        only: names of faults, all of them if empty; intact events always are located.

    Raises:
        ValueError: where no hypocentre is known, the model reads no arrivals, or there is no such fault.
    """
    if fitted.model.search is None:
        raise ValueError(f"the model {fitted.spec.settings['name']} reads no arrivals; faults are found in arrivals")
    if not np.asarray(dataset.take(np.arange(1)).labels["hypocentre"].mask)[:, :3].all():
        raise ValueError(f"{dataset.name} has no known hypocentres; labelled events are needed")
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    intact: Mapping[str, list] = {}
    found = list(conditions(fitted, dataset, velocity, folder))
    if unknown := set(only) - {each.name for each in found}:
        raise ValueError(f"no such fault: {sorted(unknown)}; use some of {[each.name for each in found]}")
    for each in found:
        if only and each.name not in (INTACT, *only):
            continue
        row = row_of(each, config)
        intact = intact or row["each"]
        row |= {f"auroc_{name}": auroc_of(intact, row["each"], name) for name in FLAG_SCORES}
        rows.append(row)
        write_whole(folder / "faults.json", json.dumps(rows, indent=1).encode())
        write_whole(folder / "faults.md", (markdown(rows) + "\n").encode())
    return rows


def conditions(fitted: Fitted, dataset: Dataset, velocity: VelocityFile | None, folder: Path) -> Iterator[Condition]:
    """Intact events, faults of stations and of records, then velocity models that are wrong."""
    right = prepared(trained_for(fitted, dataset, velocity), dataset)
    yield Condition(INTACT, dataset, right, np.zeros((len(dataset), len(dataset.stations)), bool))
    key, same = prng.stream("faults"), prng.stream("faults", 1)
    batch = dataset.take(np.arange(len(dataset)))
    for i, (name, (change, _)) in enumerate(faults.AT_STATIONS.items()):
        own = jax.random.fold_in(key, i)
        keys = jax.vmap(partial(jax.random.fold_in, own))(jnp.arange(len(dataset)))  # as `changed` has them
        faulty = jax.vmap(partial(faults.faulty_rows, fault=name))(keys, batch)
        yield Condition(name, changed(own, dataset, change), right, np.asarray(faulty) > 0)
    faulty = jax.vmap(lambda event: faults.faulty_rows(same, event, "clock"))(batch)
    of_all = changed(key, dataset, lambda _, event: faults.clock_off(same, event))
    yield Condition("clock, in all events", of_all, right, np.asarray(faulty) > 0)
    for i, (name, change) in enumerate(faults.OF_RECORDS.items()):
        yield Condition(name, changed(jax.random.fold_in(key, 100 + i), dataset, change), right)
    for name, file in wrong_models(right, folder).items():
        yield Condition(name, dataset, prepared(trained_for(fitted, dataset, file), dataset))


def wrong_models(right: Fitted, folder: Path) -> dict[str, VelocityFile]:
    """Files of wrong velocity models by name, of the same uncertainty as the right one."""
    model, error = velocity_of(right.spec.velocity), velocity_error_of(right.spec.velocity)
    models = {
        f"speeds {abs(factor - 1):.0%} too {'high' if factor > 1 else 'low'}".replace("%", " %"): (factor, None)
        for factor in SPEEDS
    }
    models |= {f"Vp/Vs {VP_VS:g} too high": (1.0, mean_vp_vs(model) + VP_VS)}
    found = {}
    for name, (factor, ratio) in models.items():
        path = written(folder, name, changed_velocity(model, factor, ratio))
        file = velocity_file(path, *((0.0, 0.0) if error is None else error), "layers")
        assert file is not None
        found[name] = file
    return found


def row_of(condition: Condition, config: Mapping[str, Any]) -> Row:
    """Scores of one condition, and under "each" what is told of each event."""
    _, dataset, fitted, faulty = condition
    located = locate(fitted, dataset, with_checks=True)
    decided = verdicts(located, searched(fitted, dataset, config))
    check = located.check
    assert check is not None
    each = [jax.tree.map(lambda x, i=i: x[i], check) for i in range(len(dataset))]
    cards, scores = report.score({"own": located.posterior}, located.batch.labels["hypocentre"])
    row: Row = {"fault": condition.name, "events": len(dataset)}
    if condition.name not in faults.WITHOUT_EVENT:
        row |= {name: value_of(cards["own"], path) for name, path in SCORES.items()}
    refused = np.array([bool(verdict.refused) for verdict in decided])
    flagged = np.array([bool(verdict.flags) for verdict in decided]) & ~refused
    row |= {"flagged": float(flagged.mean()), "refused": float(refused.mean())}
    row |= {} if faulty is None else _names(each, faulty, refused)
    found = [] if check.faults is None else faulty_in_all(check.faults, ~refused)
    row["named_in_all"] = " ".join(dataset.stations[fault.row].code for fault in found) or None
    about = {name: [score[name] for score in map(flag_scores, each)] for name in FLAG_SCORES}
    errors = {name: np.asarray(scores["own"][f"{name}/error"]).tolist() for name in ("epicentre", "depth")}
    return row | {"each": about | errors | {"told": [verdict.told for verdict in decided]}}


def flag_scores(check: ArrivalCheck) -> dict[str, float]:
    """The scores behind the flags of one event; each is larger where something is wrong.

    `evidence` is the log-evidence of an event for each active station, negative, `station` that of the likeliest fault
    of a station, `velocity` the chi-square of errors of the velocity model.
    """
    number = max(int((np.asarray(check.active) > 0).sum()), 1)
    assert check.faults is not None
    return {
        "evidence": -float(check.log_evidence) / number,
        "station": largest_evidence(check.faults),
        "velocity": velocity_surprise(check),
    }


def _names(
    checks: Sequence[ArrivalCheck], faulty: Bool[np.ndarray, "event station"], refused: Bool[np.ndarray, " event"]
) -> Row:
    """The share of events whose faulty stations are all named, and the number of others that are, by event."""
    right, wrong = [], []
    for check, truth, no_event in zip(checks, faulty, refused, strict=True):
        found = [] if no_event or check.faults is None else faulty_stations(check.faults)
        named = np.zeros_like(truth)
        named[[row for fault in found for row in (fault.row, fault.partner) if row >= 0]] = True
        right.append(bool(named[truth].all()))
        wrong.append(int((named & ~truth).sum()))
    return {"named": float(np.mean(right)) if faulty.any() else None, "wrong_names": float(np.mean(wrong))}


def auroc_of(intact: Mapping[str, Sequence[float]], faulty: Mapping[str, Sequence[float]], name: str) -> float:
    """How well a score tells faulty events from intact ones; values that are not finite are left out."""
    finite = lambda values: np.asarray(values, float)[np.isfinite(np.asarray(values, float))]
    first, second = finite(intact[name]), finite(faulty[name])
    return auroc(first, second) if len(first) and len(second) else float("nan")


def markdown(rows: Sequence[Row]) -> str:
    """The table of the study; scores that a fault does not have are a dash."""
    return markdown_of([{name: row.get(name) for name in SHOWN.values()} for row in rows], SHOWN)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="scores and flags under faults of stations, records and velocities")
    parser.add_argument("model", type=Path, help="a run, a file of weights, or anywhere")
    parser.add_argument("folder", type=Path, help="SeisBench folder of labelled events")
    parser.add_argument("--split", help="events of this split alone")
    parser.add_argument("--velocity", type=Path, help="velocity model of the region (default: that of the model)")
    parser.add_argument("--events", type=int, help="number of events, evenly chosen (default: all)")
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT", help="these faults alone, by their names")
    parser.add_argument("--output", type=Path, default=Path("faults"), help="folder for the results (default: faults)")
    return parser.parse_args()


def main() -> None:
    """The command line of this module."""
    parsed = arguments()
    config, fitted = load(parsed.model)
    dataset = open_input(fitted, config, [parsed.folder], None, None, parsed.split)
    dataset = held(evenly(dataset, parsed.events or len(dataset)))
    velocity = velocity_file(parsed.velocity)
    print(markdown(evaluate_faults(config, fitted, dataset, velocity, parsed.output, parsed.only)))


if __name__ == "__main__":
    run_as_command(main)
