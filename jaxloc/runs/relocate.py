"""Relocation of all events at once: double differences, or the joint hierarchical model.

Starting locations are those of a catalogue, else of Geiger's method on the same picks.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from scipy.spatial import KDTree

from jaxloc import locators
from jaxloc.data.dataset import Dataset, Event
from jaxloc.io.catalogue import Truth
from jaxloc.io.contents import DIFFERENCES, EVENTS, PairTime, origin_time
from jaxloc.io.formats import read, recognise
from jaxloc.io.picks import Picks
from jaxloc.io.reference_catalogue import Known, by_name, in_frame, read_truths, seconds
from jaxloc.io.tables import parse_time
from jaxloc.locators.double_difference import Relocated, Settings, double_difference
from jaxloc.locators.setup import Setup, velocity_of
from jaxloc.physics.differential_times import DifferentialTimes
from jaxloc.physics.double_differences import Links
from jaxloc.physics.event_pairs import PairSettings, pair_events
from jaxloc.physics.iteration_sets import CATALOGUE_KM
from jaxloc.physics.layered_times import layered_times
from jaxloc.runs import locate_picks
from jaxloc.runs.located import Located
from jaxloc.runs.outcomes import Outcome
from jaxloc.runs.report import geography_of
from jaxloc.training.log import Say
from jaxloc.types import PHASES, Batch, Posterior

if TYPE_CHECKING:
    from jaxloc.plots.geography import Geography

METHODS = ("double_difference", "hierarchical")
OWN_READER = ("quakeml", "events_csv", "events_table")  # formats that `read_truths` reads
START = "geiger"
START_SD = (2.0, 2.0, 3.0, 0.5)  # of a catalogue's locations that the relocation may change, km and s
CROSS_SD_S = 0.01  # of a cross-correlation time of weight one
NUMBERS = {name: value for name, value in PairSettings._field_defaults.items() if not isinstance(value, bool)}
SETTABLE = ("solver", "cluster_links", "air_quakes", "top_km", "draws", "catalogue_km", "cross_km", "damping")
"""Settings of the relocation; `NUMBERS` are those of pairing."""
WELL_CONDITIONED = 80.0  # condition numbers of hypoDD's guide are 40 to 80 (Waldhauser 2001)
NEIGHBOURS = 5  # of each event, whose separations are written


class Request(NamedTuple):
    """What is asked: the method, its settings, and files of starting locations and of differential times."""

    method: str
    start: Path | None = None
    differences: Path | None = None
    settings: Mapping[str, Any] = {}  # never written to


class Relocation(NamedTuple):
    """Events with their posteriors, where they started (km and s), and the reason for each that was not relocated."""

    located: Located
    start: Float[np.ndarray, "event 4"]
    lost: dict[str, str]
    setup: Setup


def relocate(
    key: Key[Array, ""], request: Request, of_picks: locate_picks.Request, picks: Picks, say: Say = lambda line: None
) -> Relocation:
    """Relocate the events of `jaxloc.runs.locate_picks.open_picks`.

    Args:
        key: of draws.
        request: method and files.
        of_picks: files and options of the picks.
        picks: the events.
        say: takes one line for the user.

    Raises:
        ValueError: where the method or a setting does not exist, a file is wrong, or no pair of events has enough
            links.
    """
    _check(request)
    of_start, of_method = jax.random.split(key)
    dataset = picks.dataset
    batch = dataset.take(np.arange(len(dataset)))
    setup = locate_picks.setup_for(of_picks, dataset, say)
    start, spread = _starts(of_start, request, setup, dataset, batch, say)
    if request.method == "hierarchical":
        say(f"locating {len(dataset)} events jointly")
        locator = locators.build("hierarchical", setup, request.settings)
        return Relocation(Located(batch, locator(of_method, batch.observations), None), start, {}, setup)
    say(f"relocating {len(dataset)} events by double differences")
    found = _by_differences(of_method, request, setup, dataset, batch, start, spread)
    for line in _lines(found):
        say(line)
    lost = {dataset.events[row].id: f"not relocated: {reason}" for row, reason in found.lost.items()}
    return Relocation(Located(batch, found.posterior, None), start, lost, setup)


def _check(request: Request) -> None:
    """Refuse what cannot be done before any event is located."""
    if request.method not in METHODS:
        raise ValueError(f"no such method: {request.method!r}; use one of {', '.join(METHODS)}")
    if request.differences is not None and request.method != "double_difference":
        raise ValueError("--differences must be used with --method double_difference; leave it out")
    if request.differences is not None and request.start is None:
        raise ValueError("--differences count from the origin times of a catalogue: give it with --start")
    if request.method == "double_difference":
        settings_of(request.settings)


def _starts(
    key: Key[Array, ""], request: Request, setup: Setup, dataset: Dataset, batch: Batch, say: Say
) -> tuple[Float[np.ndarray, "event 4"], Float[np.ndarray, "event 4 4"]]:
    """Locations to start from, and the covariance of their errors: the file's, Geiger's for events that it lacks."""
    shape = (len(dataset), 4)
    value, known = (np.zeros(shape), np.zeros(shape, bool)) if request.start is None else _given(request.start, dataset)
    placed, timed = known[:, :3].all(1), known.all(1)
    mean, spread = value.copy(), np.tile(np.diag(np.square(START_SD)), (len(dataset), 1, 1))
    if not timed.all():
        say(f"locating {len(dataset)} events by {START}, to start from")
        first: Posterior = locators.build(START, setup)(key, batch.observations)
        mean[~placed, :3] = np.asarray(first.mean, float)[~placed, :3]
        mean[~timed, 3] = np.asarray(first.mean, float)[~timed, 3]
        spread[~placed] = np.asarray(first.covariance, float)[~placed]
    return mean, spread


def _given(path: Path, dataset: Dataset) -> tuple[Float[np.ndarray, "event 4"], Bool[np.ndarray, "event 4"]]:
    """Locations of a file by event id, km and s, and which of them are known."""
    truths = read_starts(path)
    starts = [np.nan if event.start is None else seconds(parse_time(event.start)) for event in dataset.events]
    value, known = in_frame(dataset.frame, by_name([(event.id,) for event in dataset.events], truths), starts)
    if not known[:, :3].all(1).any():
        raise ValueError(f"{path} has none of {len(dataset)} events by id; --start must name them as the picks do")
    return value, known


def read_starts(path: Path) -> list[Known]:
    """Locations of a CSV or QuakeML file, or of any format with locations that is recognised.

    Raises:
        ValueError: where the file is missing or wrong, or has no location.
    """
    form = recognise(path) if path.is_file() else None
    if form is None or EVENTS not in form.holds or form.name in OWN_READER:
        return read_truths(path)
    events = form.read(path).events
    if not events:
        raise ValueError(f"{path} is {form.text} and has no location; --start must have some")
    times = [origin_time(event) for event in events]
    return [
        Known((event.id,), Truth(event.latitude_deg, event.longitude_deg, event.depth_km, seconds(time)))
        for event, time in zip(events, times, strict=True)
    ]


def _by_differences(
    key: Key[Array, ""],
    request: Request,
    setup: Setup,
    dataset: Dataset,
    batch: Batch,
    start: Float[np.ndarray, "event 4"],
    spread: Float[np.ndarray, "event 4 4"],
) -> Relocated:
    given = None if request.differences is None else read_differences(request.differences, dataset, start[:, 3])
    return by_differences(key, request.settings, setup, batch, start, spread, given)


def by_differences(
    key: Key[Array, ""],
    given: Mapping[str, Any],
    setup: Setup,
    batch: Batch,
    start: Float[np.ndarray, "event 4"],
    spread: Float[np.ndarray, "event 4 4"],
    cross: Links | None = None,
) -> Relocated:
    """Double differences of the events of a batch, by pairs of their picks and by differential times.

    Args:
        key: of draws.
        given: settings (`settings_of`).
        setup: of `jaxloc.runs.locate_picks.setup_for`.
        batch: events with picks.
        start: where they start, km and s, on the clocks of the picks.
        spread: covariances of the errors of these.
        cross: differential times on the clocks of the picks.

    Raises:
        ValueError: for a wrong setting, or where no pair of events has enough links.
    """
    pairs, settings = settings_of(given)
    paired = pair_events(batch.observations, start, pairs)
    links = [Links("catalogue", paired.times)] if len(paired.times.first) else []
    links += [] if cross is None else [cross]
    if not links:
        raise ValueError(
            f"no pair of {len(start)} events has {pairs.fewest} common picks within {pairs.separation_km:g} km; "
            "reduce fewest or raise separation_km (--set), or use --method hierarchical"
        )
    station_km = np.asarray(batch.observations.station_km[0], float)
    times = layered_times(velocity_of(setup, METHODS[0])) if setup.times is None else setup.times
    if setup.ground is not None:
        if "top_km" in given:
            raise ValueError("top_km has no effect with --topography; leave one of them out")
        settings = settings._replace(ground=setup.ground)
    if setup.times is not None:
        top_km = max(settings.top_km, setup.region.depth_km[0])
        settings = settings._replace(region=setup.region, top_km=top_km)
    return double_difference(key, times, station_km, start, spread, links, settings)


def settings_of(given: Mapping[str, Any]) -> tuple[PairSettings, Settings]:
    """Settings of pairing and of relocation from one list of names.

    Raises:
        ValueError: for a setting that does not exist, or a value of another type; names it.
    """
    known = NUMBERS | {name: Settings._field_defaults[name] for name in SETTABLE}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"double_difference has no setting {name}; use one of: {', '.join(known)}")
        if isinstance(known[name], str) is not isinstance(value, str):
            raise ValueError(
                f"{name} must be {'a word' if isinstance(known[name], str) else 'a number'}, got {value!r}"
            )
    whole = lambda name, value: int(value) if isinstance(known[name], int) else value
    typed: dict[str, Any] = {name: whole(name, value) for name, value in given.items()}
    of_pairs = {name: value for name, value in typed.items() if name in NUMBERS}
    others = {name: value for name, value in typed.items() if name in SETTABLE}
    pairs = PairSettings()._replace(**{"neighbours": 20} | of_pairs)
    defaults = {"air_quakes": "reset", "catalogue_km": max(CATALOGUE_KM, pairs.separation_km)}
    return pairs, Settings()._replace(**defaults | others)


def read_differences(path: Path, dataset: Dataset, origin_s: Float[np.ndarray, " event"]) -> Links:
    """Differential times of a file (HypoDD dt.cc, GrowClust xcordata) on the clocks of the events' picks.

    Raises:
        ValueError: where the file has none, or none of these events and stations.
    """
    contents, form = read(path)
    if DIFFERENCES not in form.holds:
        raise ValueError(f"{path} is {form.text}; --differences must be a dt.cc of HypoDD or GrowClust")
    events = {event.id: row for row, event in enumerate(dataset.events)}
    # HypoDD's files have codes without the network.
    stations = {
        name: row for row, each in enumerate(dataset.stations) for name in (each.code.split(".")[-1], each.code)
    }
    used: list[PairTime] = [
        each
        for each in contents.differences
        if each.first in events and each.second in events and each.station in stations and each.phase in PHASES
    ]
    if not used:
        number = len(contents.differences)
        raise ValueError(f"{path}: none of {number} times is of two events and a station of the picks; check the ids")
    first, second = (np.array([events[getattr(each, name)] for each in used]) for name in ("first", "second"))
    # Differences of travel times: with the origin times that these count from, they are on the clocks of the picks.
    time_s = np.array([each.time_s for each in used]) + origin_s[first] - origin_s[second]
    weight = np.array([each.weight for each in used])
    sd_s = CROSS_SD_S / np.clip(weight, 0.1, None)
    at = np.array([stations[each.station] for each in used])
    phase = np.array([PHASES.index(each.phase) for each in used])
    times = DifferentialTimes(first, second, at, phase, time_s, sd_s)  # pyright: ignore[reportArgumentType]
    return Links("cross_correlation", times, weight)


def _lines(found: Relocated) -> list[str]:
    """What the iterations did, one line for the first and the last."""
    lines = []
    for name, each in (("first", found.iterations[0]), ("last", found.iterations[-1])):
        rms = f"rms {1000 * each.rms_catalogue_s:.1f} ms of {each.catalogue_links} catalogue links"
        if each.cross_links:
            rms += f", {1000 * each.rms_cross_s:.1f} ms of {each.cross_links} by cross-correlation"
        lines.append(f"{name} iteration: {each.events} events, {rms}")
    if (condition := found.iterations[-1].condition) > WELL_CONDITIONED:
        lines.append(
            f"condition number {condition:.0f}: hypoDD's guide asks for 40 to 80; --set damping=... reduces it"
        )
    return lines


def neighbours(mean: Float[np.ndarray, "event 4"], number: int = NEIGHBOURS) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each event and of its nearest ones, pair by pair; a pair comes once."""
    number = min(number, len(mean) - 1)
    if number < 1:
        return np.zeros(0, int), np.zeros(0, int)
    _, near = KDTree(mean[:, :3]).query(mean[:, :3], number + 1)
    pairs = np.stack([np.repeat(np.arange(len(mean)), number), np.asarray(near)[:, 1:].ravel()], 1)
    pairs = np.unique(np.sort(pairs, 1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return pairs[:, 0], pairs[:, 1]


class Separations(NamedTuple):
    """Of neighbouring events: rows, the first minus the second, and standard deviations; km and s."""

    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]
    apart: Float[np.ndarray, "pair 4"]
    sd: Float[np.ndarray, "pair 4"]


def separations(posterior: Posterior) -> Separations:
    """Separations of each event from its nearest ones, with errors that they have in common taken out."""
    first, second = neighbours(np.asarray(posterior.mean, float))
    difference: Any = posterior.difference(jnp.asarray(first), jnp.asarray(second))
    return Separations(first, second, np.asarray(difference.mean), np.sqrt(np.asarray(difference.variance)))


def lines_of(relocation: Relocation, between: Separations) -> list[str]:
    """How far events moved, and how sharp their locations and the separations of neighbours are."""
    posterior = relocation.located.posterior
    moved_km = np.asarray(posterior.mean, float) - relocation.start
    lines = [f"median movement {_across(moved_km):.2f} km across, {np.median(np.abs(moved_km[:, 2])):.2f} km in depth"]
    if len(between.first):
        sd = np.sqrt(np.einsum("eii->ei", np.asarray(posterior.covariance)))
        lines.append(
            f"median standard errors: of an event {_across(sd):.3f} km across and {np.median(sd[:, 2]):.3f} km in "
            f"depth, of its separation from neighbours {_across(between.sd):.3f} and {np.median(between.sd[:, 2]):.3f}"
        )
    return lines


def _across(values: Float[np.ndarray, "event 4"]) -> float:
    return float(np.median(np.hypot(values[:, 0], values[:, 1])))


def separations_csv(events: Sequence[Event], between: Separations) -> bytes:
    """A table of separations: ids, the first event minus the second, standard deviations."""
    axes = ("east_km", "north_km", "depth_km", "origin_s")
    header = ["first", "second", *axes, *(f"{axis.rpartition('_')[0]}_sd_{axis.rpartition('_')[2]}" for axis in axes)]
    rows = [",".join(header)]
    for first, second, apart, sd in zip(*between, strict=True):
        numbers = [f"{value:.5f}" for value in (*apart, *sd)]
        rows.append(",".join([events[first].id, events[second].id, *numbers]))
    return ("\n".join(rows) + "\n").encode()


def with_reasons(outcome: Outcome, lost: Mapping[str, str]) -> Outcome:
    """The outcome with the reason, as a flag, of each event that stayed where it started."""
    found = [
        event._replace(flag="; ".join(filter(None, [event.flag, lost.get(event.id, "")]))) for event in outcome.found
    ]
    return outcome._replace(found=found)


def drawn(
    relocation: Relocation, dataset: Dataset
) -> tuple[Float[np.ndarray, "event 4"], Float[np.ndarray, "event 4"], Float[np.ndarray, "station 3"], "Geography"]:
    """What a map shows: places before and after, stations, and the frame."""
    after = np.asarray(relocation.located.posterior.mean, float)
    stations_km = np.asarray(relocation.located.batch.observations.station_km[0])
    return relocation.start, after, stations_km, geography_of(dataset)
