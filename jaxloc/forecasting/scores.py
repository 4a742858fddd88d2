"""Scores of probability forecasts relative to a reference forecast.

Consecutive forecasts overlap (a window of 40 days moves by a day) and are dependent: intervals are block bootstrap
percentiles over time, with blocks longer than the overlap (Künsch 1989). Areas under curves do not measure calibration,
and the ROC's is dominated by cells without any event: information gain and Brier score come first.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from jaxloc.forecasting.rate_map import MAX_PROBABILITY, MIN_PROBABILITY

RESAMPLES = 500
SEED = 20
BINS = 10
MAX_LEVELS = 2000  # largest number of probability levels for areas under curves

Probability = Float[np.ndarray, "time cell"]
Outcome = Bool[np.ndarray, "time cell"]
Estimate = dict[str, float | None]


class ForecastSeries(NamedTuple):
    """Forecasts of one target in order of time: probabilities, outcomes, and the reference's probabilities."""

    probability: Probability
    outcome: Outcome
    reference: Probability


def score(series: ForecastSeries, block: int, *, ranks: bool = True) -> dict[str, Any]:
    """Scores with their 95 % intervals over resampled blocks of `block` consecutive times.

    `information_gain` is in nats an event (a forecast that came true) over the reference; `brier` is the mean squared
    error of the probability and `brier_skill` one less its ratio to the reference's; `pr_auc` is the average precision.
    `expected` is the number of forecasts that should come true over the number of those that did. Without `ranks`,
    areas under curves are left out.

    Raises:
        ValueError: where arrays differ in shape, a probability is outside 0-1, or no event occurred; says which.
    """
    _check(series)
    draws = blocks(len(series.outcome), block)
    gain, brier, reference = _gains(series), _squares(series.probability, series), _squares(series.reference, series)
    hits, expected = series.outcome.sum(1), series.probability.sum(1)
    ratio = lambda top, bottom: estimate(lambda w: (w @ top) / (w @ bottom), draws)
    cells = np.full(len(hits), series.outcome.shape[1])
    found = {
        "forecasts": series.outcome.size,
        "happened": int(hits.sum()),
        "blocks": len(hits) / block,
        "information_gain": ratio(gain, hits),
        "brier": ratio(brier, cells),
        "brier_reference": ratio(reference, cells),
        "brier_skill": estimate(lambda w: 1 - (w @ brier) / (w @ reference), draws),
        "expected": ratio(expected, hits),
        "reliability": reliability(series.probability, series.outcome),
    }
    return found | (_areas(series, draws) if ranks else {})


def _areas(series: ForecastSeries, draws: Int[np.ndarray, "resample time"]) -> dict[str, Estimate]:
    own, other = (_ranks(p, series.outcome) for p in (series.probability, series.reference))
    return {
        "pr_auc": estimate(own.pr_auc, draws),
        "pr_auc_reference": estimate(other.pr_auc, draws),
        "roc_auc": estimate(own.roc_auc, draws),
        "roc_auc_reference": estimate(other.roc_auc, draws),
    }


