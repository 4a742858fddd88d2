"""How a command that locates ends: files, lines for the user, its log, and what is kept at an interruption."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxloc.atomic_write import uninterrupted
from jaxloc.calibration.calibration import Predictions
from jaxloc.data.dataset import Dataset
from jaxloc.io.catalogue import Hypocentre
from jaxloc.runs import report
from jaxloc.runs.located import Located
from jaxloc.training.log import Say, written

LOG = "log.txt"
MOST_LINES = 20  # of events, on screen
NOTHING_KEPT = "no results were written; give the same command again to start anew"


class Part(NamedTuple):
    """What is written of a batch: located events, reasons of the others by id, and duplicates (`Outcome`)."""

    found: list[Hypocentre]
    lost: dict[str, str]
    again: dict[str, str]


class Outcome(NamedTuple):
    """Result of locating the events of a data set.

    Attributes:
        found: located events.
        lost: reason by id of each event that was not located.
        again: for windows that overlap, the id of the located event that each other location is a duplicate of.
        located: the located part of the data set as arrays.
        predictions: posteriors as written to files.
        interrupted: whether the rest of the data set, or of the search beyond the region, was not reached.
        dataset: events of `located` in their order; None: those of the data set that was located.
    """

    found: list[Hypocentre]
    lost: dict[str, str]
    again: dict[str, str]
    located: Located
    predictions: Predictions
    interrupted: bool
    dataset: Dataset | None = None


def write_outcome(output: Path, say: Say, outcome: Outcome | Part) -> None:
    """Files and lines of the events that were located, and lines of those that were not."""
    if outcome.found:
        with uninterrupted():
            report.write_events(output, outcome.found)
    for event, reason in list(outcome.lost.items())[:MOST_LINES]:
        say(f"{event} was not located: {reason}")
    if len(outcome.lost) > MOST_LINES:
        say(f"... and {len(outcome.lost) - MOST_LINES} more")
    if not outcome.found:
        raise ValueError(f"nothing located: {why_nothing(outcome)}")
    for event in outcome.found[:MOST_LINES]:
        say(report.line(event))
    again = f", {len(outcome.again)} the same again in another window" if outcome.again else ""
    flagged = sum(bool(event.flag) for event in outcome.found)
    flags = f", {flagged} with flags" if flagged else ""
    also = ", picks.csv" if any(event.picks for event in outcome.found) else ""
    total = len(outcome.found) + len(outcome.lost) + len(outcome.again)
    say(f"{len(outcome.found)} of {total} events located{flags}{again}: {output}/events.csv, events.xml{also}")


def why_nothing(outcome: Outcome | Part) -> str:
    """Why no event was located: each reason once, those of most events first."""
    reasons = Counter(outcome.lost.values()).most_common(3)
    return "; ".join(f"{reason}" if count == 1 else f"{reason} ({count} events)" for reason, count in reasons)


def duplicates(outcome: Outcome | Part) -> dict[str, str]:
    """The reason, by id, of each location that was left out as a duplicate."""
    return {name: f"the same event as {other}" for name, other in outcome.again.items()}


@contextlib.contextmanager
def kept(output: Path, total: int, outcome: Outcome) -> Iterator[None]:
    """Around the writing of results: what is kept at an interruption, before it or within.

    Raises:
        KeyboardInterrupt: with the text, where there was an interruption.
    """
    number, where = len(outcome.located.batch.observations.rate_hz), f"{output}/events.csv and events.xml"
    searched = f"{number} of {total} events were searched"
    if outcome.interrupted and not outcome.found:
        raise KeyboardInterrupt(f"{searched}, none of them was located; {NOTHING_KEPT}")
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"the results are in {where}; lines or pictures are missing") from interrupt
    if outcome.interrupted:
        kept = f"their results are in {where}"
        raise KeyboardInterrupt(f"{searched}, and {kept}; give the same command again to search all")


@contextlib.contextmanager
def logged(folder: Path, say: Say) -> Iterator[Say]:
    """Lines for the user that are also written to log.txt in a folder, each with the time, as is what stopped them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOG
    try:
        yield written(path, say)
    except (KeyboardInterrupt, ValueError, FloatingPointError) as stop:
        written(path, lambda line: None)(f"stopped: {str(stop) or f'interrupted; {NOTHING_KEPT}'}")
        raise
