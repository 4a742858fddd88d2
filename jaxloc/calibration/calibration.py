"""The calibration of a trained run: recalibration, conformal levels and out-of-distribution detection.

It is fitted to a calibration set of labelled events, held out from training and model selection, and stored in the run
folder. Split conformal regions cover the truth of an exchangeable new event with at least the nominal probability
(`jaxloc.calibration.conformal`); where a recalibration is fitted to the same events, levels are cross-fitted, and the
guarantee is that of cross-validation: approximate, not exact.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Array, Float, Int, Key

from jaxloc.calibration import out_of_distribution, recalibration
from jaxloc.calibration.conformal import conformal_level
from jaxloc.calibration.out_of_distribution import Detector, fit_detector
from jaxloc.calibration.recalibration import MAPS, Recalibration
from jaxloc.distributions.credible_regions import LEVELS
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.io.catalogue import azimuthal_gap_deg
from jaxloc.scores.events import REGIONS, score_events
from jaxloc.scores.score_card import score_card
from jaxloc.types import Label, Observations, Posterior

MIN_GROUP_EVENTS = (
    40  # smallest group of events: a 95 % conformal level needs 19, and twice as many reduce its variance
)
MAX_GROUPS = 4
DENSITY_REGIONS = ("epicentre", "depth", "hypocentre")
GAUSSIAN = {"ellipse": (0, 1), "interval": (2,), "ellipsoid": (0, 1, 2)}
"""Regions of the files, by the posterior's mean and covariance, and their coordinates."""


class Groups(NamedTuple):
    """Groups by the `edges` between which an event's azimuthal gap or distance lies; `by` is "" for one group."""

    by: str
    edges: tuple[float, ...]


class Calibration(NamedTuple):
    """A fitted calibration; `levels` are, by region, the conformal levels for the nominal `LEVELS`, [group, level]."""

    dataset: str
    number: int
    map: Recalibration
    groups: Groups
    levels: dict[str, Float[np.ndarray, "group level"]]
    detector: Detector | None


def candidates(
    key: Key[Array, ""], posterior: Posterior, truth: Label, num_draws: int = 1000
) -> dict[str, dict[str, Any]]:
    """Score cards of each of `MAPS`, cross-fitted: each event is scored under a recalibration fitted without it."""
    cards = {}
    for kind in MAPS:
        corrected = posterior if kind == "none" else recalibration.cross_fitted(key, kind, posterior, truth)
        cards[kind] = score_card(key, score_events(key, corrected, truth, num_draws))
    return cards


def best(cards: dict[str, dict[str, Any]]) -> str:
    """The recalibration of highest cross-fitted likelihood of hypocentres (of epicentres where depths are unknown)."""

    def loss(kind: str) -> float:
        region = cards[kind].get("hypocentre") or cards[kind]["epicentre"]
        value = region["nll"]["mean"]["value"] if "nll" in region else None
        return np.inf if value is None else value

    return min(cards, key=loss)


def calibrate(
    key: Key[Array, ""],
    posterior: Posterior,
    observations: Observations,
    truth: Label,
    features: Float[np.ndarray, "event feature"] | None,
    *,
    kind: str,
    dataset: str,
    by: str = "",
    num_draws: int = 1000,
) -> Calibration:
    """Fit a calibration to a batch of events.

    Args:
        key: of draws.
        posterior: of the calibration events, as predicted by the run.
        observations: of the same events; waveforms are not needed.
        truth: "hypocentre" labels, [event, 4].
        features: of each event (`Network.features`); None without out-of-distribution detection.
        kind: one of `jaxloc.calibration.recalibration.MAPS`.
        dataset: name of the calibration set.
        by: "gap" or "distance" for group-conditional conformal levels, by azimuthal gap or by distance of the nearest
            station; groups have at least `MIN_GROUP_EVENTS` events.
        num_draws: of each posterior, for the levels of truths.

    Raises:
        ValueError: for an unknown recalibration or grouping, or where truths are unknown or too few; says which.
    """
    fitted = recalibration.fit(kind, posterior, truth)
    apart = posterior if kind == "none" else recalibration.cross_fitted(key, kind, posterior, truth)
    groups = _groups(by, posterior, observations)
    member = group_of(groups, posterior, observations)
    detector = None if features is None else fit_detector(features, epistemic_share(posterior))
    levels = _truth_levels(key, apart, truth, num_draws)
    needed = _needed(levels, truth, member, len(groups.edges) + 1)
    return Calibration(dataset, len(truth.mask), fitted, groups, needed, detector)


def recalibrated(key: Key[Array, ""], calibration: Calibration, posterior: Posterior) -> Posterior:
    """Recalibrated posteriors of a batch of events."""
    return recalibration.recalibrated(key, calibration.map, posterior)


def conformal_levels(
    calibration: Calibration, posterior: Posterior, observations: Observations, level: float = 0.9
) -> dict[str, Float[np.ndarray, " event"]]:
    """By region: the conformal level of each event's region for a coverage of `level`.

    One, so that no finite region is large enough, where there were too few calibration events.

    Raises:
        ValueError: for a level that is none of `LEVELS`.
    """
    if level not in LEVELS:
        raise ValueError(f"level {level} was not calibrated; use one of {', '.join(map(str, LEVELS))}")
    member = group_of(calibration.groups, posterior, observations)
    return {region: table[member, LEVELS.index(level)] for region, table in calibration.levels.items()}


