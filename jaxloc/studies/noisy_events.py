"""How small and noisy an event may be: real events under more of their own noise, located by a model and by onsets.

    python -m jaxloc.studies.noisy_events FOLDER --velocity model.csv --split dev --output noisy_oklahoma

At each level an event is buried in noise until P has that median signal-to-noise ratio (`buried_events`); events whose
own ratio is lower are left out there. Beside the model are onsets by the ratio of energies and Akaike's criterion
(`jaxloc.data.onset_picks`) with an octree search in the same region and velocities. Errors are those of events that are
located, flagged or not; detected are those that are not refused.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.stats
from jaxtyping import Bool

from jaxloc import locators, prng
from jaxloc.data.dataset import Dataset, retaken
from jaxloc.data.onset_picks import onset_picks
from jaxloc.data.selection import concatenated, evenly, held, select
from jaxloc.io.seisbench import ARRIVAL_COLUMNS
from jaxloc.io.velocity_model import VelocityFile, velocity_file
from jaxloc.locators.padding import over_padded
from jaxloc.locators.setup import Setup
from jaxloc.plots.noisy_events import against_ratio
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.flags import verdicts
from jaxloc.runs.inputs import open_input
from jaxloc.runs.load import load
from jaxloc.runs.new_events import searched
from jaxloc.runs.predict import joined, locate_by, located_chunks
from jaxloc.runs.transfer import prepared, trained_for
from jaxloc.runs.weight_free import setup_of
from jaxloc.scores.events import score_events
from jaxloc.studies.buried_events import buried, p_arrivals_s, ratios_db
from jaxloc.studies.command import run_as_command
from jaxloc.studies.table import Row, markdown_of, write_csv
from jaxloc.training.log import counted
from jaxloc.types import Batch, Label, Posterior

LEVELS_DB = (-6.0, 0.0, 6.0, 12.0, 20.0)
MODEL, ONSETS = "model", "onsets and octree search"
NEAR_KM = 10.0  # of a usable location
ONSET_SIGMA_S = 0.1
BASELINE = {"kind": "l2", "outlier": 0.3, "model_sd_s": 0.2}
SHOWN = {
    "SNR (dB)": "level_db",
    "events": "events",
    "detected": "detected",
    "flagged": "flagged",
    "epicentre, median (km)": "median_km",
    "p90 (km)": "p90_km",
    "located within 10 km": "within",
    "90 % regions cover": "covered_90",
}


class Found(NamedTuple):
    """Posteriors of events by one method, and which of them it detects and flags."""

    posterior: Posterior
    truth: Label
    detected: Bool[np.ndarray, " event"]
    flagged: Bool[np.ndarray, " event"]


def by_model(fitted: Fitted, dataset: Dataset, config: Mapping[str, Any]) -> Found:
    """Events located by a model; detected are those that it does not refuse."""
    on_chunk = counted(partial(print, flush=True), "located", len(dataset))
    located = joined(list(located_chunks(fitted, dataset, with_checks=True, on_chunk=on_chunk)))
    decided = verdicts(located, searched(fitted, dataset, config))
    refused, flagged = np.array([(bool(verdict.refused), bool(verdict.flags)) for verdict in decided]).T
    return Found(located.posterior, located.batch.labels["hypocentre"], ~refused, flagged & ~refused)


def by_onsets(setup: Setup, dataset: Dataset) -> Found:
    """Events located by an octree search (`jaxloc.locators.octree`) with their onsets."""
    refused: dict[int, str] = {}

    def take(index: np.ndarray) -> Batch:
        batch = dataset.take(index)
        seen = batch.observations
        picks = onset_picks(np.asarray(seen.waveforms), dataset.rate_hz, np.asarray(seen.sample_mask))
        refused.update(zip(np.asarray(index).tolist(), picks.refused, strict=True))
        sigma_s = np.full(picks.time_s.shape, ONSET_SIGMA_S, np.float32)
        picked = {"picks_s": picks.time_s.astype(np.float32), "pick_sigma_s": sigma_s, "pick_mask": picks.mask}
        return batch._replace(observations=seen._replace(waveforms=None, sample_mask=None, **picked))

    locator = over_padded(locators.build("octree", setup, BASELINE))
    located = locate_by(prng.stream("location"), locator, retaken(dataset, take))
    detected = np.array([not refused[i] for i in range(len(dataset))])
    return Found(located.posterior, located.batch.labels["hypocentre"], detected, np.zeros(len(detected), bool))


def row_of(found: Found) -> Row:
    """Scores of the events of one level; intervals of shares are exact."""
    scores = score_events(prng.stream("scores"), found.posterior, found.truth)
    error_km, level = (np.asarray(scores[f"epicentre/{name}"], float) for name in ("error", "level"))
    kept = found.detected & np.isfinite(error_km)
    row: Row = {"events": len(kept), "detected": float(found.detected.mean()), "flagged": float(found.flagged.mean())}
    row |= {"median_km": np.nan, "p90_km": np.nan, "within": float((kept & (error_km < NEAR_KM)).mean())}
    if not kept.any():
        return row | {"covered_90": np.nan, "covered_90_low": np.nan, "covered_90_high": np.nan}
    row |= {f"{n}_km": float(np.quantile(error_km[kept], q)) for n, q in (("median", 0.5), ("p90", 0.9))}
    covered = level[kept] <= 0.9
    low, high = scipy.stats.binomtest(int(covered.sum()), len(covered)).proportion_ci(0.95, method="exact")
    return row | {"covered_90": float(covered.mean()), "covered_90_low": float(low), "covered_90_high": float(high)}


def _rows(within: slice, x: Any) -> Any:
    return x[within]


def evaluate_levels(
    weights: Path,
    folder: Path,
    split: str | None,
    p_column: str,
    velocity: VelocityFile | None,
    most: int,
    output: Path,
) -> list[Row]:
    """A row for each level and method; writes noisy_events.csv into `output`.

    Raises:
        ValueError: where weights, folder or velocities are missing or wrong, or events lack what their noise and P are
            found by (`buried_events`).
    """
    config, fitted = load(weights)
    picks = {"pick_columns": {**ARRIVAL_COLUMNS, "P": p_column}}  # that origin times are found by
    dataset = held(
        evenly(open_input(fitted, {**config, "data": {**config["data"], **picks}}, [folder], None, None, split), most)
    )
    fitted = prepared(trained_for(fitted, dataset, velocity), dataset)
    setup = setup_of(fitted.spec, dataset)
    p_s = p_arrivals_s(dataset, setup)
    own_db = ratios_db(dataset, p_s)
    print(f"median ratio of P of {len(dataset)} events in dB: {np.array2string(np.sort(own_db), precision=0)}")
    key = prng.stream("noise of a condition")
    rows_at = {level: np.flatnonzero(own_db >= level) for level in LEVELS_DB}
    levels = {level: select(buried(dataset, p_s, level, key), rows) for level, rows in rows_at.items() if len(rows)}
    whole = held(reduce(concatenated, levels.values()))
    ends = np.cumsum([0, *map(len, levels.values())])
    table: list[Row] = []
    for method, found in ((MODEL, by_model(fitted, whole, config)), (ONSETS, by_onsets(setup, whole))):
        for level, within in zip(levels, map(slice, ends[:-1], ends[1:]), strict=True):
            about = {"set": dataset.name, "method": method, "level_db": level}
            table.append(about | row_of(jax.tree.map(partial(_rows, within), found)))
    output.mkdir(parents=True, exist_ok=True)
    write_csv(output / "noisy_events.csv", table, list(table[0]))
    return table


def read_rows(path: Path) -> list[Row]:
    """Rows of noisy_events.csv of an earlier call.

    Raises:
        ValueError: where there is no such file.
    """
    if not path.is_file():
        raise ValueError(f"no such table: {path}; --together must name noisy_events.csv of an earlier call")
    texts = ("set", "method")
    with path.open() as file:
        return [
            {name: value if name in texts else float(value or "nan") for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="SeisBench folder of located events")
    parser.add_argument("--weights", type=Path, default=Path("anywhere"), help="model (default: anywhere)")
    parser.add_argument("--split", help="events of this split only")
    parser.add_argument("--p-column", default=ARRIVAL_COLUMNS["P"], help="picks of P, where origin times are unknown")
    parser.add_argument("--velocity", type=Path, help="as for locate (default: that of the model)")
    parser.add_argument("--velocity-form", choices=("layers", "gradient"), help="its rows, as for locate")
    parser.add_argument("--most", type=int, default=50, help="events, evenly spaced in the set (default: 50)")
    parser.add_argument("--output", type=Path, default=Path("noisy_events"), help="folder for the table")
    parser.add_argument("--picture", type=Path, help="PNG to write, of this table and those of --together")
    parser.add_argument("--together", type=Path, nargs="*", default=[], help="noisy_events.csv of other sets")
    parsed = parser.parse_args(arguments)
    others = [row for path in parsed.together for row in read_rows(path)]
    velocity = velocity_file(parsed.velocity, None, None, parsed.velocity_form)
    table = evaluate_levels(
        parsed.weights, parsed.folder, parsed.split, parsed.p_column, velocity, parsed.most, parsed.output
    )
    for method in (MODEL, ONSETS):
        print(f"{parsed.folder.name}, {method}")
        print(markdown_of([row for row in table if row["method"] == method], SHOWN))
    if parsed.picture:
        against_ratio(parsed.picture, [*others, *table])


if __name__ == "__main__":
    run_as_command(main)
