"""Conformal levels of credible regions, with a coverage guarantee for any locator: split conformal prediction.

A highest-density region contains the densest parts of a posterior. Its level is its posterior mass; the level of a
truth is that of the smallest such region that contains it. The levels of calibration events give the level that covers
a nominal share of truths (Vovk and others 2005; Angelopoulos and Bates 2023, arXiv:2107.07511, section 1): if
calibration and new events are exchangeable, the region of that level covers the truth of a new event with at least the
nominal probability, at most 1 / (n + 1) more.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.types import LEVELS


def conformal_level(
    levels: Float[np.ndarray, " event"], wanted: Float[np.ndarray, " level"]
) -> Float[np.ndarray, " level"]:
    """The levels that cover nominal shares of truths: the ceil((n + 1) nominal)-th smallest level of n truths.

    One, the whole space, where there are too few events for a guarantee: fewer than nominal / (1 - nominal).

    Raises:
        ValueError: where there is no event, or a level is not within 0-1; names it.
    """
    levels, wanted = np.asarray(levels, float), np.asarray(wanted, float)
    if not levels.size:
        raise ValueError("no event to calibrate with; at least one must have a known truth")
    for name, values in (("level", levels), ("wanted level", wanted)):
        wrong = ~((values >= 0) & (values <= 1))
        if wrong.any():
            raise ValueError(f"a {name} must be within 0-1, got {values[np.argmax(wrong)]}")
    # 0.9 * 10 is a little more than nine in binary: rounded before it is counted up.
    rank = np.ceil(np.round((levels.size + 1) * wanted, 9)).astype(int)
    return np.append(np.sort(levels), 1.0)[np.clip(rank, 1, levels.size + 1) - 1]


def smallest_number(wanted: float) -> int:
    """The number of events that a conformal level for a nominal share of truths needs."""
    return int(np.ceil(np.round(wanted / (1 - wanted), 9)))


def cross_fitted(
    levels: Float[np.ndarray, " event"],
    wanted: Float[np.ndarray, " level"] | tuple[float, ...] = LEVELS,
    *,
    altered: Float[np.ndarray, " event"] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Bool[np.ndarray, "event level"]:
    """Whether each truth is inside its conformal regions, with levels from the events of the other folds.

    `altered` are levels of the same events under shifted conditions, evaluated in place of their own.

    Raises:
        ValueError: where there are fewer events than folds, or fewer than two folds.
    """
    levels = np.asarray(levels, float)
    fold = fold_of(levels.size, folds, seed)
    tried = levels if altered is None else np.asarray(altered, float)
    inside = np.zeros((levels.size, len(wanted)), bool)
    for own in range(folds):
        limit = conformal_level(levels[fold != own], np.asarray(wanted))
        inside[fold == own] = tried[fold == own, None] <= limit
    return inside


def fold_of(number: int, folds: int, seed: int) -> Int[np.ndarray, " event"]:
    """The fold of each of so many events, at random and of nearly equal size.

    Raises:
        ValueError: where there are fewer events than folds, or fewer than two folds.
    """
    if not 2 <= folds <= number:
        raise ValueError(f"{number} events cannot be divided into {folds} folds; use 2 to {number}")
    return np.random.default_rng(seed).permutation(number) % folds


def weighted_level(
    levels: Float[np.ndarray, " event"],
    weights: Float[np.ndarray, " event"],
    own_weight: Float[np.ndarray, " new"] | float,
    wanted: Float[np.ndarray, " level"],
) -> Float[np.ndarray, "new level"]:
    """Levels of new events where calibration and new events differ in distribution (Tibshirani and others 2019, eq. 7).

    With weights in proportion to the ratio of densities of new and calibration events at each event's covariates,
    coverage of new events is at least nominal, exactly where the ratio is known. Weights that were estimated, or that
    favour similar events without such a ratio, have no such guarantee (`localised_level` has a marginal one).

    Args:
        levels: of calibration truths.
        weights: of calibration events.
        own_weight: of each new event.
        wanted: nominal levels.

    Raises:
        ValueError: where there is no event, or a weight is negative or not finite.
    """
    levels, weights = np.asarray(levels, float), np.asarray(weights, float)
    own = np.atleast_1d(np.asarray(own_weight, float))
    if not levels.size:
        raise ValueError("no event to calibrate with; at least one must have a known truth")
    if wrong := [x for x in (*weights, *own) if not (np.isfinite(x) and x >= 0)]:
        raise ValueError(f"weights of events must be finite and not negative, got {wrong[0]}")
    order = np.argsort(levels, kind="stable")
    below = np.cumsum(weights[order])
    share = below / np.maximum(below[-1] + own[:, None], 1e-300)
    first = (share[:, None] < np.asarray(wanted, float)[:, None] - 1e-9).sum(-1)
    return np.append(levels[order], 1.0)[first]


def similarity(
    covariates: Float[np.ndarray, "event covariate"], others: Float[np.ndarray, "other covariate"], width: float
) -> Float[np.ndarray, "event other"]:
    """A Gaussian kernel of the distance of events in (standardised) covariates, for `localised_level`."""
    apart = (np.asarray(covariates)[:, None] - np.asarray(others)[None]) / width
    return np.exp(-0.5 * (apart**2).sum(-1))


def localised_level(
    levels: Float[np.ndarray, " event"],
    own: Float[np.ndarray, "event event"],
    new: Float[np.ndarray, " event"],
    wanted: Float[np.ndarray, " level"],
) -> Float[np.ndarray, " level"]:
    """Levels of one new event from calibration events that are like it (localised conformal prediction, Guan 2023).

    The score of an event is the share of truths of smaller level among events similar to it; the new event's region has
    the levels whose score is not among the largest, as in full conformal prediction. Coverage is marginal, at least
    nominal over all exchangeable events, whatever the similarity is. It is not guaranteed for events like this one.

    Args:
        levels: of calibration truths.
        own: similarity of calibration events to one another, 1 on the diagonal (`similarity`).
        new: similarity of the new event to each.
        wanted: nominal levels.

    Raises:
        ValueError: where there is no event.
    """
    levels, wanted = np.asarray(levels, float), np.asarray(wanted, float)
    if not levels.size:
        raise ValueError("no event to calibrate with; at least one must have a known truth")
    total_of = own.sum(1) + new
    before = (own * (levels[None] < levels[:, None])).sum(1) / total_of
    # A truth of the new event between two neighbouring levels: the score of each event, [between, event].
    edges = np.append(np.sort(levels), 1.0)
    smaller = edges[:, None] <= levels
    scores = before + smaller * (new / total_of)
    mine = (new * (levels < edges[:, None])).sum(1) / (new.sum() + 1.0)
    rank = np.ceil(np.round((levels.size + 1) * wanted, 9))
    inside = (scores < mine[:, None] - 1e-12).sum(1)[:, None] < rank
    last = len(edges) - 1 - inside[::-1].argmax(0)
    return np.where(inside.any(0), edges[last], edges[0])
