"""HypoDD's files in the registry of formats, and how they are recognised (`jaxloc.io.hypodd` and its neighbours).

A pick of weight one has a standard deviation of `jaxloc.io.hypodd.SIGMA_S`, others that over their weight; weight 0
leaves a pick out. `eh` is the error of east and of north, as hypoDD takes it. A magnitude or an error of 0 is unknown.
The errors of hypoDD.reloc are relative, and of what level depends on the solver, which the file does not say.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from obspy import UTCDateTime

from jaxloc.data.dataset import Station
from jaxloc.io import hypodd, hypodd_locations, hypodd_recognised, hypodd_times
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import (
    DIFFERENCES,
    EVENTS,
    PICKS,
    STATIONS,
    VELOCITY,
    Contents,
    Format,
    PairTime,
    absolute,
    hypocentre,
    picked_events,
    timed,
    whole_numbers,
    written_to_file,
)  # fmt: skip
from jaxloc.io.hypodd_settings import read_inputs
from jaxloc.io.missing_values import look_like_km
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile
from jaxloc.types import PHASES

ID_DIGITS, CODE = 9, 7  # characters of ids and of station codes
NOT_LOCATED = "hypoDD's files must have events with a location and an origin time; give the file of events as an input"


def _hypocentres(events: hypodd.Events) -> tuple[Hypocentre, ...]:
    known = lambda value: float(value) if value > 0 else math.nan
    found = []
    for id, origin, latitude, longitude, depth_km, magnitude, eh, ez, _ in zip(*events, strict=True):
        sd = (known(eh), known(eh), known(ez), math.nan)
        place = (float(latitude), float(longitude), float(depth_km))
        found.append(hypocentre(str(id), UTCDateTime(str(origin)), *place, float(magnitude) or None, sd))
    return tuple(found)


def read_events(path: Path) -> Contents:
    """event.dat or event.sel; raises as `jaxloc.io.hypodd.read_events`."""
    return Contents(events=_hypocentres(hypodd.read_events(path)), notes=("rms residuals are not read",))


def read_phases(path: Path) -> Contents:
    """phase.dat; raises as `jaxloc.io.hypodd.read_phases`."""
    phases = hypodd.read_phases(path)
    events = _hypocentres(phases.events)
    picks: list[list[Pick]] = [[] for _ in events]
    left_out: list[list[str]] = [[] for _ in events]
    starts_ns = [timed(event).ns for event in events]
    for row, station, travel_s, weight, phase in zip(*phases[1:], strict=True):
        if weight == 0:
            left_out[row].append("its weight is 0")
            continue
        time_ns = starts_ns[row] + round(travel_s * 1e6) * 1000
        picks[row].append(Pick(station, PHASES[phase], time_ns, hypodd.SIGMA_S / abs(float(weight))))
    rows = zip(events, picks, left_out, strict=True)
    picked = tuple(PickedEvent(e.id, tuple(own), tuple(out), magnitude=e.magnitude) for e, own, out in rows)
    notes = (f"picks have a standard deviation of {hypodd.SIGMA_S} s over their weight", "rms residuals are not read")
    return Contents(PickFile(picked), events, notes=notes)


def _events(located: Sequence[Hypocentre], numbers: dict[str, int], step_us: int) -> hypodd.Events:
    """Events as rows, their origin times rounded as the file will have them."""
    rows, origin = [], []
    for event in located:
        horizontal = event.covariance[:2, :2]
        eh = math.sqrt(np.linalg.eigvalsh(horizontal)[-1]) if np.isfinite(horizontal).all() else 0.0
        ez = math.sqrt(event.covariance[2, 2])
        place = (event.latitude_deg, event.longitude_deg, event.depth_km)
        rows.append([*place, event.magnitude or 0.0, eh, 0.0 if math.isnan(ez) else ez, 0.0])
        origin.append(np.datetime64(round(timed(event).ns / 1000 / step_us) * step_us, "us"))
    return hypodd.events_of(rows, origin, [numbers[event.id] for event in located])


def write_events(contents: Contents) -> bytes:
    """event.dat; ids that are no whole numbers are replaced by the order of events.

    Raises:
        ValueError: where an event has no origin time.
    """
    numbers = whole_numbers([event.id for event in contents.events], ID_DIGITS)
    events = _events(contents.events, numbers, 10_000)
    return written_to_file(lambda path: hypodd.write_events(path, events))


def write_phases(contents: Contents) -> bytes:
    """phase.dat of the events with a location; the weight of a pick is at most one. Ids as in `write_events`.

    Raises:
        ValueError: where no event has both a location and picks, a time is not UTC, or a code is too long.
    """
    absolute(contents)
    picks = {event.id: event.picks for event in picked_events(contents)}
    if not any(picks.get(event.id) for event in contents.events):
        raise ValueError(NOT_LOCATED)
    events = _events(contents.events, whole_numbers([e.id for e in contents.events], ID_DIGITS), 1000)
    rows = []
    for row, event in enumerate(contents.events):
        start_ns = int(events.origin[row].astype(np.int64)) * 1000
        for pick in picks.get(event.id, ()):
            weight = min(hypodd.SIGMA_S / pick.sigma_s, 1.0) if pick.sigma_s > 0 else 1.0
            travel_s = (pick.time_ns - start_ns) * 1e-9
            rows.append((row, _code(pick.station), travel_s, max(weight, 0.001), PHASES.index(pick.phase)))
    event, station, travel_s, weight, phase = zip(*rows, strict=True)
    phases = hypodd.Phases(
        events, np.array(event, int), station, np.array(travel_s), np.array(weight), np.array(phase, int)
    )
    return written_to_file(lambda path: hypodd.write_phases(path, phases))


def _code(code: str) -> str:
    """A code of at most seven characters; NET.STA that is longer loses its point, as NCSN's codes have none."""
    short = code if len(code) <= CODE else code.replace(".", "")
    if len(short) > CODE:
        raise ValueError(f"station {code} must have at most {CODE} characters for HypoDD; shorten its code")
    return short


