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
from jaxloc.runs import report, several_events
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.flags import Searched, Verdict, verdicts
from jaxloc.runs.judged import Judged, judged
from jaxloc.runs.located import Located
from jaxloc.runs.predict import as_calibrated, locate, locate_by
from jaxloc.runs.station_flags import lines_of_all
from jaxloc.scores.labels import score_labels
from jaxloc.scores.polar import score_polar
from jaxloc.training.log import Say, counted
from jaxloc.training.run_folder import read_log
from jaxloc.types import Locator, Posterior


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
    is given events are flagged as new ones are, and the score card of those without a flag is added; windows are
    searched for further events, and judged by the one nearest to the label in origin time (`jaxloc.runs.judged`): the
    score cards of the events located first are added where these are others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    on_chunk = counted(say, "located", len(dataset))
    features, checks = calibration is not None, searched is not None
    located = locate(fitted, dataset, with_features=features, with_checks=checks, on_chunk=on_chunk)
    others: dict[str, Posterior] = {"catalogue": report.baseline_of(fitted.spec, len(dataset))}
    more, also, decided = dict(about), {}, []
    if searched is not None:
        found = _judged(fitted, dataset, located, searched, features, say)
        if found.replaced:
            others["first"], flags = located.posterior, [each.told for each in found.first.verdicts]
            also = _card_of_unflagged("first_unflagged", located, flags)
        located, decided, more["further_events"] = found.chosen.located, found.chosen.verdicts, found.told()
        if located.check is not None:
            there = np.array([not each.refused for each in decided])
            for line in lines_of_all(located.check, there, searched.stations):
                say(line)
    seconds = time.monotonic() - began
    predictions = as_calibrated(calibration, located)
    if calibration is not None:
        others["calibrated"] = predictions.posterior
    others |= {
        name: locate_by(prng.stream("baselines"), baseline, dataset).posterior for name, baseline in baselines.items()
    }
    return write_results(folder, name, dataset, located, predictions, others, seconds, say, more, decided, also)


def _judged(
    fitted: Fitted, dataset: Dataset, located: Located, searched: Searched, with_features: bool, say: Say
) -> Judged:
    """Located windows with verdicts, each judged by the event nearest to its label in origin time."""

    def search(windows: Dataset) -> several_events.Searched:
        again = locate(fitted, windows, with_features=with_features, with_checks=True)
        return several_events.Searched(windows, again, verdicts(again, searched))

    return judged(several_events.Searched(dataset, located, verdicts(located, searched)), search, say)


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
    also: Mapping[str, Any] = MappingProxyType({}),
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
        also: further score cards.
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
        cards |= _card_of_unflagged("unflagged", located, flags) | dict(also)
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


def _card_of_unflagged(name: str, located: Located, flags: Sequence[str]) -> dict[str, Any]:
    """The score card, by its name, of events without a flag; none where all with a known hypocentre have one."""
    rows, truth = np.flatnonzero(np.array(flags) == ""), located.batch.labels["hypocentre"]
    if not np.asarray(truth.mask)[rows].any():
        return {}
    chosen, of_chosen = jax.tree.map(lambda x: x[rows], (located.posterior, truth))
    return report.score({name: chosen}, of_chosen)[0]
