"""How an adapted model improves with events: python -m jaxloc.studies.learning_curve EVENTS --velocity MODEL.

Physics alone against physics and weights (`jaxloc.runs.adapt`): by the number of training events, scored on a split of
its own; and by blocks in space (clusters of 5 km) and in time, each scored by a model that was adapted without it. Each
part is a job of its own with a folder of its own, and finished ones stay: `--only` runs some of them, the same command
again the rest. The table and the picture have what is finished.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxloc import prng
from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Dataset
from jaxloc.data.selection import by_time, concatenated, of_events
from jaxloc.io.velocity_model import velocity_file
from jaxloc.models.pretrained import read_pretrained
from jaxloc.plots.study import NOMINAL, learning_curves
from jaxloc.runs import predict
from jaxloc.runs.adapt import adapt, write_adapted
from jaxloc.runs.adapt_weights import Tuning
from jaxloc.runs.executors import executor_of, run_jobs, workers_of
from jaxloc.runs.inputs import open_input
from jaxloc.runs.load import load
from jaxloc.runs.shipped import weights_of
from jaxloc.runs.transfer import trained_for
from jaxloc.scores.markdown import markdown_table
from jaxloc.scores.score_card import score_card
from jaxloc.studies.command import run_as_command
from jaxloc.studies.crossvalidation import plain_scores
from jaxloc.studies.crossvalidation_table import SCORES, joined
from jaxloc.studies.folds import facts_of, folds_of
from jaxloc.studies.table import Row, value_of, write_csv

CURVE, BLOCKS = "curve", ("space", "time")
VARIANTS: Mapping[str, Tuning | None] = {"physics": None, "weights": Tuning()}
RECORD, OWN, DRAWS, BLOCK_KM = "record.json", "locator", 1000, 5.0
SHOWN = {
    "scored on": "scheme",
    "adapted": "method",
    "training events": "size",
    "events": "events",
    "epicentre, median (km)": "epicentre_median_km",
    "mean": "epicentre_mean_km",
    "depth, MAE (km)": "depth_mae_km",
    "energy (km)": "energy_km",
    "90 % epicentre": "epicentre_90",
    "90 % hypocentre": "hypocentre_90",
    "rank correlation": "rank_correlation",
}


class Source(NamedTuple):
    """Where events and model come from: a SeisBench folder, its splits to train and score on, weights, velocities."""

    events: Path
    splits: tuple[str, str]
    weights: Path
    velocity: dict[str, Any] | None
    folder: Path


class Job(NamedTuple):
    """One adaptation: `number` is that of its events in a learning curve, else that of the fold."""

    scheme: str
    number: int
    variant: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.scheme}_{self.number}_{self.variant}"


def opened(source: Source) -> tuple[Dataset, Dataset]:
    """The events to train on and those to score on, as the weights want them."""
    config, fitted = load(source.weights)
    train, test = (open_input(fitted, config, [source.events], None, None, split) for split in source.splits)
    return train, test


def jobs_of(train: Dataset, test: Dataset, sizes: Sequence[int], number_folds: int) -> list[Job]:
    """All jobs: for each size the latest events of the training split, and folds of both splits by space and time.

    Raises:
        ValueError: for a size that there is not, or where events cannot be divided so.
    """
    order, every = by_time(train), _ids(test, range(len(test)))
    if wrong := [size for size in sizes if not 0 < size <= len(train)]:
        raise ValueError(f"sizes must be within 1-{len(train)}, the number of training events, got {wrong[0]}")
    parts = [(CURVE, size, _ids(train, np.sort(order[-size:])), every) for size in sizes]
    if number_folds:
        parts += _folds(concatenated(train, test), number_folds)
    return [Job(*part[:2], variant, *part[2:]) for part in parts for variant in VARIANTS]


def _folds(whole: Dataset, number: int) -> list[tuple[str, int, tuple[str, ...], tuple[str, ...]]]:
    """Scheme, number, and ids of the events to train on and to score on, of each fold."""
    settings = {"dev_share": 0.2, "space_blocks": "clusters", "space_km": BLOCK_KM}
    settings |= {f"{scheme}_folds": number for scheme in BLOCKS}
    facts, parts = facts_of(whole), []
    for scheme in BLOCKS:
        for i, fold in enumerate(folds_of(scheme, facts, settings)):
            learnt = np.concatenate([fold.train, fold.dev])  # adaptation holds out blocks of its own
            parts.append((scheme, i, _ids(whole, np.sort(learnt)), _ids(whole, fold.test)))
    return parts


def _ids(dataset: Dataset, index: Sequence[int] | np.ndarray) -> tuple[str, ...]:
    return tuple(dataset.events[i].id for i in index)


def run_job(job: Job, source: Source) -> dict[str, Any]:
    """Adapt a model in the folder of a job, score it, and write the record of it."""
    folder, began = source.folder / job.name, time.monotonic()
    whole = concatenated(*opened(source))
    train, test = of_events(whole, job.train), of_events(whole, job.test)
    found, tuning = read_pretrained(source.weights), VARIANTS[job.variant]
    fitted = adapt(found, train, source.velocity, lambda line: print(f"{job.name}: {line}", flush=True), tuning, folder)
    seconds = time.monotonic() - began
    write_adapted(folder, fitted, {"events": len(train)})
    located = predict.of_known(predict.locate(trained_for(fitted, test, None), test))
    scores = plain_scores(located.posterior, located, {"draws": DRAWS})
    number = len(located.batch.observations.station_mask)
    record = {**job._asdict(), "adapting_s": round(seconds, 1), "nearest_km": [None] * number, "scores": {OWN: scores}}
    write_whole(folder / RECORD, json.dumps(record).encode())
    return record


def finished(job: Job, folder: Path) -> dict[str, Any] | None:
    """The record of a job with the same events; None where there is none."""
    path = folder / job.name / RECORD
    record = json.loads(path.read_text()) if path.is_file() else None
    same = record is not None and (record["train"], record["test"]) == (list(job.train), list(job.test))
    return record if same else None


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each size of a learning curve, and one for all folds of a scheme, by variant."""
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for record in records:
        size = record["number"] if record["scheme"] == CURVE else None
        groups.setdefault((record["scheme"], size, record["variant"]), []).append(record)
    rows = []
    for (scheme, size, variant), members in groups.items():
        card = score_card(prng.stream("scores"), joined(members, OWN))
        row: Row = {"scheme": scheme, "size": size, "network": "adapted", "method": variant, "condition": NOMINAL}
        row |= {"posterior": "raw", "folds": len(members), "events": card["epicentre"]["number"]}
        rows.append(row | {name: value_of(card, path) for name, path in SCORES.items()})
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown; what is not known is left blank."""
    blank = lambda value: value is None or (isinstance(value, float) and np.isnan(value))
    plain = lambda value: "" if blank(value) else f"{value:.3g}" if isinstance(value, float) else str(value)
    return markdown_table(list(SHOWN), [[plain(row[name]) for name in SHOWN.values()] for row in rows]) + "\n"


def gather(folder: Path, jobs: Sequence[Job]) -> list[Row]:
    """Write table.csv, table.md and learning.png of all finished jobs."""
    rows = rows_of([record for job in jobs if (record := finished(job, folder)) is not None])
    if rows:
        write_csv(folder / "table.csv", rows, list(rows[0]))
        write_whole(folder / "table.md", markdown(rows).encode())
    if curve := [row for row in rows if row["scheme"] == CURVE]:
        learning_curves(folder / "learning.png", curve)
    return rows


def parsed_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="errors of adapted models by the number of events, and by blocks")
    parser.add_argument("events", type=Path, help="SeisBench folder of labelled events")
    parser.add_argument("--model", type=Path, default=Path("anywhere"), help="name or file of weights")
    parser.add_argument("--velocity", type=Path, help="velocity model, CSV: depth_km,vp_km_s,vs_km_s")
    parser.add_argument("--splits", nargs=2, default=("train", "dev"), help="to train and to score on")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10, 30, 100, 200], help="numbers of training events")
    parser.add_argument("--folds", type=int, default=2, help="in space, and in time; 0: none (default: 2)")
    parser.add_argument("--only", nargs="+", metavar="JOB", help="run these jobs alone, such as curve_30_weights")
    parser.add_argument("--list", action="store_true", help="list the jobs and end")
    parser.add_argument("--workers", default="1", help="processes at a time, or the address of a Dask scheduler")
    parser.add_argument("--output", type=Path, default=Path("learning_curve"), help="folder for models and the table")
    return parser.parse_args()


def main() -> None:
    """The command line of this module."""
    parsed = parsed_arguments()
    weights = weights_of(parsed.model)
    if weights is None:
        raise SystemExit(f"--model must be a file of weights or the name of a model, got {parsed.model}")
    velocity = velocity_file(parsed.velocity)
    layers = None if velocity is None else velocity.settings()
    source = Source(parsed.events, tuple(parsed.splits), weights, layers, parsed.output)
    jobs = jobs_of(*opened(source), parsed.sizes, parsed.folds)
    if unknown := sorted(set(parsed.only or ()) - {job.name for job in jobs}):
        raise SystemExit(f"no such job: {unknown[0]}; there are {', '.join(job.name for job in jobs)}")
    if parsed.list:
        return print(*(job.name for job in jobs), sep="\n")
    chosen = [job for job in jobs if parsed.only is None or job.name in parsed.only]
    waiting = [job for job in chosen if finished(job, source.folder) is None]
    with executor_of(workers_of(parsed.workers)) as executor:
        for job, outcome in run_jobs(executor, run_job, waiting, source):
            print(f"{job.name}: {outcome if isinstance(outcome, Exception) else 'done'}", flush=True)
            gather(source.folder, jobs)
    print(markdown(gather(source.folder, jobs)))


if __name__ == "__main__":
    run_as_command(main)
