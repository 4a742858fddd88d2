"""Location of picked events by a locator without a network: grid search, S-P rule, climatology."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from jaxloc import locators, prng
from jaxloc.calibration.calibration import Predictions
from jaxloc.data.dataset import Dataset
from jaxloc.distributions.gaussian_mixture import moments
from jaxloc.io.picks import FEWEST_PICKS, Picks, read_picks
from jaxloc.io.seisbench import read_seisbench
from jaxloc.io.seisbench_folder import is_seisbench
from jaxloc.io.tables import as_number
from jaxloc.locators.padding import over_padded
from jaxloc.locators.setup import Setup
from jaxloc.runs import report
from jaxloc.runs.arrival_picks import observed_picks
from jaxloc.runs.datasets import select
from jaxloc.runs.flags import edge_flag, edges_of
from jaxloc.runs.learnt_velocities import learnt_from
from jaxloc.runs.located import Located
from jaxloc.runs.outcomes import Outcome
from jaxloc.runs.pick_setup import Request, bare, pick_mask, setup_for
from jaxloc.runs.predict import joined, located_parts
from jaxloc.training.log import Say


def open_picks(request: Request) -> Picks:
    """The picks of a CSV or QuakeML file, or of a SeisBench folder.

    Raises:
        ValueError: where a file is missing or wrong, a needed option is not given, or one that has no use is.
    """
    path = request.input
    if is_seisbench(path):
        if request.stations is not None:
            raise ValueError(f"{path} is a SeisBench folder and has its own stations; leave out --stations")
        return _with_picks(read_seisbench(path, split=request.split))
    if request.split is not None:
        raise ValueError(f"use --split with SeisBench folders only; {path} is a file of picks")
    if not path.exists():
        raise ValueError(f"no such file or folder: {path}; the path must name picks or a SeisBench folder")
    if request.stations is None:
        raise ValueError(
            "picks must come with --stations: StationXML, or a CSV of code, latitude, longitude, elevation_m"
        )
    return read_picks(path, request.stations)


def _with_picks(dataset: Dataset) -> Picks:
    """The events of a SeisBench folder that have enough picks; times stay relative to the first sample."""
    number = np.concatenate([pick_mask(seen).sum((1, 2)) for seen in bare(dataset)]).tolist()
    few = np.array(number) < FEWEST_PICKS
    lost = {
        event.id: f"{n} usable pick{'s' * (n != 1)}; at least {FEWEST_PICKS} are needed"
        for event, n in zip(dataset.events, number, strict=True)
        if n < FEWEST_PICKS
    }
    if few.all():
        raise ValueError(
            f"{dataset.name}: none of {len(dataset)} events has {FEWEST_PICKS} picks at recording stations; the "
            "metadata must have trace_p_arrival_sample and trace_s_arrival_sample"
        )
    return Picks(select(dataset, np.flatnonzero(~few)), lost, (), {})


def as_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Settings of a locator from texts KEY=VALUE; numbers are read as such.

    Raises:
        ValueError: where a text is no KEY=VALUE.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(f"--set takes KEY=VALUE, as model_share=0.02, got {text!r}")
        number = as_number(value)
        found[name] = value if number is None else number
    return found


def locate(
    key: Key[Array, ""],
    request: Request,
    picks: Picks,
    on_chunk: Callable[[int], None] = lambda done: None,
    setup: Setup | None = None,
) -> Located:
    """Locate the events of `open_picks`; `on_chunk` receives the number of events located so far.

    Raises:
        ValueError: as `setup_for` and `jaxloc.locators.build`.
    """
    return joined(list(located_in_parts(key, request, picks, on_chunk, setup)))


def located_in_parts(
    key: Key[Array, ""],
    request: Request,
    picks: Picks,
    on_chunk: Callable[[int], None] = lambda done: None,
    setup: Setup | None = None,
) -> Iterator[Located]:
    """As `locate`, in parts; stations are padded (`jaxloc.locators.padding`). `setup` is by default `setup_for`'s."""
    setup = setup_for(request, picks.dataset) if setup is None else setup
    locator = locators.build(request.locator, setup, request.settings)
    return located_parts(key, over_padded(locator), picks.dataset, on_chunk, request.locator in locators.JOINT)


def with_learnt(request: Request, picks: Picks, setup: Setup, say: Say) -> tuple[Request, Setup]:
    """With `learn_velocities`, request and setup after all events have told of velocities and station terms.

    Events start from where Geiger's method puts them.

    Raises:
        ValueError: for a locator that does not take what is learnt, or without a velocity model of layers.
    """
    if not request.learn_velocities:
        return request, setup
    if request.locator not in locators.OF_LEARNT_VELOCITIES:
        raise ValueError(
            f"--learn-velocities has no effect on the locator {request.locator}; use "
            f"{' or '.join(locators.OF_LEARNT_VELOCITIES)}"
        )
    if setup.times is not None:
        raise ValueError("--learn-velocities must have --velocity with layers; it cannot change grids")
    first = locate(prng.stream("location"), request._replace(locator="geiger", settings={}), picks, setup=setup)
    learnt = learnt_from(setup, picks.dataset, np.asarray(first.posterior.mean)[:, :3], say)
    return request._replace(settings={**learnt.settings, **request.settings}), learnt.setup


def outcome_of(picks: Picks, located: Located, interrupted: bool, setup: Setup | None = None) -> Outcome:
    """Hypocentres of located events on the clock of their picks, with these, and the reasons of those not located.

    Args:
        picks: of `open_picks`.
        located: all of its events, or the first of them.
        interrupted: whether the others were not reached.
        setup: of the locator, whose grids of travel times end at edges that flags name (`edge_flags`).
    """
    dataset = select(picks.dataset, np.arange(len(located.batch.observations.rate_hz)))
    predictions = Predictions(located.posterior)
    flags = edge_flags(located, setup)
    found, lost = report.hypocentres_of(dataset, located.batch, predictions, flags=flags)
    used = {event.id: observed_picks(dataset, located.batch.observations, i) for i, event in enumerate(dataset.events)}
    found = [report.moved(each._replace(picks=used[each.id]), picks.zero_s.get(each.id, 0.0)) for each in found]
    return Outcome(found, {**picks.lost, **lost}, {}, located, predictions, interrupted)


def edge_flags(located: Located, setup: Setup | None) -> list[str]:
    """Of each event, the edges of the grids of travel times that its posterior reaches; empty without such grids."""
    if setup is None or setup.times is None:
        return []
    centre, spread = (np.asarray(x, float) for x in moments(located.posterior.hypocentre))
    sd = np.sqrt(np.maximum(np.diagonal(spread, axis1=-2, axis2=-1), 0))
    edges = [edges_of(*each, setup.region) for each in zip(centre, sd, strict=True)]
    return [edge_flag(each, setup.region) if each else "" for each in edges]