def blocks(number: int, block: int) -> Int[np.ndarray, "resample time"]:
    """Counts of each time in a circular block bootstrap, with as many blocks as fill the record."""
    if not 0 < block <= number:
        raise ValueError(f"a block must hold 1 to {number} forecasts (all there are), got {block}")
    generator = np.random.default_rng(SEED)
    starts = generator.integers(number, size=(RESAMPLES, -(-number // block)))
    times = ((starts[..., None] + np.arange(block)) % number).reshape(RESAMPLES, -1)[:, :number]
    return np.stack([np.bincount(row, minlength=number) for row in times])


def estimate(
    statistic: Callable[[Float[np.ndarray, " time"]], np.ndarray | float], draws: Int[np.ndarray, "resample time"]
) -> Estimate:
    """A statistic of the times' weights with its 95 % interval; None where it is not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = statistic(np.ones(draws.shape[1]))
        found = np.array([statistic(weights) for weights in draws])
    found = found[np.isfinite(found)]
    low, high = np.percentile(found, [2.5, 97.5]) if len(found) else (np.nan, np.nan)
    return {k: float(v) if np.isfinite(v) else None for k, v in (("value", value), ("low", low), ("high", high))}


def reliability(probability: Probability, outcome: Outcome) -> list[dict[str, float]]:
    """Reliability: observed frequency by predicted probability, in bins of equal expected number of events."""
    p, y = probability.ravel(), outcome.ravel()
    order = np.argsort(p)
    expected = np.cumsum(p[order])
    edges = np.searchsorted(expected, np.linspace(0, expected[-1], BINS + 1)[1:-1])
    parts = [part for part in np.split(order, edges) if len(part)]
    return [{"predicted": float(p[i].mean()), "happened": float(y[i].mean()), "number": len(i)} for i in parts]


def contingency(flagged: Bool[np.ndarray, "time cell"], outcome: Outcome) -> Mapping[str, float | None]:
    """Probability of detection, false alarm ratio, frequency bias and R score of alarms (Panakkat and Adeli 2007).

    The R score is the probability of detection minus that of false detection (Hanssen and Kuipers 1965).
    """
    hits, missed = (flagged & outcome).sum(), (~flagged & outcome).sum()
    false, quiet = (flagged & ~outcome).sum(), (~flagged & ~outcome).sum()
    share = lambda part, whole: float(part / whole) if whole else None
    detected, alarmed = share(hits, hits + missed), share(false, false + quiet)
    return {
        "hits": int(hits),
        "missed": int(missed),
        "false": int(false),
        "pod": detected,
        "far": share(false, hits + false),
        "bias": share(hits + false, hits + missed),
        "r_score": None if detected is None or alarmed is None else detected - alarmed,
    }


class _Ranks(NamedTuple):
    """Numbers of forecasts with and without an event, by descending level of probability, and time.

    Levels end at probabilities with an event, with one level for those between; sufficient for areas under curves.
    """

    true: Int[np.ndarray, "level time"]
    false: Int[np.ndarray, "level time"]

    def pr_auc(self, weights: Num[np.ndarray, " time"]) -> float:
        true, false = np.cumsum(self.true @ weights), np.cumsum(self.false @ weights)
        precision = true / np.maximum(true + false, 1e-9)
        return float((np.diff(true, prepend=0) * precision).sum() / true[-1])

    def roc_auc(self, weights: Num[np.ndarray, " time"]) -> float:
        true, false = np.cumsum(self.true @ weights), self.false @ weights
        middle = (true + np.concatenate([[0], true[:-1]])) / 2
        return float((false * middle).sum() / (true[-1] * false.sum()))


def _ranks(probability: Probability, outcome: Outcome) -> _Ranks:
    edges = -np.unique(-probability[outcome])
    if len(edges) > MAX_LEVELS:
        edges = edges[np.linspace(0, len(edges) - 1, MAX_LEVELS).astype(int)]
    below = np.searchsorted(-edges, -probability)
    level = 2 * below + (probability == edges[np.minimum(below, len(edges) - 1)])
    times, number = len(outcome), 2 * len(edges) + 1
    place = level * times + np.arange(times)[:, None]
    count = lambda which: np.bincount(place[which], minlength=number * times).reshape(number, times)
    return _Ranks(count(outcome), count(~outcome))


def _gains(series: ForecastSeries) -> Float[np.ndarray, " time"]:
    """Log-likelihood minus that of the reference, summed over cells."""
    p, q = (np.clip(x, MIN_PROBABILITY, MAX_PROBABILITY) for x in (series.probability, series.reference))
    return np.where(series.outcome, np.log(p / q), np.log1p(-p) - np.log1p(-q)).sum(1)


def _squares(probability: Probability, series: ForecastSeries) -> Float[np.ndarray, " time"]:
    return ((probability - series.outcome) ** 2).sum(1)


def _check(series: ForecastSeries) -> None:
    if len({x.shape for x in series}) > 1 or series.outcome.ndim != 2:
        raise ValueError(f"forecasts must have equal shapes [time, cell], got {[x.shape for x in series]}")
    for name in ("probability", "reference"):
        values = getattr(series, name)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{name} must be within 0 to 1, got {values[~((values >= 0) & (values <= 1))][0]}")
    if not series.outcome.any():
        raise ValueError("no forecast event occurred; use a longer period or a smaller magnitude")
