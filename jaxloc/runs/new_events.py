"""New events located with a trained run: the search region of the records, checks, flags and files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxloc.calibration.calibration import Calibration
from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.io.sliding import one_each
from jaxloc.io.stations import recognised
from jaxloc.physics.adaptive_grid import Region
from jaxloc.runs import report, several_events
from jaxloc.runs.datasets import select
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.flags import Searched, Verdict, verdicts
from jaxloc.runs.located import Located
from jaxloc.runs.outcomes import Outcome
from jaxloc.runs.predict import as_calibrated, joined, located_chunks, until_interrupted
from jaxloc.runs.search_region import highest_km
from jaxloc.runs.station_flags import lines_of_all
from jaxloc.runs.transfer import searched_beyond
from jaxloc.runs.widening import beyond_edges

Say = Callable[[str], None]


def searched(fitted: Fitted, dataset: Dataset, config: Mapping[str, Any]) -> Searched:
    """Where and in what events are searched (`jaxloc.runs.flags`)."""
    has_region = fitted.model.search is not None
    return Searched(
        fitted.spec.region if has_region else None,
        highest_km(dataset),
        dataset.num_samples / dataset.rate_hz,
        None if has_region else trained_onsets_s(fitted, config),
        # Its limits are those of the stations of training.
        fitted.shifts if recognised(dataset.stations, fitted.spec.stations) else None,
        tuple(station.code for station in dataset.stations),
    )


def trained_onsets_s(fitted: Fitted, config: Mapping[str, Any]) -> tuple[float, float] | None:
    """First onsets of the training records, moved by augmentation; None where no training event has an origin time."""
    catalogue = fitted.spec.catalogue
    known = np.asarray(catalogue.known).all(-1)
    if not known.any():
        return None
    places = np.asarray(catalogue.hypocentres, float)[known]
    stations_km = positions_km(fitted.spec.frame, fitted.spec.stations)
    nearest_km = np.linalg.norm(places[:, None, :3] - stations_km, axis=-1).min(1)
    onset_s = places[:, 3] + nearest_km / float(np.min(fitted.spec.velocity["vp_km_s"]))
    later = [(stage.get("augmentation") or {}).get("later_s", 0.0) for stage in config.get("stages", {}).values()]
    return float(places[:, 3].min()), float(onset_s.max()) + max(map(float, later), default=0.0)


def locate_new(
    fitted: Fitted,
    dataset: Dataset,
    config: Mapping[str, Any],
    calibration: Calibration | None,
    *,
    overlapping: bool = False,
    widen: bool = True,
    every: bool = False,
    say: Say = lambda line: None,
    on_event: Callable[[int], None] = lambda located: None,
) -> Outcome:
    """Locate the events of a data set, refuse records without an event, and flag locations not to be trusted.

    An interruption from the keyboard ends it early: the outcome is then that of the events located so far.

    Args:
        fitted: of `prepared`.
        dataset: of `jaxloc.runs.inputs.open_input`.
        config: of the run.
        calibration: of its posteriors; None for uncalibrated ones.
        overlapping: windows overlap, so that an event may be in several; each may have several events.
        every: keep records without an event too, with the reason as a flag.
        widen: search beyond the region where nothing fits in it, or its edge is reached.
        say: takes one line for the user.
        on_event: receives the number of events located so far.

    Raises:
        ValueError: where ids of events are not unique.
        KeyboardInterrupt: where no event was located before the interruption.
    """
    refuse_duplicates(dataset)
    chunks = located_chunks(fitted, dataset, with_features=calibration is not None, with_checks=True, on_chunk=on_event)
    located, interrupted = until_interrupted(chunks)
    dataset = select(dataset, np.arange(len(located.batch.observations.station_mask)))
    decided = verdicts(located, searched(fitted, dataset, config))

    def relocate(region: Region, rows: Int[np.ndarray, " row"]) -> tuple[Located, list[Verdict]]:
        some, wider = select(dataset, rows), searched_beyond(fitted, dataset, region)
        again = joined(list(located_chunks(wider, some, with_features=calibration is not None, with_checks=True)))
        return again, verdicts(again, searched(wider, some, config))

    if widen and not interrupted:
        try:
            located, decided = beyond_edges(located, decided, fitted.spec.region, relocate, say)
        except KeyboardInterrupt:  # the locations within the region stay
            interrupted = True
    if overlapping and not interrupted:

        def search(windows: Dataset) -> several_events.Searched:
            parts = located_chunks(fitted, windows, with_features=calibration is not None, with_checks=True)
            again = joined(list(parts))
            return several_events.Searched(windows, again, verdicts(again, searched(fitted, windows, config)))

        first = several_events.Searched(dataset, located, decided)
        dataset, located, decided = several_events.with_further(first, search, say)
    if located.check is not None:
        codes = tuple(station.code for station in dataset.stations)
        for line in lines_of_all(located.check, np.array([not each.refused for each in decided]), codes):
            say(line)
    predictions = as_calibrated(calibration, located)
    rejected = [bool(v.refused) for v in decided]
    decided = [v._replace(refused="", flags=(v.refused, *v.flags)) if every and v.refused else v for v in decided]
    refused, flags = [v.refused for v in decided], [v.flag for v in decided]
    found, lost = report.hypocentres_of(
        dataset, located.batch, predictions, refused=refused, flags=flags, rejected=rejected
    )
    again: dict[str, str] = {}
    if overlapping:
        found, again = one_each(found)
    return Outcome(found, lost, again, located, predictions, interrupted, dataset)


def refuse_duplicates(dataset: Dataset) -> None:
    """Check ids before anything is located.

    Raises:
        ValueError: names an id that occurs more than once.
    """
    for name, count in Counter(event.id for event in dataset.events).items():
        if count > 1:
            raise ValueError(f"event id {name!r} occurs {count} times; each window must have an id of its own")


def pictures(folder: Path, dataset: Dataset, outcome: Outcome, keep: Sequence[str]) -> None:
    """A picture of each located event's posterior, named by its id."""
    geography, located = report.geography_of(dataset), outcome.located
    for i, event in enumerate(dataset.events[: len(located.batch.observations.station_mask)]):
        if event.id in keep:
            name = "".join(c if c.isalnum() or c in "-_." else "_" for c in event.id)
            path = folder / f"{name}.png"
            report.picture_of_event(path, i, located.batch, outcome.predictions.posterior, event.id, geography)
