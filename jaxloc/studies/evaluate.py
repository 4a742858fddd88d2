"""Evaluation of a study's run: raw and calibrated posteriors, under every condition.

Runs on simulated data are calibrated and evaluated on fresh events, as many as the study asks for. Real data have no
further events: their runs are evaluated on the validation events that selected the checkpoint, and calibrated on the
same events by cross-fitting, each event by those of the other folds.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxloc import prng
from jaxloc.calibration import calibration, conformal, out_of_distribution, recalibration
from jaxloc.calibration.calibration import Calibration
from jaxloc.data.dataset import Dataset
from jaxloc.models.model import no_baselines
from jaxloc.plots.study import NOMINAL
from jaxloc.runs import predict, report
from jaxloc.runs.calibrate import calibrate_run
from jaxloc.runs.datasets import open_sources, select
from jaxloc.runs.fitted import Fitted, draw_of
from jaxloc.runs.load import load
from jaxloc.runs.located import Located
from jaxloc.runs.transfer import trained_for
from jaxloc.scores import auroc as auroc_
from jaxloc.scores.bootstrap import resampled_mean
from jaxloc.scores.events import score_events
from jaxloc.scores.labels import score_labels
from jaxloc.scores.score_card import score_card
from jaxloc.studies.shifts import calibration_events, conditions, elsewhere, fresh_test_events
from jaxloc.types import LEVELS, Label, Posterior

RESAMPLES = 200  # of events, for intervals that the table does not show
NUM_BASELINE_EVENTS = 500  # events that baselines are compared on
CLIMATOLOGY = "climatology"
WAVEFORMS = "simulated", "simulated_networks"  # kinds of data with any number of fresh events
PAIRED = "hypocentre/energy"  # the score by which a run is compared with baselines, event by event
Settings = Mapping[str, Any]
Record = dict[str, Any]


def evaluate_run(config: Mapping[str, Any], evaluation: Settings) -> Record:
    """Number of parameters, kind of recalibration, and the scores under each condition.

    Each condition has `locating_s` (seconds an event), `auroc` of out-of-distribution detection by score, `labels`
    (scores of labels other than the hypocentre), `raw` and `calibrated` (score card and credible levels of the truth).
    The condition as trained also has score cards of baselines, and by `improvement` how much lower the run's energy
    score is than theirs.

    Args:
        config: of a trained run.
        evaluation: settings (`evaluation` of a study's configuration).

    Raises:
        ValueError: as `jaxloc.runs.load.load`.
    """
    config, fitted = load(Path(config["run_dir"]))
    data, seed = config["data"], int(config["seed"])
    of = _on_fresh_events if data["kind"] in WAVEFORMS else _on_validation_events
    size = sum(x.size for x in jax.tree.leaves(draw_of(prng.stream("features"), fitted)))
    return {"parameters": int(size), **of(data, seed, fitted, evaluation)}


def _on_fresh_events(data: Mapping[str, Any], seed: int, fitted: Fitted, evaluation: Settings) -> Record:
    draws, test = int(evaluation["draws"]), fresh_test_events(data, seed, evaluation)
    _, calibrated = calibrate_run(fitted, calibration_events(data, seed, evaluation), num_draws=draws)
    nominal, seconds = _located(fitted, test, with_features=True)
    in_distribution = _ood_scores(calibrated, predict.of_known(nominal))

    def record(located: Located, seconds: float) -> Record:
        located, labels = _events_and_labels(located)
        ood = _ood_scores(calibrated, located)
        posterior, seen = predict.as_calibrated(calibrated, located).posterior, located.batch.observations
        limit = np.stack(
            [calibration.conformal_levels(calibrated, posterior, seen, p)["hypocentre"] for p in LEVELS], -1
        )
        return {
            "locating_s": seconds,
            "auroc": {score: auroc_.auroc(in_distribution[score], values) for score, values in ood.items()},
            "labels": labels,
            **_cards(located, posterior, lambda level: level[:, None] <= limit, draws),
        }

    found = {NOMINAL: record(nominal, seconds) | _baselines(data, seed, fitted, test, nominal, draws)}
    others = dict(conditions(test, evaluation))
    if evaluation["transfer"] and fitted.model.any_station:
        others |= dict(elsewhere(data, seed, evaluation))
    for name, dataset in others.items():
        found[name] = record(*_located(fitted, dataset, with_features=True))
    return {"recalibration": calibrated.map.kind, "conditions": found}


def _on_validation_events(data: Mapping[str, Any], seed: int, fitted: Fitted, evaluation: Settings) -> Record:
    key, draws = prng.stream("scores"), int(evaluation["draws"])
    validation = open_sources(data, seed).dev
    nominal, seconds = _located(fitted, validation)
    known = predict.of_known(nominal)
    own, truth = known.posterior, known.batch.labels["hypocentre"]
    kind = calibration.best(calibration.candidates(key, own, truth))
    levels = score_events(key, recalibration.cross_fitted(key, kind, own, truth), truth, draws)["hypocentre/level"]

    def record(located: Located, seconds: float) -> Record:
        located, labels = _events_and_labels(located)
        calibrated = recalibration.cross_fitted(key, kind, own, truth, altered=located.posterior)
        inside = lambda level: conformal.cross_fitted(levels, altered=level)
        cards = _cards(located, calibrated, inside, draws)
        return {"locating_s": seconds, "auroc": {}, "labels": labels, **cards}

    found = {NOMINAL: record(nominal, seconds) | _baselines(data, seed, fitted, validation, nominal, draws)}
    # A changed event is calibrated by the folds that it is not in: so all are taken, in their order.
    for name, dataset in conditions(validation, {**evaluation, "shifted": len(validation)}):
        found[name] = record(*_located(fitted, dataset))
    return {"recalibration": kind, "conditions": found}


def _located(fitted: Fitted, dataset: Dataset, *, with_features: bool = False) -> tuple[Located, float]:
    """Events located by a run, and the seconds an event of the fastest chunk: the first includes compilation."""
    done, seconds = [0], [time.monotonic()]

    def on_chunk(number: int) -> None:
        done.append(number)
        seconds.append(time.monotonic())

    fitted = trained_for(fitted, dataset, None)
    located = predict.locate(fitted, dataset, with_features=with_features, on_chunk=on_chunk)
    return located, float(np.min(np.diff(seconds) / np.diff(done)))


def _events_and_labels(located: Located) -> tuple[Located, Record]:
    """Events without windows of noise, and the scores of other labels on both."""
    return predict.of_known(located), score_labels(located.posterior.others, located.batch.labels)


def _ood_scores(calibrated: Calibration, located: Located) -> dict[str, np.ndarray]:
    if calibrated.detector is None or located.features is None:
        return {}
    share = calibration.epistemic_share(located.posterior)
    return out_of_distribution.scores(calibrated.detector, located.features, share)


def _cards(located: Located, calibrated: Posterior, inside: Callable, num_draws: int) -> Record:
    """Score cards of raw and calibrated posteriors; of the latter also the coverage of conformal regions."""
    truth = located.batch.labels["hypocentre"]
    posteriors = {"raw": located.posterior, "calibrated": calibrated}
    cards = {name: _card(posterior, truth, num_draws) for name, posterior in posteriors.items()}
    coverage = inside(np.array(cards["calibrated"]["levels"]["hypocentre/level"])).mean(0)
    names = (f"{100 * p:.0f}" for p in LEVELS)
    cards["calibrated"]["conformal_coverage"] = dict(zip(names, coverage.tolist(), strict=True))
    return cards


def _baselines(
    data: Mapping[str, Any], seed: int, fitted: Fitted, dataset: Dataset, located: Located, num_draws: int
) -> Record:
    """Score cards of baselines, and the improvement of the run's energy score on theirs, event by event.

    Baselines are the climatology (the training catalogue as the posterior) and the weight-free locators of the model.
    They are compared on the first events only.
    """
    truth = located.batch.labels["hypocentre"]
    few = np.flatnonzero(np.asarray(truth.mask).any(-1))[:NUM_BASELINE_EVENTS]
    own, truth = jax.tree.map(lambda x: x[few], (located.posterior, truth))
    baselines = {CLIMATOLOGY: report.baseline_of(fitted.spec, len(few))}
    if fitted.model.baselines is not no_baselines:
        rules, events = fitted.model.baselines(open_sources(data, seed).train), select(dataset, few)
        located_by = lambda rule: predict.locate_by(prng.stream("baselines"), rule, events).posterior
        baselines |= {name: located_by(rule) for name, rule in rules.items()}
    key = prng.stream("scores")
    energy = np.asarray(score_events(key, own, truth, num_draws)[PAIRED])
    found: Record = {"improvement": {}}
    for name, posterior in baselines.items():
        theirs = score_events(key, posterior, truth, num_draws)
        found[name] = {"card": score_card(key, theirs, RESAMPLES)}
        found["improvement"][name] = improvement(energy, np.asarray(theirs[PAIRED]))
    return found


def improvement(own: Float[np.ndarray, " event"], baseline: Float[np.ndarray, " event"]) -> dict[str, float] | None:
    """Mean of `baseline` - `own` over events with both scores, with its 95 % interval; None where there is none."""
    both = np.isfinite(own) & np.isfinite(baseline)
    if not both.any():
        return None
    return resampled_mean((baseline - own)[both], seed=prng.SEEDS["scores"])


def _card(posterior: Posterior, truth: Label, num_draws: int) -> Record:
    key = prng.stream("scores")
    scores = score_events(key, posterior, truth, num_draws)
    levels = {
        f"{region}/level": np.round(scores[f"{region}/level"], 4).tolist() for region in calibration.DENSITY_REGIONS
    }
    return {"card": score_card(key, scores, RESAMPLES), "levels": levels}
