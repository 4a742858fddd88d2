"""Labelled windows as continuous records: python -m jaxloc.studies.continuous_windows DATASET OUT.

DATASET is a SeisBench folder. OUT gets miniSEED with gaps where there is no window, stations.csv, and the labels as
truth.csv, truth.xml and truth_picks.csv: `jaxloc catalogue` on it is judged by `jaxloc evaluate --catalogue --truth`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxloc.io.seisbench import read_seisbench
from jaxloc.runs.continuous_windows import write_windows
from jaxloc.studies.command import run_as_command


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m jaxloc.studies.continuous_windows", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("--split", help="windows of this split only")
    given = parser.parse_args(arguments)
    dataset = read_seisbench(given.dataset, split=given.split, remove_mean=False)
    found = write_windows(given.output, dataset)
    span_s = sum(each.mask.shape[1] for each in found) / dataset.rate_hz
    print(f"{len(dataset)} windows in {len(found)} stretches of {span_s:.0f} s in all: {given.output}")
    if disagreeing := sum(each.disagreeing for each in found):
        print(f"{disagreeing} samples of overlapping windows disagree; those of the earlier window are written")


if __name__ == "__main__":
    run_as_command(main)
