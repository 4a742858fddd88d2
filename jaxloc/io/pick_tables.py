"""Tables of picks under the columns of pickers and associators: jaxloc's own, GaMMA, PyOcto, SeisBench, PhaseNet.

All are read by `jaxloc.io.pick_files.read_pick_csv`, which knows their names of columns; they differ in how they are
written. Picks that an associator left over have event -1, or no event.
"""

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxloc.io.contents import PICKS, Contents, Format, Sample, absolute, all_picks, as_time
from jaxloc.io.pick_files import EVENT, PHASE, SECONDS, STATION, TIME, Pick, read_pick_csv


class Columns(NamedTuple):
    """Columns of a table of picks, each with the text of a pick; `marks` are those that no other table has."""

    marks: tuple[str, ...]
    event: str | None
    cells: dict[str, Callable[[Pick], str]]
    nobody: str = "-1"


def _optional(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _iso(pick: Pick) -> str:
    return as_time(pick.time_ns)


def _epoch_s(pick: Pick) -> str:
    return f"{pick.time_ns // 10**9}.{pick.time_ns % 10**9 // 1000:06d}"


def _station(pick: Pick) -> str:
    return pick.station


def _trace(pick: Pick) -> str:
    """NET.STA. as SeisBench, GaMMA and PyOcto name a station without location code."""
    return f"{pick.station}." if "." in pick.station else f".{pick.station}."


TABLES = {
    "gamma_picks": Columns(
        ("id", "timestamp", "type"),
        "event_index",
        {
            "id": _station,
            "timestamp": lambda pick: _iso(pick).rstrip("Z"),
            "type": lambda pick: pick.phase.lower(),
            "prob": lambda pick: _optional(pick.probability),
            "amp": lambda pick: _optional(pick.amplitude),
        },
    ),
    "pyocto_assignments": Columns(
        ("event_idx", "pick_idx", "residual", "station", "phase", "time"),
        "event_idx",
        {"station": _station, "phase": lambda pick: pick.phase, "time": _epoch_s},
    ),
    "pyocto_picks": Columns(
        ("station", "phase", "time"),
        None,
        {
            "station": _station,
            "phase": lambda pick: pick.phase,
            "time": _epoch_s,
            "probability": lambda pick: _optional(pick.probability),
            "amplitude": lambda pick: _optional(pick.amplitude),
        },
    ),
    "seisbench_picks": Columns(
        ("trace_id", "peak_time", "peak_value", "phase"),
        None,
        {
            "trace_id": _trace,
            "start_time": _iso,
            "end_time": _iso,
            "peak_time": _iso,
            "peak_value": lambda pick: _optional(pick.probability),
            "phase": lambda pick: pick.phase,
        },
    ),
    "phasenet_picks": Columns(
        ("station_id", "phase_time", "phase_score", "phase_type"),
        "event_index",
        {
            "station_id": _trace,
            "phase_time": _iso,
            "phase_score": lambda pick: _optional(pick.probability),
            "phase_type": lambda pick: pick.phase,
            "phase_amplitude": lambda pick: _optional(pick.amplitude),
        },
    ),
    "picks_csv": Columns(
        (),
        "event_id",
        {
            "station": _station,
            "phase": lambda pick: pick.phase,
            "time": _iso,
            "sigma_s": lambda pick: _optional(pick.sigma_s),
            "probability": lambda pick: _optional(pick.probability),
            "amplitude": lambda pick: _optional(pick.amplitude),
        },
        "",
    ),
}
TEXTS = {
    "gamma_picks": "GaMMA picks: id, timestamp, type, prob, amp, event_index",
    "pyocto_assignments": "PyOcto assignments: event_idx, pick_idx, residual, station, phase, time",
    "pyocto_picks": "PyOcto picks: station, phase, time (s since 1970), probability, amplitude",
    "seisbench_picks": "SeisBench picks: trace_id, start_time, end_time, peak_time, peak_value, phase",
    "phasenet_picks": "PhaseNet and QuakeFlow picks: station_id, phase_time, phase_score, phase_type, phase_amplitude",
    "picks_csv": "picks, one a row: event_id, station, phase, time, sigma_s, probability, amplitude",
}


def _is(name: str) -> Callable[[Sample], bool]:
    columns = TABLES[name]

    def recognise(sample: Sample) -> bool:
        there = set(sample.columns)
        if name == "picks_csv":
            return all(there.intersection(names) for names in (STATION, PHASE, (*TIME, *SECONDS)))
        if not there.issuperset(columns.marks):
            return False
        return name != "pyocto_picks" or (not there.intersection(EVENT) and _has_epoch_times(sample))

    return recognise


def _has_epoch_times(sample: Sample) -> bool:
    rows = sample.cells(",")
    at = sample.columns.index("time")
    return len(rows) > 1 and len(rows[1]) > at and rows[1][at].replace(".", "", 1).isdigit()


def _reader(name: str) -> Callable[[Path], Contents]:
    def read(path: Path) -> Contents:
        notes = ("residuals of the associator are not read",) if name == "pyocto_assignments" else ()
        return Contents(picks=read_pick_csv(path), notes=notes)

    return read


def _writer(name: str) -> Callable[[Contents], bytes]:
    columns = TABLES[name]

    def write(contents: Contents) -> bytes:
        if name != "picks_csv":
            absolute(contents)
        relative = {event.id for event in contents.picks.events if not event.absolute} if contents.picks else set()
        picks = all_picks(contents)
        if columns.event == "event_idx":
            picks = [(event, pick) for event, pick in picks if event is not None]
        with_event = columns.event is not None and (name == "picks_csv" or any(event for event, _ in picks))
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*([columns.event] if with_event else []), *_extra(name), *columns.cells])
        for number, (event, pick) in enumerate(picks):
            cells = [cell(pick) for cell in columns.cells.values()]
            if event in relative:
                cells[list(columns.cells).index("time")] = repr(pick.time_ns * 1e-9)
            first = [columns.nobody if event is None else event] if with_event else []
            rows.writerow([*first, *([str(number), ""] if _extra(name) else []), *cells])
        return text.getvalue().encode()

    return write


def _extra(name: str) -> list[str]:
    return ["pick_idx", "residual"] if name == "pyocto_assignments" else []


FORMATS = tuple(
    Format(name, TEXTS[name], (PICKS,), _is(name), _reader(name), _writer(name), (".csv", ".txt", ".tsv"))
    for name in TABLES
)
