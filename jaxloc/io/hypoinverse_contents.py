"""Between records of HYPOINVERSE's archives and summaries and the neutral form of formats."""

import datetime
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from obspy import UTCDateTime

from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import Contents, absolute, hypocentre, picked_events, timed, whole_numbers
from jaxloc.io.fixed_columns import Record, Value
from jaxloc.io.hypoinverse import ArchivedEvent, as_origin, as_position, minute_of, origin_time, position_deg
from jaxloc.io.hypoinverse_picks import CODE_WEIGHTS
from jaxloc.io.pick_files import Pick, PickedEvent
from jaxloc.types import PHASES

READING_SD_S = 0.15
"""Of a pick of code 0 (command ERR)."""
ID_DIGITS = 10
MAGNITUDES = ("magnitude", "external_magnitude", "duration_magnitude", "amplitude_magnitude")


def events_of(summaries: Sequence[Mapping[str, Value]]) -> tuple[tuple[Hypocentre, ...], list[str]]:
    """The events that have a position, and the ids of all, their places from 1 where they have none."""
    ids = [str(summary.get("event_id") or place) for place, summary in enumerate(summaries, 1)]
    if len(set(ids)) < len(ids):
        ids = [str(place) for place in range(1, len(ids) + 1)]
    pairs = zip(summaries, ids, strict=True)
    return tuple(_hypocentre(one, id) for one, id in pairs if one["latitude_degree"] is not None), ids


def _hypocentre(summary: Mapping[str, Value], id: str) -> Hypocentre:
    magnitude = next((float(summary[name] or 0) for name in MAGNITUDES if summary.get(name)), None)
    time = UTCDateTime(origin_time(summary))
    latitude, longitude = position_deg(summary)
    event = hypocentre(id, time, latitude, longitude, float(summary["depth_km"] or 0), magnitude)
    gap = summary["gap_deg"]
    return event._replace(covariance=_covariance(summary), gap_deg=float(gap) if gap else None)


def _covariance(summary: Mapping[str, Value]) -> Float[np.ndarray, "4 4"]:
    """That of the principal standard errors, else of the horizontal and vertical error; NaN where there is neither.

    The horizontal error is the largest projection of a principal one, and is taken for east and for north.
    """
    value = lambda name: float(summary.get(name) or 0)
    covariance = np.diag(np.full(4, np.nan))
    errors = [value(f"error{i}_km") for i in (1, 2, 3)]
    if all(error > 0 for error in errors):
        largest, middle = (_axis(value(f"azimuth{i}_deg"), value(f"dip{i}_deg")) for i in (1, 2))
        # Angles are whole degrees: the second axis is made square to the first.
        middle = middle - (middle @ largest) * largest
        axes = np.stack([largest, middle / np.linalg.norm(middle), np.zeros(3)])
        axes[2] = np.cross(axes[0], axes[1])
        covariance[:3, :3] = axes.T @ np.diag(np.square(errors)) @ axes
    elif value("horizontal_error_km") > 0 and value("vertical_error_km") > 0:
        covariance[:3, :3] = np.diag(np.square([*[value("horizontal_error_km")] * 2, value("vertical_error_km")]))
    return covariance


def _axis(azimuth_deg: float, dip_deg: float) -> Float[np.ndarray, " 3"]:
    """East, north, down."""
    azimuth, dip = math.radians(azimuth_deg), math.radians(dip_deg)
    return np.array([math.sin(azimuth) * math.cos(dip), math.cos(azimuth) * math.cos(dip), math.sin(dip)])


def picked_of(id: str, event: ArchivedEvent) -> PickedEvent:
    """The picks of an event that have a remark and a weight; the others with weight code 4 or more are named."""
    picks: list[Pick] = []
    left_out: list[str] = []
    for phase in event.phases:
        network, site = phase["network"], phase["site"]
        for name in PHASES:
            key = name.lower()
            if phase[f"{key}_remark"] is None or phase[f"{key}_s"] is None:
                continue
            code = int(phase[f"{key}_code"] or 0)
            if code >= len(CODE_WEIGHTS):
                left_out.append(f"its weight code is {code}")
                continue
            time_ns = UTCDateTime(minute_of(phase)).ns + round(float(phase[f"{key}_s"] or 0) * 1e6) * 1000
            station = f"{network}.{site}" if network else str(site)
            picks.append(Pick(station, name, time_ns, READING_SD_S / CODE_WEIGHTS[code]))
    return PickedEvent(id, tuple(picks), tuple(left_out))


