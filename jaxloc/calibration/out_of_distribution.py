"""The alarm: is this event like those that the locator is known to be right about?

Two things are watched: the epistemic share of the stated variance, and how far the event lies, in the features that the
network's layers make of it, from the events of the calibration split. Each is turned into a conformal p-value
(Vovk and others 2005; Bates and others 2023, Ann. Stat. 51): of events like those, a share of at most p has so small a
p-value. Where one is below the limit, nothing that was measured on those events need hold for this one.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

NEIGHBOURS = 3
LIMIT = 0.05  # share of ordinary events that may be flagged, by any of the things watched
REASONS = {
    "features": "its waveforms look to the network unlike those it was calibrated on",
    "epistemic": "draws of the network's weights disagree on it more than on those it was calibrated on",
}


class Watch(NamedTuple):
    """What ordinary events look like: their features, and how they score (higher is stranger)."""

    features: Float[np.ndarray, "event feature"]
    scores: dict[str, Float[np.ndarray, " event"]]


def watch(features: Float[np.ndarray, "event feature"], epistemic_share: Float[np.ndarray, " event"]) -> Watch:
    """Learn from ordinary events, none of which counts as its own neighbour.

    Raises:
        ValueError: where there are too few events for any of them to be told from its neighbours.
    """
    features = np.asarray(features, np.float32)
    if len(features) <= NEIGHBOURS:
        raise ValueError(f"{len(features)} events are too few to learn what is ordinary; give {NEIGHBOURS + 1} or more")
    far = _distance(features, features, own=True)
    return Watch(features, {"features": far, "epistemic": np.asarray(epistemic_share, float)})


def scores(
    ordinary: Watch, features: Float[np.ndarray, "event feature"], epistemic_share: Float[np.ndarray, " event"]
) -> dict[str, Float[np.ndarray, " event"]]:
    """How strange events are, by each of the things watched.

    Raises:
        ValueError: where events have other features than the ordinary ones.
    """
    features = np.asarray(features, np.float32)
    if features.shape[1:] != ordinary.features.shape[1:]:
        raise ValueError(
            f"events of {features.shape[1:]} features cannot be compared with calibration events of "
            f"{ordinary.features.shape[1:]}; calibrate this run again"
        )
    far = _distance(ordinary.features, features, own=False)
    return {"features": far, "epistemic": np.asarray(epistemic_share, float)}


def p_values(
    ordinary: Watch, strange: dict[str, Float[np.ndarray, " event"]]
) -> dict[str, Float[np.ndarray, " event"]]:
    """Conformal p-values: the share of ordinary events, and of the event itself, that are at least as strange."""
    found = {}
    for name, values in strange.items():
        known = np.sort(ordinary.scores[name])
        at_least = len(known) - np.searchsorted(known, values, side="left")
        found[name] = (at_least + 1) / (len(known) + 1)
    return found


def reasons(p_value: dict[str, Float[np.ndarray, " event"]]) -> list[str]:
    """Why each event is flagged, "" where it is not; the limit is shared out among the things watched."""
    limit = LIMIT / len(p_value)
    flagged = {name: np.asarray(values) <= limit for name, values in p_value.items()}
    number = len(next(iter(flagged.values())))
    return ["; ".join(REASONS[name] for name, flags in flagged.items() if flags[i]) for i in range(number)]


def smallest_number() -> int:
    """How many calibration events the alarm needs for any event to be flagged."""
    return int(np.ceil(len(REASONS) / LIMIT)) - 1


def _distance(
    known: Float[np.ndarray, "event feature"], new: Float[np.ndarray, "other feature"], own: bool
) -> np.ndarray:
    """Mean distance to the nearest known events, in standard deviations of each feature (Sun and others 2022)."""
    centre, scale = known.mean(0), known.std(0)
    varies = scale > 1e-6 * np.abs(centre) + 1e-12
    known, new = ((x[:, varies] - centre[varies]) / scale[varies] for x in (known, new))
    squared = (new**2).sum(1)[:, None] + (known**2).sum(1) - 2 * new @ known.T
    if own:
        np.fill_diagonal(squared, np.inf)
    nearest = np.sort(squared, 1)[:, : min(NEIGHBOURS, len(known))]
    return np.sqrt(np.maximum(nearest, 0) / max(1, varies.sum())).mean(1).astype(float)
