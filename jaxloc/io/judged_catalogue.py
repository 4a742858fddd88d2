"""A catalogue of any format as arrays: hypocentres, magnitudes, odds that events are real, and their picks."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from obspy import UTCDateTime

from jaxloc.geometry import Frame, to_km
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import EVENTS, Contents, hypocentre, origin_time, picked_events
from jaxloc.io.formats import read, recognise
from jaxloc.io.pick_files import PickedEvent
from jaxloc.io.reference_catalogue import read_truths

LOG_ODDS = ("log_odds", "event_log_odds")
PROBABILITIES = ("event_probability", "is_event_probability", "probability_real")
EXPECTED = "locatable"
IN_FOLDER = ("events.csv", "events.xml", "truth.csv")


class JudgedCatalogue(NamedTuple):
    """Events of a file.

    Attributes:
        path: of the file.
        events: located events with an origin time, those that were rejected left out.
        picked: their picks; empty where there are none.
        notes: sentences on what was left out or not read.
    """

    path: Path
    events: tuple[Hypocentre, ...]
    picked: tuple[PickedEvent, ...]
    notes: tuple[str, ...]


def read_judged(path: str | Path) -> JudgedCatalogue:
    """Read a catalogue: a file of any format with locations, or a folder with events.csv, events.xml or truth.csv.

    Picks are those of the file, or of picks.csv (of truth.csv: truth_picks.csv) in the same folder.

    Raises:
        ValueError: where the file is missing or wrong, or has no event with an origin time.
    """
    path = _file(Path(path))
    contents = _contents(path)
    kept = [event for event in contents.events if not event.rejected and event.start is not None]
    if not kept:
        raise ValueError(f"{path} has no located event with an origin time; a catalogue must have some")
    notes = list(contents.notes)
    if rejected := sum(event.rejected for event in contents.events):
        notes.append(f"{path}: {rejected} rejected locations are left out")
    if timeless := sum(event.start is None and not event.rejected for event in contents.events):
        notes.append(f"{path}: {timeless} events without origin time are left out")
    picked = picked_events(contents)
    beside = path.with_name(f"{path.stem}_picks.csv" if path.stem != "events" else "picks.csv")
    if not picked and beside.is_file():
        picked = picked_events(read(beside)[0])
        notes.append(f"picks of {path} are those of {beside.name}")
    return JudgedCatalogue(path, tuple(kept), tuple(each for each in picked if each.absolute), tuple(notes))


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [path / name for name in IN_FOLDER if (path / name).is_file()]
    if not found:
        raise ValueError(f"{path} has none of {', '.join(IN_FOLDER)}; name the file of the catalogue")
    return found[0]


def _contents(path: Path) -> Contents:
    form = recognise(path)
    if form is not None and EVENTS in form.holds:
        return form.read(path)
    truths = [(known.names[0], known.truth) for known in read_truths(path)]
    time_of = lambda origin_s: (
        None if origin_s is None or math.isnan(origin_s) else UTCDateTime(ns=round(origin_s * 1e9))
    )
    return Contents(
        events=tuple(
            hypocentre(name, time_of(truth.origin_s), truth.latitude_deg, truth.longitude_deg, truth.depth_km)
            for name, truth in truths
        )
    )


def zero_of(events: Sequence[Hypocentre]) -> int:
    """A common zero of times in ns since 1970: the earliest origin time, in whole seconds."""
    return min(_ns(event) for event in events) // 10**9 * 10**9


def _ns(event: Hypocentre) -> int:
    time = origin_time(event)
    assert time is not None, "events without origin time are left out when they are read"
    return int(time.ns)


def hypocentres(frame: Frame, zero_ns: int, events: Sequence[Hypocentre]) -> Float[np.ndarray, "event 4"]:
    """East, north and depth in km in a frame, and origin time in s from a zero."""
    latitude, longitude = (
        np.array([getattr(e, name) for e in events], float) for name in ("latitude_deg", "longitude_deg")
    )
    depth_km = np.array([event.depth_km for event in events], float)
    origin_s = np.array([(_ns(event) - zero_ns) / 1e9 for event in events])
    return np.stack([*to_km(frame, latitude, longitude), depth_km, origin_s], -1)


def magnitudes(events: Sequence[Hypocentre]) -> Float[np.ndarray, " event"]:
    """Magnitudes, NaN where unknown."""
    return np.array([math.nan if event.magnitude is None else event.magnitude for event in events], float)


def log_odds(events: Sequence[Hypocentre]) -> Float[np.ndarray, " event"]:
    """Natural logarithms of the odds that events are real, or those of their probabilities; NaN for neither."""

    def one(event: Hypocentre) -> float:
        for name in LOG_ODDS:
            if name in event.others:
                return event.others[name]
        for name in PROBABILITIES:
            if name in event.others:
                p = min(max(event.others[name], 1e-300), 1 - 1e-16)
                return math.log(p) - math.log1p(-p)
        return math.nan

    return np.array([one(event) for event in events], float)


def expected(events: Sequence[Hypocentre]) -> Bool[np.ndarray, " event"] | None:
    """Events that a network can locate by the catalogue's column `locatable`; None where it has no such column."""
    if not any(EXPECTED in event.others for event in events):
        return None
    return np.array([event.others.get(EXPECTED, 0.0) > 0 for event in events])


def pick_arrays(
    catalogue: JudgedCatalogue, zero_ns: int, with_network: bool = True
) -> tuple[Int[np.ndarray, " pick"], tuple[str, ...], Float[np.ndarray, " pick"]] | None:
    """Row of the event, station and phase, and time in s of each pick; None where a catalogue has no picks."""
    row = {event.id: number for number, event in enumerate(catalogue.events)}
    found = [
        (
            row[each.id],
            f"{pick.station if with_network else pick.station.rpartition('.')[2]} {pick.phase}",
            pick.time_ns,
        )
        for each in catalogue.picked
        if each.id in row
        for pick in each.picks
    ]
    if not found:
        return None
    event, name, time_ns = zip(*found, strict=True)
    return np.array(event), name, (np.array(time_ns) - zero_ns) / 1e9
