"""Scores of picks against known arrivals: recall, false picks, residuals, and whether probability and sd hold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.physics.rate_picks import RatePicks
from jaxloc.scores.markdown import markdown_table
from jaxloc.types import PHASES

WITHIN_S = (0.1, 0.5)
TAIL_S = 1.0  # residuals up to this count towards their spread


class Known(NamedTuple):
    """Known arrivals of one record: times in s, whether there is such an arrival, and its signal-to-noise ratio."""

    times_s: Float[np.ndarray, "event phase"]
    known: Bool[np.ndarray, "event phase"]
    snr_db: Float[np.ndarray, "event phase"]


class PhaseScore(NamedTuple):
    """Scores of one phase.

    Attributes:
        arrivals, picks: their numbers.
        recall_near, recall: share of arrivals with a pick within 0.1 s and 0.5 s.
        precision: share of picks within 0.5 s of an arrival of their phase.
        mean_probability: of the picks; equals precision where probabilities hold.
        median_s, mad_s: median of residuals (pick less arrival) within 1 s, and 1.4826 times their median deviation.
        inside_68, inside_90: share of residuals within 0.5 s that lie within 0.994 and 1.645 standard deviations.
        false_per_hour: picks farther than 0.5 s from any arrival of their phase.
    """

    arrivals: int
    picks: int
    recall_near: float
    recall: float
    precision: float
    mean_probability: float
    median_s: float
    mad_s: float
    inside_68: float
    inside_90: float
    false_per_hour: float


def score_picks(
    picks: Sequence[RatePicks], known: Sequence[Known], duration_s: float, least_snr_db: float = -np.inf
) -> dict[str, PhaseScore]:
    """Scores by phase of the picks of many records.

    Arrivals below `least_snr_db` are no misses, nor are picks of them false. A pick counts for the nearest arrival of
    its phase, an arrival for its nearest pick.
    """
    hours = len(picks) * duration_s / 3600
    return {name: _of_phase(picks, known, hours, phase, least_snr_db) for phase, name in enumerate(PHASES)}


def markdown(scores: Mapping[str, PhaseScore]) -> str:
    """A table of scores, a row a phase."""
    rows = [[name, *(f"{x:,}" if isinstance(x, int) else f"{x:.3g}" for x in each)] for name, each in scores.items()]
    return markdown_table(["phase", *(field.replace("_", " ") for field in PhaseScore._fields)], rows) + "\n"


def _of_phase(
    picks: Sequence[RatePicks], known: Sequence[Known], hours: float, phase: int, least_snr_db: float
) -> PhaseScore:
    of_arrivals, of_picks = [np.zeros((0, 2))], [np.zeros((0, 2))]
    for found, truth in zip(picks, known, strict=True):
        own = found.phase == phase
        time_s, sigma_s = found.time_s[own], found.sigma_s[own]
        there = truth.known[:, phase]
        true_s, strong = truth.times_s[there, phase], truth.snr_db[there, phase] >= least_snr_db
        away = time_s[None, :] - true_s[:, None]
        of_arrivals.append(_nearest(away, sigma_s)[strong])
        distance = np.abs(away).min(0, initial=np.inf)
        of_picks.append(np.stack([distance, found.probability[own]], -1))
    residual_s, sigma_s = np.concatenate(of_arrivals).T
    distance_s, probability = np.concatenate(of_picks).T
    right = distance_s <= WITHIN_S[1]
    matched = np.abs(residual_s) <= WITHIN_S[1]
    tail = residual_s[np.abs(residual_s) <= TAIL_S]
    z = np.abs(residual_s[matched]) / sigma_s[matched]
    median_s = _mean(np.median, tail)
    near, within = (_mean(np.mean, np.abs(residual_s) <= limit) for limit in WITHIN_S)
    return PhaseScore(
        len(residual_s),
        len(distance_s),
        near,
        within,
        _mean(np.mean, right),
        _mean(np.mean, probability),
        median_s,
        1.4826 * _mean(np.median, np.abs(tail - median_s)),
        _mean(np.mean, z <= 0.994),
        _mean(np.mean, z <= 1.645),
        float((~right).sum() / hours) if hours else np.nan,
    )


def _nearest(away: Float[np.ndarray, "arrival pick"], sigma_s: Float[np.ndarray, " pick"]) -> np.ndarray:
    """Residual and standard deviation of the nearest pick of each arrival; infinite where there is none."""
    if not away.shape[1]:
        return np.full((len(away), 2), np.inf)
    at = np.abs(away).argmin(1)
    return np.stack([away[np.arange(len(away)), at], sigma_s[at]], -1)


def _mean(of: object, values: np.ndarray) -> float:
    return float(of(values)) if len(values) else float("nan")  # type: ignore[operator]
