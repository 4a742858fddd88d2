"""The output of a run for people: scores, events and pictures."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float

from jaxloc import prng
from jaxloc.atomic_write import write_whole
from jaxloc.calibration import out_of_distribution
from jaxloc.calibration.calibration import DENSITY_REGIONS, Calibration, Predictions, epistemic_share
from jaxloc.calibration.conformal import conformal_level, cross_fitted, smallest_number
from jaxloc.data.dataset import Dataset
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, moments
from jaxloc.distributions.labels import named
from jaxloc.geometry import format_degrees, to_degrees
from jaxloc.io.catalogue import Hypocentre, Truth, azimuthal_gap_deg
from jaxloc.io.catalogue_csv import write_csv, write_picks, write_station_magnitudes
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.locators.climatology import kernel_density, repeated
from jaxloc.models.spec import ModelSpec
from jaxloc.physics.priors import unknown_coordinates
from jaxloc.scores.events import score_events
from jaxloc.scores.score_card import score_card, table
from jaxloc.types import LEVELS, Batch, Label, Posterior

if TYPE_CHECKING:  # drawing is loaded where a picture is asked for: it takes a quarter of a second
    from jaxloc.plots.geography import Geography

FOLDS = 5
MAGNITUDES = "magnitudes.csv"


def score(locators: Mapping[str, Posterior], truth: Label) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Score cards of locators, by name, on the same events, and the scores that they summarise."""
    key = prng.stream("scores")
    scores = {name: score_events(key, posterior, truth) for name, posterior in locators.items()}
    return {name: score_card(key, each) for name, each in scores.items()}, scores


def conformal(scores: Mapping[str, Float[np.ndarray, "event *each"]]) -> dict[str, Any]:
    """By region: conformal levels for coverage of `LEVELS`, and the coverage of such regions when cross-fitted.

    Empty where fewer than `FOLDS` truths are known.
    """
    found: dict[str, Any] = {}
    for region in DENSITY_REGIONS:
        level = np.asarray(scores[f"{region}/level"])[np.asarray(scores[f"{region}/known"]) > 0]
        level = level[np.isfinite(level)]
        if len(level) < FOLDS:
            continue
        share, names = cross_fitted(level, folds=FOLDS).mean(0), [f"{100 * wanted:.0f}" for wanted in LEVELS]
        needed = conformal_level(level, np.array(LEVELS))
        found[region] = {
            "needed": dict(zip(names, map(float, needed), strict=True)),
            "coverage": dict(zip(names, map(float, share), strict=True)),
        }
    return found


def conformal_line(conformal: Mapping[str, Any]) -> str:
    """Conformal levels of 90 % regions in a line; empty where `conformal` found nothing."""
    if not conformal:
        return ""
    levels = {region: each["needed"]["90"] for region, each in conformal.items()}
    shown = f"conformal levels for 90 % coverage: {_levels(levels)}"
    covered = [f"{100 * each['coverage']['90']:.0f}" for region, each in conformal.items() if levels[region] < 1]
    if not covered:
        return shown
    return f"{shown}; found on {FOLDS - 1} of {FOLDS} parts of the events, coverage of the rest: {', '.join(covered)} %"


def _levels(levels: Mapping[str, float]) -> str:
    """Conformal levels by region; a level of one covers all space: there were too few events."""
    few = f"too few events ({smallest_number(0.9)} are needed)"
    return ", ".join(f"{region} {100 * x:.1f} %" if x < 1 else f"{region} {few}" for region, x in levels.items())


def calibrated_line(calibration: Calibration) -> str:
    """What a command says where it uses a calibration."""
    return f"calibrated by {calibration.number} events of {calibration.dataset} (--raw leaves that out)"


