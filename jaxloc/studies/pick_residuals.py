"""How well a file of weights reads arrivals of real records: its picks against analysts', set by set.

    python -m jaxloc.studies.pick_residuals anywhere FOLDER FOLDER ...

Each folder is a SeisBench folder with labelled arrivals. Records may bear events that nobody labelled: picks far from
any label are counted, not called false.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.dataset import Dataset
from jaxloc.io.seisbench import read_seisbench
from jaxloc.models.pretrained import read_pretrained
from jaxloc.physics.rate_picks import RatePicks, picks_of_rates
from jaxloc.runs.pretrain import RatesOf, mean_log_rate, rates_reader
from jaxloc.runs.shipped import weights_of
from jaxloc.scores.markdown import markdown_table
from jaxloc.scores.pick_scores import Known, PhaseScore, score_picks
from jaxloc.studies.command import run_as_command
from jaxloc.types import PHASES

SHOWN = ("arrivals", "recall_near", "recall", "median_s", "mad_s", "inside_68", "inside_90", "picks", "precision")

Labelled = tuple[Float[np.ndarray, "sample component"], Bool[np.ndarray, " sample"] | None, Known]


def score_set(weights: Path, folder: Path) -> dict[str, PhaseScore]:
    """Scores by phase of the picks of one set.

    Raises:
        ValueError: where weights or folder are missing or wrong; names them.
    """
    found = read_pretrained(weights)
    dataset, read = read_seisbench(folder, rate_hz=found.rate_hz), rates_reader(found)
    records = [
        (picks_of_record(read, record, mask, found.rate_hz), known) for record, mask, known in labelled_records(dataset)
    ]
    picks, known = ([record[i] for record in records] for i in range(2))
    return score_picks(picks, known, dataset.num_samples / found.rate_hz)  # pyright: ignore[reportArgumentType]


def labelled_records(dataset: Dataset) -> Iterator[Labelled]:
    """Records with a labelled arrival, one at a time: samples, which of them were recorded, and the labels."""
    for event in range(len(dataset)):
        batch = jax.tree.map(lambda x: np.asarray(x)[0], dataset.take(np.array([event])))
        seen, label = batch.observations, batch.labels["arrivals"]
        for station in np.flatnonzero(label.mask.any(-1) & seen.station_mask):
            mask = None if seen.sample_mask is None else seen.sample_mask[station]
            known = Known(label.value[station][None], label.mask[station][None], np.full((1, len(PHASES)), np.inf))
            yield seen.waveforms[station].T, mask, known


def picks_of_record(
    read: RatesOf,
    record: Float[np.ndarray, "sample component"],
    mask: Bool[np.ndarray, " sample"] | None,
    rate_hz: float,
) -> RatePicks:
    """Picks of one record by the mean rate of all draws of the weights."""
    return picks_of_rates(mean_log_rate(np.asarray(read(record, mask))), rate_hz)


def table(scores: dict[str, dict[str, PhaseScore]]) -> str:
    """A table with a row for each set and phase."""
    rows = [
        [name, phase, *(f"{value:,}" if isinstance(value, int) else f"{value:.3g}" for value in _shown(each))]
        for name, phases in scores.items()
        for phase, each in phases.items()
    ]
    return markdown_table(["set", "phase", *(name.replace("_", " ") for name in SHOWN)], rows)


def _shown(score: PhaseScore) -> list[float]:
    return [getattr(score, name) for name in SHOWN]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="file of weights, or the name of a model that comes with jaxloc")
    parser.add_argument("folders", type=Path, nargs="+", help="SeisBench folders with labelled arrivals")
    parsed = parser.parse_args(arguments)
    weights = weights_of(parsed.weights) or parsed.weights
    print(table({folder.name: score_set(weights, folder) for folder in parsed.folders}))


if __name__ == "__main__":
    run_as_command(main)
