"""Search of an archive by templates of known events, chunk by chunk: memory is that of one chunk in each process.

Three passes read the records: chunks that own a known event give templates, all chunks are scanned, and those that own
a candidate are measured. What a scan found is kept on disk (`jaxloc.runs.kept_chunks`), so that a stopped search
continues with the chunks that are missing.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.data.chunk import SECOND_NS, Interval
from jaxloc.detection import matched_detection
from jaxloc.detection.false_alarms import controls
from jaxloc.detection.filtered_records import in_band, settling_s
from jaxloc.detection.matched_detection import Detections, MatchSettings, Measured
from jaxloc.detection.stack_peaks import Peaks, Scan
from jaxloc.detection.templates import (
    KnownEvents,
    Templates,
    TemplateSettings,
    check,
    join,
    make_templates,
    take_events,
)
from jaxloc.io.archive import HOUR_S, Archive, chunks, open_archive
from jaxloc.io.archive_chunks import read_chunk
from jaxloc.runs.kept_chunks import Job, complete, jobs_of
from jaxloc.runs.match_events import Known, read_known
from jaxloc.training.log import Say

FOLDER = "chunks"  # of the output, with finished scans
SPARE_S = 2.0
MOST_REASONS = 10  # on screen


class Request(NamedTuple):
    """What is searched, by which events, and how: the options of `jaxloc match`."""

    archive: Path
    events: Path
    stations: Path
    start: str | None = None
    end: str | None = None
    length_s: float = HOUR_S
    offset_s: float = 0.0
    rate_hz: float = 50.0
    templates: TemplateSettings = TemplateSettings()
    settings: MatchSettings = MatchSettings()


class Matched(NamedTuple):
    """Detections of an archive, with what they refer to; all times in s from `known.zero_ns`.

    `lost` has the reason for each event that made no template.
    """

    archive: Archive
    known: Known
    templates: Templates
    found: Detections
    lost: dict[str, str]


class _Shared(NamedTuple):
    """What all chunks need; `templates` are those of the events and, with a rate of false alarms, the controls."""

    request: Request
    zero_ns: int
    pad_s: float
    templates: tuple[Templates, ...]


def match_archive(
    key: Key[Array, ""],
    request: Request,
    folder: Path,
    executor: Executor | None = None,
    say: Say = lambda line: None,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Matched:
    """Search an archive.

    Args:
        key: of the controls' shifts.
        request: what is searched.
        folder: where finished scans are kept; it is made where it is missing.
        executor: runs the chunks (`jaxloc.runs.executors.executor_of`); None: this process.
        say: takes one line for the user.
        on_chunk: receives how many chunks are scanned.

    Raises:
        ValueError: for impossible options, where a file cannot be read, no event makes a template, or the records are
            too short for a rate of false alarms.
    """
    check(request.templates, request.rate_hz)
    archive = opened(request)
    for note in archive.notes:
        say(f"note: {note}")
    intervals = intervals_of(request)
    known = read_known(request.events, archive.stations, intervals[0].start_ns)
    shared = _Shared(request, known.zero_ns, _pad_s(known.events, request), ())
    templates, lost = _templates(shared, intervals, known, say)
    all_of = (templates, *(controls(key, templates) if request.settings.mad is None else ()))
    shared = shared._replace(templates=all_of)
    folder.mkdir(parents=True, exist_ok=True)
    scans = _scans(shared, archive, intervals, folder, executor, say, on_chunk)
    some = matched_detection.candidates(templates, scans, request.settings)
    say(f"{len(some.peaks.template)} candidates above {some.threshold:.2f} standard deviations of noise")
    measures = _measured(shared, intervals, some.peaks)
    found = matched_detection.detections(templates, some, measures, request.settings)
    return Matched(archive, known, templates, found, lost)


def number_of_chunks(request: Request) -> int:
    """How many chunks a request has; raises as `jaxloc.io.archive.chunks`."""
    return len(intervals_of(request))


def intervals_of(request: Request) -> list[Interval]:
    """The chunks of a request."""
    return list(chunks(opened(request), request.start, request.end, request.length_s, request.offset_s))


@lru_cache(1)
def opened(request: Request) -> Archive:
    """The archive of a request, once in each process."""
    return open_archive(request.archive, request.stations)


def _pad_s(events: KnownEvents, request: Request) -> float:
    """How far the records of a chunk must go beyond it."""
    settings = request.templates
    travel_s = events.arrival_s - events.hypocentre[:, 3, None, None]
    longest_s = float(np.nanmax(np.abs(travel_s))) + max(settings.after_s)
    noise_s = settings.noise_s + max(settings.before_s) + SPARE_S
    return longest_s + noise_s + settling_s(settings.band_hz) + request.settings.lag_s + SPARE_S


@lru_cache(1)
def _records(
    request: Request, interval: Interval, pad_s: float, zero_ns: int
) -> tuple[Float[np.ndarray, "station 3 sample"], Bool[np.ndarray, "station 3 sample"], float, tuple[str, ...]]:
    """Filtered records of a chunk, which of their samples are usable, the time of the first, and notes."""
    chunk = read_chunk(opened(request), interval, request.rate_hz, pad_s)
    records, usable = in_band(chunk.records, chunk.usable, request.rate_hz, request.templates.band_hz)
    return records, usable, (chunk.start_ns - zero_ns) / SECOND_NS, chunk.notes


def _templates(
    shared: _Shared, intervals: Sequence[Interval], known: Known, say: Say
) -> tuple[Templates, dict[str, str]]:
    """Templates from the chunks that own known events, and why the others make none."""
    request, parts, lost = shared.request, [], dict(known.lost)
    left = set(known.events.id)
    for interval, rows in owned(shared.zero_ns, intervals, known.events.hypocentre[:, 3]):
        records, usable, begin_s, _ = _records(request, interval, shared.pad_s, shared.zero_ns)
        some = take_events(known.events, rows)
        made, without = make_templates(records, usable, request.rate_hz, some, begin_s, request.templates)
        parts.append(made)
        lost |= without
        left -= set(some.id)
    lost |= dict.fromkeys(sorted(left), "its origin time is outside the records that are searched")
    number = sum(len(part.id) for part in parts)
    if not number:
        reason = next(iter(lost.values()), "there are no events")
        raise ValueError(
            f"none of {len(known.events.id) + len(known.lost)} events makes a template; of the first: {reason}"
        )
    templates = join([part for part in parts if part.id])
    stations = len(set(templates.station.tolist()))
    say(f"{number} templates with {len(templates.template)} windows at {stations} stations")
    for name, reason in list(lost.items())[:MOST_REASONS]:
        say(f"{name} is no template: {reason}")
    if len(lost) > MOST_REASONS:
        say(f"... and {len(lost) - MOST_REASONS} more (lost.csv)")
    return templates, lost


def owned(
    zero_ns: int, intervals: Sequence[Interval], time_s: Float[np.ndarray, " time"]
) -> Iterator[tuple[Interval, Int[np.ndarray, " row"]]]:
    """Intervals that own times, with the rows of these."""
    for interval in intervals:
        begin_s, end_s = own_span_s(interval, zero_ns)
        rows = np.flatnonzero((time_s >= begin_s) & (time_s < end_s))
        if len(rows):
            yield interval, rows


def own_span_s(interval: Interval, zero_ns: int) -> tuple[float, float]:
    """Begin and end of an interval, in s."""
    return (interval.start_ns - zero_ns) / SECOND_NS, (interval.end_ns - zero_ns) / SECOND_NS


def _scans(
    shared: _Shared,
    archive: Archive,
    intervals: Sequence[Interval],
    folder: Path,
    executor: Executor | None,
    say: Say,
    on_chunk: Callable[[int], None],
) -> list[tuple[Scan, ...]]:
    jobs = _jobs(shared, archive, intervals, folder)
    complete(jobs, scan_one, shared, executor, "scanned", say, on_chunk)
    return [_read(job.path) for job in jobs]


def _jobs(shared: _Shared, archive: Archive, intervals: Sequence[Interval], folder: Path) -> list[Job]:
    of_all = hashlib.sha256(repr((__version__, shared.request, shared.pad_s, archive.stations)).encode())
    of_all.update(Path(shared.request.stations).read_bytes())
    for templates in shared.templates:
        for column in templates[1:-2]:
            of_all.update(np.ascontiguousarray(column).tobytes())
    return jobs_of(archive, intervals, shared.pad_s, of_all.digest(), folder, ".npz")


def scan_one(job: Job, shared: _Shared) -> None:
    """Scan one chunk and write what is kept of it, in whatever process."""
    records, usable, begin_s, _ = _records(shared.request, job.interval, shared.pad_s, shared.zero_ns)
    own_s = own_span_s(job.interval, shared.zero_ns)
    scans = matched_detection.scanned(records, usable, shared.templates, begin_s, own_s, shared.request.settings)
    columns = {
        f"{place}_{name}": value
        for place, scan in enumerate(scans)
        for name, value in (*scan.peaks._asdict().items(), ("counts", scan.counts), ("live_s", scan.live_s))
    }
    buffer = BytesIO()
    columns["kept_above"] = np.array(scans[0].kept_above)
    np.savez_compressed(buffer, **columns)  # pyright: ignore[reportArgumentType]
    write_whole(job.path, buffer.getvalue())


def _read(path: Path) -> tuple[Scan, ...]:
    with np.load(path) as stored:
        scans = []
        while f"{len(scans)}_counts" in stored:
            own = {name: stored[f"{len(scans)}_{name}"] for name in (*Peaks._fields, "counts", "live_s")}
            peaks = Peaks(*(own[name] for name in Peaks._fields))
            scans.append(Scan(peaks, own["counts"], own["live_s"], float(stored["kept_above"])))
        return tuple(scans)


def _measured(shared: _Shared, intervals: Sequence[Interval], peaks: Peaks) -> Measured:
    """Measurements of all candidates, from the chunks that own them."""
    request, parts = shared.request, []
    for interval, rows in owned(shared.zero_ns, intervals, peaks.origin_s):
        records, usable, begin_s, _ = _records(request, interval, shared.pad_s, shared.zero_ns)
        some = jax.tree.map(lambda x, rows=rows: x[rows], peaks)
        one = matched_detection.measured(records, usable, shared.templates[0], some, begin_s, request.settings)
        parts.append((rows, one))
    return matched_detection.joined(parts, len(peaks.template))
