"""The calibration of a trained run: recalibration, conformal levels and out-of-distribution detection.

It is fitted to a calibration set of labelled events, held out from training and model selection, and stored in the run
folder. Split conformal regions cover the truth of an exchangeable new event with at least the nominal probability
(`jaxloc.calibration.conformal`), by one level for all events, by group, or by similar events; but for groups this is
marginal, over all events, and not for each place or kind of record. Where a recalibration is fitted to the same events,
levels are cross-fitted, and the guarantee is that of cross-validation: approximate, not exact.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Array, Float, Int, Key

from jaxloc.calibration import out_of_distribution, recalibration
from jaxloc.calibration.conformal import conformal_level
from jaxloc.calibration.local_levels import LOCAL, Local, covariates_for, local_levels
from jaxloc.calibration.local_scale import cross_fitted_locally, fit_local_scale, scaled_locally
from jaxloc.calibration.out_of_distribution import Detector, fit_detector
from jaxloc.calibration.recalibration import MAPS, Recalibration
from jaxloc.data.onsets import Onsets
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.io.catalogue import azimuthal_gap_deg
from jaxloc.scores.events import REGIONS, score_events
from jaxloc.scores.score_card import score_card
from jaxloc.types import LEVELS, Label, Observations, Posterior

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
    local: Local | None = None


def candidates(
    key: Key[Array, ""], posterior: Posterior, truth: Label, num_draws: int = 1000, local: Local | None = None
) -> dict[str, dict[str, Any]]:
    """Score cards of each of `MAPS`, cross-fitted: each event is scored under a recalibration fitted without it.

    With covariates (`local`) also of the recalibration by them.
    """
    cards = {}
    for kind in (*MAPS, *([LOCAL] if local is not None else [])):
        corrected = _cross_fitted(key, kind, posterior, truth, local)
        cards[kind] = score_card(key, score_events(key, corrected, truth, num_draws))
    return cards


def _cross_fitted(key: Key[Array, ""], kind: str, posterior: Posterior, truth: Label, local: Local | None) -> Posterior:
    if kind == LOCAL:
        return cross_fitted_locally(key, posterior, truth, _needed_covariates(local).covariates)
    return posterior if kind == "none" else recalibration.cross_fitted(key, kind, posterior, truth)


def _needed_covariates(local: Local | None) -> Local:
    if local is None:
        raise ValueError("a local calibration must have covariates: give it the epicentres of the training events")
    return local


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
    local: Local | None = None,
) -> Calibration:
    """Fit a calibration to a batch of events.

    Args:
        key: of draws.
        posterior: of the calibration events, as predicted by the run.
        observations: of the same events; waveforms are not needed.
        truth: "hypocentre" labels, [event, 4].
        features: of each event (`Network.features`); None without out-of-distribution detection.
        kind: one of `jaxloc.calibration.recalibration.MAPS`, or "local": a temperature that depends on covariates.
        dataset: name of the calibration set.
        by: "gap" or "distance" for group-conditional conformal levels, by azimuthal gap or by distance of the nearest
            station; groups have at least `MIN_GROUP_EVENTS` events. "local" for levels from similar events.
        num_draws: of each posterior, for the levels of truths.
        local: covariates of the events (`jaxloc.calibration.local_levels`), for "local".

    Raises:
        ValueError: for an unknown recalibration or grouping, or where truths are unknown or too few; says which.
    """
    if kind == LOCAL:
        fitted = Recalibration(LOCAL, fit_local_scale(posterior, truth, _needed_covariates(local).covariates))
    else:
        fitted = recalibration.fit(kind, posterior, truth)
    apart = _cross_fitted(key, kind, posterior, truth, local)
    groups = _groups("" if by == LOCAL else by, posterior, observations)
    member = group_of(groups, posterior, observations)
    detector = None if features is None else fit_detector(features, epistemic_share(posterior))
    levels = _truth_levels(key, apart, truth, num_draws)
    needed = _needed(levels, truth, member, len(groups.edges) + 1)
    if by == LOCAL:
        local = _needed_covariates(local)._replace(levels={name: _known(name, levels, truth) for name in levels})
    return Calibration(dataset, len(truth.mask), fitted, groups, needed, detector, local)


def _known(region: str, levels: dict[str, Float[np.ndarray, " event"]], truth: Label) -> Float[np.ndarray, " event"]:
    """Levels of a region's truths; NaN where a truth is unknown, 1 where the posterior is not finite."""
    known = np.asarray(truth.mask)[:, list((REGIONS | GAUSSIAN)[region])].all(-1)
    return np.where(known, np.where(np.isfinite(levels[region]), levels[region], 1.0), np.nan)


def recalibrated(
    key: Key[Array, ""],
    calibration: Calibration,
    posterior: Posterior,
    covariates: Float[np.ndarray, "event covariate"] | None = None,
) -> Posterior:
    """Recalibrated posteriors of a batch of events; covariates are needed by a local recalibration alone.

    Raises:
        ValueError: where they are needed and missing.
    """
    if calibration.map.kind != LOCAL:
        return recalibration.recalibrated(key, calibration.map, posterior)
    if covariates is None:
        raise ValueError("a local recalibration must have the covariates of events (`local_levels.covariates_for`)")
    return scaled_locally(key, np.asarray(calibration.map.values), covariates, posterior)


def conformal_levels(
    calibration: Calibration,
    posterior: Posterior,
    observations: Observations,
    level: float = 0.9,
    covariates: Float[np.ndarray, "event covariate"] | None = None,
) -> dict[str, Float[np.ndarray, " event"]]:
    """By region: the conformal level of each event's region for a coverage of `level`.

    One, so that no finite region is large enough, where there were too few calibration events. With covariates, levels
    are those of similar events where the calibration has them.

    Raises:
        ValueError: for a level that is none of `LEVELS`.
    """
    if level not in LEVELS:
        raise ValueError(f"level {level} was not calibrated; use one of {', '.join(map(str, LEVELS))}")
    if covariates is not None and calibration.local is not None and calibration.local.levels:
        return local_levels(calibration.local, covariates, level)
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
    onsets: Onsets | None = None,
) -> Predictions:
    """The predictions for a batch of events after calibration; `onsets` are covariates of a local one."""
    local = calibration.local
    covariates = None if local is None else covariates_for(local, posterior, observations, onsets)
    corrected = recalibrated(key, calibration, posterior, covariates)
    level = conformal_levels(calibration, corrected, observations, covariates=covariates)
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
