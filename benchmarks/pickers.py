"""Picks of real records by a file of weights and by PhaseNet, scored alike: python -m benchmarks.pickers FOLDERS ...

PhaseNet's picks are maxima of a probability of 0.3 or more. PHASENET names its file of weights (environment), which is
not part of jaxloc. Both read the records of the same stations that have a label, at their own sampling rates.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from benchmarks import phasenet
from jaxloc.io.seisbench import read_seisbench
from jaxloc.models.pretrained import read_pretrained
from jaxloc.physics.rate_picks import LEAST_PROBABILITY, RatePicks
from jaxloc.runs.pretrain import rates_reader
from jaxloc.runs.shipped import weights_of
from jaxloc.scores.pick_scores import PhaseScore, score_picks
from jaxloc.studies.pick_residuals import labelled_records, picks_of_record, table

APART_S = 0.4  # between two picks of one phase


def peaks_of(probability: np.ndarray) -> RatePicks:
    """Maxima of PhaseNet's probabilities; it predicts no standard deviation."""
    rows = []
    for phase in range(2):
        at, _ = find_peaks(np.pad(probability[:, phase], 1), height=LEAST_PROBABILITY, distance=int(APART_S * 100))
        rows += [(phase, (i - 1) / phasenet.RATE_HZ, np.nan, probability[i - 1, phase]) for i in at]
    phase, time_s, sigma_s, share = np.array(sorted(rows, key=lambda row: row[1]), float).reshape(-1, 4).T
    return RatePicks(phase.astype(int), time_s, sigma_s, share)


def score_folder(weights: Path, peer: phasenet.Weights, folder: Path) -> dict[str, dict[str, PhaseScore]]:
    """Scores by picker and phase."""
    found = read_pretrained(weights)
    scores = {}
    for name, rate_hz in (("jaxloc", found.rate_hz), ("PhaseNet", phasenet.RATE_HZ)):
        dataset = read_seisbench(folder, rate_hz=rate_hz)
        read = rates_reader(found)
        picks, known = [], []
        for record, mask, truth in labelled_records(dataset):
            by_peer = name == "PhaseNet"
            picks.append(
                peaks_of(phasenet.over_record(peer, record))
                if by_peer
                else picks_of_record(read, record, mask, rate_hz)
            )
            known.append(truth)
        scores[f"{folder.name}, {name}"] = score_picks(picks, known, dataset.num_samples / rate_hz)
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, default=Path("anywhere"))
    parsed = parser.parse_args()
    peer = phasenet.read_weights(Path(os.environ["PHASENET"]))
    scores: dict[str, dict[str, PhaseScore]] = {}
    for folder in parsed.folders:
        scores |= score_folder(weights_of(parsed.weights) or parsed.weights, peer, folder)
    print(table(scores))


if __name__ == "__main__":
    main()
