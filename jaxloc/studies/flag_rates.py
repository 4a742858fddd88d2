"""Out-of-distribution flags on windows that were not used to fit them: python -m jaxloc.studies.flag_rates RUN.

A row for each kind of record: the AUROC of the detector's score against in-distribution windows, the share of windows
with a flag, the share that is refused by the detector or since arrivals fit no hypocentre, and the share that is not
called located without a flag or reason. For runs on simulated data; `outside` are events beyond the search region.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxloc.calibration import shift_detector
from jaxloc.calibration.shift_detector import ORDINARY
from jaxloc.data.dataset import Dataset
from jaxloc.data.selection import select
from jaxloc.runs.datasets import fresh_events
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.flags import verdicts
from jaxloc.runs.load import load
from jaxloc.runs.new_events import searched
from jaxloc.runs.predict import joined, located_chunks
from jaxloc.runs.shift_windows import lowest_hz, windows
from jaxloc.runs.transfer import prepared
from jaxloc.scores.auroc import auroc
from jaxloc.scores.markdown import markdown_table
from jaxloc.studies.command import run_as_command
from jaxloc.studies.early_warning import arguments_of
from jaxloc.studies.table import Row, write_csv

ORDINARY_EACH = 2  # in-distribution windows for each of a shift
BEYOND_KM = 3.0  # events at least so far beyond the search region
WIDER = 3.0  # width of the simulated region over that of training, for events beyond it
SHOWN = {
    "kind of window": "kind",
    "windows": "windows",
    "AUROC": "auroc",
    "flagged": "flagged",
    "refused": "refused",
    "flagged or refused": "noticed",
    "named so": "named",
}


def evaluate_flags(run: Path, number: int, folder: Path) -> list[Row]:
    """A row for each kind of window; writes flag_rates.csv.

    Args:
        run: folder of a finished run on simulated data, with out-of-distribution flags.
        number: of windows of each kind; twice as many in distribution.
        folder: for the table.

    Raises:
        ValueError: where `run` has no flags or its data are not simulated.
    """
    config, fitted = load(run)
    if fitted.shifts is None:
        raise ValueError(f"{run} has no out-of-distribution flags; train it with evaluation.shift_windows above 0")
    data, seed = config["data"], int(config["seed"])
    whole = fresh_events(data, seed, ORDINARY_EACH * number, "test")
    fitted = prepared(fitted, whole)
    kinds = windows(whole, number, lowest_hz(fitted))
    kinds["outside"] = outside(data, seed, number, fitted)
    rows: list[Row] = []
    ordinary: np.ndarray | None = None
    for name, dataset in kinds.items():
        row, score = _row(name, fitted, dataset, config)
        ordinary = score if name == ORDINARY else ordinary
        rows.append(row | {"auroc": float("nan") if ordinary is None else auroc(ordinary, score)})
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "flag_rates.csv", rows, list(rows[0]))
    return rows


def outside(data: Mapping[str, Any], seed: int, number: int, fitted: Fitted) -> Dataset:
    """Fresh events beyond the search region's sides.

    Raises:
        ValueError: where the data have no `half_width_km`.
    """
    if "half_width_km" not in data:
        raise ValueError("this run's data have no half_width_km; use a run on data=simulated of the preset general")
    wide = fresh_events({**data, "half_width_km": WIDER * data["half_width_km"]}, seed, 4 * number, "transfer")
    at = np.asarray(wide.take(np.arange(len(wide))).labels["hypocentre"].value)
    region = fitted.spec.region
    beyond = [
        (at[:, i] < low - BEYOND_KM) | (at[:, i] > high + BEYOND_KM)
        for i, (low, high) in enumerate((region.east_km, region.north_km))
    ]
    return select(wide, np.flatnonzero(beyond[0] | beyond[1])[:number])


def _row(name: str, fitted: Fitted, dataset: Dataset, config: Mapping[str, Any]) -> tuple[Row, np.ndarray]:
    located = joined(list(located_chunks(fitted, dataset, with_checks=True)))
    assert fitted.shifts is not None
    assert located.statistics is not None
    found = shift_detector.scores(fitted.shifts, located.statistics)
    decided = verdicts(located, searched(fitted, dataset, config))
    flagged = found.shift > fitted.shifts.flag_above
    row = {
        "kind": name,
        "windows": len(dataset),
        "auroc": float("nan"),
        "flagged": float(flagged.mean()),
        "refused": float(np.mean([bool(v.refused) for v in decided])),
        "noticed": float(np.mean([bool(v.refused or v.flags) for v in decided])),
        "named": float(np.mean([kind == name for kind in found.kind])),
    }
    return row, found.shift


def main() -> None:
    """The command line of this module."""
    parsed = arguments_of("out-of-distribution flags on windows not used to fit them", "flag_rates")
    rows = evaluate_flags(parsed.run, parsed.events, parsed.output)
    lines = [[str(row["kind"]), *(f"{row[name]:.3g}" for name in SHOWN.values() if name != "kind")] for row in rows]
    print(markdown_table(list(SHOWN), lines))


if __name__ == "__main__":
    run_as_command(main)
