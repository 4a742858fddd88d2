"""Search of an archive by the published rules of MESS (`jaxloc.detection.mess`), chunk by chunk.

Detections with their picks are kept on disk by chunk, so that a stopped search continues. Nothing here has an error:
covariances of events that are no template themselves are NaN until `jaxloc relocate` gives them.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.data.chunk import SECOND_NS, Interval
from jaxloc.data.pick_list import NO_EVENT
from jaxloc.detection import mess, mess_picks
from jaxloc.detection.filtered_records import in_band, settling_s
from jaxloc.detection.matched_filter import normalised_correlation
from jaxloc.detection.mess_picks import CorrelationPicks, Detected, Linked
from jaxloc.geometry import to_degrees
from jaxloc.io.archive import Archive, as_time
from jaxloc.io.archive_chunks import read_chunk
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.hypodd_times import PairTimes
from jaxloc.runs.kept_chunks import Job, complete, jobs_of
from jaxloc.runs.match import Request, intervals_of, opened, own_span_s, owned
from jaxloc.runs.match_events import Known, read_known
from jaxloc.runs.match_files import write_families
from jaxloc.training.log import Say
from jaxloc.types import PHASES

SPARE_S = 20.0  # of records beyond the longest travel time, in which plateaus and their dead time have settled
SIGMA_S = (0.05, 0.1)  # of picks of P and S by correlation, for readers that need one
SETTINGS = mess.Settings()


class Matched(NamedTuple):
    """Events found in an archive: times in s from `known.zero_ns`, `template` has the ids of those that were used."""

    archive: Archive
    known: Known
    template: tuple[str, ...]
    detected: tuple[Detected, ...]
    linked: Linked
    lost: dict[str, str]


class _Shared(NamedTuple):
    request: Request
    zero_ns: int
    pad_s: float
    templates: tuple[mess.Template, ...]


def match_archive(
    request: Request,
    folder: Path,
    executor: Executor | None = None,
    say: Say = lambda line: None,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Matched:
    """Search an archive by the events of a file; arguments as `jaxloc.runs.match.match_archive`.

    Raises:
        ValueError: where a file cannot be read, or no event makes a template.
    """
    archive, intervals = opened(request), intervals_of(request)
    known = read_known(request.events, archive.stations, intervals[0].start_ns)
    events = known.events
    travel_s = float(np.nanmax(events.arrival_s - events.hypocentre[:, 3, None, None]))
    pad_s = travel_s + SETTINGS.detect_s[1] + settling_s(SETTINGS.band_hz) + SPARE_S
    shared = _Shared(request, known.zero_ns, pad_s, ())
    rows, templates, lost = _templates(shared, intervals, known)
    if not templates:
        reason = next(iter(lost.values()), "there are no events")
        raise ValueError(f"none of {len(events.id) + len(known.lost)} events makes a template; of the first: {reason}")
    say(f"{len(templates)} templates, of {len(lost)} events none (lost.csv)")
    shared = shared._replace(templates=tuple(templates))
    folder.mkdir(parents=True, exist_ok=True)
    jobs = _jobs(shared, archive, intervals, folder)
    complete(jobs, scan_one, shared, executor, "scanned", say, on_chunk)
    detected = tuple(each for job in jobs for each in _read(job.path))
    linked = mess_picks.link(detected, events.hypocentre[rows, 3], events.hypocentre[rows, :3])
    return Matched(archive, known, tuple(events.id[row] for row in rows), detected, linked, lost)


@lru_cache(1)
def _records(
    request: Request, interval: Interval, pad_s: float, zero_ns: int
) -> tuple[Float[np.ndarray, "station 3 sample"], Bool[np.ndarray, "station 3 sample"], float]:
    chunk = read_chunk(opened(request), interval, request.rate_hz, pad_s)
    records, usable = in_band(chunk.records, chunk.usable, request.rate_hz, SETTINGS.band_hz)
    return records, usable, (chunk.start_ns - zero_ns) / SECOND_NS


def _templates(
    shared: _Shared, intervals: Sequence[Interval], known: Known
) -> tuple[list[int], list[mess.Template], dict[str, str]]:
    """Rows of events that make templates, these, and why the others make none."""
    rows, found, lost, events = [], [], dict(known.lost), known.events
    lost |= dict.fromkeys(events.id, "its origin time is outside the records that are searched")
    for interval, own in owned(shared.zero_ns, intervals, events.hypocentre[:, 3]):
        records, _, begin_s = _records(shared.request, interval, shared.pad_s, shared.zero_ns)
        for row in own.tolist():
            times = events.hypocentre[row, 3] - begin_s, events.arrival_s[row] - begin_s
            template, lost[events.id[row]] = mess.cut_template(records, shared.request.rate_hz, *times)
            if template is not None:
                rows.append(row)
                found.append(template)
    return rows, found, {name: why for name, why in lost.items() if why}


def _jobs(shared: _Shared, archive: Archive, intervals: Sequence[Interval], folder: Path) -> list[Job]:
    of_all = hashlib.sha256(repr((__version__, "mess", shared.request, shared.pad_s, archive.stations)).encode())
    of_all.update(Path(shared.request.stations).read_bytes())
    for template in shared.templates:
        for column in template:
            of_all.update(np.ascontiguousarray(column).tobytes())
    return jobs_of(archive, intervals, shared.pad_s, of_all.digest(), folder, ".mess.json")


def scan_one(job: Job, shared: _Shared) -> None:
    """Search one chunk and write the detections that it owns, in whatever process."""
    request = shared.request
    records, usable, begin_s = _records(request, job.interval, shared.pad_s, shared.zero_ns)
    first_s, end_s = own_span_s(job.interval, shared.zero_ns)
    kept = []
    scans = mess.detect(normalised_correlation, records, usable, request.rate_hz, shared.templates)
    for number, (template, scan) in enumerate(zip(shared.templates, scans, strict=True)):
        for origin_s, correlation in zip(*scan, strict=True):
            if not first_s <= origin_s + begin_s < end_s:
                continue
            picks = mess_picks.pick(normalised_correlation, records, usable, request.rate_hz, template, origin_s)
            picks = picks._replace(arrival_s=picks.arrival_s + begin_s)
            columns = [np.asarray(each).tolist() for each in picks]
            kept.append([number, float(origin_s + begin_s), float(correlation), template.station.tolist(), columns])
    write_whole(job.path, json.dumps(kept).encode())


def _read(path: Path) -> list[Detected]:
    return [
        Detected(number, origin_s, correlation, np.array(station), CorrelationPicks(*map(np.array, columns)))
        for number, origin_s, correlation, station, columns in json.loads(path.read_text())
    ]


def itself(found: Matched) -> dict[str, str]:
    """By the number of an event, the id of the template that it is."""
    rows = enumerate(found.linked.template.tolist(), 1)
    return {str(number): found.template[template] for number, template in rows if template != NO_EVENT}


def events_of(found: Matched) -> list[Hypocentre]:
    """Events by number: templates at their places, others at the mean of those of their templates.

    The magnitude is the template's plus the median of log10 of the ratio of S amplitudes, where the template finds
    itself.
    """
    place = dict(zip(found.known.events.id, found.known.place, strict=True))
    own = {each.template: each for each in found.detected if _is_itself(found, each)}
    out, linked = [], found.linked
    for row, best in enumerate(linked.best.tolist()):
        detected = found.detected[best]
        start, name = _time(found.known, float(linked.origin_s[row])), found.template[detected.template]
        if (template := int(linked.template[row])) != NO_EVENT:
            event = place[found.template[template]]._replace(id=str(row + 1), start=start, origin_s=0.0)
        else:
            latitude_deg, longitude_deg = to_degrees(found.known.frame, *linked.start[row, :2])
            unknown = np.diag(np.full(4, np.nan))
            at = float(latitude_deg), float(longitude_deg), float(linked.start[row, 2])
            event = Hypocentre(str(row + 1), start, *at, 0.0, unknown)
            size = _difference(detected, own.get(detected.template))
            reference = place[name].magnitude
            if reference is not None and np.isfinite(size):
                about = f"S amplitudes relative to event {name}, as MESS"
                event = event._replace(magnitude=reference + size, magnitude_about=about)
        figures = {"correlation": detected.correlation}
        out.append(event._replace(picks=tuple(_picks(found, row, detected)), others=figures, family=name))
    return out


def _is_itself(found: Matched, each: Detected) -> bool:
    events = found.known.events
    origin_s = events.hypocentre[events.id.index(found.template[each.template]), 3]
    return abs(each.origin_s - origin_s) < mess_picks.LinkSettings().origin_s


def _difference(detected: Detected, own: Detected | None) -> float:
    if own is None:
        return np.nan
    ratio = np.log10(detected.picks.amplitude / own.picks.amplitude)
    return float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else np.nan


def _picks(found: Matched, row: int, detected: Detected) -> list[Pick]:
    least = mess_picks.LinkSettings().least_pick
    return [
        Pick(
            found.archive.stations[int(detected.station[own])].code,
            PHASES[phase],
            float(detected.picks.arrival_s[own, phase] - found.linked.origin_s[row]),
            SIGMA_S[phase],
        )
        for own, phase in np.argwhere(detected.picks.correlation >= least)
    ]


def _time(known: Known, time_s: float) -> str:
    return str(as_time(known.zero_ns + round(time_s * SECOND_NS)))


def pair_times(found: Matched) -> PairTimes:
    """Differential times between events by number; of templates that are no event of the linked list, none."""
    linked = found.linked
    number = {template: row + 1 for row, template in enumerate(linked.template.tolist()) if template != NO_EVENT}
    second = np.array([number.get(int(template), 0) for template in linked.link_template], int)
    kept = np.flatnonzero(second > 0)
    kept = kept[np.lexsort((linked.link_phase[kept], linked.link_station[kept], second[kept], linked.link_event[kept]))]
    codes = tuple(found.archive.stations[int(row)].code.split(".")[-1] for row in linked.link_station[kept])
    columns = (linked.link_s[kept], np.zeros(len(kept)), linked.link_weight[kept] ** 2, linked.link_phase[kept])
    return PairTimes("cross_correlation", linked.link_event[kept] + 1, second[kept], codes, *columns)


def families_csv(found: Matched) -> bytes:
    """Every detection with its template; the event that it belongs to is that of the same time within 2 s."""
    rows, within_s = ["event,template,origin_time,correlation,num_stations,is_best"], mess_picks.LinkSettings().origin_s
    for place, each in enumerate(found.detected):
        near = np.flatnonzero(np.abs(found.linked.origin_s - each.origin_s) <= within_s)
        number = near[np.argmin(np.abs(found.linked.origin_s[near] - each.origin_s))] + 1 if len(near) else ""
        time, best = _time(found.known, each.origin_s), place in found.linked.best
        cells = number, found.template[each.template], time, f"{each.correlation:.4f}", len(each.station), best
        rows.append(",".join(map(str, cells)))
    return ("\n".join(rows) + "\n").encode()


def write_matched(folder: Path, found: Matched) -> list[str]:
    """families.csv, and as far as there is something events.csv, events.xml, picks.csv, dt.cc, lost.csv; names."""
    return write_families(folder, families_csv(found), events_of(found), pair_times(found), found.lost)


def lines(found: Matched) -> list[str]:
    """What was found, in a sentence."""
    new = int((found.linked.template == NO_EVENT).sum())
    events, links = len(found.linked.origin_s), len(found.linked.link_s)
    return [
        f"{len(found.detected)} detections above {SETTINGS.threshold:g}, of {events} events; {events - new} of them "
        f"are templates; {links} differential times"
    ]
