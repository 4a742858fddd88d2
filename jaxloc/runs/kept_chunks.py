"""Work on an archive chunk by chunk, whose results are kept on disk: a stopped run continues with those missing.

The file of a chunk has a name made of its interval, of what all chunks depend on, and of the content of its waveform
files: what changes is done again, and nothing else.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

from jaxloc.data.chunk import SECOND_NS, Interval
from jaxloc.io.archive import Archive, as_time, content_hash
from jaxloc.runs.executors import run_jobs
from jaxloc.training.log import Say


class Job(NamedTuple):
    """A chunk: its interval and its file."""

    interval: Interval
    path: Path


def jobs_of(
    archive: Archive, intervals: Iterable[Interval], pad_s: float, of_all: bytes, folder: Path, suffix: str
) -> list[Job]:
    """The chunks of some intervals, in their order.

    Args:
        archive: whose files are read.
        intervals: that chunks own.
        pad_s: how far their records go beyond.
        of_all: what the results of all chunks depend on, or a digest of it.
        folder: of the files.
        suffix: of their names.
    """
    channels = [channel for own in archive.channels for channel in own]
    pad_ns, found = round(pad_s * SECOND_NS), []
    for interval in intervals:
        names = archive.files(channels, as_time(interval.start_ns - pad_ns), as_time(interval.end_ns + pad_ns))
        digest = hashlib.sha256(of_all + json.dumps([interval, content_hash(names)]).encode()).hexdigest()[:12]
        stamp = as_time(interval.start_ns).strftime("%Y%m%dT%H%M%S")
        found.append(Job(interval, folder / f"{stamp}_{digest}{suffix}"))
    return found


def complete(
    jobs: Sequence[Job],
    function: Callable[[Job, Any], None],
    argument: Any,
    executor: Executor | None,
    verb: str,
    say: Say,
    on_chunk: Callable[[int], None],
) -> None:
    """Do the chunks that have no file yet.

    Args:
        jobs: all chunks.
        function: does one and writes its file, in whatever process.
        argument: its second one.
        executor: runs the chunks (`jaxloc.runs.executors.executor_of`); None: this process.
        verb: what is done to a chunk, as in "picked".
        say: takes one line for the user.
        on_chunk: receives the number of chunks done so far.

    Raises:
        ValueError: where a chunk failed in another process; names it and the reason.
    """
    waiting = [job for job in jobs if not job.path.is_file()]
    if len(waiting) < len(jobs):
        say(f"{len(jobs) - len(waiting)} of {len(jobs)} chunks were {verb} before and are kept")
    done = len(jobs) - len(waiting)
    on_chunk(done)
    here = ((job, function(job, argument)) for job in waiting)
    for job, outcome in here if executor is None else run_jobs(executor, function, waiting, argument):
        if isinstance(outcome, BaseException):
            raise ValueError(f"the chunk from {as_time(job.interval.start_ns)} failed: {outcome}") from outcome
        done += 1
        on_chunk(done)
