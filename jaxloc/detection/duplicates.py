"""Events that are one event found twice.

Two events are one where they share at least half of the picks of the smaller, or where their hypocentres agree within
both covariances (below the 99 % point of chi-squared with four degrees of freedom) and no station and phase has two
picks that differ: true doublets have such pairs of picks, an event found twice has not.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import chi2

from jaxloc.detection.candidate_refinement import NONE
from jaxloc.detection.pairs_in_time import pairs_within

AGREE = float(chi2.ppf(0.99, 4))
CONTRADICTING_SIGMA = 3.0
SHARED = 0.5
LONGEST_S = 30.0  # between origin times of two that may be one


def duplicates(
    hypocentre: Float[np.ndarray, "event 4"],
    covariance: Float[np.ndarray, "event 4 4"],
    log_odds: Float[np.ndarray, " event"],
    pick: Int[np.ndarray, "event ray"],
    pick_s: Float[np.ndarray, " pick"],
    sigma_s: Float[np.ndarray, " pick"],
) -> Int[np.ndarray, " event"]:
    """The event that each event is a duplicate of, or its own row: that of higher odds, never itself a duplicate."""
    reach_s = min(LONGEST_S, 6 * float(np.sqrt(covariance[:, 3, 3].max(initial=0.0))) + 1.0)
    first, second = pairs_within(hypocentre[:, 3], reach_s)
    same = _same(first, second, hypocentre, covariance, pick, pick_s, sigma_s)
    return _survivors(first[same], second[same], log_odds)


def _same(
    first: np.ndarray,
    second: np.ndarray,
    hypocentre: np.ndarray,
    covariance: np.ndarray,
    pick: np.ndarray,
    pick_s: np.ndarray,
    sigma_s: np.ndarray,
) -> Bool[np.ndarray, " pair"]:
    apart = hypocentre[first] - hypocentre[second]
    squared = np.einsum(
        "pi,pi->p", apart, np.linalg.solve(covariance[first] + covariance[second], apart[..., None])[..., 0]
    )
    near = np.flatnonzero(squared < AGREE)
    same = np.zeros(len(first), bool)
    one, other = pick[first[near]], pick[second[near]]
    both = (one != NONE) & (other != NONE)
    shared = (both & (one == other)).sum(-1)
    fewer = np.minimum((one != NONE).sum(-1), (other != NONE).sum(-1))
    differ = np.abs(pick_s[one] - pick_s[other]) > CONTRADICTING_SIGMA * np.hypot(sigma_s[one], sigma_s[other])
    same[near] = (shared >= SHARED * np.maximum(fewer, 1)) | ~(both & differ).any(-1)
    return same


def _survivors(first: np.ndarray, second: np.ndarray, log_odds: np.ndarray) -> Int[np.ndarray, " event"]:
    """Pairs in the order of the higher odds; an event that was merged takes no other."""
    into = np.arange(len(log_odds))
    better = np.where(log_odds[first] >= log_odds[second], first, second)
    worse = np.where(log_odds[first] >= log_odds[second], second, first)
    for i in np.argsort(-log_odds[better], kind="stable"):
        if into[better[i]] == better[i] and into[worse[i]] == worse[i]:
            into[worse[i]] = better[i]
    return into
