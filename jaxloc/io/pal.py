"""Files of PAL and PALM (Zhou and others 2022, SRL): picks, associated phases, catalogues, stations, P velocities.

None has a header. Cells are separated by commas, times are UTC in ISO 8601, or, in catalogues after HYPOINVERSE,
YYYYMMDDhhmmss.ss; -1 is a missing time. No file has errors of picks or of locations.

| file | line |
|---|---|
| picks | NET.STA, origin time from S-P, P, S, amplitude, signal-to-noise ratio of P, dominant frequency |
| phases | event: time, latitude, longitude, depth (km), magnitude, residual; pick: NET.STA, P, S, amplitude, ratio |
| catalogue | origin time, latitude, longitude, depth (km), magnitude |
| stations | NET.STA, latitude, longitude, elevation (m), gain |
| velocity model | a title; P speed (km/s), depth of the top (km) |

PAL measures the amplitude at the S wave; it goes with both picks of a station.
"""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from obspy import UTCDateTime

from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import (
    Contents,
    absolute,
    all_picks,
    as_time,
    hypocentre,
    picked_events,
    timed,
)  # fmt: skip
from jaxloc.io.pick_files import LONGEST_EVENT_S, Pick, PickedEvent, PickFile
from jaxloc.io.stations import read_stations
from jaxloc.io.tables import decode, parse_time, read_bytes
from jaxloc.physics.layered import layered

MISSING = "-1"
VP_KM_S, VS_KM_S = 5.9, 3.4  # PAL's speeds for the origin time of a station
VP_VS = 1.73  # of the velocity model, which has P alone
STATION_CODE = re.compile(r"(?!\d+\.\d+$)[A-Za-z0-9]*\.[A-Za-z0-9]+$")
_COMPACT = re.compile(r"\d{14}(\.\d*)?$")


class _Line(NamedTuple):
    """A line of a file taken apart at commas; `place` is for messages."""

    place: str
    cells: list[str]

    def number(self, column: int, what: str) -> float:
        try:
            value = float(self.cells[column])
        except (ValueError, IndexError):
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(
                f"{self.place}: {what} must be a number in cell {column + 1}, got {','.join(self.cells)!r}"
            )
        return value

    def time(self, column: int, what: str) -> UTCDateTime | None:
        """A time; None where it is missing (-1)."""
        text = self.cells[column] if column < len(self.cells) else ""
        if text.startswith(MISSING):
            return None
        try:
            return _time(text)
        except ValueError as error:
            raise ValueError(f"{self.place}: {what} in cell {column + 1}: {error}") from error


