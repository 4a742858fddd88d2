"""The table of a cross-validation: a row for each scheme, locator and distance to the nearest training event."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxloc import prng
from jaxloc.atomic_write import write_whole
from jaxloc.calibration.conformal import conformal_level
from jaxloc.scores.markdown import markdown_table
from jaxloc.scores.score_card import lookup, score_card
from jaxloc.studies.folds import SCHEMES
from jaxloc.studies.table import Row, value_of, write_csv
from jaxloc.types import LEVELS

EDGES_KM = (0.0, 1.0, 2.0, 5.0, np.inf)  # of distances to the nearest training event
NAMES = [f"{100 * level:.0f}" for level in LEVELS]
SCORES = {
    "epicentre_median_km": "epicentre/error/median",
    "epicentre_mean_km": "epicentre/error/mean",
    "epicentre_p90_km": "epicentre/error/p90",
    "depth_mae_km": "depth/error/mae",
    "energy_km": "hypocentre/energy/mean",
    "nll_nats": "hypocentre/nll/mean",
    **{f"epicentre_{name}": f"epicentre/coverage/{name}" for name in NAMES},
    **{f"hypocentre_{name}": f"hypocentre/coverage/{name}" for name in NAMES},
    "rank_correlation": "epicentre/rank_correlation",
    "epistemic_share": "epicentre/epistemic_share/mean",
    "epistemic_rank_correlation": "epicentre/epistemic_rank_correlation",
}
CONFORMAL = [f"conformal_{name}" for name in NAMES]
COLUMNS = (
    *("scheme", "locator", "distance", "folds", "events"),
    *SCORES,
    *("rank_correlation_low", "rank_correlation_high"),
    *CONFORMAL,
)
RESAMPLES = 1000
OWN = "locator"
Record = Mapping[str, Any]
Scores = dict[str, Float[np.ndarray, " event"]]


def rows_of(records: Sequence[Record]) -> list[Row]:
    """Rows of all events of each scheme, then of those of each range of distances, by locator."""
    rows = []
    for scheme in _schemes(records):
        folds = [record for record in records if record["scheme"] == scheme]
        far = np.concatenate([_array(record["nearest_km"]) for record in folds])
        for locator in dict.fromkeys(name for record in folds for name in record["scores"]):
            scores = joined(folds, locator)
            inside = conformal_inside(folds, locator, scheme) if locator == OWN else None
            about = {"scheme": scheme, "locator": locator, "folds": len(folds)}
            rows.append(about | _row("all", scores, inside, np.ones(len(far), bool)))
            for low, high in pairwise(EDGES_KM):
                use = (far >= low) & (far < high)
                if use.any():
                    rows.append(about | _row(_named(low, high), scores, inside, use))
    return rows


def _schemes(records: Iterable[Record]) -> list[str]:
    there = {record["scheme"] for record in records}
    return [scheme for scheme in SCHEMES if scheme in there]


def _named(low: float, high: float) -> str:
    return f"{low:g}-{high:g} km" if np.isfinite(high) else f"beyond {low:g} km"


def _array(values: Sequence[float | None]) -> Float[np.ndarray, " event"]:
    return np.array([np.nan if value is None else value for value in values], float)


def joined(folds: Sequence[Record], locator: str) -> Scores:
    """Scores of one locator on the events of all folds; NaN where a fold lacks it."""
    names = dict.fromkeys(name for fold in folds for name in fold["scores"].get(locator, ()))
    nothing = lambda fold, name: np.full(len(fold["nearest_km"]), 0.0 if name.endswith("/known") else np.nan)
    of = lambda fold, name: _array(fold["scores"][locator][name]) if locator in fold["scores"] else nothing(fold, name)
    return {name: np.concatenate([of(fold, name) for fold in folds]) for name in names}


def conformal_inside(folds: Sequence[Record], locator: str, scheme: str) -> Float[np.ndarray, "event level"]:
    """Whether each truth is inside its conformal regions of the hypocentre, with levels from other folds' events.

    In time the levels are those of earlier folds alone. Events of unknown truth, and those without such folds, are NaN.
    """
    levels = [_array(fold["scores"][locator]["hypocentre/level"]) for fold in folds]
    found = []
    for i, (own, fold) in enumerate(zip(levels, folds, strict=True)):
        earlier = lambda j, fold=fold: folds[j]["number"] < fold["number"]
        others = [each for j, each in enumerate(levels) if j != i and (scheme != "time" or earlier(j))]
        known = np.concatenate([np.zeros(0), *others])
        known = known[np.isfinite(known)]
        limit = conformal_level(known, np.array(LEVELS)) if len(known) else np.full(len(LEVELS), np.nan)
        inside = np.where(np.isfinite(own)[:, None] & np.isfinite(limit), own[:, None] <= limit, np.nan)
        found.append(inside)
    return np.concatenate(found)


def _row(
    distance: str,
    scores: Scores,
    inside: Float[np.ndarray, "event level"] | None,
    use: Bool[np.ndarray, " event"],
) -> Row:
    card = score_card(prng.stream("scores"), {name: values[use] for name, values in scores.items()}, RESAMPLES)
    row: Row = {"distance": distance, "events": card["epicentre"]["number"]}
    row |= {name: value_of(card, path) for name, path in SCORES.items()}
    for end in ("low", "high"):
        estimate = lookup(card, SCORES["rank_correlation"])
        row[f"rank_correlation_{end}"] = np.nan if estimate is None or estimate[end] is None else estimate[end]
    means = np.full(len(LEVELS), np.nan)
    if inside is not None and np.isfinite(inside[use]).any():
        means = np.nanmean(inside[use], 0)
    return row | dict(zip(CONFORMAL, means.tolist(), strict=True))


def write(folder: Path, rows: Sequence[Row], failed: Mapping[str, str]) -> None:
    """Write table.csv and table.md; reasons of failed folds are listed below the latter."""
    write_csv(folder / "table.csv", rows, COLUMNS)
    text = markdown(rows)
    if failed:
        text += "\nFailed:\n\n" + "".join(f"- {name}: {reason}\n" for name, reason in failed.items())
    write_whole(folder / "table.md", text.encode())


def markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown; coverage of 50 / 68 / 90 / 95 % regions in per cent, rank correlation with interval."""
    header = [
        *("scheme", "locator", "nearest training event", "events"),
        *("epicentre median / mean / p90 (km)", "depth MAE (km)", "energy (km)", "NLL (nats)"),
        *("coverage, epicentre", "coverage, hypocentre", "conformal, hypocentre", "rank correlation of sd and error"),
    ]
    return markdown_table(header, [_cells(row) for row in rows]) + "\n"


