"""Files of hypoDD and ph2dt: events (event.dat, event.sel), phases (phase.dat), stations (station.dat).

Formats: Waldhauser (2001), USGS Open-File Report 01-113, and the programs' version 2.1. Depths and errors are in km,
elevations in m, times in s. `jaxloc.io.hypodd_times` has differential times, `jaxloc.io.hypodd_locations` results,
`jaxloc.io.hypodd_settings` hypoDD.inp.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame, check_degrees, to_km
from jaxloc.io.tables import decode, read_bytes
from jaxloc.types import PHASES, Observations

SIGMA_S = 0.05  # of a pick of weight one


class Events(NamedTuple):
    """Events of a catalogue, one a row; errors and rms as the file has them, 0 where unknown."""

    id: Int[np.ndarray, " event"]
    origin: np.ndarray  # datetime64[us]
    latitude_deg: Float[np.ndarray, " event"]
    longitude_deg: Float[np.ndarray, " event"]
    depth_km: Float[np.ndarray, " event"]
    magnitude: Float[np.ndarray, " event"]
    horizontal_error_km: Float[np.ndarray, " event"]
    vertical_error_km: Float[np.ndarray, " event"]
    rms_s: Float[np.ndarray, " event"]


class Phases(NamedTuple):
    """Travel times of events: row of the event, station, travel time from the catalogue's origin, weight, P or S.

    A negative weight asks ph2dt to use the pick whatever its distance.
    """

    events: Events
    event: Int[np.ndarray, " pick"]
    station: tuple[str, ...]
    travel_s: Float[np.ndarray, " pick"]
    weight: Float[np.ndarray, " pick"]
    phase: Int[np.ndarray, " pick"]


def lines_of(path: str | Path) -> list[tuple[int, list[str]]]:
    """Words of each line that is not empty, with the line's number."""
    text = decode(read_bytes(path, "file of hypoDD"), path)
    return [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def wrong(path: str | Path, number: int, words: Sequence[str], what: str) -> ValueError:
    """The error of a line that cannot be read."""
    return ValueError(f"{path}, line {number}: {' '.join(words)!r} is no {what}")


def events_of(rows: Iterable[Sequence[float]], origin: Sequence[np.datetime64], ids: Sequence[int]) -> Events:
    """Events from rows of latitude, longitude, depth, magnitude, errors and rms."""
    columns = np.array(list(rows), float).reshape(-1, 7).T
    check_degrees(columns[0], columns[1], "events")
    return Events(np.array(ids, np.int64), np.array(origin, "datetime64[us]"), *columns)


def time_of(year: int, month: int, day: int, hour: int, minute: int, second: float) -> np.datetime64:
    """A time; seconds may be 60 or more, or negative, as programs write them."""
    start = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T00:00:00", "us")
    return start + np.timedelta64(round((hour * 3600 + minute * 60 + second) * 1e6), "us")


def calendar(time: np.datetime64) -> tuple[int, int, int, int, int, float]:
    """Year, month, day, hour, minute and seconds."""
    text = str(time.astype("datetime64[us]"))
    date, clock = text.split("T")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = clock.split(":")
    return year, month, day, int(hour), int(minute), float(second)


def read_events(path: str | Path) -> Events:
    """event.dat or event.sel: date, time (HHMMSSss), position, depth, magnitude, errors, rms, id (and what to fix).

    Raises:
        ValueError: where a line is none of these; names it.
    """
    rows, origin, ids = [], [], []
    for number, words in lines_of(path):
        try:
            date, clock = int(words[0]), int(words[1])
            date = date + 19_000_000 if date < 10_000_000 else date
            rows.append([float(word) for word in words[2:9]])
            day = date // 10_000, date // 100 % 100, date % 100
            origin.append(time_of(*day, clock // 1_000_000, clock // 10_000 % 100, clock % 10_000 / 100))
            ids.append(int(words[9]))
        except (ValueError, IndexError) as error:
            raise wrong(path, number, words, "event of hypoDD: date time lat lon depth mag eh ez rms id") from error
    return events_of(rows, origin, ids)


def write_events(path: str | Path, events: Events) -> None:
    """event.dat; origin times to 0.01 s, as the format has them."""
    lines = []
    for row in range(len(events.id)):
        year, month, day, hour, minute, second = calendar(_rounded(events.origin[row], 10_000))
        date, clock = year * 10_000 + month * 100 + day, hour * 1_000_000 + minute * 10_000 + round(second * 100)
        lines.append(
            f"{date:08d}  {clock:8d}  {events.latitude_deg[row]:8.4f}  {events.longitude_deg[row]:9.4f}  "
            f"{events.depth_km[row]:9.3f}  {events.magnitude[row]:5.2f}  {events.horizontal_error_km[row]:6.2f}  "
            f"{events.vertical_error_km[row]:6.2f}  {events.rms_s[row]:5.2f} {events.id[row]:10d}"
        )
    Path(path).write_text("\n".join(lines) + "\n")


def _rounded(time: np.datetime64, step_us: int) -> np.datetime64:
    count = int(time.astype("datetime64[us]").astype(np.int64))
    return np.datetime64((count + step_us // 2) // step_us * step_us, "us")


def read_phases(path: str | Path) -> Phases:
    """phase.dat: a line "# year month day hour minute second lat lon depth mag eh ez rms id" an event, then its picks.

    Raises:
        ValueError: where a line is neither, or a phase is not P or S; names it.
    """
    rows, origin, ids, picks = [], [], [], []
    for number, words in lines_of(path):
        try:
            if words[0].startswith("#"):
                head = [word for word in [words[0][1:], *words[1:]] if word]
                date = [int(float(word)) for word in head[:5]]
                origin.append(time_of(date[0], date[1], date[2], date[3], date[4], float(head[5])))
                rows.append([float(word) for word in head[6:13]])
                ids.append(int(head[13]))
            else:
                picks.append((len(ids) - 1, words[0], float(words[1]), float(words[2]), PHASES.index(words[3])))
        except (ValueError, IndexError) as error:
            raise wrong(path, number, words, "event or pick (station, time, weight, P or S) of phase.dat") from error
    event, station, travel_s, weight, phase = zip(*picks, strict=True) if picks else ((),) * 5
    if picks and picks[0][0] < 0:
        raise ValueError(f"{path} begins with a pick; the line of its event, with #, must come first")
    events = events_of(rows, origin, ids)
    return Phases(
        events, np.array(event, int), tuple(station), np.array(travel_s), np.array(weight), np.array(phase, int)
    )


def write_phases(path: str | Path, phases: Phases) -> None:
    """phase.dat; travel times to 0.001 s."""
    events, lines = phases.events, []
    for row in range(len(events.id)):
        year, month, day, hour, minute, second = calendar(_rounded(events.origin[row], 1000))
        lines.append(
            f"# {year:4d} {month:2d} {day:2d} {hour:2d} {minute:2d} {second:6.3f} {events.latitude_deg[row]:9.5f} "
            f"{events.longitude_deg[row]:10.5f} {events.depth_km[row]:8.3f} {events.magnitude[row]:5.2f} "
            f"{events.horizontal_error_km[row]:6.2f} {events.vertical_error_km[row]:6.2f} {events.rms_s[row]:5.2f} "
            f"{events.id[row]:10d}"
        )
        for pick in np.flatnonzero(phases.event == row):
            lines.append(
                f"{phases.station[pick]:7s} {phases.travel_s[pick]:9.3f} {phases.weight[pick]:7.3f}   "
                f"{PHASES[phases.phase[pick]]}"
            )
    Path(path).write_text("\n".join(lines) + "\n")


def read_stations(path: str | Path) -> tuple[Station, ...]:
    """station.dat: code, latitude, longitude in degrees or degrees:minutes, and elevation in m where the file has it.

    Raises:
        ValueError: where a line is no station, or a code is at two places; names it.
    """
    found: dict[str, Station] = {}
    for number, words in lines_of(path):
        try:
            code, latitude, longitude = words[0], _angle(words[1]), _angle(words[2])
            station = Station(code, latitude, longitude, float(words[3]) if len(words) > 3 else 0.0)
        except (ValueError, IndexError) as error:
            raise wrong(path, number, words, "station of hypoDD: code latitude longitude [elevation in m]") from error
        if found.setdefault(code, station) != station:
            raise ValueError(f"{path}, line {number}: station {code} is listed twice; leave one of them out")
    stations = tuple(found.values())
    check_degrees(
        np.array([s.latitude_deg for s in stations]), np.array([s.longitude_deg for s in stations]), f"{path}"
    )
    return stations


def _angle(word: str) -> float:
    """Degrees, or degrees:minutes(:seconds) with the sign of the first."""
    parts = [float(part) for part in word.split(":")]
    size = sum(abs(part) / 60**power for power, part in enumerate(parts))
    return -size if word.lstrip().startswith("-") else size


def write_stations(path: str | Path, stations: Sequence[Station], *, minutes: bool = False) -> None:
    """station.dat with elevations; with `minutes` as degrees:minutes."""
    text = _in_minutes if minutes else lambda degrees: f"{degrees:13.6f}"
    lines = [f"{s.code:7s}{text(s.latitude_deg)} {text(s.longitude_deg)} {s.elevation_m:9.1f}" for s in stations]
    Path(path).write_text("\n".join(lines) + "\n")


def _in_minutes(degrees: float) -> str:
    whole, rest = divmod(round(abs(degrees) * 60 * 1e5), round(60 * 1e5))
    return f" {'-' if degrees < 0 else ''}{whole}:{rest / 1e5:08.5f}"


def start_of(events: Events, frame: Frame) -> Float[np.ndarray, "event 4"]:
    """Hypocentres in km, with origin time 0: clocks of events begin at the catalogue's origin times."""
    east_km, north_km = to_km(frame, events.latitude_deg, events.longitude_deg)
    return np.stack([east_km, north_km, events.depth_km, np.zeros(len(events.id))], -1)


def observations_of(
    phases: Phases, stations: Sequence[Station], frame: Frame, sigma_s: float = SIGMA_S
) -> tuple[Observations, Float[np.ndarray, "event station phase"]]:
    """Picks at known stations, and their weights' absolute values; clocks begin at the catalogue's origin times.

    The standard deviation of a pick is `sigma_s` over its weight. Of two picks of one phase at a station the first
    counts; picks at unknown stations are left out.
    """
    codes = {station.code: row for row, station in enumerate(stations)}
    shape = (len(phases.events.id), len(stations), len(PHASES))
    time_s, weight, mask = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    for event, code, travel_s, own, phase in zip(*phases[1:], strict=True):
        at = (event, codes.get(code, -1), phase)
        if code in codes and not mask[at] and own != 0:
            time_s[at], weight[at], mask[at] = travel_s, abs(own), True
    east_km, north_km = to_km(
        frame, np.array([s.latitude_deg for s in stations]), np.array([s.longitude_deg for s in stations])
    )
    station_km = np.stack([east_km, north_km, [-s.elevation_m / 1000 for s in stations]], -1)
    every = lambda values: np.broadcast_to(values, (shape[0], *np.shape(values)))
    sd_s = np.where(mask, sigma_s / np.maximum(weight, 1e-3), sigma_s)
    own = (every(station_km), every(np.ones(shape[1], bool)), every(np.arange(shape[1])), np.ones(shape[0]))
    return Observations(None, *own, time_s, sd_s, mask), weight  # pyright: ignore[reportArgumentType]
