"""The neutral form between formats: what a file holds, and what a format is.

A format is read into `Contents` and written from them, so that n formats need n readers and n writers. To add one,
write a module with its `FORMATS` and name the module in `jaxloc.io.formats`.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from obspy import UTCDateTime

from jaxloc.data.dataset import Station
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile
from jaxloc.physics.layered import VelocityModel

PICKS, EVENTS, STATIONS, VELOCITY, DIFFERENCES = "picks", "events", "stations", "velocity model", "differential times"


class PairTime(NamedTuple):
    """A travel time of the first event at a station minus that of the second; weight or correlation coefficient.

    GrowClust and HypoDD (sign as in dt.cc) have this; the ids are those of a list of events.
    """

    first: str
    second: str
    station: str
    phase: str
    time_s: float
    weight: float


class Contents(NamedTuple):
    """What a file holds; what it does not hold is empty or None.

    A picked event and a hypocentre of one id are the same event. `Hypocentre.covariance` is NaN on the diagonal where
    an error is unknown, and `notes` are sentences on what of the file is not read, or was assumed.
    """

    picks: PickFile | None = None
    events: tuple[Hypocentre, ...] = ()
    stations: tuple[Station, ...] = ()
    velocity: VelocityModel | None = None
    differences: tuple[PairTime, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of contents there are."""
        picked = self.picks is not None and bool(self.picks.events or self.picks.loose)
        there = (picked, bool(self.events), bool(self.stations), self.velocity is not None, bool(self.differences))
        return tuple(
            kind
            for kind, is_there in zip((PICKS, EVENTS, STATIONS, VELOCITY, DIFFERENCES), there, strict=True)
            if is_there
        )


class Sample(NamedTuple):
    """The beginning of a file, by which its format is recognised.

    `lines` are whole lines that are not blank, `columns` the normalised names of a table whose first line is a header.
    """

    path: Path
    text: str
    lines: tuple[str, ...]
    columns: tuple[str, ...]

    def cells(self, separator: str | None = None) -> list[list[str]]:
        """The lines taken apart at commas, blanks, ..."""
        return [[cell.strip() for cell in line.split(separator)] for line in self.lines]


class Format(NamedTuple):
    """A file format: what it holds, how its beginning is recognised, how it is read and written.

    `read` takes a path and raises a ValueError that names file and line; `write` gives the bytes of a file, and
    refuses (ValueError) contents that have nothing of what the format holds. `suffixes` are usual ends of names.
    """

    name: str
    text: str
    holds: tuple[str, ...]
    recognise: Callable[[Sample], bool]
    read: Callable[[Path], Contents]
    write: Callable[[Contents], bytes] | None = None
    suffixes: tuple[str, ...] = ()


def written_to_file(write: Callable[[Path], None]) -> bytes:
    """What a function writes into the file that it is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written"
        write(path)
        return path.read_bytes()


def whole_numbers(ids: Sequence[str], digits: int) -> dict[str, int]:
    """A number for each id: itself where all are whole numbers of so many digits, else its place from 1."""
    ids = list(dict.fromkeys(ids))
    own = all(id.isdecimal() and id.isascii() and len(id) <= digits and str(int(id)) == id for id in ids)
    return {id: int(id) if own else place for place, id in enumerate(ids, 1)}


def hypocentre(
    id: str,
    time: UTCDateTime | None,
    latitude_deg: float,
    longitude_deg: float,
    depth_km: float,
    magnitude: float | None = None,
    sd: tuple[float, float, float, float] = (math.nan, math.nan, math.nan, math.nan),
) -> Hypocentre:
    """A location as a catalogue has it; `sd` are errors of east, north, depth in km and origin time in s, or NaN."""
    start = None if time is None else str(time)
    magnitude = None if magnitude is None or math.isnan(magnitude) else magnitude
    covariance = np.diag(np.square(sd))
    return Hypocentre(id, start, latitude_deg, longitude_deg, depth_km, 0.0, covariance, magnitude=magnitude)


def origin_time(event: Hypocentre) -> UTCDateTime | None:
    """The origin time in UTC; None where the start of the record is unknown."""
    return None if event.start is None else UTCDateTime(event.start) + event.origin_s


def timed(event: Hypocentre) -> UTCDateTime:
    """The origin time of an event that must have one.

    Raises:
        ValueError: where it has none; names it.
    """
    time = origin_time(event)
    if time is None:
        raise ValueError(f"event {event.id} has no origin time in UTC, which this format must have; leave it out")
    return time


def picked_events(contents: Contents) -> tuple[PickedEvent, ...]:
    """Events that have picks, those that hypocentres carry themselves among them."""
    given = () if contents.picks is None else contents.picks.events
    known = {event.id for event in given}
    return (*given, *(_own_picks(event) for event in contents.events if event.picks and event.id not in known))


def _own_picks(event: Hypocentre) -> PickedEvent:
    zero_ns = 0 if event.start is None else UTCDateTime(event.start).ns
    picks = (
        Pick(
            pick.station,
            pick.phase,
            zero_ns + round(pick.time_s * 1e9),
            math.nan if pick.sigma_s is None else pick.sigma_s,
            pick.probability,
        )
        for pick in event.picks
    )
    return PickedEvent(event.id, tuple(picks), absolute=event.start is not None, magnitude=event.magnitude)


def all_picks(contents: Contents) -> list[tuple[str | None, Pick]]:
    """Every pick with the id of its event, None for a loose one.

    Raises:
        ValueError: where there is none.
    """
    loose = () if contents.picks is None else contents.picks.loose
    found = [(event.id, pick) for event in picked_events(contents) for pick in event.picks]
    return [*found, *((None, pick) for pick in loose)]


def as_time(time_ns: int) -> str:
    """A time in ns since 1970 as ISO 8601, to the microsecond."""
    return str(UTCDateTime(ns=time_ns))


def absolute(contents: Contents) -> None:
    """Refuse picks whose times count from a zero of their own.

    Raises:
        ValueError: names the first event.
    """
    for event in picked_events(contents):
        if not event.absolute:
            raise ValueError(f"picks of event {event.id} have times relative to its own zero; they must be UTC")


def joined(parts: list[Contents]) -> Contents:
    """The contents of several files as one.

    Raises:
        ValueError: where two velocity models are given.
    """
    velocities = [part.velocity for part in parts if part.velocity is not None]
    if len(velocities) > 1:
        raise ValueError("two inputs have a velocity model; give one of them")
    files = [part.picks for part in parts if part.picks is not None]
    picks = None
    if files:
        events = tuple(event for file in files for event in file.events)
        loose = tuple(pick for file in files for pick in file.loose)
        picks = PickFile(events, sum(file.unassociated for file in files), loose)
    chained = lambda name: tuple(one for part in parts for one in getattr(part, name))
    differences, notes = chained("differences"), tuple(dict.fromkeys(chained("notes")))
    return Contents(
        picks, chained("events"), chained("stations"), velocities[0] if velocities else None, differences, notes
    )
