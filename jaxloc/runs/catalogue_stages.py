"""Further stages of a catalogue: more events by the waveforms of those found, and relocation of all by differences.

`--match` searches the archive by templates of the located events, places the new ones where their arrivals by
correlation put them, and links each to its family. `--relocate` moves all events together by double differences. An
event keeps each of its origins; which is preferred is said in `Hypocentre.origin_about`.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc import prng
from jaxloc.data.chunk import SECOND_NS
from jaxloc.data.dataset import Dataset
from jaxloc.geometry import Frame, great_circle_km, to_km
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.io.contents import timed
from jaxloc.io.hypodd_times import PairTimes, links_of
from jaxloc.io.pick_files import Pick as FilePick
from jaxloc.io.pick_files import PickedEvent, PickFile
from jaxloc.io.picks import FEWEST_PICKS, as_dataset
from jaxloc.io.stations import read_epochs
from jaxloc.io.tables import parse_time
from jaxloc.locators.setup import Setup
from jaxloc.physics.double_differences import Links
from jaxloc.runs import associate, locate_picks, match_engines
from jaxloc.runs.catalogue_request import LOCATORS, MOVED, NEW, PROBABILITY, Request, locate_request
from jaxloc.runs.located import Located
from jaxloc.runs.match_engines import MatchedEvents
from jaxloc.runs.pick_setup import Request as LocateRequest
from jaxloc.runs.relocate import CROSS_SD_S, START_SD, by_differences
from jaxloc.training.log import Say

FOLDER, TEMPLATES = "matched", "templates.xml"
SURE = 0.95  # probability of an event that makes a template
SAME_S, SAME_KM = 1.0, 10.0  # a matched event so near an event of the catalogue is that event
LEAST_SD = (0.01, 0.01, 0.01, 0.001)  # km and s, of starts whose covariance is not known to be positive


class How(NamedTuple):
    """How the events of a catalogue were located: what was asked, the setup, with what was learnt, and its frame."""

    asked: LocateRequest
    setup: Setup
    frame: Frame


class Joined(NamedTuple):
    """Events of a catalogue with matched ones, and which row of them each matched event is; times between these."""

    events: list[Hypocentre]
    matched: MatchedEvents | None = None
    rows: Mapping[str, int] = {}  # never written to


def joined(
    request: Request, events: Sequence[Hypocentre], how: How, say: Say, executor: Executor | None = None
) -> list[Hypocentre]:
    """The events with those found by templates, relocated, as far as the request wants it; in the order of times."""
    labelled = [event._replace(origin_about=f"located by {LOCATORS[request.method][0]}") for event in events]
    found = Joined(labelled)
    if request.match:
        found = matched(request, labelled, how, say, executor)
    if request.relocate:
        found = found._replace(events=relocated(request, found, how, say))
    return sorted(found.events, key=lambda event: timed(event).ns)


def matched(
    request: Request, events: Sequence[Hypocentre], how: How, say: Say, executor: Executor | None = None
) -> Joined:
    """Search the archive by the events that are surely real, and add what is new to the catalogue.

    Where it cannot be searched (no templates, records too short for a rate of false alarms) the events stay as they
    are.
    """
    folder = request.output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    sure = [event for event in events if event.picks and event.others.get(PROBABILITY, 1.0) >= SURE]
    if not sure:
        say(f"no event has a probability of {SURE:g}: nothing is searched by templates")
        return Joined(list(events))
    write_quakeml(folder / TEMPLATES, sure)
    try:
        found = match_engines.matched_events(request, folder, folder / TEMPLATES, say, executor)
    except ValueError as error:
        say(f"not searched by templates: {error}")
        return Joined(list(events))
    rows, new = _identified(events, found)
    placed = _placed(request, new, how, say)
    more = [placed.get(each.id, each) for each in new]
    rows |= {each.id: len(events) + place for place, each in enumerate(new)}
    in_family = {rows[each.id]: each.family for each in found.events if each.id not in {one.id for one in new}}
    known = [event._replace(family=in_family.get(row, "")) for row, event in enumerate(events)]
    named = [event._replace(id=f"{NEW}{int(event.id):06d}") for event in more]
    say(f"{len(new)} new events by templates, {len(placed)} of them located; {len(in_family)} were known")
    return Joined([*known, *named], found, rows)


def _identified(events: Sequence[Hypocentre], found: MatchedEvents) -> tuple[dict[str, int], list[Hypocentre]]:
    """The row of each matched event that the catalogue has, and those that it has not."""
    row_of = {event.id: row for row, event in enumerate(events)}
    times_s = np.array([timed(event).ns / SECOND_NS for event in events])
    known: dict[str, int] = {}
    for each in found.events:
        if each.id in found.itself:
            known[each.id] = row_of[found.itself[each.id]]
            continue
        apart_s = np.abs(times_s - timed(each).ns / SECOND_NS)
        near = [row for row in np.flatnonzero(apart_s < SAME_S).tolist() if _apart_km(events[row], each) < SAME_KM]
        if near:
            known[each.id] = min(near, key=lambda row: float(apart_s[row]))
    return known, [each for each in found.events if each.id not in known]


def _apart_km(first: Hypocentre, second: Hypocentre) -> float:
    places = [np.array([each.latitude_deg, each.longitude_deg]) for each in (first, second)]
    return float(great_circle_km(*places[0], *places[1]))


def _placed(request: Request, new: Sequence[Hypocentre], how: How, say: Say) -> dict[str, Hypocentre]:
    """New events located by the arrivals that correlation gives; those with too few stay at their template's place.

    What was learnt of velocities and stations counts where the stations, and so the frame, are the same.
    """
    enough = [each for each in new if len(each.picks) > FEWEST_PICKS + 1]
    if not enough:
        return {}
    picks = as_dataset("matched", pick_file(enough), read_epochs(request.stations), associate.SIGMA_S)
    asked, setup = how.asked, how.setup
    if picks.dataset.frame != how.frame:
        asked = locate_request(request)
        setup = locate_picks.setup_for(asked, picks.dataset, say)
    posteriors = locate_picks.locate(prng.stream("location"), asked, picks, setup=setup)
    about = f"located by {LOCATORS[request.method][0]} from arrivals by correlation; preferred to its template's place"
    by_id = {each.id: each for each in enough}
    return {
        event.id: event._replace(
            others=by_id[event.id].others,
            family=by_id[event.id].family,
            magnitude=by_id[event.id].magnitude,
            magnitude_sd=by_id[event.id].magnitude_sd,
            magnitude_type=by_id[event.id].magnitude_type,
            magnitude_about=by_id[event.id].magnitude_about,
            origin_about=about,
            earlier=(by_id[event.id]._replace(picks=()),),
        )
        for event in locate_picks.outcome_of(picks, posteriors, False, setup).found
    }


def pick_file(events: Sequence[Hypocentre], without_event: int = 0) -> PickFile:
    """The picks of located events, for locators of picks, and the number of those of no event."""
    return PickFile(tuple(PickedEvent(event.id, _file_picks(event)) for event in events), without_event)


def _file_picks(event: Hypocentre) -> tuple[FilePick, ...]:
    zero_ns = parse_time(event.start or "").ns
    return tuple(
        FilePick(p.station, p.phase, zero_ns + round(p.time_s * SECOND_NS), p.sigma_s or np.nan, p.probability)
        for p in event.picks
    )


def relocated(request: Request, found: Joined, how: How, say: Say) -> list[Hypocentre]:
    """All events with picks moved by double differences of these and, after a search by templates, of waveforms.

    The relocated origin of an event is preferred where its ellipsoid is not larger than that of the origin before,
    which is kept in either case.
    """
    able = [event for event in found.events if len(event.picks) >= FEWEST_PICKS]
    picks = as_dataset("relocated", pick_file(able), read_epochs(request.stations), associate.SIGMA_S)
    dataset, by_id = picks.dataset, {event.id: event for event in able}
    own = [by_id[event.id] for event in dataset.events]
    batch = dataset.take(np.arange(len(dataset)))
    setup = locate_picks.setup_for(locate_request(request)._replace(locator="double_difference"), dataset, say)
    setup = setup._replace(velocity=how.setup.velocity)
    start, spread = starts_of(dataset, own)
    cross = None if found.matched is None else _links(found, dataset, own)
    number = 0 if cross is None else len(cross.times.first)
    say(f"relocating {len(own)} events by double differences, with {number} differential times by waveforms")
    try:
        moved = by_differences(prng.stream("location"), {}, setup, batch, start, spread, cross)
    except ValueError as error:
        say(f"not relocated: {error}")
        return found.events
    outcome = locate_picks.outcome_of(picks, Located(batch, moved.posterior, None), False, setup)
    lost = {dataset.events[row].id for row in moved.lost}
    after = {event.id: event for event in outcome.found if event.id not in lost}
    say(f"{len(after)} of {len(found.events)} events relocated")
    return [preferred(event, after[event.id]) if event.id in after else event for event in found.events]


def preferred(before: Hypocentre, after: Hypocentre) -> Hypocentre:
    """An event with both origins: the relocated one first, unless its ellipsoid is the larger one."""
    volumes = [float(np.sqrt(max(np.linalg.det(np.asarray(e.covariance)[:3, :3]), 0))) for e in (before, after)]
    about = MOVED
    if np.isnan(volumes[1]) or volumes[1] > volumes[0]:
        other = after._replace(picks=(), origin_about=about)
        why = f"{before.origin_about}; preferred, since its ellipsoid is smaller than that by double differences"
        return before._replace(origin_about=why, earlier=(other, *before.earlier))
    old = before._replace(picks=(), earlier=(), station_magnitudes=())
    return before._replace(
        start=after.start,
        origin_s=after.origin_s,
        latitude_deg=after.latitude_deg,
        longitude_deg=after.longitude_deg,
        depth_km=after.depth_km,
        covariance=after.covariance,
        picks=after.picks,
        origin_about=f"{about}; preferred, since its ellipsoid is not larger than that of the one before",
        earlier=(old, *before.earlier),
    )


def starts_of(
    dataset: Dataset, events: Sequence[Hypocentre]
) -> tuple[Float[np.ndarray, "event 4"], Float[np.ndarray, "event 4 4"]]:
    """Where events start, km and s on the clock of their picks, and the covariance of the errors of these."""
    degrees = np.array([(event.latitude_deg, event.longitude_deg) for event in events])
    zero = [parse_time(event.start or "") for event in dataset.events]
    origin_s = [float(timed(event) - begin) for event, begin in zip(events, zero, strict=True)]
    east_km, north_km = to_km(dataset.frame, degrees[:, 0], degrees[:, 1])
    start = np.stack([east_km, north_km, [event.depth_km for event in events], origin_s], -1)
    unknown = np.diag(np.square(START_SD))
    covariance = [np.asarray(event.covariance, float) for event in events]
    covariance = [one if np.isfinite(one).all() else unknown for one in covariance]
    return start, np.stack(covariance) + np.diag(np.square(LEAST_SD))


def _links(found: Joined, dataset: Dataset, own: Sequence[Hypocentre]) -> Links | None:
    """Differential times of matched events on the clocks of the picks of a data set."""
    assert found.matched is not None, "events were matched"
    times: PairTimes = found.matched.times
    place = {event.id: row for row, event in enumerate(own)}
    row_of = {number: place.get(found.events[row].id, -1) for number, row in found.rows.items()}
    known = {number: row for number, row in row_of.items() if row >= 0}
    number_at = np.full(len(own), -1)
    for number, row in known.items():
        number_at[row] = int(number)
    if not known or not len(times.first):
        return None
    codes = [each.code.split(".")[-1] for each in dataset.stations]
    station = codes if len(set(codes)) == len(codes) else [each.code for each in dataset.stations]
    links = links_of(times, number_at, station, CROSS_SD_S)
    if not len(links.times.first):
        return None
    matched_at = {each.id: timed(each) for each in found.matched.events}
    zero = [parse_time(event.start or "") for event in dataset.events]
    origin_s = np.array(
        [float(matched_at[str(n)] - zero[row]) if n >= 0 else np.nan for row, n in enumerate(number_at.tolist())]
    )
    first, second = np.asarray(links.times.first), np.asarray(links.times.second)
    time_s: Any = np.asarray(links.times.time_s) + origin_s[first] - origin_s[second]
    return links._replace(times=links.times._replace(time_s=time_s))
