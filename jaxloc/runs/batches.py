"""Thousands of new events in batches: each is located by itself and kept on disk, so that a stopped run continues.

A batch is a fixed range of the events in their order: what is located in it does not depend on the other ones, on the
number of processes, or on interruptions. Memory is that of a batch.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.calibration.calibration import Calibration
from jaxloc.calibration.storage import read_calibration
from jaxloc.data.dataset import Dataset
from jaxloc.data.selection import select
from jaxloc.io.catalogue import Hypocentre, Pick, StationMagnitude, Truth
from jaxloc.io.sliding import one_each
from jaxloc.io.velocity_model import velocity_file
from jaxloc.runs import arrival_picks, new_events, report
from jaxloc.runs.executors import run_jobs
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.inputs import open_input, slid_over
from jaxloc.runs.load import load
from jaxloc.runs.magnitudes import Wanted, wanted, with_magnitudes
from jaxloc.runs.outcomes import Part
from jaxloc.runs.transfer import prepared, told_by_default, trained_for
from jaxloc.training.log import Say

FOLDER, SIZE = "batches", 256  # of the parts, and events in each
CONTINUES = "the same command continues with the batches that are not located"
Silent = lambda line: None


class Request(NamedTuple):
    """What is to be located by a trained run, and how: the options of `jaxloc locate`."""

    run: Path
    input: tuple[Path, ...]
    stations: Path | None = None
    windows: Path | None = None
    split: str | None = None
    only_events: tuple[str, ...] = ()
    slide: float | None = None
    velocity: Path | None = None
    velocity_error: float | None = None
    vp_vs_error: float | None = None
    velocity_form: str | None = None
    region: str | None = None
    depth_km: tuple[float, float] | None = None
    all: bool = False
    raw: bool = False
    pictures: bool = False
    magnitude: str | None = None


class Opened(NamedTuple):
    """A run ready for the events of a request; `by_default` names velocities that are not given."""

    config: Any
    fitted: Fitted
    dataset: Dataset
    calibration: Calibration | None
    choices: dict[str, Any]
    by_default: str = ""
    magnitudes: Wanted | None = None


def opened(request: Request, say: Say = Silent) -> Opened:
    """The run and the events of a request; `say` receives lines about calibration and windows.

    Raises:
        ValueError: where an input is missing or wrong, or ids of events are not unique; names it.
    """
    config, fitted = load(request.run)
    calibration = None if request.raw else read_calibration(request.run)
    if calibration is not None:
        say(report.calibrated_line(calibration))
    given = (list(request.input), request.stations, request.windows, request.split)
    overlap = {} if request.slide is None else {"overlap": request.slide}
    dataset = open_input(fitted, config, *given, **overlap, say=say, events=request.only_events)
    new_events.refuse_duplicates(dataset)
    velocity = velocity_file(request.velocity, request.velocity_error, request.vp_vs_error, request.velocity_form)
    by_default = told_by_default(fitted, dataset, velocity)
    fitted = prepared(trained_for(fitted, dataset, velocity), dataset, request.region, request.depth_km)
    slid = slid_over(list(request.input), request.windows, dataset)
    widen = request.region is None and request.depth_km is None
    choices = {"overlapping": slid, "widen": widen, "every": request.all}
    measured = wanted(request.input, request.stations, request.magnitude)
    return Opened(config, fitted, dataset, calibration, choices, by_default, measured)


def located_in_batches(
    request: Request,
    ready: Opened,
    output: Path,
    executor: Executor | None,
    say: Say,
    on_event: Callable[[int], None] = lambda done: None,
    size: int = SIZE,
) -> Part:
    """All events of a request, from the batches that are located now and those that were before.

    Args:
        request: what is located.
        ready: `opened` of it.
        output: folder of the results; batches are kept in `batches` within it.
        executor: runs the batches (`jaxloc.runs.executors.executor_of`); None: this process.
        say: takes one line for the user.
        on_event: receives the number of events done so far.
        size: events of a batch.

    Raises:
        ValueError: for a size below one, or where a batch failed; names it and the reason.
        KeyboardInterrupt: where it was interrupted; says how to go on.
    """
    if size < 1:
        raise ValueError(f"a batch must have at least 1 event, got {size}")
    rows = [np.arange(at, min(at + size, len(ready.dataset))) for at in range(0, len(ready.dataset), size)]
    folder = output / FOLDER / _digest(request, len(ready.dataset), size)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [Job(number, tuple(each.tolist()), _path(folder, number), output) for number, each in enumerate(rows)]
    waiting = [job for job in jobs if not job.path.is_file()]
    if len(waiting) < len(jobs):
        say(f"{len(jobs) - len(waiting)} of {len(jobs)} batches were located before and are kept")
    done = len(ready.dataset) - sum(len(job.rows) for job in waiting)
    for job, outcome in _run(executor, waiting, request, ready):
        if isinstance(outcome, BaseException):
            raise ValueError(f"batch {job.number} (events {job.rows[0]} to {job.rows[-1]}): {outcome}") from outcome
        done += len(job.rows)
        on_event(done)
    return _joined([_read(job.path) for job in jobs], bool(ready.choices["overlapping"]))


class Job(NamedTuple):
    """A batch: its number, the numbers of its events, its file, and the folder of pictures."""

    number: int
    rows: tuple[int, ...]
    path: Path
    output: Path


def _run(
    executor: Executor | None, waiting: Sequence[Job], request: Request, ready: Opened
) -> Iterator[tuple[Job, Any]]:
    if executor is None:
        return ((job, _locate(job, ready, request.pictures)) for job in waiting)
    return run_jobs(executor, locate_batch, waiting, request)


def locate_batch(job: Job, request: Request) -> None:
    """Locate one batch in another process and write it (`_locate`)."""
    _locate(job, _opened_once(request), request.pictures)


def _locate(job: Job, ready: Opened, pictures: bool) -> None:
    """Locate one batch and write it; one that an interruption cuts short is not kept."""
    some = select(ready.dataset, np.array(job.rows))
    outcome = new_events.locate_new(ready.fitted, some, ready.config, ready.calibration, **ready.choices)
    if outcome.interrupted:
        raise KeyboardInterrupt(CONTINUES)
    some = outcome.dataset or some
    found = arrival_picks.with_picks(some, outcome.located, outcome.found)
    if pictures:
        located = [event.id for event in found]
        arrival_picks.sections_of_run(ready.fitted, some, located, job.output)
        new_events.pictures(job.output, some, outcome, located)
    if ready.magnitudes is not None:
        found = with_magnitudes(ready.magnitudes, ready.fitted.spec.velocity, some, outcome, found)
    part = Part(found, outcome.lost, outcome.again)
    write_whole(job.path, json.dumps(part._asdict(), default=_plain).encode())


@lru_cache(1)
def _opened_once(request: Request) -> Opened:
    """As `opened`, once in each process."""
    return opened(request)


def _joined(parts: Sequence[Part], overlapping: bool) -> Part:
    """All batches as one; an event in overlapping windows of two batches is kept once."""
    found = [event for part in parts for event in part.found]
    lost = {name: reason for part in parts for name, reason in part.lost.items()}
    again = {name: other for part in parts for name, other in part.again.items()}
    if overlapping:
        found, more = one_each(found)
        again |= more
    return Part(found, lost, again)


def _digest(request: Request, number_events: int, size: int) -> str:
    """Other requests have other batches."""
    text = json.dumps([__version__, request._replace(pictures=False), number_events, size], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.json"


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else dict(value)


def _read(path: Path) -> Part:
    stored = json.loads(path.read_text())
    return Part([_event(each) for each in stored["found"]], stored["lost"], stored["again"])


def _event(plain: Sequence[Any]) -> Hypocentre:
    """A hypocentre from plain values, in the order of its fields."""
    values = dict(zip(Hypocentre._fields, plain, strict=True))
    truth, drawn_at = values["truth"], values["drawn_at"]
    return Hypocentre(**values)._replace(
        covariance=np.asarray(values["covariance"], float),
        truth=None if truth is None else Truth(*truth),
        drawn_at=None if drawn_at is None else (drawn_at[0], drawn_at[1]),
        picks=tuple(Pick(*pick) for pick in values["picks"]),
        station_magnitudes=tuple(StationMagnitude(*each) for each in values["station_magnitudes"]),
        earlier=tuple(_event(each) for each in values["earlier"]),
    )
