"""Known events with picks, of which templates are made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.data.chunk import SECOND_NS
from jaxloc.data.dataset import Station
from jaxloc.detection.templates import KnownEvents
from jaxloc.geometry import Frame, to_km
from jaxloc.io.archive import time_ns
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import EVENTS, PICKS
from jaxloc.io.formats import read
from jaxloc.io.pick_files import Pick
from jaxloc.io.station_checks import centre_of
from jaxloc.types import PHASES


class Known(NamedTuple):
    """Events with their picks at the stations of an archive, and the reason for each that has none.

    Times count from `zero_ns`; `place` has the hypocentre of each event as the file gives it.
    """

    zero_ns: int
    frame: Frame
    events: KnownEvents
    place: tuple[Hypocentre, ...]
    lost: dict[str, str]


def read_known(path: Path, stations: Sequence[Station], zero_ns: int) -> Known:
    """Located events with picks, of QuakeML or any format that has both.

    Picks at other stations are left out. Of several picks of a phase at a station the earliest one counts.

    Args:
        path: of the file.
        stations: of the archive, as NET.STA.
        zero_ns: from which times are counted, in ns since 1970.

    Raises:
        ValueError: where the file cannot be read, has no located events with picks, or none at these stations.
    """
    contents, form = read(path)
    if contents.picks is None or not contents.events:
        raise ValueError(
            f"{path} is {form.text}, and has no {EVENTS if contents.picks else PICKS}; templates need located events "
            "with picks, as QuakeML has"
        )
    rows = {name: row for row, each in enumerate(stations) for name in (each.code.split(".")[-1], each.code)}
    picked = {event.id: event for event in contents.picks.events}
    frame = centre_of(tuple(stations))
    found, lost = [], {}
    for event in contents.events:
        if event.start is None:
            lost[event.id] = "it has no origin time"
            continue
        times = _arrivals(picked[event.id].picks if event.id in picked else (), rows, len(stations), zero_ns)
        if not np.isfinite(times[0]).any():
            lost[event.id] = "it has no picks at stations of the archive"
            continue
        origin_s = (time_ns(event.start) - zero_ns) / SECOND_NS + event.origin_s
        east_km, north_km = to_km(frame, np.array(event.latitude_deg), np.array(event.longitude_deg))
        found.append((event, np.array([east_km, north_km, event.depth_km, origin_s]), *times))
    if not found:
        raise ValueError(
            f"{path}: none of {len(contents.events)} events can be a template; of {next(iter(lost))}: "
            f"{next(iter(lost.values()))}"
        )
    places, hypocentre, arrival_s, sd_s = zip(*found, strict=True)
    events = KnownEvents(tuple(e.id for e in places), np.stack(hypocentre), np.stack(arrival_s), np.stack(sd_s))
    return Known(zero_ns, frame, events, places, lost)


def _arrivals(
    picks: Sequence[Pick], rows: Mapping[str, int], stations: int, zero_ns: int
) -> tuple[Float[np.ndarray, "station phase"], Float[np.ndarray, "station phase"]]:
    """Times and standard deviations of picks at known stations; NaN where there are none."""
    arrival_s, sd_s = (np.full((stations, len(PHASES)), np.nan) for _ in range(2))
    for pick in picks:
        row = rows.get(pick.station, rows.get(pick.station.split(".")[-1]))
        if row is None or pick.phase not in PHASES:
            continue
        at = row, PHASES.index(pick.phase)
        time_s = (pick.time_ns - zero_ns) / SECOND_NS
        if not time_s >= arrival_s[at]:
            arrival_s[at], sd_s[at] = time_s, pick.sigma_s
    return arrival_s, sd_s
