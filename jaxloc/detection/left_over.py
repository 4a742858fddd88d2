"""Why picks have no event."""

import numpy as np
from jaxtyping import Int

from jaxloc.data.pick_list import NO_EVENT
from jaxloc.detection.candidate_refinement import NONE, Fitted, Problem

WITHIN_SIGMA = 3.0
NO_FIT = "no event fits within 3 sigma"
OTHER_FITS = "another pick of this station and phase fits better"
NO_GAIN = "an event fits, but clutter explains the pick better"
LOW_ODDS = "its event has too low odds"


def reasons(
    problem: Problem,
    events: Fitted,
    pick: Int[np.ndarray, "event ray"],
    rejected: Fitted,
    event: Int[np.ndarray, " pick"],
) -> tuple[str, ...]:
    """A reason for each pick without event, "" for the others.

    Args:
        problem: the picks.
        events: those kept.
        pick: the picks that they have.
        rejected: candidates that are no events.
        event: of each pick.
    """
    lone = event == NO_EVENT
    found = np.full(len(event), NO_FIT, dtype=object)
    near_rejected, _ = _near(problem, rejected)
    near_event, at = _near(problem, events)
    found[near_rejected] = LOW_ODDS
    found[near_event] = NO_GAIN
    ray = problem.picks.station * 2 + problem.picks.phase
    if len(pick):
        found[near_event & (pick[np.maximum(at, 0), ray] != NONE)] = OTHER_FITS
    return tuple(str(text) if is_lone else "" for text, is_lone in zip(found, lone, strict=True))


def _near(problem: Problem, fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Whether the predicted arrival nearest to each pick, at its station and phase, is within 3 sigma; and whose."""
    picks = problem.picks
    if not len(fitted.base) or not len(picks.time_s):
        return np.zeros(len(picks.time_s), bool), np.full(len(picks.time_s), -1)
    arrival_s = fitted.hypocentre[:, 3:] + fitted.travel_s
    rays = arrival_s.shape[1]
    zero_s = min(float(arrival_s.min()), float(picks.time_s.min()))
    span_s = max(float(arrival_s.max()), float(picks.time_s.max())) - zero_s + 1.0
    key = (np.arange(rays) * span_s + arrival_s - zero_s).reshape(-1)
    order = np.argsort(key)
    of_pick = (picks.station * 2 + picks.phase) * span_s + picks.time_s - zero_s
    after = np.searchsorted(key[order], of_pick)
    best, whose = np.full(len(of_pick), np.inf), np.full(len(of_pick), -1)
    for side in (after - 1, after):
        row = order[np.clip(side, 0, len(order) - 1)]
        travel_s = fitted.travel_s.reshape(-1)[row]
        scale_s = np.hypot(picks.sigma_s, problem.model.model_share * travel_s)
        sigmas = np.abs(of_pick - key[row]) / scale_s
        closer = (side >= 0) & (side < len(order)) & (sigmas < best)
        best, whose = np.where(closer, sigmas, best), np.where(closer, row // rays, whose)
    return best <= WITHIN_SIGMA, whose


def counts(reason: tuple[str, ...]) -> dict[str, int]:
    """How many picks have each reason, most first; those with an event are under ""."""
    names, number = np.unique(np.array(reason, dtype=str), return_counts=True)
    return {str(name): int(n) for n, name in sorted(zip(number, names, strict=True), reverse=True)}