def read_stations(path: Path) -> Contents:
    """station.dat; raises as `jaxloc.io.hypodd.read_stations`, and where elevations are probably in km."""
    stations = hypodd.read_stations(path)
    heights = [station.elevation_m for station in stations]
    if look_like_km(heights):
        raise ValueError(
            f"{path}: elevations that are all below 10 ({heights[0]:g}, ...) may be in km, and HypoDD's are in m; "
            "give a table with the column elevation_m or elevation_km"
        )
    notes = () if any(heights) else ("all elevations are missing or 0: stations are at sea level",)
    return Contents(stations=stations, notes=notes)


def write_stations(contents: Contents) -> bytes:
    """station.dat; raises as `write_phases` where a code is too long."""
    stations: list[Station] = [station._replace(code=_code(station.code)) for station in contents.stations]
    return written_to_file(lambda path: hypodd.write_stations(path, stations))


def read_locations(path: Path) -> Contents:
    """hypoDD.reloc or hypoDD.loc; raises as `jaxloc.io.hypodd_locations.read_locations`."""
    found = hypodd_locations.read_locations(path)
    events = tuple(
        hypocentre(str(id), UTCDateTime(str(origin)), float(lat), float(lon), float(depth), float(magnitude) or None)
        for id, lat, lon, depth, origin, magnitude in zip(*found[:4], found.origin, found.magnitude, strict=True)
    )
    notes = ("errors, which are relative and depend on the solver, residuals and clusters are not read",)
    return Contents(events=events, notes=notes)


def write_locations(contents: Contents) -> bytes:
    """hypoDD.reloc of one cluster without links; ids as in `write_events`."""
    located = contents.events
    events = _events(located, whole_numbers([event.id for event in located], ID_DIGITS), 1000)
    zeros, none = np.zeros((len(located), 3)), np.full((len(located), 2), np.nan)
    links, cluster = np.zeros((len(located), 4), int), np.ones(len(located), int)
    place = (events.id, events.latitude_deg, events.longitude_deg, events.depth_km)
    found = hypodd_locations.Locations(*place, zeros, zeros, events.origin, events.magnitude, links, none, cluster)
    return written_to_file(lambda path: hypodd_locations.write_relocations(path, found))


