"""How well a file of weights reads arrivals of real records: its picks against analysts', set by set.

    python -m jaxloc.studies.pick_residuals anywhere FOLDER FOLDER ...

Each folder is a SeisBench folder with labelled arrivals. Records may bear events that nobody labelled: picks far from
any label are counted, not called false.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from jaxloc.data.dataset import Dataset
from jaxloc.io.seisbench import read_seisbench
from jaxloc.models.pretrained import read_pretrained
from jaxloc.physics.rate_picks import RatePicks, picks_of_rates
from jaxloc.runs.pretrain import RatesOf, mean_log_rate, rates_reader
from jaxloc.runs.shipped import weights_of
from jaxloc.scores.markdown import markdown_table
from jaxloc.scores.pick_scores import Known, PhaseScore, score_picks

EVENTS_AT_ONCE = 4
SHOWN = ("arrivals", "recall_near", "recall", "median_s", "mad_s", "inside_68", "inside_90", "picks", "precision")


def score_set(weights: Path, folder: Path) -> dict[str, PhaseScore]:
    """Scores by phase of the picks of one set.

    Raises:
        ValueError: where weights or folder are missing or wrong; names them.
    """
    found = read_pretrained(weights)
    dataset = read_seisbench(folder, rate_hz=found.rate_hz)
    read = rates_reader(found)
    picks, known = [], []
    for first in range(0, len(dataset), EVENTS_AT_ONCE):
        some = np.arange(first, min(first + EVENTS_AT_ONCE, len(dataset)))
        of_events = read_events(dataset, read, some, found.rate_hz)
        picks += of_events[0]
        known += of_events[1]
    return score_picks(picks, known, dataset.num_samples / found.rate_hz)


def read_events(
    dataset: Dataset, read: RatesOf, index: Int[np.ndarray, " event"], rate_hz: float
) -> tuple[list[RatePicks], list[Known]]:
    """Picks of the records of some events, and what analysts labelled; records without a label are left out."""
    batch = dataset.take(index)
    seen, label = batch.observations, batch.labels["arrivals"]
    labelled = np.asarray(label.mask).any(-1) & np.asarray(seen.station_mask)
    rows = np.argwhere(labelled)
    picks, known = [], []
    for event, station in rows:
        mask = None if seen.sample_mask is None else np.asarray(seen.sample_mask)[event, station]
        log_rate = mean_log_rate(np.asarray(read(np.asarray(seen.waveforms)[event, station].T, mask)))
        picks.append(picks_of_rates(log_rate, rate_hz))
        value, there = np.asarray(label.value)[event, station], np.asarray(label.mask)[event, station]
        known.append(Known(value[None], there[None], np.full((1, 2), np.inf)))
    return picks, known


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
    main()
