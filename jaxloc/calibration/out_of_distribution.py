"""Out-of-distribution (OOD) detection: is this event like the events of the calibration set?

Two statistics are used: the epistemic share of the predicted variance, and the distance of the event from the
calibration events in the feature space of the network's layers. Each gives a conformal p-value (Vovk and others 2005;
Bates and others 2023, Ann. Stat. 51): of exchangeable events, a share of at most p has so small a p-value. For an event
below the limit, the coverage measured on the calibration set need not apply.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

NEIGHBOURS = 3
LIMIT = 0.05  # false-flag rate of in-distribution events, over both statistics
REASONS = {
    "features": "its waveforms look to the network unlike those it was calibrated on",
    "epistemic": "draws of the network's weights disagree on it more than on those it was calibrated on",
}


class Detector(NamedTuple):
    """Features of the in-distribution events and their statistics (higher is further out of distribution)."""

    features: Float[np.ndarray, "event feature"]
    scores: dict[str, Float[np.ndarray, " event"]]


def fit_detector(
    features: Float[np.ndarray, "event feature"], epistemic_share: Float[np.ndarray, " event"]
) -> Detector:
    """Fit to in-distribution events; none counts as its own neighbour.

    Raises:
        ValueError: where there are fewer events than neighbours.
    """
    features = np.asarray(features, np.float32)
    if len(features) <= NEIGHBOURS:
        raise ValueError(
            f"{len(features)} events are too few to fit out-of-distribution detection; use {NEIGHBOURS + 1} or more"
        )
    far = _distance(features, features, own=True)
    return Detector(features, {"features": far, "epistemic": np.asarray(epistemic_share, float)})


def scores(
    detector: Detector, features: Float[np.ndarray, "event feature"], epistemic_share: Float[np.ndarray, " event"]
) -> dict[str, Float[np.ndarray, " event"]]:
    """The OOD statistics of events.

    Raises:
        ValueError: where events have another number of features than the in-distribution ones.
    """
    features = np.asarray(features, np.float32)
    if features.shape[1:] != detector.features.shape[1:]:
        raise ValueError(
            f"events of {features.shape[1:]} features cannot be compared with calibration events of "
            f"{detector.features.shape[1:]}; this run must be calibrated again"
        )
    far = _distance(detector.features, features, own=False)
    return {"features": far, "epistemic": np.asarray(epistemic_share, float)}


def p_values(
    detector: Detector, statistics: dict[str, Float[np.ndarray, " event"]]
) -> dict[str, Float[np.ndarray, " event"]]:
    """Conformal p-values: the share of in-distribution events, with the event itself, of at least its statistic."""
    found = {}
    for name, values in statistics.items():
        known = np.sort(detector.scores[name])
        at_least = len(known) - np.searchsorted(known, values, side="left")
        found[name] = (at_least + 1) / (len(known) + 1)
    return found


def reasons(p_value: dict[str, Float[np.ndarray, " event"]]) -> list[str]:
    """The reason for each event's flag, "" without one; the limit is divided between the statistics (Bonferroni)."""
    limit = LIMIT / len(p_value)
    flagged = {name: np.asarray(values) <= limit for name, values in p_value.items()}
    number = len(next(iter(flagged.values())))
    return ["; ".join(REASONS[name] for name, flags in flagged.items() if flags[i]) for i in range(number)]


def smallest_number() -> int:
    """The smallest number of calibration events with which an event can be flagged."""
    return int(np.ceil(len(REASONS) / LIMIT)) - 1


def _distance(
    known: Float[np.ndarray, "event feature"], new: Float[np.ndarray, "other feature"], own: bool
) -> Float[np.ndarray, " other"]:
    """Mean distance to the nearest in-distribution events, in sd of each feature (Sun and others 2022)."""
    centre, scale = known.mean(0), known.std(0)
    varies = scale > 1e-6 * np.abs(centre) + 1e-12
    known, new = ((x[:, varies] - centre[varies]) / scale[varies] for x in (known, new))
    squared = (new**2).sum(1)[:, None] + (known**2).sum(1) - 2 * new @ known.T
    if own:
        np.fill_diagonal(squared, np.inf)
    nearest = np.sort(squared, 1)[:, : min(NEIGHBOURS, len(known))]
    return np.sqrt(np.maximum(nearest, 0) / max(1, varies.sum())).mean(1).astype(float)
