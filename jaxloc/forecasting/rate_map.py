"""Reference models: smoothed seismicity, and a regression on recent rates.

Both are fitted to training steps alone. The published rate map (Kail and others 2021, in their public code) is the mean
over the whole record, test years included: a leak, since cells without any event are known in advance.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.forecasting.grid import smoothed

MIN_PROBABILITY, MAX_PROBABILITY = 1e-7, 1 - 1e-6
EVERYWHERE = (0.001, 0.01, 0.05)  # shares of a uniform background
SIGMAS_CELLS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)

Outcomes = Bool[np.ndarray, "step row column magnitude"]
RateMap = Float[np.ndarray, "row column magnitude"]


def rate_map(outcomes: Outcomes, sigma_cells: float, everywhere: float) -> RateMap:
    """The smoothed frequency of events in each cell's forecast window, never 0 or 1."""
    share = np.moveaxis(outcomes.mean(0), -1, 0)
    smooth = (1 - everywhere) * smoothed(share, sigma_cells) + everywhere * share.mean((1, 2), keepdims=True)
    return np.moveaxis(np.clip(smooth, MIN_PROBABILITY, MAX_PROBABILITY), 0, -1)


def fitted_rate_map(
    outcomes: Outcomes, gap_steps: int, sigmas_cells: Sequence[float] = SIGMAS_CELLS
) -> tuple[RateMap, list[tuple[float, float]]]:
    """The rate map of training steps, and the (smoothing width, background share) of each magnitude.

    They maximise the likelihood of the last third of the steps, `gap_steps` later, under the map of the first two
    thirds; the final map is that of all steps.
    """
    split = 2 * len(outcomes) // 3
    early, late = outcomes[:split], outcomes[split + gap_steps :]
    if not len(late):
        raise ValueError(f"{len(outcomes)} training steps are too few for a gap of {gap_steps}; use more training days")
    choices = [(sigma, share) for sigma in sigmas_cells for share in EVERYWHERE]
    gains = np.stack([log_likelihood(rate_map(early, *choice), late).sum((0, 1, 2)) for choice in choices])
    best = [choices[i] for i in gains.argmax(0)]
    maps = [rate_map(outcomes[..., k : k + 1], *choice) for k, choice in enumerate(best)]
    return np.concatenate(maps, -1), best


def log_likelihood(
    probability: Float[np.ndarray, "*step row column magnitude"], outcomes: Outcomes
) -> Float[np.ndarray, "step row column magnitude"]:
    """log p where an event occurred, log(1 - p) where not, in nats."""
    p = np.clip(np.asarray(probability, float), MIN_PROBABILITY, MAX_PROBABILITY)
    return np.where(outcomes, np.log(p), np.log1p(-p))


def log_odds(probability: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The logarithm of p / (1 - p)."""
    p = np.clip(np.asarray(probability, float), MIN_PROBABILITY, MAX_PROBABILITY)
    return np.log(p) - np.log1p(-p)


def with_recent_rates(
    rates: RateMap,
    train: tuple[Float[np.ndarray, "step row column memory"], Outcomes],
    test: Float[np.ndarray, "step row column memory"],
) -> Float[np.ndarray, "step row column magnitude"]:
    """Probabilities of a logistic regression on recent rates, with the rate map's log odds as offset.

    A coefficient for each memory and a constant are fitted, for each magnitude: the simplest reference for a network of
    58,320 weights.
    """
    found = []
    for k in range(rates.shape[-1]):
        offset = log_odds(rates[..., k])
        weights = _logistic(_rows(train[0]), np.broadcast_to(offset, train[1].shape[:3]).ravel(), train[1][..., k])
        odds = offset + (_rows(test) @ weights).reshape(test.shape[:3])
        found.append(1 / (1 + np.exp(-odds)))
    return np.stack(found, -1)


def _rows(recent: Float[np.ndarray, "*axes feature"]) -> Float[np.ndarray, "row feature"]:
    """Features by step and cell, and a constant."""
    flat = recent.reshape(-1, recent.shape[-1]).astype(float)
    return np.concatenate([flat, np.ones((len(flat), 1))], 1)


def _logistic(
    rows: Float[np.ndarray, "row feature"],
    offset: Float[np.ndarray, " row"],
    outcomes: Bool[np.ndarray, "step row column"],
    ridge: float = 1.0,
) -> Float[np.ndarray, " feature"]:
    """Logistic regression by Newton's method; the ridge keeps it finite where events are few."""
    weights = np.zeros(rows.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-(offset + rows @ weights)))
        gradient = rows.T @ (outcomes.ravel() - p) - ridge * weights
        curvature = (rows * (p * (1 - p))[:, None]).T @ rows + ridge * np.eye(len(weights))
        change = np.linalg.solve(curvature, gradient)
        weights = weights + change / max(1.0, np.abs(change).max())
        if np.abs(change).max() < 1e-8:
            break
    return weights
