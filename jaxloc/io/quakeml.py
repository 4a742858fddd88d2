"""QuakeML as a format: located events and their picks, through ObsPy."""

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
from obspy import UTCDateTime
from obspy.core.event import Event, Origin

from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.catalogue_quakeml import quakeml_bytes, to_catalog
from jaxloc.io.contents import EVENTS, PICKS, Contents, Format, Sample, absolute, picked_events
from jaxloc.io.locations_quakeml import located
from jaxloc.io.pick_files import PickedEvent, PickFile, picked_event
from jaxloc.io.reference_catalogue import QUAKEML, names_of, origin_of, read_catalogue

NS = 1e-9
FIGURE = re.compile(r"(?P<name>[a-z][a-z0-9_]*): (?P<value>-?\d+(\.\d*)?(e[+-]?\d+)?)")


def read(path: Path) -> Contents:
    """Events with a location, and the picks of all; uncertainties as `jaxloc.io.locations_quakeml` understands them.

    Raises:
        ValueError: where the file is missing or no QuakeML, or has no event.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}; the path must be that of a QuakeML file")
    catalogue = read_catalogue(path)
    if not len(catalogue):
        raise ValueError(f"{path} has no event; it must have at least one")
    names = _unique([names_of(event) for event in catalogue])
    picked = [picked_event(event)._replace(id=name) for event, name in zip(catalogue, names, strict=True)]
    found, without, doubtful = [], [], []
    for event, picks in zip(catalogue, picked, strict=True):
        origin = event.preferred_origin() or next(iter(event.origins), None)
        if origin is None or None in (origin.latitude, origin.longitude, origin.depth, origin.time):
            without.append(picks.id)
            continue
        hypocentre, is_doubtful = _hypocentre(path, event, picks)
        found.append(hypocentre)
        doubtful += [picks.id] if is_doubtful else []
    notes = _said("no whole location of", without) + _said("uncertainties in doubt (see `jaxloc lint`) of", doubtful)
    return Contents(PickFile(tuple(one for one in picked if one.picks or one.left_out)), tuple(found), notes=notes)


def _unique(names: list[tuple[str, ...]]) -> list[str]:
    """The first name of each event, or its resource id where another event has that name too."""
    count = Counter(each[0] for each in names)
    return [each[0] if count[each[0]] == 1 else each[-2 if len(each) > 1 else 0] for each in names]


def _said(what: str, events: list[str]) -> tuple[str, ...]:
    return (f"{what} {len(events)} event{'s' * (len(events) > 1)} ({', '.join(events[:3])}, ...)",) if events else ()


def _hypocentre(path: Path, event: Event, picked: PickedEvent) -> tuple[Hypocentre, bool]:
    """The location, without an uncertainty that cannot be settled, and whether there is such a one."""
    origin = origin_of(path, event)
    one = located(path, (picked.id,), origin)
    refused = any(finding.refused for finding in one.findings)
    covariance = np.diag(np.full(4, np.nan)) if refused else one.covariance
    start = None if math.isnan(one.origin_s) else str(origin.time)
    origin_s = origin.time.ns * NS if start is None else 0.0
    quality = origin.quality
    magnitude = event.preferred_magnitude() or next(iter(event.magnitudes), None)
    found = Hypocentre(
        picked.id, start, one.latitude_deg, one.longitude_deg, one.depth_km, origin_s, covariance,
        num_stations=None if quality is None else quality.used_station_count,
        gap_deg=None if quality is None else quality.azimuthal_gap,
        magnitude=picked.magnitude,
        magnitude_sd=None if magnitude is None else magnitude.mag_errors.uncertainty,
        magnitude_type="" if magnitude is None else magnitude.magnitude_type or "",
        others=_others(origin),
        rejected=origin.evaluation_status == "rejected",
    )  # fmt: skip
    return found, refused


def _others(origin: Origin) -> dict[str, float]:
    """Figures in comments as `jaxloc.io.catalogue_quakeml` writes them, such as "log_odds: 3.2"."""
    found = (FIGURE.fullmatch(str(comment.text)) for comment in origin.comments)
    return {match["name"]: float(match["value"]) for match in found if match}


def write(contents: Contents) -> bytes:
    """QuakeML of located events with their picks, and of picked events without a location.

    Raises:
        ValueError: where an event occurs twice or has an impossible value, picks have no time in UTC, or nothing of
            the contents belongs to an event.
    """
    absolute(contents)
    picked = {event.id: event for event in picked_events(contents)}
    events = [_with_picks(event, picked.pop(event.id, None)) for event in contents.events]
    bare = [one for one in picked.values() if one.picks]
    catalogue = to_catalog([*events, *map(_somewhere, bare)])
    for event in catalogue.events[len(events) :]:
        event.origins, event.preferred_origin_id = [], None
    if not len(catalogue):
        raise ValueError(
            "QuakeML must have events, and picks that belong to none are not written: associate them first"
        )
    return quakeml_bytes(catalogue)


def _with_picks(event: Hypocentre, picked: PickedEvent | None) -> Hypocentre:
    if picked is None or event.start is None:
        return event
    start_ns = UTCDateTime(event.start).ns
    picks = (
        Pick(
            pick.station,
            pick.phase,
            (pick.time_ns - start_ns) * NS,
            None if math.isnan(pick.sigma_s) else pick.sigma_s,
            pick.probability,
        )
        for pick in picked.picks
    )
    return event._replace(picks=tuple(picks))


def _somewhere(picked: PickedEvent) -> Hypocentre:
    """An event without location, at a place that is not written."""
    start = UTCDateTime(ns=min(pick.time_ns for pick in picked.picks))
    place = Hypocentre(
        picked.id, str(start), 0.0, 0.0, 0.0, 0.0, np.diag(np.full(4, np.nan)), magnitude=picked.magnitude
    )
    return _with_picks(place, picked)


def _is_quakeml(sample: Sample) -> bool:
    return "quakeml" in sample.text[:2000].lower() and sample.text.lstrip("\ufeff \r\n").startswith("<")


FORMATS = (Format("quakeml", "QuakeML 1.2", (EVENTS, PICKS), _is_quakeml, read, write, QUAKEML),)
