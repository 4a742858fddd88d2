"""From an archive of continuous records to a catalogue: picks, events, locations, magnitudes, and a report.

Each stage reads what the one before wrote. Picks are kept chunk by chunk (`jaxloc.runs.pick`), so that a stopped run
continues; the other stages take all picks at once and give the same catalogue from the same picks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from jaxloc import prng
from jaxloc.data.dataset import Dataset, Station
from jaxloc.data.pick_list import NO_EVENT
from jaxloc.geometry import to_km
from jaxloc.io.associated_picks import write_associated_picks
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.picks import as_dataset
from jaxloc.io.station_checks import centre_of
from jaxloc.io.stations import read_epochs
from jaxloc.io.velocity_model import velocity_file, write_velocity
from jaxloc.physics.layered import velocity_of
from jaxloc.runs import associate, locate_picks, pick
from jaxloc.runs.catalogue_report import write_report
from jaxloc.runs.catalogue_request import (
    LEARNS,
    PICKS,
    PROBABILITY,
    Made,
    Request,
    associate_request,
    locate_request,
    pick_request,
)  # fmt: skip
from jaxloc.runs.catalogue_stages import How, joined, pick_file
from jaxloc.runs.catalogue_summary import reported
from jaxloc.runs.crusts import crust_at
from jaxloc.runs.event_pages import FOLDER as EVENT_PAGES
from jaxloc.runs.event_pages import write_pages
from jaxloc.runs.learnt_velocities import learnt_from
from jaxloc.runs.magnitudes import Wanted, wanted, with_magnitudes
from jaxloc.runs.outcomes import write_outcome
from jaxloc.runs.report import write_events
from jaxloc.training.log import Say, counted_in_time

REPORT, VELOCITY = "report.html", "velocity.csv"


def make_catalogue(request: Request, picked: pick.Picked, say: Say, executor: Executor | None = None) -> Made:
    """Associate, locate and measure; write events.csv, events.xml, picks.csv and report.html.

    With `match` or `relocate` the stages of `jaxloc.runs.catalogue_stages` follow.

    Args:
        request: what is searched, and how.
        picked: all picks of its archive (`jaxloc.runs.pick.pick_archive`).
        say: takes one line for the user.
        executor: runs chunks of the search by templates; None: this process.

    Raises:
        ValueError: where an input is missing or wrong, or no event is found; says why.
    """
    measured = wanted_magnitudes(request)
    for line in pick.lines(picked):
        say(line)
    if not len(picked.picks.time_s):
        raise ValueError(f"no events: nothing was picked; {pick.why_nothing(picked)}")
    request = with_velocity(request, picked.stations, say)
    opened = opened_picks(picked)
    associated = associate.METHODS[request.method](opened, associate_request(request), say)
    if not len(associated.hypocentre):
        raise ValueError(f"no events among {len(associated.reason)} picks: {most(associated.reason)}")
    found = associate.hypocentres(opened, associated)
    events, lost, how = located(request, opened, found, measured, say)
    if request.match or request.relocate:
        events = joined(request, events, how, say, executor)
        write_events(request.output, events)
    names = ["" if row == NO_EVENT else found[row].id for row in associated.event]
    write_associated_picks(request.output / PICKS, opened.record, names, associated.reason)
    made = Made(tuple(events), picked, associated, lost)
    if request.pages:
        pages = write_pages(request.output, pick.archive_of(pick_request(request)), velocity_settings(request), events)
        say(f"pages of events: {len(pages)} in {request.output / EVENT_PAGES}")
    say(f"report: {write_report(request.output / REPORT, reported(request, made))}")
    return made


def opened_picks(picked: pick.Picked) -> associate.Opened:
    """Picks as association takes them."""
    stations, frame = picked.stations, centre_of(picked.stations)
    return associate.Opened(picked.picks, pick.picks_of(picked), stations, frame, picked.zero_ns, ())


def with_velocity(request: Request, stations: Sequence[Station], say: Say) -> Request:
    """A request with a file of velocities: the given one, or the crust where the stations are, which is written."""
    if request.velocity is not None:
        return request
    crust, path = crust_at(stations), request.output / VELOCITY
    write_velocity(path, velocity_of(crust.settings))
    say(f"velocities: none given; {crust.name} ({path})")
    return request._replace(velocity=path, velocity_form="layers")


def located(
    request: Request, opened: associate.Opened, found: Sequence[Hypocentre], measured: Wanted | None, say: Say
) -> tuple[list[Hypocentre], dict[str, str], How]:
    """Full posteriors of events by their picks, with magnitudes and odds; writes events.csv and events.xml."""
    picks = as_dataset(
        "catalogue",
        pick_file(found, len(opened.record) - sum(len(event.picks) for event in found)),
        read_epochs(request.stations),
        associate.SIGMA_S,
    )
    asked = locate_request(request)
    setup = locate_picks.setup_for(asked, picks.dataset, say)
    if request.method == LEARNS:
        learnt = learnt_from(setup, picks.dataset, _places_km(picks.dataset, found), say)
        setup, asked = learnt.setup, asked._replace(settings={**asked.settings, **learnt.settings})
    with counted_in_time(say, "located", len(picks.dataset)) as count:
        posteriors = locate_picks.locate(prng.stream("location"), asked, picks, count, setup)
    outcome = locate_picks.outcome_of(picks, posteriors, False, setup)
    odds = {event.id: event.others for event in found}
    events = [event._replace(others={**event.others, **with_probability(odds[event.id])}) for event in outcome.found]
    if measured is not None:
        say(measured.about)
        events = with_magnitudes(measured, velocity_settings(request), picks.dataset, outcome, events)
    write_outcome(request.output, say, outcome._replace(found=events))
    return events, outcome.lost, How(asked, setup, picks.dataset.frame)


def _places_km(dataset: Dataset, found: Sequence[Hypocentre]) -> Float[np.ndarray, "event 3"]:
    """Where association has put the events of a data set."""
    of = {event.id: event for event in found}
    events = [of[event.id] for event in dataset.events]
    degrees = (np.array([getattr(event, name) for event in events]) for name in ("latitude_deg", "longitude_deg"))
    return np.column_stack([*to_km(dataset.frame, *degrees), [event.depth_km for event in events]])


def velocity_settings(request: Request) -> dict[str, Any]:
    """Settings of the velocity model of a request that has one."""
    model = velocity_file(request.velocity, None, None, request.velocity_form)
    assert model is not None, "a catalogue has a velocity model"
    return dict(model.settings())


def with_probability(others: Mapping[str, float]) -> dict[str, float]:
    """The odds of an event, and the probability that it is real."""
    if (log_odds := others.get("log_odds")) is None:
        return dict(others)
    return {**others, PROBABILITY: float(expit(log_odds))}


def wanted_magnitudes(request: Request) -> Wanted | None:
    """How magnitudes are measured; None for none (`jaxloc.runs.magnitudes.wanted`)."""
    return wanted(lambda: pick.archive_of(pick_request(request)), request.stations, request.magnitude)


def most(reasons: Sequence[str]) -> str:
    """The commonest of some reasons, each with its number of picks."""
    return "; ".join(f"{reason} ({count} picks)" for reason, count in Counter(filter(None, reasons)).most_common(3))
