"""A whole study: its cells run side by side, in processes of their own, and gathered in a table and pictures."""

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.plots.benchmark import standings
from jaxloc.plots.study import ORDINARY, write_pictures
from jaxloc.studies import benchmark_table, job, table
from jaxloc.studies.grid import Cell, Planned, cells, plan

Say = Callable[[str], None]


def run_study(study: Mapping[str, Any], say: Say = print) -> Path:
    """Run what `only` leaves and is not there yet; returns the study's folder.

    The table and the pictures are of all that is there, whatever part of the study it was run for.

    Raises:
        ValueError: for wrong configurations, or where every cell failed; says why.
    """
    folder = Path(study["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    asked, judged = cells(study), study["judged"]
    whole = plan({**study, "only": {"networks": [], "methods": []}})
    write_whole(folder / "study.json", json.dumps(study, indent=1).encode())
    there = _finished(whole, judged)
    waiting = [each for each in whole if each.cell in asked and each.cell not in there]
    say(f"{len(asked)} runs, {len(asked) - len(waiting)} of them there already")
    failed: dict[str, str] = {}
    for number, (each, outcome) in enumerate(_side_by_side(waiting, whole, judged, int(study["processes"])), 1):
        if isinstance(outcome, str):
            failed[_name(each)] = outcome
        told = f"failed: {outcome}" if isinstance(outcome, str) else f"{outcome['training_s']:.0f} s of training"
        say(f"{number} of {len(waiting)}: {_name(each)}: {told}")
        gather(folder, list(_finished(whole, judged).values()), failed, study["networks"])
    there = _finished(whole, judged)
    if there.keys().isdisjoint(asked):
        raise ValueError(f"no run of the study came to its end: {'; '.join(sorted(set(failed.values())))}")
    gather(folder, list(there.values()), failed, study["networks"])
    return folder


def _finished(whole: Sequence[Planned], judged: Mapping[str, Any]) -> dict[Cell, dict[str, Any]]:
    """What is there, in the order of the plan; read anew each time, since parts may be run beside one another."""
    return {each.cell: found for each in whole if (found := job.finished(each, judged)) is not None}


def gather(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    failed: Mapping[str, str],
    networks: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """table.csv, table.md and the pictures of what is there; networks.md and its picture where papers have figures."""
    if not records:
        return
    rows = table.rows_of(records)
    table.write_csv(folder / "table.csv", rows)
    text = table.markdown(rows)
    if failed:
        text += "\nFailed:\n\n" + "".join(f"- {name}: {reason}\n" for name, reason in failed.items())
    write_whole(folder / "table.md", text.encode())
    if benchmark_table.published(networks):
        write_whole(folder / "networks.md", benchmark_table.markdown(records, networks).encode())
        standings(folder / "networks.png", benchmark_table.standings(records))
    write_pictures(folder, table.over_seeds(rows), _levels(records))


def _levels(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """By network and method: levels of all ordinary events judged, of the runs with most training events."""
    largest: dict[str, int] = {}
    for record in records:
        own = record["cell"]
        largest[own["network"]] = max(largest.get(own["network"], 0), own["size"] or 0)
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for record in records:
        own = record["cell"]
        if (own["size"] or 0) == largest[own["network"]]:
            levels = found.setdefault(own["network"], {}).setdefault(own["method"], {})
            for name, values in record["conditions"][ORDINARY]["stated"]["levels"].items():
                known = np.array(values, float)
                levels[name] = np.concatenate([levels.get(name, known[:0]), known])
    return found


def _side_by_side(
    waiting: Sequence[Planned], planned: Sequence[Planned], judged: Mapping[str, Any], processes: int
) -> Iterator[tuple[Planned, dict[str, Any] | str]]:
    """Cells with their records, or with the reason why there is none, as they end."""
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    # Processes are started anew: a forked one would inherit JAX's threads, and hang.
    context = multiprocessing.get_context("spawn")
    start = (context.Value("i", 0), processes, Path(planned[0].config["run_dir"]).parents[1] / "compiled")
    with ProcessPoolExecutor(processes, context, _start_process, start) as pool:
        running = {pool.submit(_outcome, each, list(planned), dict(judged)): each for each in waiting}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_process(counter: Any, processes: int, compiled: Path) -> None:
    """What one run has compiled is there for the others; most of a small run's time is compiling."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    jax.config.update("jax_compilation_cache_dir", str(compiled))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    _take_own_cores(counter, processes)


def _end_with_parent() -> None:
    """A study that was killed leaves no run behind that goes on with its old plan: it is gone on with by the next."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _take_own_cores(counter: Any, processes: int) -> None:
    """Share the cores out: two programs that each take all of them slow each other down."""
    if not hasattr(os, "sched_setaffinity"):
        return
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    cores = sorted(os.sched_getaffinity(0))
    own = cores[number % processes :: processes]
    if own:
        os.sched_setaffinity(0, own)


def _outcome(planned: Planned, others: list[Planned], judged: dict[str, Any]) -> dict[str, Any] | str:
    try:
        return job.run_cell(planned, others, judged)
    except (ValueError, FloatingPointError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def _name(planned: Planned) -> str:
    own = planned.cell
    return f"{own.network} {own.method}, seed {own.seed}" + ("" if own.size is None else f", {own.size} events")
