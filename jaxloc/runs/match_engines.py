"""Searches by templates as stages of a catalogue: ours, or MESS, with one form of what they find."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloc import prng
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.hypodd_times import PairTimes
from jaxloc.runs import match, match_files, match_mess
from jaxloc.runs.catalogue_request import Request
from jaxloc.training.log import Say, counted_in_time


class MatchedEvents(NamedTuple):
    """Events found by templates.

    Attributes:
        events: with numbers as ids, `family` the id of their best template.
        itself: by number, the id of the template that an event is.
        times: differential times between the numbers.
    """

    events: tuple[Hypocentre, ...]
    itself: Mapping[str, str]
    times: PairTimes


def matched_events(
    request: Request, folder: Path, templates: Path, say: Say, executor: Executor | None = None
) -> MatchedEvents:
    """Search the archive of a catalogue by a file of events; writes what `jaxloc match` writes into a folder."""
    of_match = match.Request(request.archive, templates, request.stations, request.start, request.end, request.chunk_s)
    engine = {"palm": _by_mess}.get(request.method, _by_stacks)
    with counted_in_time(say, "scanned chunks", match.number_of_chunks(of_match)) as on_chunk:
        return engine(of_match, folder, say, executor, on_chunk)


def _by_stacks(
    request: match.Request, folder: Path, say: Say, executor: Executor | None, on_chunk: Callable[[int], None]
) -> MatchedEvents:
    key = prng.stream("false alarms")
    found = match.match_archive(key, request, folder / match.FOLDER, executor, say, on_chunk)
    for line in match_files.lines(found):
        say(line)
    match_files.write_matched(folder, found)
    stations, templates, detected = found.archive.stations, found.templates, found.found
    events = match_files.events_of(found.known, templates, detected, stations)
    number = match_files.numbers(detected)
    rows = np.flatnonzero(detected.is_self)
    itself = {str(number[row]): templates.id[detected.template[row]] for row in rows}
    return MatchedEvents(tuple(events), itself, match_files.pair_times(templates, detected, stations))


def _by_mess(
    request: match.Request, folder: Path, say: Say, executor: Executor | None, on_chunk: Callable[[int], None]
) -> MatchedEvents:
    found = match_mess.match_archive(request, folder / match.FOLDER, executor, say, on_chunk)
    for line in match_mess.lines(found):
        say(line)
    match_mess.write_matched(folder, found)
    return MatchedEvents(tuple(match_mess.events_of(found)), match_mess.itself(found), match_mess.pair_times(found))
