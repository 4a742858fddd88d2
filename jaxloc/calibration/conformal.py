"""Conformal levels of credible regions, with a coverage guarantee for any locator: split conformal prediction.

A highest-density region contains the densest parts of a posterior. Its level is its posterior mass; the level of a
truth is that of the smallest such region that contains it. The levels of calibration events give the level that covers
a nominal share of truths (Vovk and others 2005; Angelopoulos and Bates 2023, arXiv:2107.07511, section 1): if
calibration and new events are exchangeable, the region of that level covers the truth of a new event with at least the
nominal probability, at most 1 / (n + 1) more.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.distributions.credible_regions import LEVELS


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
