"""One catalogue judged by another: everything that is reported of it, as plain numbers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.scores.associated_picks import EventPicks, pick_scores, shared_picks
from jaxloc.scores.catalogues import Limits, Matched, counted, match
from jaxloc.scores.detections import (
    chance_matches,
    detected,
    recall_by_magnitude,
    reliability_of_odds,
    share,
    splits_and_merges,
)
from jaxloc.scores.location_coverage import location_coverage
from jaxloc.scores.magnitudes import completeness, magnitude_differences

GATES: Mapping[str, Limits] = {
    "1 s, 5 km": Limits(1.0, 5.0),
    "3 s, 20 km": Limits(3.0, 20.0),
    "10 s, 75 km": Limits(10.0, 75.0),
}
MAIN_GATE = "3 s, 20 km"
FLOOR = (0.1, 0.5)  # s and km: the least errors by which distances of events are measured


class Catalogue(NamedTuple):
    """Events for scoring; what a catalogue does not give is NaN.

    Attributes:
        ids: of events.
        hypocentre: east, north and depth in km in a frame, origin time in s from a zero, both common to two catalogues.
        magnitude: of events.
        covariance: of hypocentres.
        log_odds: natural logarithm of the odds that an event is real.
        picks: of events; None where the catalogue has no picks.
        expected: events that a network can locate, by the catalogue's own rule; None where it has none.
    """

    ids: tuple[str, ...]
    hypocentre: Float[np.ndarray, "event 4"]
    magnitude: Float[np.ndarray, " event"]
    covariance: Float[np.ndarray, "event 4 4"]
    log_odds: Float[np.ndarray, " event"]
    picks: EventPicks | None = None
    expected: Bool[np.ndarray, " event"] | None = None


def match_catalogues(catalogue: Catalogue, truth: Catalogue, limits: Limits = Limits()) -> Matched:
    """Pairs of events of two catalogues, with distances over their errors where both or one are known."""
    return match(catalogue.hypocentre, truth.hypocentre, limits, (_errors(catalogue, limits), _errors(truth, limits)))


def _errors(catalogue: Catalogue, limits: Limits) -> Float[np.ndarray, "event 2"]:
    """Standard deviations of origin time and epicentre, no less than `FLOOR` nor more than the limits."""
    variance = np.diagonal(catalogue.covariance, axis1=1, axis2=2)
    sd = np.sqrt(np.stack([variance[:, 3], variance[:, :2].max(-1)], -1))
    return np.clip(np.where(np.isfinite(sd), sd, FLOOR), FLOOR, np.maximum(limits, FLOOR))


def score_catalogue(catalogue: Catalogue, truth: Catalogue, is_truth: bool = True) -> dict[str, object]:
    """All scores of a catalogue against another one.

    Args:
        catalogue: what is judged.
        truth: what it is judged by.
        is_truth: whether the truth is known without error (a simulation); otherwise differences from it are no errors,
            events that it lacks are not false, and neither coverage nor reliability of odds is given.
    """
    matched = match_catalogues(catalogue, truth, GATES[MAIN_GATE])
    first, second = matched.first, matched.second
    found, number = detected(matched, len(truth.ids)), len(catalogue.ids)
    splits, merges = splits_and_merges(matched)
    scores: dict[str, object] = {
        "events": {"catalogue": number, "truth": len(truth.ids), "matched": len(first)},
        "gates": {name: _at_gate(catalogue, truth, limits) for name, limits in GATES.items()},
        "recall by magnitude": recall_by_magnitude(found, truth.magnitude),
        "splits per 100 events": 100 * splits / max(number, 1),
        "merges per 100 true events": 100 * merges / max(len(truth.ids), 1),
        "unmatched events": dict(counted(matched.only_first)),
        "missed events": dict(counted(matched.only_second)),
        "magnitude, catalogue minus truth": magnitude_differences(catalogue.magnitude[first], truth.magnitude[second]),
        "completeness": {"catalogue": completeness(catalogue.magnitude), "truth": completeness(truth.magnitude)},
    }
    if truth.expected is not None:
        scores["recall of expected events"] = _recall(found, truth.expected)
    if catalogue.picks is not None and truth.picks is not None:
        scores["picks"] = pick_scores(shared_picks(catalogue.picks, truth.picks, (first, second)))
    if is_truth:
        pairs = catalogue.hypocentre[first], catalogue.covariance[first], truth.hypocentre[second]
        scores["locations"] = location_coverage(*pairs)
        scores["odds"] = reliability_of_odds(catalogue.log_odds, detected(Matched(second, first, {}, {}), number))
    return scores


def _recall(found: Bool[np.ndarray, " truth"], among: Bool[np.ndarray, " truth"]) -> dict[str, float]:
    return share(int(found[among].sum()), int(among.sum()))._asdict()


def _at_gate(catalogue: Catalogue, truth: Catalogue, limits: Limits) -> dict[str, object]:
    """Recall, precision and F1 within limits, and how many pairs there would be by chance."""
    matched = match_catalogues(catalogue, truth, limits)
    number, pairs = len(truth.ids), len(matched.first)
    recall, precision = share(pairs, number), share(pairs, len(catalogue.ids))
    by_chance = chance_matches(catalogue.hypocentre, truth.hypocentre, limits)
    row: dict[str, object] = {
        "recall": recall._asdict(),
        "precision": precision._asdict(),
        "f1": 2 * pairs / (number + len(catalogue.ids)),
        "recall by chance": by_chance / number,
    }
    if truth.expected is not None:
        row["recall of expected events"] = _recall(detected(matched, number), truth.expected)
    return row