def calibration_lines(calibration: Calibration) -> list[str]:
    """Conformal levels of 90 % regions in each group, and what out-of-distribution detection lacks, in lines."""
    by, edges = calibration.groups
    unit = {"gap": "deg", "distance": "km"}.get(by, "")
    bounds = ["", *(f"{edge:.0f} {unit}" for edge in edges), ""]
    lines = []
    for group in range(len(edges) + 1):
        low, high = bounds[group], bounds[group + 1]
        span = f"{by} {f'from {low} ' if low else ''}{f'to {high}' if high else ''}".strip() + ": " if by else ""
        levels = {region: float(table[group, LEVELS.index(0.9)]) for region, table in calibration.levels.items()}
        lines.append(f"{span}conformal levels for 90 % coverage: {_levels(levels)}")
    if calibration.detector is not None and calibration.number < out_of_distribution.smallest_number():
        few = f"{calibration.number} events are too few for out-of-distribution detection"
        lines.append(f"{few}: {out_of_distribution.smallest_number()} are needed")
    return lines


def climatology_of(spec: ModelSpec) -> HypocentreMixture:
    """The density of the training catalogue's hypocentres, without windows of noise."""
    duration_s = spec.num_samples / spec.rate_hz
    return kernel_density(*spec.catalogue, unknown_coordinates(duration_s))


def baseline_of(spec: ModelSpec, number: int) -> Posterior:
    """Climatology: the training catalogue as the posterior of every event."""
    return repeated(climatology_of(spec), number)


def hypocentres_of(
    dataset: Dataset,
    batch: Batch,
    predictions: Predictions,
    level: float = 0.9,
    refused: Sequence[str] = (),
    flags: Sequence[str] = (),
    rejected: Sequence[bool] = (),
) -> tuple[list[Hypocentre], dict[str, str]]:
    """Located events for the files, and the reason for each event that could not be located.

    `refused` and `flags` have a text for each event, empty where there is none (`jaxloc.runs.flags`); `rejected` are
    those whose location is kept though there is no earthquake.
    """
    posterior = predictions.posterior
    centre, spread = (np.asarray(x) for x in moments(posterior.hypocentre))
    latitude, longitude = to_degrees(dataset.frame, centre[:, 0], centre[:, 1])
    share = epistemic_share(posterior)
    catalogued = lambda event: {} if event.magnitude is None else {"magnitude": event.magnitude}
    found, lost = [], {}
    for i, event in enumerate(dataset.events):
        alive = np.asarray(batch.observations.station_mask[i])
        if not alive.any():
            lost[event.id] = "no event found: no station has a record"
            continue
        if refused and refused[i]:
            lost[event.id] = refused[i]
            continue
        if not np.isfinite(centre[i]).all():
            lost[event.id] = "the posterior is not finite; check the waveforms"
            continue
        stations_km = np.asarray(batch.observations.station_km[i])[alive]
        others = catalogued(event) | named(posterior.others, i)
        found.append(
            Hypocentre(
                event.id,
                event.start,
                float(latitude[i]),
                float(longitude[i]),
                float(centre[i, 2]),
                float(centre[i, 3]),
                spread[i].astype(float),
                level,
                float(share[i]),
                int(alive.sum()),
                azimuthal_gap_deg(centre[i, :2], stations_km[:, :2]),
                others.pop("magnitude", None),
                others.pop("magnitude_sd", None),
                truth=_truth(dataset, batch, i),
                drawn_at=_levels_of(predictions, i, level),
                alarm=None if predictions.ood_reasons is None else predictions.ood_reasons[i],
                others=others,
                flag=flags[i] if flags else "",
                rejected=bool(rejected) and rejected[i],
            )
        )
    return found, lost


def _levels_of(predictions: Predictions, i: int, level: float) -> tuple[float, float] | None:
    if predictions.ellipse_levels is None:
        return None
    ellipse, ellipsoid = np.where(np.isfinite(predictions.ellipse_levels[i]), predictions.ellipse_levels[i], level)
    return float(ellipse), float(ellipsoid)


