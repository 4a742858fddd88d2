"""Files of picks: CSV and QuakeML, as lists of events with their picks."""

import math
import re
from pathlib import Path
from typing import NamedTuple

from obspy.core.event import Comment, Event, QuantityError
from obspy.core.event import Pick as QuakeMLPick

from jaxloc.io.missing_values import is_missing_code
from jaxloc.io.reference_catalogue import names_of, read_catalogue
from jaxloc.io.tables import EARLIEST_EPOCH_S, Row, Table, as_number, read_table

EVENT = (
    "event_id",
    "source_id",
    "event",
    "event_name",
    "event_index",
    "event_idx",
    "event_key",
    "evid",
    "ev_id",
    "evt",
)
STATION = ("station", "station_code", "sta", "station_id", "seed_id", "trace_id", "id", "code")
NETWORK = ("network", "network_code", "station_network_code", "net")
PHASE = ("phase", "phase_hint", "phase_name", "phase_type", "type", "phase_label")
TIME = ("time", "pick_time", "phase_time", "arrival_time", "peak_time", "timestamp", "time_utc", "datetime", "onset")
SECONDS = ("time_s", "pick_s", "arrival_s", "pick_time_s", "arrival_time_s", "seconds", "relative_time_s", "onset_s")
SIGMA = (
    "sigma_s",
    "sigma",
    "pick_sigma_s",
    "sd_s",
    "uncertainty_s",
    "uncertainty",
    "pick_uncertainty_s",
    "time_uncertainty_s",
    "time_uncertainty",
    "time_sd_s",
    "error_s",
    "std_s",
    "std",
)
PROBABILITY = ("probability", "prob", "phase_score", "peak_value", "score", "confidence")
AMPLITUDE = ("amplitude", "amp", "phase_amplitude", "phase_amp")
PHASE_NAME = re.compile(r"[ie]?(?P<phase>[PS])[gnb*]?[ud+\-.]?\d?", re.IGNORECASE)
UNASSOCIATED = ("", "-1")  # events of picks that belong to none
PICK_PROBABILITY = "probability of the"  # beginning of a comment in jaxloc's QuakeML
LONGEST_EVENT_S = 900.0  # P and S of one event arrive within this time up to 1,500 km


class Pick(NamedTuple):
    """A pick: station as NET.STA or STA, phase P or S, time in ns (since 1970 or the file's zero), NaN for no sigma.

    `probability` is the score of a picker, `amplitude` what its file has in its own unit.
    """

    station: str
    phase: str
    time_ns: int
    sigma_s: float = math.nan
    probability: float | None = None
    amplitude: float | None = None


class PickedEvent(NamedTuple):
    """An event with its picks; `left_out` has a reason for each pick of the file that cannot be used."""

    id: str
    picks: tuple[Pick, ...]
    left_out: tuple[str, ...] = ()
    absolute: bool = True
    magnitude: float | None = None


class PickFile(NamedTuple):
    """The events of a file, and how many of its picks belong to no event; `loose` are those of them that are usable."""

    events: tuple[PickedEvent, ...]
    unassociated: int = 0
    loose: tuple[Pick, ...] = ()


def read_pick_csv(path: Path) -> PickFile:
    """Read a table of picks, one a row, under common names of columns: event, station, phase, time, uncertainty in s.

    Times are UTC, or seconds since 1970, or (a smaller number) seconds since a zero of the event's own. Without a
    column of events all picks are of one event, or of none where they span more than 15 minutes; a pick without an
    event, or of event -1, belongs to none.

    Raises:
        ValueError: where the file is missing or empty, a column is missing, a value is wrong, or some times are
            absolute and others are not; names file and line.
    """
    table = read_table(path, "pick table")
    station, phase = _needed(table, STATION, "station"), _needed(table, PHASE, "phase")
    time = _needed(table, (*TIME, *SECONDS), "time")
    event = table.find(*EVENT)
    found: dict[str, tuple[list[Pick], list[str], list[bool]]] = {}
    for row in table.rows:
        picks, left_out, absolute = found.setdefault(row.text(event) if event else table.path.stem, ([], [], []))
        name = phase_name(row.text(phase))
        if name is None:
            left_out.append(f"phase {row.text(phase) or '(empty)'} is neither P nor S")
            continue
        time_ns, is_absolute = _time_ns(row, time)
        absolute.append(is_absolute)
        scores = (_optional(row, PROBABILITY), _optional(row, AMPLITUDE))
        picks.append(Pick(_code(row, station), name, time_ns, _sigma(row), *scores))
    if len({kind for _, _, kinds in found.values() for kind in kinds}) > 1:
        raise ValueError(f"{path}: some times are UTC and others relative seconds; all must be of one kind")
    none = [found.pop(id_) for id_ in UNASSOCIATED if id_ in found]
    if event is None and found and _span_s(found[table.path.stem][0]) > LONGEST_EVENT_S:
        none.append(found.pop(table.path.stem))
    events = (PickedEvent(id_, tuple(p), tuple(o), not a or a[0]) for id_, (p, o, a) in found.items())
    loose = tuple(pick for picks, _, _ in none for pick in picks)
    return PickFile(tuple(events), len(loose) + sum(len(left_out) for _, left_out, _ in none), loose)


