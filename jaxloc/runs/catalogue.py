"""From an archive of continuous records to a catalogue: picks, events, locations, magnitudes, and a report.

Each stage reads what the one before wrote. Picks are kept chunk by chunk (`jaxloc.runs.pick`), so that a stopped run
continues; the other stages take all picks at once and give the same catalogue from the same picks.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc import prng
from jaxloc.data.chunk import SECOND_NS
from jaxloc.data.dataset import Station, positions_km
from jaxloc.detection import association, pal_associator
from jaxloc.detection.pick_list import Associated
from jaxloc.geometry import Frame, to_km
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import as_time, timed
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile
from jaxloc.io.pick_outcomes import write_pick_outcomes
from jaxloc.io.picks import as_dataset
from jaxloc.io.station_checks import centre_of
from jaxloc.io.stations import read_epochs
from jaxloc.io.velocity_model import velocity_file, write_velocity
from jaxloc.physics.layered import velocity_of
from jaxloc.plots.geography import Geography
from jaxloc.runs import locate_picks, pick
from jaxloc.runs.catalogue_report import Reported, recall_of, write_report
from jaxloc.runs.crusts import crust_at
from jaxloc.runs.outcomes import Outcome, write_outcome
from jaxloc.runs.pick_setup import Request as LocateRequest
from jaxloc.scores.magnitudes import CORRECTION, b_value, maximum_curvature
from jaxloc.training.log import Say
from jaxloc.types import PHASES

LOCATOR, SETTINGS = "octree", {"kind": "student_t"}  # of the locators of picks the one whose regions cover best
PICKS, REPORT, VELOCITY = "picks.csv", "report.html", "velocity.csv"
ODDS = "event_probability"  # among `Hypocentre.others`


class Request(NamedTuple):
    """What a catalogue is made of, and how: the options of `jaxloc catalogue`."""

    archive: Path
    stations: Path
    velocity: Path | None
    output: Path
    start: str | None = None
    end: str | None = None
    method: str = "bayes"
    chunk_s: float = 3600.0
    velocity_form: str | None = None
    depth_km: tuple[float, float] | None = None
    magnitude: str | None = None


class Made(NamedTuple):
    """A catalogue: events with their picks, all picks with what became of them, and what the report needs."""

    events: tuple[Hypocentre, ...]
    picked: pick.Picked
    associated: Associated
    lost: dict[str, str]


def make_catalogue(
    request: Request,
    executor: Executor | None,
    say: Say,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Made:
    """Pick, associate and locate; write events.csv, events.xml, picks.csv and report.html.

    Args:
        request: what is searched.
        executor: runs the chunks; None: this process.
        say: takes one line for the user.
        on_chunk: receives the number of chunks that are picked.

    Raises:
        ValueError: where an input is missing or wrong, or no event is found; says why.
    """
    picked = pick.pick_archive(pick_request(request), request.output / pick.FOLDER, executor, say, on_chunk)
    for line in pick.lines(picked):
        say(line)
    if not len(picked.picks.time_s):
        raise ValueError(f"no events: nothing was picked; {pick.why_nothing(picked)}")
    request = with_velocity(request, picked.stations, say)
    associated = associated_by(request, picked, say)
    names = event_names(picked.zero_ns, associated.hypocentre[:, 3])
    if not names:
        raise ValueError(f"no events among {len(associated.reason)} picks: {most(associated.reason)}")
    outcome = locate(request, picked, associated, names, say)
    events = [with_odds(event, associated, names) for event in outcome.found]
    write_outcome(request.output, say, outcome._replace(found=events))
    own = [names[event] if event >= 0 else "" for event in associated.event]
    write_pick_outcomes(request.output / PICKS, picked.stations, picked.zero_ns, picked.picks, own, associated.reason)
    made = Made(tuple(events), picked, associated, outcome.lost)
    say(f"report: {write_report(request.output / REPORT, reported(request, made))}")
    return made


def pick_request(request: Request) -> pick.Request:
    """The same as a request of a picker."""
    method = {"bayes": "network", "palm": "palm"}[request.method]
    return pick.Request(request.archive, request.stations, method, request.start, request.end, length_s=request.chunk_s)


def associated_by(request: Request, picked: pick.Picked, say: Say) -> Associated:
    """Events that the picks make, by the method of a request."""
    frame = centre_of(picked.stations)
    station_km = positions_km(frame, picked.stations).astype(float)
    if request.method == "palm":
        return pal_associator.associate(picked.picks, station_km, frame)
    given = velocity_file(request.velocity, None, None, request.velocity_form)
    assert given is not None, "a catalogue has a velocity model"
    return association.associate(picked.picks, station_km, given.model(), say=say)


def with_velocity(request: Request, stations: Sequence[Station], say: Say) -> Request:
    """A request with a file of velocities: the given one, or the crust where the stations are, which is written."""
    if request.velocity is not None:
        return request
    crust, path = crust_at(stations), request.output / VELOCITY
    write_velocity(path, velocity_of(crust.settings))
    say(f"velocities: none given; {crust.name} ({path})")
    return request._replace(velocity=path, velocity_form="layers")


def event_names(zero_ns: int, origin_s: Float[np.ndarray, " event"]) -> tuple[str, ...]:
    """Ids of events by their origin times to a tenth of a second; later ones of the same tenth have a letter."""
    found: list[str] = []
    number: Counter[str] = Counter()
    for at_s in origin_s:
        time = as_time(zero_ns + round(float(at_s) * 10) * (SECOND_NS // 10))
        name = "".join(c for c in time[:21] if c not in "-:Z").replace(".", "_")
        found.append(name + (chr(ord("a") + number[name]) if number[name] else ""))
        number[name] += 1
    return tuple(found)


def pick_file(picked: pick.Picked, associated: Associated, names: Sequence[str]) -> PickFile:
    """Events with their picks, for the locators of picks."""
    own: list[list[Pick]] = [[] for _ in names]
    for row in np.flatnonzero(associated.event >= 0):
        picks = picked.picks
        time_ns = picked.zero_ns + round(float(picks.time_s[row]) * SECOND_NS)
        code, phase = picked.stations[picks.station[row]].code, PHASES[picks.phase[row]]
        one = Pick(code, phase, time_ns, float(picks.sigma_s[row]), float(picks.probability[row]))
        own[associated.event[row]].append(one)
    events = tuple(PickedEvent(name, tuple(picks)) for name, picks in zip(names, own, strict=True))
    return PickFile(events, int((associated.event < 0).sum()))


def locate(request: Request, picked: pick.Picked, associated: Associated, names: Sequence[str], say: Say) -> Outcome:
    """Full posteriors of the events by their picks (`jaxloc.locators.octree`)."""
    picks = as_dataset("catalogue", pick_file(picked, associated, names), read_epochs(request.stations), 0.1)
    asked = locate_request(request)
    setup = locate_picks.setup_for(asked, picks.dataset, say)
    located = locate_picks.locate(prng.stream("location"), asked, picks, setup=setup)
    return locate_picks.outcome_of(picks, located, False, setup)


def locate_request(request: Request) -> LocateRequest:
    """The same as a request of a locator of picks."""
    return LocateRequest(
        LOCATOR,
        request.archive,
        request.stations,
        request.velocity,
        depth_km=request.depth_km,
        velocity_form=request.velocity_form,
        settings=SETTINGS,
    )


def with_odds(event: Hypocentre, associated: Associated, names: Sequence[str]) -> Hypocentre:
    """An event with the probability that it is real, from its odds; as it is where the method gives none."""
    log_odds = float(associated.log_odds[names.index(event.id)])
    if np.isnan(log_odds):
        return event
    return event._replace(others={**event.others, ODDS: float(1 / (1 + np.exp(-log_odds)))})


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
        [row_of(event) for event in sorted(events, key=importance, reverse=True)],
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
    return event.magnitude if event.magnitude is not None else -99.0, float(event.others.get(ODDS, 0.0))


def row_of(event: Hypocentre) -> dict[str, str]:
    """A row of the report's table of events."""
    sd_km = np.sqrt(np.diag(np.asarray(event.covariance, float)))
    size = "-" if event.magnitude is None else f"{event.magnitude:.1f}"
    error = "" if event.magnitude_sd is None else f" ± {event.magnitude_sd:.1f}"
    return {
        "origin time (UTC)": str(timed(event))[:21].replace("T", " "),
        "latitude": f"{event.latitude_deg:.4f}",
        "longitude": f"{event.longitude_deg:.4f}",
        "± km": f"{np.hypot(*sd_km[:2]):.2f}",
        "depth (km)": f"{event.depth_km:.1f} ± {sd_km[2]:.1f}",
        "magnitude": size + error,
        "picks": str(len(event.picks)),
        "probability": "-" if np.isnan(real := float(event.others.get(ODDS, np.nan))) else probability_text(real),
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
        "median error": f"{np.median([error_km(event) for event in made.events]):.2f} km horizontally (one sd)",
        "located with": f"{LOCATOR} ({', '.join(f'{name} {value}' for name, value in SETTINGS.items())})",
    }


def error_km(event: Hypocentre) -> float:
    """Predicted standard deviation of the epicentre."""
    return float(np.sqrt(np.trace(np.asarray(event.covariance, float)[:2, :2])))


def most(reasons: Sequence[str]) -> str:
    """The commonest of some reasons, each with its number of picks."""
    return "; ".join(f"{reason} ({count} picks)" for reason, count in Counter(filter(None, reasons)).most_common(3))


def frequency(magnitude: Float[np.ndarray, " event"]) -> tuple[float, float, float]:
    """Magnitude of completeness by maximum curvature, and the b-value above it with its error; NaN for too few."""
    rounded = np.round(magnitude, 1)
    least = maximum_curvature(rounded, correction=CORRECTION)
    found = b_value(rounded, least)
    return least, found.b, found.error