def _cells(row: Row) -> list[str]:
    coverage = lambda region: " / ".join(_percent(row[f"{region}_{name}"]) for name in NAMES)
    correlation = _short(row["rank_correlation"])
    if correlation != "-":
        correlation += f" [{_short(row['rank_correlation_low'])}, {_short(row['rank_correlation_high'])}]"
    return [
        *(row["scheme"], row["locator"], row["distance"], str(row["events"])),
        " / ".join(_short(row[f"epicentre_{name}_km"]) for name in ("median", "mean", "p90")),
        *(_short(row[name]) for name in ("depth_mae_km", "energy_km", "nll_nats")),
        *(coverage(region) for region in ("epicentre", "hypocentre", "conformal")),
        correlation,
    ]


def _short(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3g}"


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.0f}"


def levels_of(records: Sequence[Record]) -> dict[str, Scores]:
    """Credible levels of the truth by the run's own locator, by scheme: for reliability diagrams."""
    found = {}
    for scheme in _schemes(records):
        scores = joined([record for record in records if record["scheme"] == scheme], OWN)
        found[f"folds by {scheme}"] = {name: x for name, x in scores.items() if name.endswith("/level")}
    return found


def progress(record: Record) -> str:
    """A finished fold in a few words."""
    error = _array(record["scores"][OWN]["epicentre/error"])
    median = f"{np.nanmedian(error):.2f} km" if np.isfinite(error).any() else "unknown"
    return f"{len(error)} events, {record['training_events']} to train on, median epicentral error {median}"
