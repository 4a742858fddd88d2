"""How a study judges a run: as it states its locations and as it is calibrated, under every condition.

Runs on simulated data are calibrated and judged by fresh events, as many as are asked for. Runs on real data are judged
by the events that they were chosen on, since there are no others to be had, and calibrated by the same events
cross-fitted: each by what the events of the other folds say.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloc.calibration import calibration, conformal, out_of_distribution, recalibration
from jaxloc.calibration.calibration import Calibration
from jaxloc.data.dataset import Dataset
from jaxloc.models.model import no_baselines
from jaxloc.plots.study import ORDINARY
from jaxloc.runs import predict, report, train
from jaxloc.runs.calibrate import calibrate_run
from jaxloc.runs.datasets import open_sources, select
from jaxloc.runs.predict import Fitted, Located
from jaxloc.runs.transfer import trained_for
from jaxloc.scores import auroc as auroc_
from jaxloc.scores.events import LEVELS, score_events
from jaxloc.scores.labels import score_labels
from jaxloc.scores.score_card import resampled, score_card
from jaxloc.studies.shifts import calibration_events, conditions, elsewhere, events_to_judge
from jaxloc.types import Label, Posterior

RESAMPLES = 200  # of events, for intervals that the table does not show
FEW = 500  # events that those who know less are judged by
CATALOGUE = "catalogue"
WAVEFORMS = "simulated", "simulated_networks"  # kinds of data with as many fresh events as are wanted
PAIRED = "hypocentre/energy"  # the score by which a run and who knows less are compared, event by event
Judged = Mapping[str, Any]
Record = dict[str, Any]


def judge(config: Mapping[str, Any], judged: Judged) -> Record:
    """Number of parameters, kind of map, and by condition: time, alarm, and score cards as stated and as calibrated.

    Args:
        config: of a run that is trained.
        judged: how it is judged (`judged` of a study's configuration).

    Raises:
        ValueError: as `experiment.load`.
    """
    config, fitted = train.load(Path(config["run_dir"]))
    data, seed = config["data"], int(config["seed"])
    of = _by_fresh_events if data["kind"] in WAVEFORMS else _by_held_out_events
    size = sum(x.size for x in jax.tree.leaves(predict.draw_of(fitted)))
    return {"parameters": int(size), **of(data, seed, fitted, judged)}


def _by_fresh_events(data: Mapping[str, Any], seed: int, fitted: Fitted, judged: Judged) -> Record:
    draws, test = int(judged["draws"]), events_to_judge(data, seed, judged)
    _, learnt = calibrate_run(fitted, calibration_events(data, seed, judged), num_draws=draws)
    ordinary, seconds = _located(fitted, test, with_features=True)
    usual = _strangeness(learnt, predict.of_known(ordinary))

    def record(located: Located, seconds: float) -> Record:
        located, labels = _events_and_labels(located)
        auroc = {score: auroc_.auroc(usual[score], values) for score, values in _strangeness(learnt, located).items()}
        stated, seen = predict.as_calibrated(learnt, located).posterior, located.batch.observations
        limit = np.stack([calibration.stated_levels(learnt, stated, seen, p)["hypocentre"] for p in LEVELS], -1)
        return {
            "locating_s": seconds,
            "auroc": auroc,
            "labels": labels,
            **_cards(located, stated, lambda level: level[:, None] <= limit, draws),
        }

    found = {ORDINARY: record(ordinary, seconds) | _beside(data, seed, fitted, test, ordinary, draws)}
    others = dict(conditions(test, judged))
    if judged["elsewhere"] and fitted.system.any_station:
        others |= dict([elsewhere(data, seed, judged)])
    for name, dataset in others.items():
        found[name] = record(*_located(fitted, dataset, with_features=True))
    return {"map": learnt.map.kind, "conditions": found}


def _by_held_out_events(data: Mapping[str, Any], seed: int, fitted: Fitted, judged: Judged) -> Record:
    key, draws, dev = jax.random.key(report.SCORE_SEED), int(judged["draws"]), open_sources(data, seed).dev
    ordinary, seconds = _located(fitted, dev)
    known = predict.of_known(ordinary)
    own, truth = known.posterior, known.batch.labels["hypocentre"]
    kind = calibration.best(calibration.candidates(key, own, truth))
    apart = score_events(key, recalibration.cross_fitted(key, kind, own, truth), truth, draws)["hypocentre/level"]

    def record(located: Located, seconds: float) -> Record:
        located, labels = _events_and_labels(located)
        calibrated = recalibration.cross_fitted(key, kind, own, truth, altered=located.posterior)
        inside = lambda level: conformal.cross_fitted(apart, altered=level)
        cards = _cards(located, calibrated, inside, draws)
        return {"locating_s": seconds, "auroc": {}, "labels": labels, **cards}

    found = {ORDINARY: record(ordinary, seconds) | _beside(data, seed, fitted, dev, ordinary, draws)}
    # Each event altered is judged by the folds that it is not in: all of them, in their order.
    for name, dataset in conditions(dev, {**judged, "shifted": len(dev)}):
        found[name] = record(*_located(fitted, dataset))
    return {"map": kind, "conditions": found}


def _located(fitted: Fitted, dataset: Dataset, *, with_features: bool = False) -> tuple[Located, float]:
    """Events as a run locates them, and the seconds an event in the fastest chunk: in the first much is compiled."""
    done, seconds = [0], [time.monotonic()]

    def on_chunk(number: int) -> None:
        done.append(number)
        seconds.append(time.monotonic())

    fitted = trained_for(fitted, dataset, None)
    located = predict.locate(fitted, dataset, with_features=with_features, on_chunk=on_chunk)
    return located, float(np.min(np.diff(seconds) / np.diff(done)))


def _events_and_labels(located: Located) -> tuple[Located, Record]:
    """Events, without windows of noise, and the scores of what else is said of both."""
    return predict.of_known(located), score_labels(located.posterior.others, located.batch.labels)


def _strangeness(learnt: Calibration, located: Located) -> dict[str, np.ndarray]:
    if learnt.ordinary is None or located.features is None:
        return {}
    return out_of_distribution.scores(learnt.ordinary, located.features, calibration.epistemic_share(located.posterior))


def _cards(located: Located, calibrated: Posterior, inside: Callable, num_draws: int) -> Record:
    """Score cards as stated and as calibrated; of the latter also the share of truths inside its conformal regions."""
    truth = located.batch.labels["hypocentre"]
    of = {"stated": located.posterior, "calibrated": calibrated}
    cards = {name: _card(posterior, truth, num_draws) for name, posterior in of.items()}
    held = inside(np.array(cards["calibrated"]["levels"]["hypocentre/level"])).mean(0)
    cards["calibrated"]["held"] = dict(zip((f"{100 * p:.0f}" for p in LEVELS), held.tolist(), strict=True))
    return cards


def _beside(
    data: Mapping[str, Any], seed: int, fitted: Fitted, judged_by: Dataset, located: Located, num_draws: int
) -> Record:
    """Score cards of those who know less, and by how much the run's energy is lower than theirs, event by event.

    They are one who knows the training catalogue alone, and the trivial locators of the system. Few events will do: to
    the first of them all are the same.
    """
    truth = located.batch.labels["hypocentre"]
    few = np.flatnonzero(np.asarray(truth.mask).any(-1))[:FEW]
    own, truth = jax.tree.map(lambda x: x[few], (located.posterior, truth))
    known_less = {CATALOGUE: report.baseline_of(fitted.blueprint, len(few))}
    if fitted.system.baselines is not no_baselines:
        rules, events = fitted.system.baselines(open_sources(data, seed).train), select(judged_by, few)
        known_less |= {name: predict.locate_by(jax.random.key(0), rule, events) for name, rule in rules.items()}
    key = jax.random.key(report.SCORE_SEED)
    energy = np.asarray(score_events(key, own, truth, num_draws)[PAIRED])
    found: Record = {"lower": {}}
    for name, posterior in known_less.items():
        theirs = score_events(key, posterior, truth, num_draws)
        found[name] = {"card": score_card(key, theirs, RESAMPLES)}
        found["lower"][name] = _lower(energy, np.asarray(theirs[PAIRED]))
    return found


def _lower(own: np.ndarray, theirs: np.ndarray) -> dict[str, float] | None:
    """Mean of what one's scores are lower by, with its 95 % interval; None where no event has both."""
    both = np.isfinite(own) & np.isfinite(theirs)
    if not both.any():
        return None
    mean = lambda x: x.mean(-1)
    return resampled(mean, (theirs - own)[both], seed=report.SCORE_SEED, num_resamples=1000)


def _card(posterior: Posterior, truth: Label, num_draws: int) -> Record:
    key = jax.random.key(report.SCORE_SEED)
    scores = score_events(key, posterior, truth, num_draws)
    levels = {f"{region}/level": np.round(scores[f"{region}/level"], 4).tolist() for region in calibration.DENSEST}
    return {"card": score_card(key, scores, RESAMPLES), "levels": levels}