def _differences(times: hypodd_times.PairTimes) -> Contents:
    """Pairs whose correction of origin times is known."""
    unknown = (times.kind != "catalogue") & (np.abs(times.second_s - hypodd_times.UNKNOWN_CORRECTION_S) < 1e-3)
    pairs = zip(*times[1:], unknown, strict=True)
    found = tuple(
        PairTime(str(one), str(other), station, PHASES[phase], float(first_s - second_s), float(weight))
        for one, other, station, first_s, second_s, weight, phase, out in pairs
        if not out
    )
    left_out = int(np.sum(unknown))
    notes = (f"{left_out} times are not read: their correction of origin times is unknown",) if left_out else ()
    return Contents(differences=found, notes=notes)


def read_cross_times(path: Path) -> Contents:
    """dt.cc; raises as `jaxloc.io.hypodd_times.read_cross_times`."""
    return _differences(hypodd_times.read_cross_times(path))


def read_catalogue_times(path: Path) -> Contents:
    """dt.ct, the differences of both travel times; raises as `jaxloc.io.hypodd_times.read_cross_times`."""
    found = _differences(hypodd_times.read_catalogue_times(path))
    return found._replace(notes=("of both travel times the difference is read",))


def write_cross_times(contents: Contents) -> bytes:
    """dt.cc without corrections of origin times.

    Raises:
        ValueError: where an id is no whole number, or a code is too long.
    """
    times = sorted(contents.differences, key=lambda one: (one.first, one.second))
    ids = [id for one in times for id in (one.first, one.second)]
    if wrong := [id for id in ids if not id.isdecimal()]:
        raise ValueError(f"event id {wrong[0]!r} must be a whole number for HypoDD; number the events")
    first, second, station, phase, time_s, weight = zip(*times, strict=True)
    found = hypodd_times.PairTimes(
        "cross_correlation", np.array(first, np.int64), np.array(second, np.int64), tuple(map(_code, station)),
        np.array(time_s), np.zeros(len(times)), np.array(weight), np.array([PHASES.index(name) for name in phase]),
    )  # fmt: skip
    return written_to_file(lambda path: hypodd_times.write_pair_times(path, found))


def _read_inputs(path: Path) -> Contents:
    return Contents(velocity=read_inputs(path).velocity)


FORMATS = (
    Format(
        "hypodd_phases", "HypoDD phases of events (phase.dat)", (PICKS, EVENTS),
        hypodd_recognised.is_phases, read_phases, write_phases, (".phase",),
    ),
    Format(
        "hypodd_events", "HypoDD events (event.dat, event.sel)", (EVENTS,),
        hypodd_recognised.is_events, read_events, write_events, (".dat", ".sel"),
    ),
    Format(
        "hypodd_stations", "HypoDD stations (station.dat, station.sel)", (STATIONS,),
        hypodd_recognised.is_stations, read_stations, write_stations, (".dat", ".sel"),
    ),
    Format(
        "hypodd_locations", "HypoDD relocations (hypoDD.reloc, hypoDD.loc)", (EVENTS,),
        hypodd_recognised.is_locations, read_locations, write_locations, (".reloc",),
    ),
    Format(
        "hypodd_catalogue_times", "HypoDD pairs of catalogue travel times (dt.ct)", (DIFFERENCES,),
        hypodd_recognised.is_catalogue_times, read_catalogue_times, None, (".ct",),
    ),
    Format(
        "hypodd_cross_times", "HypoDD times of cross-correlation (dt.cc)", (DIFFERENCES,),
        hypodd_recognised.is_cross_times, read_cross_times, write_cross_times, (".cc",),
    ),
    Format(
        "hypodd_input", "hypoDD.inp, of which the velocity model is read", (VELOCITY,),
        hypodd_recognised.is_input, _read_inputs, None, (".inp",),
    ),
)  # fmt: skip
