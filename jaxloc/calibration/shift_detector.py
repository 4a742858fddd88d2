"""Out-of-distribution flags fitted to simulated shifts: which kind of record is this, and is it like those of training?

Multinomial logistic regression (ridge) over kinds of records, of statistics of the located event
(`jaxloc.calibration.event_statistics`). The score of an event is the log-odds of any shift against the training
distribution; the limits are quantiles of cross-fitted scores of in-distribution events, so that by design a share of
`FALSE_FLAGS` of exchangeable events has a flag (approximately: limits of n events are off by a few parts in n).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Float, Int

from jaxloc.calibration.conformal import fold_of
from jaxloc.calibration.event_statistics import MEANING

ORDINARY = "in distribution"
NO_EARTHQUAKE = ("reversed", "noise", "teleseism")
"""Kinds of records without a local earthquake."""
NAMED = {
    "reversed": "a record reversed in time",
    "noise": "noise without an earthquake",
    "teleseism": "a distant earthquake without S in the window",
    "two": "two events in one window",
    "swapped": "records that belong to other stations",
    "velocity": "another velocity model",
}
FALSE_FLAGS = 0.05  # of in-distribution events
FALSE_REFUSALS = 0.01
REFUSED_ODDS = 9.0
RIDGE = 1.0  # inverse variance of coefficients, in standard deviations of the in-distribution statistics
MOST_SD = 8.0  # statistics further away count as that far
FOLDS = 5


class ShiftDetector(NamedTuple):
    """A fitted detector.

    Attributes:
        names: of the statistics.
        kinds: of records; the first is `ORDINARY`.
        centre: median of each statistic in distribution.
        scale: robust standard deviation of each.
        weights: of each statistic for each kind.
        bias: of each kind.
        flag_above: score above which an event has a flag.
        refuse_above: score of no local earthquake above which it is refused.
        number: of in-distribution events.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    centre: Float[np.ndarray, " statistic"]
    scale: Float[np.ndarray, " statistic"]
    weights: Float[np.ndarray, "kind statistic"]
    bias: Float[np.ndarray, " kind"]
    flag_above: float
    refuse_above: float
    number: int


class ShiftScores(NamedTuple):
    """Log-odds of events, and the likeliest shift of each with the statistic that speaks most for it.

    `shift` is any shift against the training distribution, `no_earthquake` any kind without a local earthquake against
    it, `against` the latter against all kinds with an earthquake.
    """

    shift: Float[np.ndarray, " event"]
    no_earthquake: Float[np.ndarray, " event"]
    against: Float[np.ndarray, " event"]
    kind: list[str]
    unusual: list[str]


def fit(
    ordinary: Mapping[str, Float[np.ndarray, " event"]],
    shifted: Mapping[str, Mapping[str, Float[np.ndarray, " event"]]],
    seed: int = 0,
) -> ShiftDetector:
    """Fit to statistics of in-distribution events, and of each kind of shift.

    Args:
        ordinary: statistics by name.
        shifted: the same by kind of shift.
        seed: of the folds that limits are cross-fitted by.

    Raises:
        ValueError: where there are fewer in-distribution events than folds.
    """
    names, kinds = tuple(ordinary), (ORDINARY, *shifted)
    own = _table(ordinary, names)
    centre = np.median(own, 0)
    scale = np.maximum(1.4826 * np.median(np.abs(own - centre), 0), 0.25 * own.std(0) + 1e-6)
    tables = [_scaled(own, centre, scale), *(_scaled(_table(each, names), centre, scale) for each in shifted.values())]
    label = np.repeat(np.arange(len(kinds)), [len(table) for table in tables])
    x = np.concatenate(tables)
    fold, apart = fold_of(len(own), FOLDS, seed), np.zeros((len(own), len(kinds)))
    for each in range(FOLDS):
        use = np.concatenate([fold != each, np.ones(len(x) - len(own), bool)])
        apart[fold == each] = _logits(tables[0][fold == each], *_regression(x[use], label[use], len(kinds)))
    detector = ShiftDetector(names, kinds, centre, scale, *_regression(x, label, len(kinds)), np.inf, np.inf, len(own))
    return detector._replace(
        flag_above=_limit(_odds(apart, range(1, len(kinds))), FALSE_FLAGS),
        refuse_above=_limit(_odds(apart, _without_earthquake(kinds)), FALSE_REFUSALS),
    )


def _table(
    statistics: Mapping[str, Float[np.ndarray, " event"]], names: Sequence[str]
) -> Float[np.ndarray, "event statistic"]:
    return np.stack([np.asarray(statistics[name], float) for name in names], -1)


