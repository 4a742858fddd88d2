"""What a warning is worth by the time since the first P: python -m jaxloc.studies.early_warning RUN --output FOLDER.

A run locates the same events again and again, each time with records that end so many seconds after the first P at its
network, and at last with whole records. Runs on simulated data are judged by fresh events, others by those that they
were chosen on.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloc.data.dataset import Dataset, retaken
from jaxloc.data.truncation import cut, first_p_s
from jaxloc.plots.early_warning import elapsed
from jaxloc.runs import predict, report, train
from jaxloc.runs.datasets import unseen
from jaxloc.runs.predict import Fitted
from jaxloc.scores.events import score_events
from jaxloc.scores.labels import score_labels
from jaxloc.scores.score_card import score_card
from jaxloc.studies.table import SCORES, Row, markdown_of, value_of, write_csv
from jaxloc.types import Batch, Label, Posterior

ELAPSED_S = (1.0, 2.0, 4.0, 8.0, 15.0, math.inf)
ROUND = 8  # of fresh events: none that a calibration or a study uses
DRAWS, RESAMPLES = 500, 200
MAGNITUDE = ("mae", "crps", "crps_climatology")
SHOWN = {
    "since first P (s)": "elapsed_s",
    "epicentre, median (km)": "epicentre_median_km",
    "depth, mean abs. (km)": "depth_mae_km",
    "energy (km)": "energy_km",
    "catalogue": "catalogue_energy_km",
    "90 % hypocentre": "hypocentre_90",
    "90 % area (km²)": "area90_km2",
    "magnitude CRPS": "magnitude_crps",
    "climatology": "magnitude_crps_climatology",
    "90 % magnitude": "magnitude_90",
}


def so_far(dataset: Dataset, elapsed_s: float) -> Dataset:
    """The events as their records are `elapsed_s` after the first P; infinity leaves them whole."""
    ended = jax.jit(jax.vmap(lambda event: cut(event, first_p_s(event) + elapsed_s)))
    inner = dataset.take

    def take(index: np.ndarray) -> Batch:
        return jax.tree.map(np.asarray, ended(inner(index)))

    return retaken(dataset, take)


def row_of(fitted: Fitted, dataset: Dataset) -> Row:
    """Scores of a run's posteriors of a data set, of the training catalogue and of magnitudes.

    `stated_km` is the mean stated error of the epicentre, `epistemic_km` its part by draws of weights that disagree.
    """
    located = predict.locate(fitted, dataset)
    truth = located.batch.labels["hypocentre"]
    card = _card(located.posterior, truth)
    catalogue = _card(report.baseline_of(fitted.blueprint, len(dataset)), truth)
    row: Row = {"events": len(dataset)} | {name: value_of(card, path) for name, path in SCORES.items()}
    spread = np.trace(np.asarray(located.posterior.epistemic)[:, :2, :2], axis1=1, axis2=2)
    row |= {"epistemic_km": float(np.sqrt(spread).mean()), "stated_km": value_of(card, "epicentre/stated/mean")}
    row["catalogue_energy_km"] = value_of(catalogue, SCORES["energy_km"])
    magnitude = score_labels(located.posterior.others, located.batch.labels).get("magnitude", {})
    row |= {f"magnitude_{name}": value_of(magnitude, name) for name in MAGNITUDE}
    return row | {"magnitude_90": value_of(magnitude, "coverage/90")}


def _card(posterior: Posterior, truth: Label) -> dict[str, Any]:
    key = jax.random.key(report.SCORE_SEED)
    return score_card(key, score_events(key, posterior, truth, DRAWS), RESAMPLES)


def judge(run: Path, number: int, folder: Path, times_s: Sequence[float] = ELAPSED_S) -> list[Row]:
    """A row for each time since the first P; writes `early.csv` and `early.png`.

    Raises:
        ValueError: where the folder is no finished run.
    """
    config, fitted = train.load(run)
    dataset = unseen(config["data"], int(config["seed"]), number, ROUND)
    rows = [{"elapsed_s": time_s} | row_of(fitted, so_far(dataset, time_s)) for time_s in times_s]
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "early.csv", rows, list(rows[0]))
    elapsed(folder / "early.png", rows, f"{config['name']}: {len(dataset)} events while they go on")
    return rows


def asked(description: str) -> argparse.Namespace:
    """A run, how many events to judge it by and a folder to write to, from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("run", type=Path)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("runs/judged"))
    return parser.parse_args()


def main() -> None:
    """The command line of this module."""
    parsed = asked("error, CRPS and coverage by the time since the first P")
    print(markdown_of(judge(parsed.run, parsed.events, parsed.output), SHOWN))


if __name__ == "__main__":
    main()