def line(event: Hypocentre) -> str:
    """One located event in a line of text."""
    sd, warning = np.sqrt(np.diag(event.covariance)), f"; OUT OF DISTRIBUTION: {event.alarm}" if event.alarm else ""
    flagged = f"; FLAG: {event.flag}" if event.flag else ""
    return (
        f"{event.id}: {format_degrees(event.latitude_deg, event.longitude_deg)}, depth {event.depth_km:.1f} km; "
        f"standard errors {np.hypot(sd[0], sd[1]):.2f} km across, {sd[2]:.2f} km in depth; "
        f"{event.num_stations} stations, gap {event.gap_deg:.0f} deg{_magnitude(event)}{flagged}{warning}"
    )


def _magnitude(event: Hypocentre) -> str:
    """A measured magnitude, or the commonest reason why there is none; empty where none was asked for."""
    used = sum(not each.reason for each in event.station_magnitudes)
    if not event.station_magnitudes:
        return ""
    if used and event.magnitude is not None and event.magnitude_sd is not None:
        value = f"{event.magnitude_type} {event.magnitude:.2f} +- {event.magnitude_sd:.2f}"
        return f"; {value} of {used} station{'s' * (used != 1)}"
    kinds = Counter(re.sub(r"\d+(\.\d+)?", "#", each.reason) for each in event.station_magnitudes)
    kind, number = kinds.most_common(1)[0]
    reason = next(r.reason for r in event.station_magnitudes if re.sub(r"\d+(\.\d+)?", "#", r.reason) == kind)
    alike = ", and alike" if number > 1 and "#" in kind else ""
    return f"; no magnitude: {reason}{alike} ({number} of {len(event.station_magnitudes)} stations)"


def _truth(dataset: Dataset, batch: Batch, i: int) -> Truth | None:
    value, mask = (np.asarray(x[i]) for x in batch.labels["hypocentre"])
    if not mask[:3].all():
        return None
    latitude, longitude = to_degrees(dataset.frame, value[0], value[1])
    return Truth(float(latitude), float(longitude), float(value[2]), float(value[3]) if mask[3] else None)


def moved(event: Hypocentre, shift_s: float) -> Hypocentre:
    """The event with its origin time and picks counted from a zero that is `shift_s` earlier."""
    picks = tuple(pick._replace(time_s=pick.time_s + shift_s) for pick in event.picks)
    return event._replace(origin_s=event.origin_s + shift_s, picks=picks)


def write_events(folder: Path, hypocentres: Sequence[Hypocentre]) -> None:
    """events.csv, events.xml (QuakeML), picks.csv and magnitudes.csv (of stations) where events have such."""
    write_csv(folder / "events.csv", list(hypocentres))
    if any(each.picks for each in hypocentres):
        write_picks(folder / "picks.csv", list(hypocentres))
    else:
        (folder / "picks.csv").unlink(missing_ok=True)  # of an earlier call
    if any(each.station_magnitudes for each in hypocentres):
        write_station_magnitudes(folder / MAGNITUDES, list(hypocentres))
    else:
        (folder / MAGNITUDES).unlink(missing_ok=True)
    write_quakeml(folder / "events.xml", list(hypocentres))


