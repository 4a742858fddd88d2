"""Early warning: scores against time since the first arrival: python -m jaxloc.studies.early_warning RUN.

The same events are located several times, each time with the records up to a time after the first P. For networks that
are trained at given times after the first trigger (`data.records.elapsed_s`) times count from the first P pick, and
for others from the first P arrival. Runs on simulated data are evaluated on fresh events, others on their validation
events. Each row has errors, scores and coverage, and the climatology's scores, with 95 % intervals over events.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from jaxloc.data.dataset import Dataset, retaken
from jaxloc.data.truncation import at_times, cut, first_p_s
from jaxloc.models.spec import ModelSpec
from jaxloc.plots.early_warning import over_time
from jaxloc.runs import predict, report
from jaxloc.runs.datasets import unseen
from jaxloc.runs.load import load
from jaxloc.runs.located import Located
from jaxloc.scores.labels import score_labels
from jaxloc.scores.score_card import lookup
from jaxloc.studies.command import run_as_command
from jaxloc.studies.table import SCORES, Row, markdown_of, write_csv
from jaxloc.types import Batch

TIMES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, math.inf)
PURPOSE = "early_warning"  # of fresh events
PATHS = SCORES | {
    "epicentre_sd_km": "epicentre/stated/mean",
    "epicentre_energy_km": "epicentre/energy/mean",
    "crps_origin_s": "origin/crps/mean",
}
COMPARED = ("epicentre_mean_km", "crps_east_km", "crps_north_km", "crps_depth_km", "epicentre_energy_km", "energy_km")
LABEL_SCORES = ("mae", "stated", "crps", "crps_climatology", "epistemic_share")
SHOWN = {
    "time (s)": "elapsed_s",
    "triggered": "triggered",
    "epicentre, median (km)": "epicentre_median_km",
    "depth, MAE (km)": "depth_mae_km",
    "energy (km)": "energy_km",
    "climatology": "energy_km_climatology",
    "90 % hypocentre": "hypocentre_90",
    "90 % area (km²)": "area90_km2",
    "magnitude MAE": "magnitude_mae",
    "magnitude CRPS": "magnitude_crps",
    "climatology of magnitudes": "magnitude_crps_climatology",
    "90 % magnitude": "magnitude_90",
    "log10 length CRPS": "rupture_log10_km_crps",
    "90 % length": "rupture_log10_km_90",
}


def evaluate_over_time(run: Path, number: int, folder: Path, times_s: Sequence[float] = TIMES_S) -> list[Row]:
    """A row for each time, in s; writes early_warning.csv and early_warning.png.

    Args:
        run: folder of a finished run.
        number: of fresh events, for runs on simulated data.
        folder: for the table and the figure.
        times_s: after the first P, positive; infinity keeps whole records.

    Raises:
        ValueError: where `run` is no finished run, or a time is not positive.
    """
    if not times_s or not all(time_s > 0 for time_s in times_s):
        raise ValueError(f"times_s must be positive times in s after the first P, got {list(times_s)}")
    config, fitted = load(run)
    triggered = config["data"].get("records", {}).get("elapsed_s") is not None
    events = whole_records(config, number)
    spec = without_repeats(fitted.spec) if triggered else fitted.spec
    rows = []
    for time_s in times_s:
        truncated = at_times(events, [time_s]) if triggered else truncated_at(events, time_s)
        rows.append({"elapsed_s": time_s} | row_of(predict.locate(fitted, truncated), spec))
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "early_warning.csv", rows, list(rows[0]))
    since = "first trigger" if triggered else "first P"
    over_time(folder / "early_warning.png", rows, f"{config['name']}: {len(events)} events", since)
    return rows


def whole_records(config: Mapping[str, Any], number: int) -> Dataset:
    """Whole records of events that the run has not trained on."""
    records = {**config["data"].get("records", {}), "elapsed_s": None}
    return unseen({**config["data"], "records": records}, int(config["seed"]), number, PURPOSE)


def truncated_at(dataset: Dataset, elapsed_s: float) -> Dataset:
    """The events with records that end `elapsed_s` (s) after the first P; infinity keeps them whole."""
    ended = jax.jit(jax.vmap(lambda event: cut(event, first_p_s(event) + elapsed_s)))
    inner = dataset.take

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        return jax.tree.map(np.asarray, ended(inner(index)))

    return retaken(dataset, take)


def without_repeats(spec: ModelSpec) -> ModelSpec:
    """A spec whose catalogue has each hypocentre once: training takes an event at several times."""
    _, index = np.unique(spec.catalogue.hypocentres, axis=0, return_index=True)
    once = spec.catalogue._replace(hypocentres=spec.catalogue.hypocentres[index], known=spec.catalogue.known[index])
    return spec._replace(catalogue=once)


def row_of(located: Located, spec: ModelSpec) -> Row:
    """Scores of located events, of the climatology and of labels; 95 % intervals end at `NAME_low` and `NAME_high`.

    `epicentre_sd_km` is the mean predicted standard deviation of the epicentre, `epistemic_km` its epistemic part, and
    `triggered` the mean number of stations with a P pick (NaN without picks).
    """
    batch, posterior = located.batch, located.posterior
    number = len(batch.observations.station_mask)
    posteriors = {"own": posterior, "climatology": report.baseline_of(spec, number)}
    cards, _ = report.score(posteriors, batch.labels["hypocentre"])
    variance = np.trace(np.asarray(posterior.epistemic)[:, :2, :2], axis1=1, axis2=2)
    row: Row = {"events": number, "triggered": _triggered(batch), "epistemic_km": float(np.sqrt(variance).mean())}
    for name, path in PATHS.items():
        row |= _estimate(name, lookup(cards["own"], path))
        if name in COMPARED:
            row |= _estimate(f"{name}_climatology", lookup(cards["climatology"], path))
    for label, card in score_labels(posterior.others, batch.labels).items():
        for score in (score for score in LABEL_SCORES if score in card):
            row |= _estimate(f"{label}_{score}", card[score])
        row |= _estimate(f"{label}_90", lookup(card, "coverage/90"))
    return row


def _triggered(batch: Batch) -> float:
    mask = batch.observations.pick_mask
    return math.nan if mask is None else float(np.asarray(mask)[..., 0].sum(-1).mean())


def _estimate(name: str, estimate: Mapping[str, Any] | None) -> Row:
    if estimate is None:
        return {}
    return {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}


def arguments_of(description: str, name: str, *more: Callable[[argparse.ArgumentParser], Any]) -> argparse.Namespace:
    """A run, a number of events and an output folder (RUN/NAME) from the command line, and what `more` adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--events", type=int, default=300, help="number of fresh simulated events (default: 300)")
    parser.add_argument("--output", type=Path, help=f"folder for the results (default: RUN/{name})")
    for add in more:
        add(parser)
    parsed = parser.parse_args()
    parsed.output = parsed.output or parsed.run / name
    return parsed


def main() -> None:
    """The command line of this module."""
    add_times = lambda parser: parser.add_argument("--times", type=float, nargs="+", default=list(TIMES_S), help="in s")
    parsed = arguments_of("scores against time since the first P", "early_warning", add_times)
    print(markdown_of(evaluate_over_time(parsed.run, parsed.events, parsed.output, parsed.times), SHOWN))


if __name__ == "__main__":
    run_as_command(main)
