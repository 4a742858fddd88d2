"""Pairs of events whose picks are more probable as one event with clutter."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.detection.candidate_refinement import NONE, Fitted, PickOrder, Problem, fit
from jaxloc.detection.pairs_in_time import pairs_within

TOGETHER_S, TOGETHER_KM = 3.0, 20.0  # between the hypocentres of two that may be one


class Merged(NamedTuple):
    """Which events stay, and the hypocentres of all, those of merged ones of the picks of both."""

    stays: Bool[np.ndarray, " event"]
    hypocentre: Float[np.ndarray, "event 4"]


def merged(problem: Problem, order: PickOrder, own: Fitted, pick: Int[np.ndarray, "event ray"]) -> Merged:
    """Fit each pair of near events as one, which takes the picks of the stronger and what the weaker adds.

    Picks of a station and phase that both have are clutter where they are the weaker's. A pair is one event where the
    log odds of one exceed the sum of those of both; pairs in the order of the gain, each event in one at most.

    Args:
        problem: network, picks and model.
        order: all picks.
        own: the events, fitted to their own picks.
        pick: these picks.
    """
    number = len(pick)
    log_odds = own.log_odds
    first, second = _near(own.hypocentre, log_odds)
    union = np.where(pick[first] != NONE, pick[first], pick[second])
    one = fit(problem, order, own.hypocentre[first], allowed=union)
    gain = one.log_odds - log_odds[first] - log_odds[second]
    hypocentre, free, stays = own.hypocentre.copy(), np.ones(number, bool), np.ones(number, bool)
    for i in np.argsort(-gain, kind="stable"):
        if gain[i] > 0 and free[first[i]] and free[second[i]]:
            free[[first[i], second[i]]] = False
            stays[second[i]] = False
            hypocentre[first[i]] = one.hypocentre[i]
    return Merged(stays, hypocentre)


def _near(hypocentre: Float[np.ndarray, "event 4"], log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of events near in time and place, the stronger first."""
    first, second = pairs_within(hypocentre[:, 3], TOGETHER_S)
    near = np.linalg.norm(hypocentre[first, :2] - hypocentre[second, :2], axis=-1) <= TOGETHER_KM
    first, second = first[near], second[near]
    swap = log_odds[first] < log_odds[second]
    return np.where(swap, second, first), np.where(swap, first, second)
