"""Early warning against time: python -m jaxloc.studies.preseis RUN --output FOLDER.

Events that a run has not seen are located with what is there so far, at several times after their first trigger. Of
each time stand errors, scores and the share of truths within what is stated, beside those of one who knows the training
catalogue alone; all with 95 % intervals over events.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloc.data.dataset import Dataset
from jaxloc.data.truncation import at_times
from jaxloc.models.spec import Blueprint
from jaxloc.plots.early_warning import against_time
from jaxloc.runs import predict, report, train
from jaxloc.runs.datasets import unseen
from jaxloc.scores.labels import score_labels
from jaxloc.scores.score_card import lookup
from jaxloc.studies.table import write_csv
from jaxloc.types import Posterior

TIMES_S = (0.5, 2.0, 4.0, 7.5, 15.0)
ROUND = 9  # of fresh events: none that a calibration uses
LABELS = ("magnitude", "rupture_log10_km", "rupture_west_km", "rupture_east_km")
PATHS = {
    "epicentre_km": "epicentre/error/mean",
    "hypocentre_km": "hypocentre/error/mean",
    "depth_km": "depth/error/mae",
    "stated_epicentre_km": "epicentre/stated/mean",
    "crps_east_km": "east/crps/mean",
    "crps_north_km": "north/crps/mean",
    "crps_depth_km": "depth/crps/mean",
    "crps_origin_s": "origin/crps/mean",
    "energy_epicentre_km": "epicentre/energy/mean",
    "coverage90_epicentre": "epicentre/coverage/90",
    "coverage90_depth": "depth/coverage/90",
    "coverage90_hypocentre": "hypocentre/coverage/90",
    "epistemic_share": "epicentre/epistemic_share/mean",
}
AGAINST = ("epicentre_km", "crps_east_km", "crps_north_km", "crps_depth_km", "energy_epicentre_km")

Row = dict[str, float]


def whole_records(config: Mapping[str, Any], number: int) -> Dataset:
    """Whole records of events that the run has not seen."""
    data = {**config["data"], "records": {**config["data"]["records"], "elapsed_s": None}}
    return unseen(data, int(config["seed"]), number, ROUND)


def once_each(blueprint: Blueprint) -> Blueprint:
    """A blueprint whose catalogue has each event once: training takes them at several times."""
    _, index = np.unique(blueprint.catalogue.hypocentres, axis=0, return_index=True)
    kept = blueprint.catalogue._replace(
        hypocentres=blueprint.catalogue.hypocentres[index], known=blueprint.catalogue.known[index]
    )
    return blueprint._replace(catalogue=kept)


def over_time(run: Path, number: int, times_s: Sequence[float], folder: Path) -> list[Row]:
    """Locate unseen events of a run at several times; a row a time, written as a table with a picture.

    Raises:
        ValueError: where the folder is no finished run, or a time is not positive.
    """
    config, fitted = train.load(run)
    records = at_times(whole_records(config, number), times_s)
    located = predict.locate(fitted, records)
    baseline = once_each(fitted.blueprint)
    rows = [
        row_of(time, jax.tree.map(lambda x, i=i: x[i :: len(times_s)], located), baseline)
        for i, time in enumerate(times_s)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "against_time.csv", rows, list(rows[0]))
    against_time(
        folder / "against_time.png", rows, f"{run.name}: {len(records) // len(times_s)} events not seen before"
    )
    return rows


def row_of(elapsed_s: float, located: predict.Located, blueprint: Blueprint) -> Row:
    """What is said of events at one time, judged; "_low" and "_high" are ends of 95 % intervals."""
    batch, posterior = located.batch, located.posterior
    number = len(batch.observations.station_mask)
    both: dict[str, Posterior] = {"own": posterior, "catalogue": report.baseline_of(blueprint, number)}
    cards, _ = report.score(both, batch.labels["hypocentre"])
    picked = np.asarray(batch.observations.pick_mask)
    row: Row = {"elapsed_s": elapsed_s, "events": number, "triggered": float(picked[..., 0].sum(-1).mean())}
    for name, path in PATHS.items():
        row |= _estimate(name, lookup(cards["own"], path))
        row |= _estimate(f"{name}_catalogue", lookup(cards["catalogue"], path)) if name in AGAINST else {}
    for label, card in score_labels(posterior.others, batch.labels).items():
        for score in ("mae", "stated", "crps", "crps_climatology", "epistemic_share"):
            row |= _estimate(f"{label}_{score}", card[score])
        row |= _estimate(f"{label}_coverage90", card["coverage"]["90"])
    return row


def _estimate(name: str, estimate: Mapping[str, Any] | None) -> Row:
    if estimate is None:
        return {}
    return {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}


def table(rows: Sequence[Row]) -> str:
    """The scores that people ask for first, in Markdown; intervals in brackets."""
    columns = {
        "epicentre (km)": "epicentre_km",
        "energy (km)": "energy_epicentre_km",
        "catalogue's": "energy_epicentre_km_catalogue",
        "90 % epicentre": "coverage90_epicentre",
        "90 % depth": "coverage90_depth",
        "magnitude error": "magnitude_mae",
        "CRPS": "magnitude_crps",
        "climatology's": "magnitude_crps_climatology",
        "90 % magnitude": "magnitude_coverage90",
        "log10 length CRPS": "rupture_log10_km_crps",
        "90 % length": "rupture_log10_km_coverage90",
    }
    columns = {title: name for title, name in columns.items() if name in rows[0]}
    lines = ["| time (s) | triggered | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 2) + "|"]
    for row in rows:
        cells = [f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]" for name in columns.values()]
        lines.append(f"| {row['elapsed_s']:g} | {row['triggered']:.1f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="early warning: errors against time since the first trigger")
    parser.add_argument("run", type=Path)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--times", type=float, nargs="+", default=list(TIMES_S))
    parser.add_argument("--output", type=Path, default=None)
    parsed = parser.parse_args()
    print(table(over_time(parsed.run, parsed.events, parsed.times, parsed.output or parsed.run / "against_time")))


if __name__ == "__main__":
    main()
