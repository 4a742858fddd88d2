"""What the report of a catalogue shows: its head, its table of events, recall of stations, b-value."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxloc.data.chunk import SECOND_NS
from jaxloc.data.dataset import positions_km
from jaxloc.geometry import Frame, to_km
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import as_time, timed
from jaxloc.io.station_checks import centre_of
from jaxloc.plots.geography import Geography
from jaxloc.runs.catalogue_report import Link, Reported, recall_of
from jaxloc.runs.catalogue_request import LOCATORS, MOVED, NEW, PROBABILITY, Made, Request
from jaxloc.runs.event_pages import page_name
from jaxloc.scores.magnitudes import CORRECTION, b_value, maximum_curvature
from jaxloc.types import PHASES


def reported(request: Request, made: Made) -> Reported:
    """What the report of a catalogue shows."""
    picks, stations, events = made.picked.picks, made.picked.stations, made.events
    frame = centre_of(stations)
    hypocentre_km = positions_of(events, frame, made.picked.zero_ns)
    magnitude = np.array([np.nan if event.magnitude is None else event.magnitude for event in events], float)
    recall = recall_of(
        made.associated.event, picks.station, picks.phase, (len(stations), len(PHASES)), len(made.associated.log_odds)
    )
    return Reported(
        f"Earthquakes in {request.archive.name}",
        about(request, made),
        hypocentre_km,
        magnitude,
        [row_of(event, request.pages) for event in sorted(events, key=importance, reverse=True)],
        positions_km(frame, stations),
        Geography(frame, tuple(station.code for station in stations)),
        recall,
        made.associated.reason,
        frequency(magnitude[np.isfinite(magnitude)]),
        [text for text, _ in Counter(made.picked.notes).most_common()],
    )


def positions_of(events: Sequence[Hypocentre], frame: Frame, zero_ns: int) -> Float[np.ndarray, "event 4"]:
    """East, north and depth in km, and origin time in s from the zero of the picks."""
    degrees = np.array([(event.latitude_deg, event.longitude_deg) for event in events]).reshape(-1, 2)
    origin_s = [(timed(event).ns - zero_ns) / SECOND_NS for event in events]
    return np.stack([*to_km(frame, degrees[:, 0], degrees[:, 1]), [event.depth_km for event in events], origin_s], -1)


def importance(event: Hypocentre) -> tuple[float, float]:
    """The largest events first, then the surest."""
    return event.magnitude if event.magnitude is not None else -99.0, float(event.others.get(PROBABILITY, 0.0))


def row_of(event: Hypocentre, has_page: bool = False) -> dict[str, str | Link]:
    """A row of the report's table of events."""
    time = str(timed(event))[:21].replace("T", " ")
    sd_km = np.sqrt(np.diag(np.asarray(event.covariance, float)))
    real = event.others.get(PROBABILITY)
    size = "-" if event.magnitude is None else f"{event.magnitude:.1f}"
    error = "" if event.magnitude_sd is None else f" ± {event.magnitude_sd:.1f}"
    return {
        "origin time (UTC)": Link(time, page_name(event)) if has_page else time,
        "latitude": f"{event.latitude_deg:.4f}",
        "longitude": f"{event.longitude_deg:.4f}",
        "± km": f"{np.hypot(*sd_km[:2]):.2f}",
        "depth (km)": f"{event.depth_km:.1f} ± {sd_km[2]:.1f}",
        "magnitude": size + error,
        "picks": str(len(event.picks)),
        "probability": "-"
        if np.isnan(real := float(event.others.get(PROBABILITY, np.nan)))
        else probability_text(real),
        "flags": event.flag or "",
    }


def probability_text(probability: float) -> str:
    """Three decimals, or what it exceeds."""
    return "> 0.999" if probability > 0.9995 else f"{probability:.3f}"


def about(request: Request, made: Made) -> dict[str, str]:
    """The table at the head of the report."""
    picked = made.picked
    number = len(picked.picks.time_s)
    first, last = picked.zero_ns, picked.zero_ns + round(float(picked.picks.time_s.max()) * SECOND_NS)
    return {
        "records": f"{request.archive}, {as_time(first)[:19]} to {as_time(last)[:19]}",
        "stations": f"{len(picked.stations)}, which recorded {np.mean(picked.usable):.0%} of the time",
        "velocity model": str(request.velocity),
        "method": request.method,
        "picks": f"{number:,}, of which {int((made.associated.event >= 0).sum()):,} belong to events",
        "events": f"{len(made.events)} located" + (f", {len(made.lost)} not located" if made.lost else ""),
        "median error": f"{np.nanmedian([error_km(event) for event in made.events]):.2f} km horizontally (one sd)",
        "located with": LOCATORS[request.method][0],
        "then": ", ".join(further(request, made.events)) or "-",
    }


def further(request: Request, events: Sequence[Hypocentre]) -> list[str]:
    """What was done after the location, with its numbers."""
    new = sum(bool(event.family) and event.id.startswith(NEW) for event in events)
    moved = sum(event.origin_about.startswith(MOVED) for event in events)
    stages = ((request.match, f"{new} events found by templates"), (request.relocate, f"{moved} relocated"))
    return [text for wanted, text in stages if wanted]


def error_km(event: Hypocentre) -> float:
    """Predicted standard deviation of the epicentre."""
    return float(np.sqrt(np.trace(np.asarray(event.covariance, float)[:2, :2])))


def frequency(magnitude: Float[np.ndarray, " event"]) -> tuple[float, float, float]:
    """Magnitude of completeness by maximum curvature, and the b-value above it with its error; NaN for too few."""
    rounded = np.round(magnitude, 1)
    least = maximum_curvature(rounded, correction=CORRECTION)
    found = b_value(rounded, least)
    return least, found.b, found.error
