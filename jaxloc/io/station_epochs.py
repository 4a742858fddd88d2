"""Epochs of stations: where each sensor stood at the time of a record.

A station may have moved, and may have sensors of several depths under several location codes. One `Epoch` is one
sensor, or one station, at one position for a span of time.
"""

import fnmatch
import warnings
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

import numpy as np
from obspy import UTCDateTime

from jaxloc.data.dataset import Station
from jaxloc.geometry import great_circle_km

SAME_POSITION_KM = 0.05
"""Positions this near to one another count as one: resurveys and the three components of a sensor differ by less."""


class Epoch(NamedTuple):
    """Where a sensor stood, from `start` (inclusive) to `end`; None is without limit.

    `location` and `channel` are its codes, None where any fits; a channel may be a pattern or a prefix ("HH").
    `note` is what the user must know if this epoch is used.
    """

    station: Station
    location: str | None = None
    channel: str | None = None
    start: UTCDateTime | None = None
    end: UTCDateTime | None = None
    note: str = ""


def apart_km(first: Station, second: Station) -> float:
    """Distance between two positions in km, in three dimensions; unknown elevations do not count."""
    horizontal_km = great_circle_km(*np.array(first[1:3]), *np.array(second[1:3]))
    return float(np.hypot(horizontal_km, np.nan_to_num((second.elevation_m - first.elevation_m) / 1000)))


def positions_at(epochs: Iterable[Epoch], channels: Collection[str] | None = None) -> Callable[..., dict[str, Station]]:
    """A function from time to the stations of that time, by code.

    Args:
        epochs: of all stations.
        channels: what was recorded, as NET.STA.LOC.CHA: other stations are left out, and of a station with several
            sensors that of these channels counts. None: all stations.

    Returns:
        `at(time, codes=None)`, for some stations or all; for time None a station must have one position alone. It
        raises a ValueError, which names the station, where epochs disagree and none or several are valid. Each warning
        is given once.
    """
    recorded: dict[str, list[str]] = {}
    for channel in channels or ():
        recorded.setdefault(_station_code(channel), []).append(channel)
    groups: dict[str, list[Epoch]] = {}
    for epoch in epochs:
        if channels is None or epoch.station.code in recorded:
            groups.setdefault(epoch.station.code, []).append(epoch)
    limits = sorted({t.ns for own in groups.values() for e in own for t in (e.start, e.end) if t is not None})
    kept: dict[tuple[int | None, str], Epoch] = {}
    reported: set[tuple[str, str]] = set()

    def at(time: UTCDateTime | None, codes: Iterable[str] | None = None) -> dict[str, Station]:
        span = None if time is None else bisect_right(limits, time.ns)
        wanted = list(groups if codes is None else codes)
        new = [code for code in wanted if (span, code) not in kept]
        kept.update({(span, code): _epoch_at(groups[code], time, recorded.get(code, [])) for code in new})
        notes = {(kept[span, code].note, code) for code in new if kept[span, code].note} - reported
        _report(notes)
        reported.update(notes)
        return {code: kept[span, code].station for code in wanted}

    return at


def _report(notes: set[tuple[str, str]]) -> None:
    for note in sorted({note for note, _ in notes}):
        warnings.warn(f"{note}: {named(code for each, code in notes if each == note)}", stacklevel=4)


def named(codes: Iterable[str], most: int = 10) -> str:
    """Station codes in a message, the first ones of many."""
    found = sorted(codes)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"station{'s' * (len(found) > 1)} {', '.join(found[:most])}{more}"


def _station_code(channel: str) -> str:
    network, station = channel.split(".")[:2]
    return f"{network}.{station}" if network else station


def _epoch_at(epochs: list[Epoch], time: UTCDateTime | None, channels: list[str]) -> Epoch:
    """The epoch of a station's recorded sensor; of the station itself where it cannot be known which sensor it was."""
    own = [channel.split(".")[2:4] for channel in channels if channel.count(".") >= 3]
    recorded = [e for e in epochs if any(_fits(e, *each) for each in own)]
    if recorded:
        return _valid(recorded, time)
    whole, sensors = [e for e in epochs if _is_whole(e)], [e for e in epochs if not _is_whole(e)]
    try:
        return _valid(sensors or whole, time)
    except ValueError:
        if not (sensors and whole):
            raise
        note = "sensors are at several positions and the channel is unknown, the position of the station itself is used"
        return _valid(whole, time)._replace(note=note)


def _is_whole(epoch: Epoch) -> bool:
    return epoch.location is None and epoch.channel is None


def _fits(epoch: Epoch, location: str, channel: str) -> bool:
    if _is_whole(epoch):
        return False
    place = epoch.location is None or epoch.location.strip("- ") == location.strip("- ")
    return place and (epoch.channel is None or fnmatch.fnmatch(channel, f"{epoch.channel}*"))


def _valid(epochs: list[Epoch], time: UTCDateTime | None) -> Epoch:
    valid = [e for e in epochs if time is None or _covers(e, time)]
    note = "" if valid else "no epoch covers the time of the record, the only position is used"
    # Of epochs that touch, the later one has begun.
    found = sorted(valid or epochs, key=lambda e: e.start.ns if e.start else -(2**63), reverse=True)
    far_km = max(apart_km(found[0].station, e.station) for e in found)
    if far_km > SAME_POSITION_KM:
        raise ValueError(_disagreement(found, time, not valid, far_km))
    return found[0]._replace(note="; ".join(filter(None, (note, found[0].note))))


def _covers(epoch: Epoch, time: UTCDateTime) -> bool:
    return (epoch.start is None or epoch.start.ns <= time.ns) and (epoch.end is None or time.ns < epoch.end.ns)


def _disagreement(epochs: list[Epoch], time: UTCDateTime | None, none_covers: bool, far_km: float) -> str:
    code = epochs[0].station.code
    spans = ", ".join(dict.fromkeys(_span(e) for e in epochs))
    if none_covers:
        return (
            f"station {code} has no epoch at {time}, and those that it has ({spans}) are {far_km:.2f} km apart; "
            "correct the start and end dates of the station list"
        )
    if time is None:
        return (
            f"station {code} has positions {far_km:.2f} km apart ({spans}) and the time of the record is unknown; give "
            "a station list of one epoch, or records with their times"
        )
    return (
        f"station {code} has several positions, {far_km:.2f} km apart, at {time} ({spans}); keep one, or give "
        "location and channel codes or start and end times"
    )


def _span(epoch: Epoch) -> str:
    codes = ".".join(filter(None, (epoch.location, epoch.channel)))
    start, end = ("..." if t is None else str(t)[:10] for t in (epoch.start, epoch.end))
    return f"{codes + ' ' if codes else ''}{start} to {end}"


NO_END = UTCDateTime(2500, 1, 1)
