"""A whole study: its cells as jobs of an executor, gathered in a table and figures."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.plots.benchmark import standings
from jaxloc.plots.scores import coverage_curve
from jaxloc.plots.study import NOMINAL, write_pictures
from jaxloc.runs.executors import run_jobs
from jaxloc.studies import benchmark_table, job, shift_table, table
from jaxloc.studies.grid import Cell, Planned, cells, checked, plan
from jaxloc.training.run_folder import locked

Say = Callable[[str], None]


def run_study(study: Mapping[str, Any], executor: Executor, say: Say = print) -> Path:
    """Run the cells that `only` selects and that are not finished; returns the study's folder.

    The table and the figures show all finished cells of the study, whichever part of it was run. A cell that fails is
    listed below the table with the reason, and does not stop the others.

    Args:
        study: configuration (`jaxloc.runs.config.load_study`).
        executor: runs the cells (`jaxloc.runs.executors.executor_of`).
        say: takes a line of progress at a time.

    Raises:
        ValueError: for wrong configurations, where another process runs the study in its folder, or where every
            selected cell failed; lists the reasons.
    """
    folder = Path(study["folder"])
    selected, evaluation = cells(study), checked(study["evaluation"])
    planned = plan({**study, "only": {"networks": [], "methods": []}})
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, "folder"):
        _run_cells(study, executor, say, selected, planned, evaluation)
    return folder


def _run_cells(
    study: Mapping[str, Any],
    executor: Executor,
    say: Say,
    selected: Sequence[Cell],
    planned: Sequence[Planned],
    evaluation: Mapping[str, Any],
) -> None:
    folder = Path(study["folder"])
    write_whole(folder / "study.json", json.dumps(study, indent=1).encode())
    done = _finished(planned, evaluation)
    waiting = [each for each in planned if each.cell in selected and each.cell not in done]
    say(f"{len(selected)} runs, {len(selected) - len(waiting)} of them finished before")
    failed: dict[str, str] = {}
    for number, (each, outcome) in enumerate(run_jobs(executor, job.run_cell, waiting, planned, evaluation), 1):
        if isinstance(outcome, Exception):
            failed[_name(each)] = _reason(outcome)
        say(f"{number} of {len(waiting)}: {_name(each)}: {_progress(outcome)}")
        gather(folder, list(_finished(planned, evaluation).values()), failed, study["networks"])
    done = _finished(planned, evaluation)
    if done.keys().isdisjoint(selected):
        reasons = "; ".join(sorted(set(failed.values())))
        raise ValueError(f"every run of the study failed: {reasons}; use the same command again to continue")
    gather(folder, list(done.values()), failed, study["networks"])


def _finished(planned: Sequence[Planned], evaluation: Mapping[str, Any]) -> dict[Cell, dict[str, Any]]:
    """Records of finished cells, in the order of the plan, from disk: workers write them."""
    return {each.cell: found for each in planned if (found := job.finished(each, evaluation)) is not None}


def _progress(outcome: Mapping[str, Any] | Exception) -> str:
    if isinstance(outcome, Exception):
        return f"failed: {_reason(outcome)}"
    return f"{outcome['training_s']:.0f} s of training"


def _reason(error: Exception) -> str:
    """The kind of an error and its message, on one line."""
    return ": ".join([type(error).__name__, *filter(None, [" ".join(str(error).split())])])


def gather(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    failed: Mapping[str, str],
    networks: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Write table.csv, table.md and figures; of shifted conditions shifts.md, of published figures networks.md.

    Args:
        folder: of the study.
        records: of the finished cells; without any, nothing is written.
        failed: reasons by the names of cells.
        networks: of the study's configuration.
    """
    if not records:
        return
    rows = table.rows_of(records)
    table.write_csv(folder / "table.csv", rows)
    text = table.markdown(rows)
    if failed:
        text += "\nFailed:\n\n" + "".join(f"- {name}: {reason}\n" for name, reason in failed.items())
    write_whole(folder / "table.md", text.encode())
    if any(row["condition"] != NOMINAL for row in rows):
        write_whole(folder / "shifts.md", shift_table.markdown(rows).encode())
    if benchmark_table.published(networks):
        write_whole(folder / "networks.md", benchmark_table.markdown(records, networks).encode())
        standings(folder / "networks.png", benchmark_table.standings(records))
    write_pictures(folder, table.over_seeds(rows), _levels(records))
    others = dict.fromkeys(name for record in records for name in record["conditions"] if name != NOMINAL)
    _write_reliability(folder, {NOMINAL: _levels(records)} | {name: _levels(records, name) for name in others})


def _write_reliability(folder: Path, by_condition: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Reliability in and out of distribution, a figure for each network and method that has several conditions."""
    for network, methods in by_condition[NOMINAL].items():
        for method in methods:
            there = {
                condition: levels[network][method]
                for condition, levels in by_condition.items()
                if method in levels.get(network, {})
            }
            if len(there) > 1:
                path = folder / f"reliability_{network}_{method}.png"
                coverage_curve(path, there, f"{network} {method}: reliability in and out of distribution")


def _levels(
    records: Sequence[Mapping[str, Any]], condition: str = NOMINAL
) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Credible levels of the truth of a condition's events, by network and method, at the largest training set."""
    largest: dict[str, int] = {}
    for record in records:
        own = record["cell"]
        largest[own["network"]] = max(largest.get(own["network"], 0), own["size"] or 0)
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for record in records:
        own = record["cell"]
        if (own["size"] or 0) == largest[own["network"]] and condition in record["conditions"]:
            levels = found.setdefault(own["network"], {}).setdefault(own["method"], {})
            for name, values in record["conditions"][condition]["raw"]["levels"].items():
                known = np.array(values, float)
                levels[name] = np.concatenate([levels.get(name, known[:0]), known])
    return found


def _name(planned: Planned) -> str:
    own = planned.cell
    return f"{own.network} {own.method}, seed {own.seed}" + ("" if own.size is None else f", {own.size} events")
