"""True hypocentres from a CSV or QuakeML, and how located events are matched to them.

CSV columns: `id`, `latitude_deg`, `longitude_deg`, and, where known, `depth_km` and `origin_time` (ISO 8601, UTC); an
empty cell is unknown. Located events are matched by id, or, where their files have none, by the nearest origin time.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from obspy import UTCDateTime, read_events
from obspy.core.event import Catalog, Event, Origin

from jaxloc.geometry import Frame, check_degrees, to_km
from jaxloc.io.catalogue import Truth
from jaxloc.io.missing_values import Quantity, is_missing_code
from jaxloc.io.tables import Row, as_number, parse_time, read_table

QUAKEML = (".xml", ".qml", ".quakeml")
NEEDED = ("id", "latitude_deg", "longitude_deg")
MATCH_S = 3.0  # locators differ by a second or two in origin time; events of a swarm follow one another more slowly


class Known(NamedTuple):
    """A true hypocentre, the names it goes by (the first is shown), its origin time in s since 1970; NaN is unknown."""

    names: tuple[str, ...]
    truth: Truth


def read_truths(path: str | Path) -> list[Known]:
    """Read true hypocentres.

    Raises:
        ValueError: where the file is missing or empty, a column or a value is missing or wrong, a place is impossible,
            or a name is there twice; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such file of truths: {path}; the path must name a CSV or QuakeML file")
    found = _from_quakeml(path) if path.suffix.lower() in QUAKEML else _from_csv(path)
    if not found:
        raise ValueError(f"{path} has no event; truths must have one event per line, with {', '.join(NEEDED)}")
    seen: set[str] = set()
    for names, truth in found:
        check_degrees(np.array(truth.latitude_deg), np.array(truth.longitude_deg), f"{path}: event {names[0]}")
        if again := seen.intersection(names):
            raise ValueError(f"{path} has event {min(again)!r} twice; each event must have one truth")
        seen.update(names)
    return found


def read_catalogue(path: Path) -> Catalog:
    """QuakeML as ObsPy reads it.

    Raises:
        ValueError: where it cannot; gives the reason.
    """
    try:
        return read_events(str(path), format="QUAKEML")
    except Exception as error:  # ObsPy raises whatever its parser does
        raise ValueError(f"{path} must be QuakeML, but reading it fails: {error}") from error


def origin_of(path: object, event: Event) -> Origin:
    """The preferred origin of an event, else its only or first one.

    Raises:
        ValueError: where there is none, or it has no place.
    """
    origin = event.preferred_origin() or next(iter(event.origins), None)
    if origin is None or origin.latitude is None or origin.longitude is None:
        raise ValueError(f"{path}: event {names_of(event)[0]} must have an origin with latitude and longitude")
    return origin


def names_of(event: Event) -> tuple[str, ...]:
    """What an event may be called: its descriptions, its resource id, and the last part of that."""
    whole = str(event.resource_id)
    names = [d.text for d in event.event_descriptions if d.text and d.type != "Flinn-Engdahl region"]
    return tuple(dict.fromkeys([*names, whole, whole.rsplit("/", 1)[-1]]))


def seconds(time: UTCDateTime | None) -> float:
    """Seconds since 1970, NaN where there is no time."""
    return math.nan if time is None else time.ns / 1e9


def _from_quakeml(path: Path) -> list[Known]:
    found = []
    for event in read_catalogue(path):
        origin = origin_of(path, event)
        depth_km = math.nan if origin.depth is None else origin.depth / 1000
        found.append(Known(names_of(event), Truth(origin.latitude, origin.longitude, depth_km, seconds(origin.time))))
    return found


def _from_csv(path: Path) -> list[Known]:
    table = read_table(path, "file of truths")
    if missing := [name for name in NEEDED if table.find(name) is None]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}; truths must have them")
    return [_row(path, row) for row in table.rows]


def _row(path: Path, row: Row) -> Known:
    def number(name: Quantity) -> float:
        text = row.text(name)
        value = as_number(text, row.decimal_comma) if text else math.nan
        if value is None or math.isinf(value):
            raise ValueError(f"{path}: {name} of event {row.cells['id']} must be a number, got {text!r}")
        return math.nan if is_missing_code(value, name) else value

    text = row.text("origin_time")
    try:
        origin_s = seconds(parse_time(text)) if text else math.nan
    except ValueError as error:
        raise ValueError(
            f"{path}: origin_time of event {row.cells['id']} must be an ISO 8601 time, got {text!r}"
        ) from error
    place = (number("latitude_deg"), number("longitude_deg"), number("depth_km"))
    return Known((row.cells["id"],), Truth(*place, origin_s))


def in_frame(
    frame: Frame, truths: Sequence[Truth | None], start_s: Sequence[float]
) -> tuple[Float[np.ndarray, "event 4"], Bool[np.ndarray, "event 4"]]:
    """East, north and depth in km and origin time in s after each start, and which are known; zero where unknown."""
    rows = [(None,) * 4 if truth is None else truth for truth in truths]
    latitude, longitude, depth_km, origin_s = np.array(rows, float).reshape(-1, 4).T
    placed = np.isfinite(latitude) & np.isfinite(longitude)
    inside = (np.where(placed, *each) for each in ((latitude, frame.latitude_deg), (longitude, frame.longitude_deg)))
    east_km, north_km = to_km(frame, *inside)
    plane = [np.where(placed, each, np.nan) for each in (east_km, north_km)]
    value = np.stack([*plane, depth_km, origin_s - np.asarray(start_s, float)], -1)
    known = np.isfinite(value)
    return np.where(known, value, 0.0), known


def by_name(names: Sequence[tuple[str, ...]], truths: list[Known]) -> list[Truth | None]:
    """The truth of each event, by any name that it goes by; None where there is none.

    Raises:
        ValueError: where two events are the same one; names it.
    """
    index = {name: known for known in truths for name in known.names}
    found = [next((index[name] for name in each if name in index), None) for each in names]
    taken = [known.names[0] for known in found if known is not None]
    if again := [name for name, count in Counter(taken).items() if count > 1]:
        raise ValueError(f"event {again[0]!r} was located twice; each event must be located once")
    return [None if known is None else known.truth for known in found]


def by_time(origin_s: Sequence[float], truths: list[Known], within_s: float = MATCH_S) -> list[Truth | None]:
    """The truth of nearest origin time to each event, none if it is further than `within_s`; each truth only once.

    Raises:
        ValueError: where no truth has an origin time.
    """
    known_s = np.array([known.truth.origin_s for known in truths], float)
    if not np.isfinite(known_s).any():
        raise ValueError("truths must have origin_time where events have no ids; add origin_time or the ids")
    order = np.argsort(known_s)  # unknown times last
    sorted_s, event_s = known_s[order], np.asarray(origin_s, float)
    first = np.searchsorted(sorted_s, event_s - within_s, "left")
    last = np.searchsorted(sorted_s, event_s + within_s, "right")
    pairs = [
        (abs(event_s[event] - sorted_s[i]), event, int(order[i]))
        for event in np.flatnonzero(np.isfinite(event_s))
        for i in range(first[event], last[event])
    ]
    found: list[Truth | None] = [None] * len(origin_s)
    taken: set[int] = set()
    for _, event, truth in sorted(pairs):
        if found[event] is None and truth not in taken:
            found[event] = truths[truth].truth
            taken.add(truth)
    return found