def _scaled(
    table: Float[np.ndarray, "event statistic"],
    centre: Float[np.ndarray, " statistic"],
    scale: Float[np.ndarray, " statistic"],
) -> Float[np.ndarray, "event statistic"]:
    return np.clip((table - centre) / scale, -MOST_SD, MOST_SD)


def _limit(scores: Float[np.ndarray, " event"], share: float) -> float:
    """The score that a share of exchangeable events exceeds; the largest where there are too few events for that."""
    rank = int(np.ceil(np.round((len(scores) + 1) * (1 - share), 9)))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def _without_earthquake(kinds: Sequence[str]) -> list[int]:
    return [i for i, kind in enumerate(kinds) if kind in NO_EARTHQUAKE]


def _regression(
    x: Float[np.ndarray, "event statistic"], label: Int[np.ndarray, " event"], number: int
) -> tuple[Float[np.ndarray, "kind statistic"], Float[np.ndarray, " kind"]]:
    """Weights and biases of highest penalised likelihood; in-distribution events count as much as all shifts."""
    target = np.eye(number)[label]
    size = np.bincount(label, minlength=number)
    each = np.where(np.arange(number) == 0, 0.5, 0.5 / max(number - 1, 1)) / np.maximum(size, 1) * len(x)
    weight = each[label][:, None]

    def loss(flat: Float[np.ndarray, " number"]) -> tuple[float, Float[np.ndarray, " number"]]:
        table = flat.reshape(number, -1)
        logits = x @ table[:, :-1].T + table[:, -1]
        log_share = logits - scipy.special.logsumexp(logits, axis=1, keepdims=True)
        apart = weight * (np.exp(log_share) - target)
        gradient = np.concatenate([apart.T @ x + RIDGE * table[:, :-1], apart.sum(0)[:, None]], 1)
        return float(-(weight * target * log_share).sum() + 0.5 * RIDGE * (table[:, :-1] ** 2).sum()), gradient.ravel()

    start = np.zeros(number * (x.shape[1] + 1))
    table = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x.reshape(number, -1)
    return table[:, :-1], table[:, -1]


def _logits(
    x: Float[np.ndarray, "event statistic"],
    weights: Float[np.ndarray, "kind statistic"],
    bias: Float[np.ndarray, " kind"],
) -> Float[np.ndarray, "event kind"]:
    return x @ weights.T + bias


def _odds(logits: Float[np.ndarray, "event kind"], kinds: Sequence[int]) -> Float[np.ndarray, " event"]:
    """Log-odds of some kinds against the training distribution."""
    return _total(logits, kinds) - logits[:, 0]


def _total(logits: Float[np.ndarray, "event kind"], kinds: Sequence[int]) -> Float[np.ndarray, " event"]:
    return np.asarray(scipy.special.logsumexp(logits[:, list(kinds)], axis=1))


def scores(detector: ShiftDetector, statistics: Mapping[str, Float[np.ndarray, " event"]]) -> ShiftScores:
    """The scores of events; statistics that the detector does not use are left out."""
    x = _scaled(_table(statistics, detector.names), detector.centre, detector.scale)
    logits = _logits(x, detector.weights, detector.bias)
    likely = 1 + logits[:, 1:].argmax(1)
    empty = _without_earthquake(detector.kinds)
    others = [i for i in range(len(detector.kinds)) if i not in empty]
    # What moved an event from the training distribution to the likeliest shift.
    moved = x * (detector.weights[likely] - detector.weights[0])
    return ShiftScores(
        _odds(logits, range(1, len(detector.kinds))),
        _odds(logits, empty),
        _total(logits, empty) - _total(logits, others),
        [detector.kinds[i] for i in likely],
        [detector.names[i] for i in moved.argmax(1)],
    )


class Shift(NamedTuple):
    """What one event looks like and why, "" where it is like those of training; whether it holds no earthquake."""

    kind: str = ""
    reason: str = ""
    refused: bool = False


def assess(detector: ShiftDetector, statistics: Mapping[str, Float[np.ndarray, " event"]]) -> list[Shift]:
    """The shift of each event, if any.

    An event is refused where its likeliest kind has no local earthquake, by odds of `REFUSED_ODDS` over kinds that have
    one, and with a score that a share of `FALSE_REFUSALS` of in-distribution events exceeds.
    """
    found = scores(detector, statistics)
    found_kinds = zip(found.kind, found.unusual, strict=True)
    flagged = found.shift > detector.flag_above
    refused = (found.no_earthquake > detector.refuse_above) & (found.against > np.log(REFUSED_ODDS)) & flagged
    return [
        Shift(NAMED[kind], MEANING[statistic], bool(refused[i])) if flagged[i] else Shift()
        for i, (kind, statistic) in enumerate(found_kinds)
    ]