def _span_s(picks: list[Pick]) -> float:
    times_ns = [pick.time_ns for pick in picks]
    return (max(times_ns) - min(times_ns)) * 1e-9 if times_ns else 0.0


def _optional(row: Row, names: tuple[str, ...]) -> float | None:
    """A number that a pick may have; None where there is none, or it is not finite."""
    value = as_number(row.text(*names), row.decimal_comma)
    return value if value is not None and math.isfinite(value) else None


def _needed(table: Table, names: tuple[str, ...], what: str) -> str:
    found = table.find(*names)
    if found is None:
        raise ValueError(
            f"{table.path} must have a column of {what} ({', '.join(names[:4])}, ...); it has {', '.join(table.header)}"
        )
    return found


def phase_name(text: str) -> str | None:
    """P or S for names of direct and refracted crustal phases, with onset and first motion as HYPO71 has them."""
    found = PHASE_NAME.fullmatch("".join(text.split()))
    return found["phase"].upper() if found else None


def _time_ns(row: Row, column: str) -> tuple[int, bool]:
    number = as_number(row.text(column))
    if number is not None and math.isfinite(number) and abs(number) < EARLIEST_EPOCH_S:
        return round(row.number(column) * 1e9), False
    time = row.time(column)
    if time is None:
        raise ValueError(f"{row.place}: the pick must have a time in column {column}; add it, or remove the row")
    return time.ns, True


def _code(row: Row, column: str) -> str:
    """NET.STA of NET.STA.LOC.CHA, or of two columns; STA alone where no network is given."""
    parts = row.code(column).split(".")
    if not parts[0] and len(parts) < 2:
        raise ValueError(f"{row.place}: the pick must have a station in column {column}; add it, or remove the row")
    network = row.code(*NETWORK)
    return f"{network}.{parts[0]}" if network and len(parts) == 1 else ".".join(parts[:2])


def _sigma(row: Row) -> float:
    value = row.number(*SIGMA)
    if is_missing_code(value, "sd"):
        return math.nan
    if value <= 0:
        raise ValueError(
            f"{row.place}: the uncertainty of a pick must be positive, got {value:g} s; leave the cell empty if unknown"
        )
    return value


def read_pick_quakeml(path: Path) -> PickFile:
    """Read the picks of QuakeML events, with the phases of the preferred origin's arrivals where there are any.

    Rejected picks, and those of time weight 0, are left out.

    Raises:
        ValueError: where the file is missing, cannot be read or has no event; names it.
    """
    if not path.is_file():
        raise ValueError(f"no such pick file: {path}; the path must name a CSV or QuakeML file")
    catalogue = read_catalogue(path)
    if not len(catalogue):
        raise ValueError(f"{path} has no event; it must be a QuakeML file with events that have picks")
    return PickFile(tuple(picked_event(event) for event in catalogue))


def picked_event(event: Event) -> PickedEvent:
    """The usable picks of a QuakeML event, as `read_pick_quakeml` has them."""
    origin = event.preferred_origin() or next(iter(event.origins), None)
    arrivals = {a.pick_id.id: a for a in (origin.arrivals if origin else ()) if a.pick_id}
    picks, left_out = [], []
    for pick in event.picks:
        arrival = arrivals.get(pick.resource_id.id)
        hint = (arrival.phase if arrival else None) or pick.phase_hint or ""
        name = phase_name(hint)
        if pick.evaluation_status == "rejected" or (arrival is not None and arrival.time_weight == 0):
            left_out.append("rejected, or of weight 0")
        elif name is None:
            left_out.append(f"phase {hint or '(empty)'} is neither P nor S")
        else:
            picks.append(
                Pick(_seed_code(pick), name, pick.time.ns, _time_sd(pick.time_errors), _probability(pick.comments))
            )
    magnitude = event.preferred_magnitude() or next(iter(event.magnitudes), None)
    size = None if magnitude is None else magnitude.mag
    return PickedEvent(names_of(event)[0], tuple(picks), tuple(left_out), magnitude=size)


def _seed_code(pick: QuakeMLPick) -> str:
    where = pick.waveform_id
    network, station = (where.network_code or "", where.station_code or "") if where else ("", "")
    return f"{network}.{station}" if network else station


def _probability(comments: list[Comment]) -> float | None:
    """What jaxloc writes in a comment on a pick."""
    texts = [comment.text or "" for comment in comments]
    return next((as_number(text.rpartition(":")[2]) for text in texts if text.startswith(PICK_PROBABILITY)), None)


def _time_sd(error: QuantityError) -> float:
    width = error.uncertainty
    if width is None and error.lower_uncertainty is not None and error.upper_uncertainty is not None:
        width = (error.lower_uncertainty + error.upper_uncertainty) / 2
    return math.nan if width is None or not width > 0 else float(width)
