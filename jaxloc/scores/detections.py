"""How complete and how clean a catalogue is against another one: recall, precision, splits, merges, chance, odds."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.scores.catalogues import TAKEN, Limits, Matched, match

SHIFTS_S = (-600.0, -300.0, -150.0, -60.0, 60.0, 150.0, 300.0, 600.0)
Z95 = 1.96


class Share(NamedTuple):
    """A share of events with its 95 % interval (Wilson 1927) and the number of events; NaN for none."""

    value: float
    low: float
    high: float
    events: int


def share(found: int, events: int) -> Share:
    """The share `found / events`."""
    if not events:
        return Share(np.nan, np.nan, np.nan, 0)
    p, z2 = found / events, Z95**2
    middle = (p + z2 / (2 * events)) / (1 + z2 / events)
    half = Z95 * np.sqrt(p * (1 - p) / events + z2 / (4 * events**2)) / (1 + z2 / events)
    return Share(p, float(max(middle - half, 0.0)), float(min(middle + half, 1.0)), events)


def detected(matched: Matched, num_truth: int) -> Bool[np.ndarray, " truth"]:
    """Which events of the second catalogue have a partner."""
    found = np.zeros(num_truth, bool)
    found[matched.second] = True
    return found


def recall_by_magnitude(
    found: Bool[np.ndarray, " truth"], magnitude: Float[np.ndarray, " truth"], width: float = 0.5
) -> list[dict[str, float]]:
    """Recall in bins of magnitude, the smallest first; events without magnitude are left out."""
    known = np.isfinite(magnitude)
    if not known.any():
        return []
    place = np.floor(magnitude[known] / width + 1e-9).astype(int)
    rows = []
    for each in range(place.min(), place.max() + 1):
        inside = place == each
        if inside.any():
            of = share(int(found[known][inside].sum()), int(inside.sum()))
            rows.append({"from": each * width, "to": (each + 1) * width, **of._asdict()})
    return rows


def splits_and_merges(matched: Matched) -> tuple[int, int]:
    """Events too many near a matched one (splits), and true events near one that is matched with another (merges)."""
    taken = [sum(reason == TAKEN for reason in only.values()) for only in (matched.only_first, matched.only_second)]
    return taken[0], taken[1]


def chance_matches(
    first: Float[np.ndarray, "first 4"], second: Float[np.ndarray, "second 4"], limits: Limits = Limits()
) -> float:
    """Mean number of pairs when the first catalogue is shifted by one to ten minutes, round the ends of the period.

    Shifted catalogues have no event in common: what matches does so by chance, as many as sequences are dense.
    """
    times = np.concatenate([first[:, 3], second[:, 3]])
    start_s, span_s = times.min(), max(float(np.ptp(times)), 1.0)
    numbers = []
    for shift_s in SHIFTS_S:
        shifted = first.copy()
        shifted[:, 3] = start_s + (shifted[:, 3] - start_s + shift_s) % span_s
        numbers.append(len(match(shifted, second, limits).first))
    return float(np.mean(numbers))


def reliability_of_odds(
    log_odds: Float[np.ndarray, " event"], real: Bool[np.ndarray, " event"], num_bins: int = 10
) -> dict[str, object]:
    """Predicted probabilities against the share of events that are real, in bins of probability.

    `error` is the mean distance of both over events (expected calibration error), `brier` the mean squared error.
    """
    known = np.isfinite(log_odds)
    probability, real = 1 / (1 + np.exp(-np.clip(log_odds[known], -700, 700))), real[known]
    if not len(probability):
        return {"events": 0, "error": np.nan, "brier": np.nan, "bins": []}
    place = np.minimum((probability * num_bins).astype(int), num_bins - 1)
    bins = []
    for each in np.unique(place):
        inside = place == each
        of = share(int(real[inside].sum()), int(inside.sum()))
        bins.append({"predicted": float(probability[inside].mean()), **of._asdict()})
    error = sum(abs(row["predicted"] - row["value"]) * row["events"] for row in bins) / len(probability)
    brier = float(((probability - real) ** 2).mean())
    return {"events": len(probability), "error": float(error), "brier": brier, "bins": bins}