class Predictions(NamedTuple):
    """Predictions for a batch of events: posteriors, conformal levels of ellipse and ellipsoid, and OOD flags.

    The last two are None without a calibration; a flag of "" is an in-distribution event.
    """

    posterior: Posterior
    ellipse_levels: Float[np.ndarray, "event 2"] | None = None
    ood_reasons: list[str] | None = None


def calibrated_predictions(
    key: Key[Array, ""],
    calibration: Calibration,
    posterior: Posterior,
    observations: Observations,
    features: Float[np.ndarray, "event feature"] | None,
) -> Predictions:
    """The predictions for a batch of events after calibration."""
    corrected = recalibrated(key, calibration, posterior)
    level = conformal_levels(calibration, corrected, observations)
    ellipse_levels = None
    if {"ellipse", "ellipsoid"} <= set(level):
        pair = np.stack([level["ellipse"], level["ellipsoid"]], -1)
        # With too few calibration events there is no conformal level: the nominal one is kept.
        ellipse_levels = np.where(pair < 1, pair, np.nan)
    ood_reasons = None
    if calibration.detector is not None and features is not None:
        statistics = out_of_distribution.scores(calibration.detector, features, epistemic_share(posterior))
        ood_reasons = out_of_distribution.reasons(out_of_distribution.p_values(calibration.detector, statistics))
    return Predictions(corrected, ellipse_levels, ood_reasons)


def epistemic_share(posterior: Posterior) -> Float[np.ndarray, " event"]:
    """The epistemic part of the variance of the position, 0-1."""
    epistemic, total = (
        np.trace(np.asarray(x)[:, :3, :3], axis1=1, axis2=2)
        for x in (posterior.epistemic, posterior.epistemic + posterior.aleatoric)
    )
    return epistemic / total


def gaussian_levels(
    posterior: Posterior, truth: Float[np.ndarray, "event 4"]
) -> dict[str, Float[np.ndarray, " event"]]:
    """By region of `GAUSSIAN`: the level of the smallest ellipse, interval or ellipsoid that contains the truth."""
    middle, spread = (np.asarray(of(posterior.hypocentre), float) for of in (mean, covariance))
    found = {}
    for region, dims in GAUSSIAN.items():
        index = list(dims)
        away = (np.asarray(truth, float) - middle)[:, index]
        squared = np.einsum("ei,ei->e", away, np.linalg.solve(spread[:, index][:, :, index], away[..., None])[..., 0])
        found[region] = scipy.stats.chi2.cdf(squared, len(dims))
    return found


def group_of(groups: Groups, posterior: Posterior, observations: Observations) -> Int[np.ndarray, " event"]:
    """The number of the group that each event belongs to."""
    if not groups.by:
        return np.zeros(len(posterior.epistemic), int)
    return np.searchsorted(np.asarray(groups.edges), _measure(groups.by, posterior, observations), side="right")


def _measure(by: str, posterior: Posterior, observations: Observations) -> Float[np.ndarray, " event"]:
    """Azimuthal gap in degrees, or distance in km of the nearest active station, from the predicted epicentre."""
    if by not in ("gap", "distance"):
        raise ValueError(f'groups are by "gap" or by "distance", got {by!r}')
    middle = np.asarray(mean(posterior.hypocentre))[:, :2]
    places, active = np.asarray(observations.station_km), np.asarray(observations.station_mask)
    events = zip(middle, places, active, strict=True)
    if by == "gap":
        return np.array([azimuthal_gap_deg(m, p[a]) for m, p, a in events])
    return np.array([np.hypot(*(p[a, :2] - m).T).min(initial=np.inf) for m, p, a in events])


def _groups(by: str, posterior: Posterior, observations: Observations) -> Groups:
    if not by:
        return Groups("", ())
    measure = _measure(by, posterior, observations)
    number = int(np.clip(len(measure) // MIN_GROUP_EVENTS, 1, MAX_GROUPS))
    edges = np.quantile(measure, np.arange(1, number) / number)
    return Groups(by, tuple(float(edge) for edge in np.unique(edges)))


def _truth_levels(
    key: Key[Array, ""], posterior: Posterior, truth: Label, num_draws: int
) -> dict[str, Float[np.ndarray, " event"]]:
    """By region: the level of the smallest region that contains the truth."""
    scores = score_events(key, posterior, truth, num_draws)
    level = {region: np.asarray(scores[f"{region}/level"]) for region in DENSITY_REGIONS}
    return level | gaussian_levels(posterior, np.asarray(truth.value))


def _needed(
    level: dict[str, Float[np.ndarray, " event"]], truth: Label, member: Int[np.ndarray, " event"], number: int
) -> dict[str, Float[np.ndarray, "group level"]]:
    dims = REGIONS | GAUSSIAN
    needed = {}
    for region, values in level.items():
        known = np.asarray(truth.mask)[:, list(dims[region])].all(-1)
        # A posterior that is not finite covers no truth: its event is outside of every region.
        values = np.where(np.isfinite(values), values, 1.0)
        if known.any():
            parts = [values[known & (member == group)] for group in range(number)]
            needed[region] = np.array([_levels_of(part) for part in parts])
    return needed


def _levels_of(values: Float[np.ndarray, " event"]) -> Float[np.ndarray, " level"]:
    return conformal_level(values, np.array(LEVELS)) if len(values) else np.ones(len(LEVELS))
