"""Evaluation of a trained run on labelled events: scores, events and pictures in a folder."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from jaxloc import prng
from jaxloc.calibration.calibration import Calibration, Predictions
from jaxloc.data.dataset import Dataset
from jaxloc.runs import report
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.flags import Searched, Verdict, verdicts
from jaxloc.runs.located import Located
from jaxloc.runs.predict import as_calibrated, locate, locate_by
from jaxloc.runs.station_flags import lines_of_all
from jaxloc.scores.labels import score_labels
from jaxloc.scores.polar import score_polar
from jaxloc.training.log import Say, counted
from jaxloc.training.run_folder import read_log
from jaxloc.types import Label, Locator, Posterior


def evaluate(
    fitted: Fitted,
    dataset: Dataset,
    folder: Path,
    name: str,
    say: Say = print,
    calibration: Calibration | None = None,
    baselines: Mapping[str, Locator] = MappingProxyType({}),
    about: Mapping[str, Any] = MappingProxyType({}),
    searched: Searched | None = None,
) -> dict[str, Any]:
    """Locate labelled events and write scores, events and pictures into a folder; the score cards.

    With a calibration, events are written as it corrects them, and its score card is added to that of the run; so are
    those of `baselines`, weight-free locators. `about` is added to what scores.json tells of the run. Where `searched`
    is given events are flagged as new ones are, and the score card of those without a flag is added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    on_chunk = counted(say, "located", len(dataset))
    features, checks = calibration is not None, searched is not None
    located = locate(fitted, dataset, with_features=features, with_checks=checks, on_chunk=on_chunk)
    decided = [] if searched is None else verdicts(located, searched)
    if searched is not None and located.check is not None:
        there = np.array([not each.refused for each in decided])
        for line in lines_of_all(located.check, there, searched.stations):
            say(line)
    seconds = time.monotonic() - began
    predictions = as_calibrated(calibration, located)
    others = {"catalogue": report.baseline_of(fitted.spec, len(dataset))}
    if calibration is not None:
        others["calibrated"] = predictions.posterior
    others |= {
        name: locate_by(prng.stream("baselines"), baseline, dataset).posterior for name, baseline in baselines.items()
    }
    return write_results(folder, name, dataset, located, predictions, others, seconds, say, about, decided)


def write_results(
    folder: Path,
    name: str,
    dataset: Dataset,
    located: Located,
    predictions: Predictions,
    others: Mapping[str, Posterior],
    locating_s: float,
    say: Say = print,
    more: Mapping[str, Any] = MappingProxyType({}),
    decided: Sequence[Verdict] = (),
) -> dict[str, Any]:
    """Write scores, events and pictures of located labelled events into a folder; the score cards.

    Args:
        folder: exists.
        name: of the run.
        dataset: the events.
        located: their posteriors by the run's locator.
        predictions: the posteriors that events are written with.
        others: posteriors of the same events by other locators, whose score cards are added.
        locating_s: how long locating took.
        say: takes one line for the user.
        more: what else scores.json tells of the run.
        decided: a verdict on each event; all are located and scored, whatever it is.
    """
    flags, refused = [each.told for each in decided], [bool(each.refused) for each in decided]
    found, lost = report.hypocentres_of(dataset, located.batch, predictions, flags=flags, rejected=refused)
    for event, reason in lost.items():
        say(f"event {event} was not located: {reason}")
    report.write_events(folder, found)
    truth = located.batch.labels["hypocentre"]
    locators = {"locator": located.posterior, **others}
    cards, scores = report.score(locators, truth)
    if decided:
        cards |= _card_of_unflagged(located.posterior, truth, flags)
        more = {**more, "flags": {"flagged": sum(map(bool, flags)), "no_event": sum(refused)}}
    about = {
        "name": name,
        "dataset": dataset.name,
        "events": len(dataset),
        "locating_s": round(locating_s, 2),
        "lost": lost,
        "conformal": report.conformal(scores["locator"]),
        "labels": score_labels(located.posterior.others, located.batch.labels),
        "polar": score_polar(prng.stream("polar scores"), locators, located.batch.observations, truth),
        **more,
    }
    report.write_scores(folder, cards, about)
    known = np.asarray(truth.mask).any(-1)
    pick = lambda x: x[known] if known.any() else x  # windows of noise have no hypocentre
    shown, posterior, scores = jax.tree.map(pick, (located.batch, predictions.posterior, scores))
    geography = report.geography_of(dataset)
    report.write_pictures(folder / "pictures", name, shown, posterior, scores, read_log(folder), geography)
    return cards


def _card_of_unflagged(posterior: Posterior, truth: Label, flags: Sequence[str]) -> dict[str, Any]:
    """The score card of events without a flag; none where all with a known hypocentre have one."""
    rows = np.flatnonzero(np.array(flags) == "")
    if not np.asarray(truth.mask)[rows].any():
        return {}
    chosen, of_chosen = jax.tree.map(lambda x: x[rows], (posterior, truth))
    return report.score({"unflagged": chosen}, of_chosen)[0]