def _time(text: str) -> UTCDateTime:
    if not _COMPACT.match(text):
        return parse_time(text)
    seconds = float(text[12:])  # 60.00 is possible: HYPOINVERSE rounds
    return parse_time(f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:00") + seconds


def is_time(text: str) -> bool:
    """Whether a text is a time in one of the two forms."""
    try:
        _time(text)
    except ValueError:
        return False
    return True


def _lines(path: Path, what: str) -> list[_Line]:
    """Raises ValueError where the file is missing or has no line."""
    text = decode(read_bytes(path, what), path)
    found = [
        _Line(f"{path}, line {number}", [cell.strip() for cell in line.split(",")])
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    if not found:
        raise ValueError(f"{path} is empty; a {what} must have at least one line")
    return found


def _picks_of(line: _Line, at: int) -> list[Pick]:
    """P and S of a line whose P time is in cell `at`."""
    amplitude = line.number(at + 2, "the amplitude") if len(line.cells) > at + 2 else None
    times = [(phase, line.time(at + i, f"the {phase} time")) for i, phase in enumerate("PS")]
    return [Pick(line.cells[0], phase, time.ns, amplitude=amplitude) for phase, time in times if time is not None]


def read_picks(path: Path) -> Contents:
    """Picks of a `.pick` file, which belong to no event.

    Raises:
        ValueError: where the file is missing or empty, or a line is none of PAL's; names it.
    """
    loose = tuple(pick for line in _lines(path, "file of PAL picks") for pick in _picks_of(line, 2))
    notes = ("signal-to-noise ratios, dominant frequencies and origin times of single stations are not read",)
    return Contents(picks=PickFile((), len(loose), loose), notes=notes)


def read_phases(path: Path) -> Contents:
    """Events with their picks of a `.pha` file; an event is named by the number of its place in the file, from 1.

    Raises:
        ValueError: as `read_picks`, and where picks come before the first event.
    """
    events: list[Hypocentre] = []
    picks: list[list[Pick]] = []
    for line in _lines(path, "file of PAL phases"):
        if STATION_CODE.match(line.cells[0]):
            if not events:
                raise ValueError(f"{line.place}: picks must come after the line of their event")
            picks[-1] += _picks_of(line, 1)
        else:
            events.append(_event(str(len(events) + 1), line))
            picks.append([])
    pairs = zip(events, picks, strict=True)
    picked = tuple(PickedEvent(event.id, tuple(own), magnitude=event.magnitude) for event, own in pairs)
    return Contents(PickFile(picked), tuple(events), notes=("signal-to-noise ratios and residuals are not read",))


def read_catalogue(path: Path) -> Contents:
    """Events of a `.ctlg` file, named by their place in it, from 1; raises as `read_picks`."""
    lines = _lines(path, "PAL catalogue")
    return Contents(events=tuple(_event(str(number), line) for number, line in enumerate(lines, 1)))


def _event(id: str, line: _Line) -> Hypocentre:
    time = line.time(0, "the origin time")
    if time is None:
        raise ValueError(f"{line.place}: the event must have an origin time in cell 1, got {line.cells[0]!r}")
    names = ("the latitude", "the longitude", "the depth in km", "the magnitude")
    latitude, longitude, depth_km, magnitude = (line.number(i, name) for i, name in enumerate(names, 1))
    return hypocentre(id, time, latitude, longitude, depth_km, None if magnitude in (-1, -9) else magnitude)


def _pair_text(pick: Pick | None) -> str:
    return MISSING if pick is None else as_time(pick.time_ns)


def _pairs(picks: Iterable[Pick]) -> list[tuple[str, Pick | None, Pick | None]]:
    """P and the S after it at each station, either None where it is missing, in the order of the first."""
    pairs: list[tuple[str, Pick | None, Pick | None]] = []
    last: dict[str, int] = {}
    for pick in sorted(picks, key=lambda pick: pick.time_ns):
        before = pairs[last[pick.station]] if pick.station in last else None
        if pick.phase == "P":
            pairs.append((pick.station, pick, None))
        elif before and before[1] and not before[2] and pick.time_ns - before[1].time_ns < LONGEST_EVENT_S * 1e9:
            pairs[last[pick.station]] = (*before[:2], pick)
            continue
        else:
            pairs.append((pick.station, None, pick))
        last[pick.station] = len(pairs) - 1
    return pairs


def _amplitude(p: Pick | None, s: Pick | None) -> str:
    given = [pick.amplitude for pick in (s, p) if pick is not None and pick.amplitude is not None]
    return repr(given[0]) if given else MISSING


def write_picks(contents: Contents) -> bytes:
    """A `.pick` file: pairs of P and S at each station, with the origin time that they give; unknown values are -1."""
    absolute(contents)
    lines = []
    for station, p, s in _pairs(pick for _, pick in all_picks(contents)):
        origin = MISSING
        if p and s:
            before_ns = round((s.time_ns - p.time_ns) * VS_KM_S / (VP_KM_S - VS_KM_S))
            origin = as_time(p.time_ns - before_ns)
        lines.append(f"{_code(station)},{origin},{_pair_text(p)},{_pair_text(s)},{_amplitude(p, s)},-1,-1")
    return _joined(lines)


def _code(station: str) -> str:
    """NET.STA, with an empty network where none is known."""
    return station if "." in station else f".{station}"


def write_phases(contents: Contents) -> bytes:
    """A `.pha` file of the events that have a location, with their picks.

    Raises:
        ValueError: where no event has both a location and picks, or an event has no origin time.
    """
    absolute(contents)
    picks = {event.id: event.picks for event in picked_events(contents)}
    if not any(picks.get(event.id) for event in contents.events):
        raise ValueError("a file of PAL phases must have events with location and picks; give both files as inputs")
    lines = []
    for event in contents.events:
        lines.append(_event_text(event))
        for station, p, s in _pairs(picks.get(event.id, ())):
            lines.append(f"{_code(station)},{_pair_text(p)},{_pair_text(s)},{_amplitude(p, s)},-1")
    return _joined(lines)


def write_catalogue(contents: Contents) -> bytes:
    """A `.ctlg` file.

    Raises:
        ValueError: where an event has no origin time.
    """
    return _joined(_event_text(event) for event in contents.events)


def _event_text(event: Hypocentre) -> str:
    place = f"{event.latitude_deg:.6f},{event.longitude_deg:.6f},{event.depth_km:.4f}"
    return f"{timed(event)},{place},{-1 if event.magnitude is None else f'{event.magnitude:g}'}"


def read_station_list(path: Path) -> Contents:
    """A station file; raises as `jaxloc.io.stations.read_stations`."""
    return Contents(stations=read_stations(path), notes=("gains are not read",))


def write_stations(contents: Contents) -> bytes:
    """A station file; gains are 1, since none are known."""
    return _joined(
        f"{_code(s.code)},{s.latitude_deg:.6f},{s.longitude_deg:.6f},{s.elevation_m:g},1" for s in contents.stations
    )


def read_velocity(path: Path) -> Contents:
    """A `.cre` file; S speeds are those of Vp/Vs 1.73.

    Raises:
        ValueError: where the file is missing, or a line has no speed and depth.
    """
    lines = decode(read_bytes(path, "velocity model"), path).splitlines()
    try:
        rows = [[float(cell) for cell in line.split()[:2]] for line in lines[1:] if line.strip()]
        speeds, tops = zip(*rows, strict=True)
    except ValueError as error:
        raise ValueError(f"{path} must have a title, then lines of P speed in km/s and depth in km: {error}") from error
    model = layered(list(tops), list(speeds), [speed / VP_VS for speed in speeds])
    return Contents(velocity=model, notes=(f"there are no S speeds: P speeds over {VP_VS} are taken",))


def write_velocity(contents: Contents) -> bytes:
    """A `.cre` file of the P speeds."""
    model = contents.velocity
    assert model is not None, "the caller checks that there is a velocity model"
    rows = zip(model.vp_km_s.tolist(), model.top_km.tolist(), strict=True)
    return _joined(["P velocity model", *(f"{vp:5.3f} {_in_four(top)}" for vp, top in rows)])


def _in_four(depth_km: float) -> str:
    """A depth in four characters: HYPOINVERSE reads two numbers of five columns each."""
    return f"{depth_km:4.{2 if 0 <= depth_km < 9.995 else 1 if -9.95 < depth_km < 99.95 else 0}f}"


def _joined(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
