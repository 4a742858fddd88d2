"""The table of a study under shift: energy score, coverage, epistemic share and OOD detection in every condition."""

from collections.abc import Sequence

import numpy as np

from jaxloc.scores.markdown import markdown_table
from jaxloc.studies.table import Row, over_seeds

WITHOUT_EVENT = ("reversed in time", "noise alone")
"""Conditions in which there is nothing to locate: their errors mean nothing."""
HEADER = (
    "network",
    "method",
    "condition",
    "epicentre mean (km)",
    "energy (km)",
    "hypocentre 50 / 90",
    "epistemic share",
    "AUROC: features / share",
)


def markdown(rows: Sequence[Row]) -> str:
    """All conditions as a table in Markdown, raw posteriors, means over seeds; coverage in per cent.

    AUROC is that of out-of-distribution detection by the distance in feature space, and by the epistemic share, against
    events as trained.
    """
    merged = [row for row in over_seeds(rows) if row["posterior"] == "raw"]
    return markdown_table(list(HEADER), [_cells(row) for row in merged]) + "\n"


def _cells(row: Row) -> list[str]:
    located = row["condition"] not in WITHOUT_EVENT
    scores = [_shown(row[name] if located else np.nan) for name in ("epicentre_mean_km", "energy_km")]
    coverage = " / ".join(f"{100 * row[f'hypocentre_{level}']:.0f}" for level in (50, 90)) if located else "-"
    found = " / ".join(_shown(row[name]) for name in ("auroc_features", "auroc_epistemic"))
    names = [row["network"], row["method"], row["condition"]]
    return [*names, *scores, coverage, _shown(row["epistemic_share"]), found]


def _shown(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3g}"