def write_scores(folder: Path, cards: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write scores.json, whole: the score cards and what they describe."""
    write_whole(folder / "scores.json", json.dumps({"about": dict(about), **cards}, indent=1).encode())


def read_scores(folder: Path) -> dict[str, Any]:
    """The scores of a run.

    Raises:
        ValueError: where there are none, or they are damaged.
    """
    path = folder / "scores.json"
    if not path.is_file():
        raise ValueError(f"{folder} has no scores.json; is the run finished? `jaxloc run` resumes it")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); run `jaxloc evaluate` again") from error


def write_pictures(
    folder: Path,
    name: str,
    batch: Batch,
    posterior: Posterior,
    scores: Mapping[str, dict[str, Float[np.ndarray, "event *each"]]],
    log: Sequence[Mapping[str, Any]],
    geography: "Geography | None" = None,
) -> None:
    """The pictures of a run: maps, calibration and training."""
    from jaxloc.plots import overview
    from jaxloc.plots import scores as scores_
    from jaxloc.plots.geography import Geography

    geography = geography or Geography()
    folder.mkdir(exist_ok=True)
    truth = batch.labels["hypocentre"]
    observations = batch.observations
    stations = observations.station_km[0]
    overview.overview_map(
        folder / "map.png",
        posterior.hypocentre,
        truth.value,
        truth.mask,
        stations,
        f"{name}: events",
        geography,
    )
    if len(log) > 1:
        scores_.training_curve(folder / "training.png", _one_curve(log), f"{name}: training")
    if np.asarray(truth.mask)[:, :2].all(-1).any():
        write_calibration(folder, name, scores["locator"], scores.get("calibrated"))
        error = scores["locator"]["epicentre/error"]
        order = np.argsort(np.where(np.isfinite(error), error, np.inf))[: np.isfinite(error).sum()]
        for label, i in (("median", int(order[len(order) // 2])), ("worst", int(order[-1]))):
            title = f"{name}: event of {label} error"
            picture_of_event(folder / f"event_{label}.png", i, batch, posterior, title, geography)


def write_calibration(
    folder: Path,
    name: str,
    scores: Mapping[str, Float[np.ndarray, "event *each"]],
    calibrated: Mapping[str, Float[np.ndarray, "event *each"]] | None = None,
) -> None:
    """The pictures of a locator's calibration: error against predicted sd, PIT histograms, coverage."""
    from jaxloc.plots import scores as scores_

    folder.mkdir(parents=True, exist_ok=True)
    scores_.error_against_predicted_sd(
        folder / "stated.png", scores, f"{name}: error against predicted standard deviation"
    )
    scores_.pit_histograms(folder / "pit.png", scores, title=f"{name}: calibration")
    both = {name: scores} | ({} if calibrated is None else {"calibrated": calibrated})
    scores_.coverage_curve(folder / "coverage.png", both, f"{name}: coverage")


def _one_curve(log: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The stages of a log one after the other, by their likelihoods: priors of stages are not alike."""
    rows, before, last = [], 0, ("", 0)
    for record in log:
        if record["stage"] != last[0]:
            before += last[1]
        last = (record["stage"], record["step"])
        row = {"step": before + record["step"], "loss": record["negative_log_likelihood"]}
        rows.append(row | ({} if record["dev_loss"] is None else {"dev_loss": record["dev_loss"]}))
    return rows


def geography_of(dataset: Dataset) -> "Geography":
    """The frame of a data set's maps, and the names of its stations."""
    from jaxloc.plots.geography import Geography

    return Geography(dataset.frame, tuple(station.code for station in dataset.stations))


def picture_of_event(
    path: Path, i: int, batch: Batch, posterior: Posterior, title: str, geography: "Geography | None" = None
) -> None:
    """One event's posterior in map view and depth sections."""
    from jaxloc.plots import maps
    from jaxloc.plots.geography import Geography

    geography = geography or Geography()
    one = jax.tree.map(lambda x: x[i], posterior.hypocentre)
    value, mask = (np.asarray(x[i]) for x in batch.labels["hypocentre"])
    seen = batch.observations
    truth = np.where(mask, value, np.nan)
    key = prng.stream("pictures")
    maps.event_map(key, path, one, seen.station_km[i], seen.station_mask[i], truth, title, geography=geography)


__all__ = [
    "baseline_of",
    "calibrated_line",
    "calibration_lines",
    "climatology_of",
    "conformal",
    "conformal_line",
    "geography_of",
    "hypocentres_of",
    "line",
    "moved",
    "picture_of_event",
    "read_scores",
    "score",
    "table",
    "write_calibration",
    "write_events",
    "write_pictures",
    "write_scores",
]