def archived(contents: Contents) -> list[ArchivedEvent]:
    """Events with their picks; a summary without location has the minute of the first pick.

    Raises:
        ValueError: where a time is not UTC.
    """
    absolute(contents)
    located = {event.id: event for event in contents.events}
    picks = {event.id: event.picks for event in picked_events(contents) if event.picks or event.id in located}
    numbers = whole_numbers([*located, *picks], ID_DIGITS)
    if not numbers:
        raise ValueError("HYPOINVERSE's picks must belong to events: associate them first")
    found = []
    for id, number in numbers.items():
        own = picks.get(id, ())
        summary = summary_of(located[id]) if id in located else _unlocated(own)
        found.append(ArchivedEvent(summary | {"event_id": number}, tuple(_phases(own))))
    return found


def summary_of(event: Hypocentre) -> Record:
    """The fields of a summary that a location has."""
    covariance = event.covariance[:3, :3]
    return {
        **as_origin(timed(event).datetime.replace(tzinfo=datetime.UTC)),
        **as_position(event.latitude_deg, event.longitude_deg),
        "depth_km": event.depth_km,
        "gap_deg": None if event.gap_deg is None else round(event.gap_deg),
        "magnitude": event.magnitude,
        **(_errors(covariance) if np.isfinite(covariance).all() else {}),
    }


def _errors(covariance: Float[np.ndarray, "3 3"]) -> Record:
    """Principal errors, the largest first, and their largest horizontal and vertical projections."""
    variance, axes = np.linalg.eigh(covariance)
    sd, axes = np.sqrt(np.maximum(variance, 0.0))[::-1], axes.T[::-1]
    axes = np.where(axes[:, 2:] < 0, -axes, axes)  # downwards
    angles = [(math.degrees(math.atan2(a[0], a[1])) % 360, math.degrees(math.asin(min(a[2], 1.0)))) for a in axes]
    return {
        **{f"error{i}_km": float(sd[i - 1]) for i in (1, 2, 3)},
        **{f"azimuth{i}_deg": round(angles[i - 1][0]) % 360 for i in (1, 2)},
        **{f"dip{i}_deg": round(angles[i - 1][1]) for i in (1, 2)},
        "horizontal_error_km": float((sd * np.hypot(axes[:, 0], axes[:, 1])).max()),
        "vertical_error_km": float((sd * axes[:, 2]).max()),
    }


def _unlocated(picks: Sequence[Pick]) -> Record:
    return as_origin(UTCDateTime(ns=min(pick.time_ns for pick in picks)).datetime.replace(tzinfo=datetime.UTC))


def _phases(picks: Sequence[Pick]) -> list[Record]:
    """A line a station, more where it has several picks of a phase; times count from the minute of the first."""
    lines: dict[str, list[dict[str, Pick]]] = defaultdict(list)
    for pick in sorted(picks, key=lambda pick: pick.time_ns):
        own = lines[pick.station]
        line = next((line for line in own if pick.phase not in line), None)
        if line is None:
            own.append(line := {})
        line[pick.phase] = pick
    return [_phase(station, line) for station, own in lines.items() for line in own]


def _phase(station: str, picks: Mapping[str, Pick]) -> Record:
    network, site = network_and_site(station)
    first = UTCDateTime(ns=min(pick.time_ns for pick in picks.values()))
    minute = UTCDateTime(first.year, first.month, first.day, first.hour, first.minute)
    record: Record = {"site": site, "network": network}
    record |= {name: getattr(minute, name) for name in ("year", "month", "day", "hour", "minute")}
    for name, pick in picks.items():
        key = name.lower()
        record |= {
            f"{key}_remark": f" {name}", f"{key}_s": (pick.time_ns - minute.ns) * 1e-9,
            f"{key}_code": _weight_code(pick.sigma_s),
        }  # fmt: skip
    return record


def network_and_site(code: str) -> tuple[str, str]:
    """Both codes of NET.STA, the network empty where there is none.

    Raises:
        ValueError: where they have more than two and five characters; names the station.
    """
    network, _, site = code.rpartition(".")
    if len(network) > 2 or len(site) > 5:
        raise ValueError(
            f"station {code} must have a code of five characters and a network of two for HYPOINVERSE; --stations "
            "with a list of codes NET.STA completes codes as NCABC"
        )
    return network, site


def _weight_code(sigma_s: float) -> int:
    """The code whose weight is nearest; 0 where nothing is known."""
    weight = READING_SD_S / sigma_s if sigma_s > 0 else 1.0
    return int(np.argmin(np.abs(np.array(CODE_WEIGHTS) - weight)))
