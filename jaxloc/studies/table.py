"""The table of a study: a row for each cell and condition, and their means over seeds."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.scores.markdown import markdown_table
from jaxloc.scores.score_card import lookup
from jaxloc.types import LEVELS

KEY = ("network", "method", "size", "condition", "posterior")
COVERAGE = tuple(f"hypocentre_{100 * level:.0f}" for level in LEVELS)
SCORES = {
    "epicentre_median_km": "epicentre/error/median",
    "epicentre_mean_km": "epicentre/error/mean",
    "depth_mae_km": "depth/error/mae",
    "origin_mae_s": "origin/error/mae",
    "crps_east_km": "east/crps/mean",
    "crps_north_km": "north/crps/mean",
    "crps_depth_km": "depth/crps/mean",
    "energy_km": "hypocentre/energy/mean",
    "nll_nats": "hypocentre/nll/mean",
    "area90_km2": "epicentre/width90/median",
    "epistemic_share": "epicentre/epistemic_share/mean",
    "epistemic_rank_correlation": "epicentre/epistemic_rank_correlation",
    **dict(zip(COVERAGE, (f"hypocentre/coverage/{100 * level:.0f}" for level in LEVELS), strict=True)),
    "epicentre_90": "epicentre/coverage/90",
    "depth_90": "depth/coverage/90",
}
CONFORMAL = {f"conformal_{100 * level:.0f}": f"{100 * level:.0f}" for level in LEVELS}
"""Coverage of the conformal regions of the hypocentre, of calibrated posteriors."""
UNIFORM = {f"sbc_p_{region}": f"{region}/pit_uniformity" for region in ("east", "north", "depth", "origin")}
"""Simulation-based calibration (Talts and others 2018): Cramér-von Mises p-values of uniform ranks of the truth."""
COSTS = ("training_s", "locating_s", "parameters", "auroc_features", "auroc_epistemic", "events")
SHOWN = (
    "epicentre_median_km",
    "depth_mae_km",
    "energy_km",
    "nll_nats",
    *COVERAGE,
    "area90_km2",
    "epistemic_share",
    "epistemic_rank_correlation",
    "training_s",
)
POSTERIORS = ("raw", "calibrated", "climatology")
Row = dict[str, Any]


def rows_of(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """A row for each cell, condition and posterior: raw, calibrated, and the climatology where it was compared."""
    rows = []
    for record in records:
        for condition, found in record["conditions"].items():
            own = record["cell"] | {"condition": condition, "locating_s": found["locating_s"]}
            own |= {name: record[name] for name in ("training_s", "parameters")}
            own |= {f"auroc_{name}": value for name, value in found["auroc"].items()}
            for posterior in (name for name in POSTERIORS if name in found):
                card = found[posterior]["card"]
                scores = {name: value_of(card, path) for name, path in SCORES.items()}
                scores |= {name: value_of(card, path, "p_value") for name, path in UNIFORM.items()}
                scores |= {
                    name: found[posterior].get("conformal_coverage", {}).get(level, np.nan)
                    for name, level in CONFORMAL.items()
                }
                rows.append(own | {"posterior": posterior, "events": card["number"]} | scores)
    return rows


def value_of(card: Mapping[str, Any], path: str, name: str = "value") -> float:
    """An estimate of a score card by its path; NaN where there is none."""
    found = lookup(dict(card), path)
    return np.nan if found is None or found[name] is None else float(found[name])


def over_seeds(rows: Sequence[Row]) -> list[Row]:
    """Means over seeds and half their range (`NAME_spread`); `seeds` is their number."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEY), []).append(row)
    merged = []
    for key, members in groups.items():
        row: Row = dict(zip(KEY, key, strict=True)) | {"seeds": len(members)}
        for name in (*SCORES, *CONFORMAL, *COSTS):
            values = np.array([member.get(name, np.nan) for member in members], float)
            row[name] = float(values.mean())
            row[f"{name}_spread"] = float(np.ptp(values) / 2)
        merged.append(row)
    return merged


COLUMNS = (
    "network",
    "method",
    "seed",
    "size",
    "condition",
    "posterior",
    "events",
    *SCORES,
    *CONFORMAL,
    *UNIFORM,
    *COSTS[:-1],
)


def write_csv(path: Path, rows: Sequence[Row], names: Sequence[str] = COLUMNS) -> None:
    """Write the named columns of all rows; an unknown value is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _plain(row.get(name)) for name in names})
    write_whole(path, text.getvalue().encode())


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def markdown(rows: Sequence[Row], condition: str = "as trained") -> str:
    """One condition as a table in Markdown, means over seeds.

    The last two columns are the coverage of the hypocentre's 50 / 68 / 90 / 95 % regions in per cent: of calibrated
    posteriors, and of conformal regions.
    """
    merged = [row for row in over_seeds(rows) if row["condition"] == condition]
    calibrated = {tuple(r[n] for n in KEY[:4]): r for r in merged if r["posterior"] == "calibrated"}
    header = ["network", "method", "events", *(_title(name) for name in SHOWN), "calibrated", "conformal"]
    lines = []
    for row in merged:
        if row["posterior"] != "raw":
            continue
        other = calibrated.get(tuple(row[name] for name in KEY[:4]), {})
        after = [
            " / ".join(f"{100 * other.get(name, np.nan):.1f}" for name in names) for names in (COVERAGE, CONFORMAL)
        ]
        size = "" if row["size"] is None else str(row["size"])
        lines.append([row["network"], row["method"], size, *(_shown(row[name]) for name in SHOWN), *after])
    return markdown_table(header, lines) + "\n"


def markdown_of(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Columns of rows as a table in Markdown, by title and name; those that the first row lacks are left out.

    A number that has an interval (`NAME_low`, `NAME_high`) is followed by it in brackets.
    """
    known = {title: name for title, name in columns.items() if name in rows[0]}
    return markdown_table(list(known), [[_with_interval(row, name) for name in known.values()] for row in rows])


def _with_interval(row: Row, name: str) -> str:
    value = _three_digits(row[name])
    if f"{name}_low" not in row:
        return value
    return f"{value} [{_three_digits(row[f'{name}_low'])}, {_three_digits(row[f'{name}_high'])}]"


def _three_digits(value: float | str | None) -> str:
    if isinstance(value, str | int):
        return f"{value}"
    return "-" if value is None or np.isnan(value) else f"{value:#.3g}".rstrip(".")


def _title(name: str) -> str:
    return name.replace("_km2", " (km²)").replace("_km", " (km)").replace("_nats", " (nats)").replace("_", " ")


def _shown(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
