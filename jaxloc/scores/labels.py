"""Scores of other labels than the hypocentre: event or noise, polarity of first motions, magnitude.

Numbers are scored by their distributions, classes by their probabilities. Each score has that of the climatology
with it: the mean and spread, or the shares of classes, of the labels that are scored, which no forecast without skill
beats. Intervals are 95 % percentiles over resampled events.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxloc.distributions.labels import Classes, LabelPosterior, Number
from jaxloc.scores.auroc import auroc
from jaxloc.scores.bootstrap import resampled_mean
from jaxloc.scores.gaussian import normal_crps
from jaxloc.types import LEVELS, Labels

NODES, REACH = 201, 8.0  # of the integral of the CRPS
MIN_PROBABILITY = 1e-6  # smallest probability of a class, to score its logarithm


def label_lines(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The main scores of `score_labels`, a line a label."""
    return [_line(name, card) for name, card in cards.items()]


def _line(name: str, card: Mapping[str, Any]) -> str:
    value = lambda key: card[key]["value"]
    if "crps" in card:
        covered = f"coverage of 90 % intervals {100 * card['coverage']['90']['value']:.0f} %"
        against = f"CRPS {value('crps'):.3f} (climatology {value('crps_climatology'):.3f})"
        return f"{name} of {card['number']} events: mean absolute error {value('mae'):.2f}, {against}, {covered}"
    against = f"Brier score {value('brier'):.3f} (climatology {value('brier_climatology'):.3f})"
    ranked = f", AUROC {card['auroc']:.3f}" if "auroc" in card else ""
    return f"{name} of {card['number']} windows: accuracy {100 * value('accuracy'):.1f} %, {against}{ranked}"


def score_labels(posteriors: Mapping[str, LabelPosterior], labels: Labels) -> dict[str, dict[str, Any]]:
    """By label that is both predicted and known: how many there are, and the scores of `_number` or `_classes`."""
    cards = {}
    for name, predicted in posteriors.items():
        if name not in labels:
            continue
        value, known = np.asarray(labels[name].value, float), np.asarray(labels[name].mask, bool)
        if known.ndim == 2 and known.shape[1] == 1:  # of the only station
            value, known = value[:, 0], known[:, 0]
        if known.ndim > 1 or not known.any():
            continue
        truth = value[known]
        kept = jax.tree.map(lambda x, known=known: np.asarray(x)[known], predicted)
        cards[name] = _number(kept, truth) if isinstance(kept, Number) else _classes(kept, truth.astype(int))
    return cards


def _number(predicted: Number, truth: Float[np.ndarray, " event"]) -> dict[str, Any]:
    """Bias, mean absolute error, CRPS, negative log-likelihood, coverage of central intervals, epistemic share."""
    variance, error = np.asarray(predicted.variance), np.asarray(predicted.mean) - truth
    log_density, below, own = _against(predicted, truth)
    middle = np.abs(2 * below - 1)  # probability of the central interval that ends at the truth
    climatology = normal_crps(truth.mean(), max(truth.std(), 1e-9), truth)
    return {
        "number": len(truth),
        "bias": resampled_mean(error),
        "mae": resampled_mean(np.abs(error)),
        "stated": resampled_mean(np.sqrt(variance)),
        "crps": resampled_mean(own),
        "crps_climatology": resampled_mean(climatology),
        "nll": resampled_mean(-log_density),
        "coverage": {f"{100 * p:.0f}": resampled_mean((middle <= p).astype(float)) for p in LEVELS},
        "epistemic_share": resampled_mean(np.asarray(predicted.epistemic) / variance),
    }


def _against(predicted: Number, truth: Float[np.ndarray, " event"]) -> tuple[np.ndarray, ...]:
    """Log-density of the truth, probability below it, and CRPS, of each event."""
    one = lambda each: (each[0].log_prob(each[1]), each[0].cdf(each[1]), crps_of(each[0], each[1]))
    many = jax.tree.map(jnp.asarray, (predicted, truth))
    return tuple(np.asarray(x, float) for x in jax.jit(lambda all_: jax.lax.map(one, all_))(many))


def crps_of(number: Number, truth: Float[Array, ""]) -> Float[Array, ""]:
    """The continuous ranked probability score of one number: the integral of (F - 1{x >= truth})^2, by trapezoids.

    On each side of the truth there are `NODES` points, out to `REACH` standard deviations from the mean.
    """
    reach = REACH * jnp.sqrt(number.variance)
    ends = jnp.minimum(truth, number.mean - reach), jnp.maximum(truth, number.mean + reach)
    below, above = jnp.linspace(ends[0], truth, NODES), jnp.linspace(truth, ends[1], NODES)
    integral = lambda x, value: jnp.trapezoid(jax.lax.map(value, x) ** 2, x)
    return integral(below, number.cdf) + integral(above, lambda x: 1 - number.cdf(x))


def _classes(predicted: Classes, truth: Int[np.ndarray, " event"]) -> dict[str, Any]:
    """Accuracy, Brier score, negative log-likelihood, calibration error; for two classes also the AUROC."""
    probability = np.asarray(predicted.probability)
    one_hot = np.eye(probability.shape[-1])[truth]
    share = np.broadcast_to(one_hot.mean(0), one_hot.shape)
    card = {
        "number": len(truth),
        "accuracy": resampled_mean((probability.argmax(-1) == truth).astype(float)),
        "accuracy_climatology": resampled_mean((share.argmax(-1) == truth).astype(float)),
        "brier": resampled_mean(((probability - one_hot) ** 2).sum(-1)),
        "brier_climatology": resampled_mean(((share - one_hot) ** 2).sum(-1)),
        "nll": resampled_mean(-np.log(np.maximum((probability * one_hot).sum(-1), MIN_PROBABILITY))),
        "calibration_error": calibration_error(probability.max(-1), probability.argmax(-1) == truth),
        "mutual_information_nats": resampled_mean(np.asarray(predicted.mutual_information_nats)),
    }
    if probability.shape[-1] == 2 and 0 < truth.mean() < 1:
        card["auroc"] = auroc(probability[truth == 0, 1], probability[truth == 1, 1])
    return card


def calibration_error(
    confidence: Float[np.ndarray, " event"], right: Bool[np.ndarray, " event"], num_bins: int = 10
) -> float:
    """Mean difference of confidence and accuracy over bins of equal numbers of events (Naeini and others 2015)."""
    order = np.array_split(np.argsort(confidence), min(num_bins, len(confidence)))
    return float(sum(abs(confidence[i].sum() - right[i].sum()) for i in order) / len(confidence))
