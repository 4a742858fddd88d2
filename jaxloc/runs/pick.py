"""Picks of an archive of continuous records, chunk by chunk: a stopped run continues with the chunks that are missing.

What a chunk's picks depend on is in the name of its file (`jaxloc.runs.kept_chunks`): what changes is picked again, and
nothing else. Memory is that of one chunk in each process.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.data.chunk import SECOND_NS, Chunk, Interval, usable_share
from jaxloc.data.dataset import Station
from jaxloc.data.pick_list import PickList
from jaxloc.io.archive import HOUR_S, Archive, chunks, open_archive
from jaxloc.io.archive_chunks import read_chunk
from jaxloc.io.contents import Contents
from jaxloc.io.formats import FORMATS
from jaxloc.io.pick_files import Pick, PickFile
from jaxloc.runs.kept_chunks import Job, complete, jobs_of
from jaxloc.runs.pickers import Picker, joined, picker_of
from jaxloc.training.log import Say
from jaxloc.types import PHASES

FOLDER = "_chunks"  # after the name of the output, of the folder with finished chunks
MOST_NOTES = 20  # on screen
MEMORY_MB = 1500.0
BYTES_A_SAMPLE = 3 * 15  # of all components of a chunk (`jaxloc.io.archive_chunks`)
Silent = lambda line: None


class Request(NamedTuple):
    """What is to be picked, and how: the options of `jaxloc pick`."""

    archive: Path
    stations: Path
    method: str = "network"
    start: str | None = None
    end: str | None = None
    length_s: float = HOUR_S
    offset_s: float = 0.0
    memory_mb: float = MEMORY_MB


class Picked(NamedTuple):
    """Picks of one chunk, or of all: times from `zero_ns`, rows of `stations`.

    `usable` is the share of the time in which each station recorded; `notes` count the chunks that have each.
    """

    zero_ns: int
    stations: tuple[Station, ...]
    picks: PickList
    usable: tuple[float, ...]
    notes: dict[str, int]


def pick_archive(
    request: Request,
    folder: Path,
    executor: Executor | None = None,
    say: Say = Silent,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Picked:
    """All picks of an archive, from the chunks that are picked now and those that were before.

    Args:
        request: what is picked.
        folder: where finished chunks are kept; it is made where it is missing.
        executor: runs the chunks (`jaxloc.runs.executors.executor_of`); None: this process.
        say: takes one line for the user.
        on_chunk: receives the number of chunks done so far.

    Raises:
        ValueError: for impossible options, or where a chunk failed; names it and the reason.
    """
    archive, picker = _opened(request)
    for note in archive.notes:
        say(f"note: {note}")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = _jobs(request, archive, picker, folder)
    complete(jobs, pick_one, request, executor, "picked", say, on_chunk)
    return _whole(archive, [(job.interval, _read(job.path)) for job in jobs])


def archive_of(request: Request) -> Archive:
    """The archive of a request, opened once in each process."""
    return _opened(request)[0]


def number_of_chunks(request: Request) -> int:
    """How many chunks a request has."""
    return len(list(_intervals(_opened(request)[0], request)))


def _intervals(archive: Archive, request: Request) -> Iterator[Interval]:
    return chunks(archive, request.start, request.end, request.length_s, request.offset_s)


def _jobs(request: Request, archive: Archive, picker: Picker, folder: Path) -> list[Job]:
    settings = [__version__, picker.about, picker.rate_hz, picker.pad_s, [list(s) for s in archive.stations]]
    settings.append(hashlib.sha256(Path(request.stations).read_bytes()).hexdigest())
    of_all = json.dumps(settings, default=str).encode()
    return jobs_of(archive, _intervals(archive, request), picker.pad_s, of_all, folder, ".json")


def pick_one(job: Job, request: Request) -> None:
    """Pick one chunk and write it, in whatever process."""
    archive, picker = _opened(request)
    found = pick_interval(picker, archive, job.interval, request.memory_mb)
    stored = found._replace(stations=())._asdict() | {"picks": [each.tolist() for each in found.picks]}
    write_whole(job.path, json.dumps(stored).encode())


def pick_interval(picker: Picker, archive: Archive, interval: Interval, memory_mb: float = MEMORY_MB) -> Picked:
    """The picks that an interval owns; stations are read in groups that need no more memory than is given."""
    number = (interval.length_s + 2 * picker.pad_s) * picker.rate_hz
    size = max(int(memory_mb * 1e6 / (BYTES_A_SAMPLE * number)), 1)
    parts, usable, notes = [], [], []
    for first in range(0, len(archive.stations), size):
        rows = range(first, min(first + size, len(archive.stations)))
        chunk = read_chunk(archive, interval, picker.rate_hz, picker.pad_s, rows)
        found = pick_chunk(picker, chunk)
        parts.append(found._replace(station=found.station + first))
        usable += usable_share(chunk).tolist()
        notes += chunk.notes
    return Picked(interval.start_ns, archive.stations, joined(parts), tuple(usable), dict(Counter(notes)))


def pick_chunk(method: str | Picker, chunk: Chunk) -> PickList:
    """The picks that a chunk owns: those within its half-open interval.

    Args:
        method: name (`jaxloc.runs.pickers.METHODS`), or a picker.
        chunk: of the rate that the picker takes, with records beyond its interval (`Picker.pad_s`).

    Returns:
        Times in s from the start of the interval; rows are those of the chunk's stations.
    """
    return (picker_of(method) if isinstance(method, str) else method).pick(chunk)


@lru_cache(2)
def _opened(request: Request) -> tuple[Archive, Picker]:
    """The archive and the picker of a request, once in each process."""
    return open_archive(request.archive, request.stations), picker_of(request.method)


def _read(path: Path) -> Picked:
    stored = json.loads(path.read_text())
    station, phase, *numbers = (np.asarray(each, float) for each in stored["picks"])
    picks = PickList(station.astype(int), phase.astype(int), *numbers)
    return Picked(stored["zero_ns"], (), picks, tuple(stored["usable"]), stored["notes"])


def _whole(archive: Archive, parts: Sequence[tuple[Interval, Picked]]) -> Picked:
    """All chunks as one, with times from the start of the first."""
    zero_ns = parts[0][0].start_ns
    moved = [
        found.picks._replace(time_s=found.picks.time_s + (found.zero_ns - zero_ns) / SECOND_NS) for _, found in parts
    ]
    length_s = np.array([interval.length_s for interval, _ in parts])
    usable = length_s @ np.array([found.usable for _, found in parts]) / length_s.sum()
    notes: Counter[str] = Counter()
    for _, found in parts:
        notes.update(dict.fromkeys(found.notes, 1))
    return Picked(zero_ns, archive.stations, joined(moved), tuple(usable.tolist()), dict(notes))


def write_picks(path: Path, found: Picked) -> None:
    """Write picks as the table that `jaxloc associate` reads: station, phase, time, sigma_s, probability, amplitude.

    Raises:
        ValueError: where there are none.
    """
    if not len(found.picks.time_s):
        raise ValueError("no arrival was picked; " + why_nothing(found))
    picks = picks_of(found)
    write = FORMATS["picks_csv"].write
    assert write is not None, "the table of picks is a format that is written"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, write(Contents(picks=PickFile((), len(picks), picks))))


def picks_of(found: Picked) -> tuple[Pick, ...]:
    """Picks as files have them, in the order of their times."""
    rows = zip(*(each.tolist() for each in found.picks), strict=True)
    return tuple(
        Pick(
            found.stations[station].code,
            PHASES[phase],
            found.zero_ns + round(time_s * SECOND_NS),
            sigma_s,
            probability,
            None if np.isnan(amplitude) else amplitude,
        )
        for station, phase, time_s, sigma_s, probability, amplitude in rows
    )


def why_nothing(found: Picked) -> str:
    """How much was recorded, and the commonest notes."""
    share = f"stations recorded {np.mean(found.usable):.0%} of the time"
    return "; ".join([share, *(text for text, _ in Counter(found.notes).most_common(3))])


def lines(found: Picked) -> list[str]:
    """What the user is told of the picks: their numbers, stations with little data, notes."""
    number = Counter(found.picks.phase.tolist())
    told = [f"{number[i]} {phase}" for i, phase in enumerate(PHASES)]
    out = [f"{len(found.picks.time_s)} picks ({', '.join(told)}) at {len(set(found.picks.station.tolist()))} stations"]
    gaps = [
        f"{station.code} {share:.0%}"
        for station, share in zip(found.stations, found.usable, strict=True)
        if share < 0.9
    ]
    if gaps:
        out.append(f"stations that recorded less than 90 % of the time: {', '.join(gaps)}")
    notes = [f"note: {text}" + (f" ({count} chunks)" if count > 1 else "") for text, count in found.notes.items()]
    more = [f"... and {len(notes) - MOST_NOTES} more notes"] if len(notes) > MOST_NOTES else []
    return [*out, *notes[:MOST_NOTES], *more]
