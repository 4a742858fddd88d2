"""The table of forecasts: a row for each run and target, with the rate map as reference."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloc.scores.markdown import markdown_table

Row = dict[str, Any]
HEAD = (
    "network",
    "posterior",
    "data",
    "target",
    "events",
    "information gain (nats an event)",
    "over recent rates",
    "Brier score",
    "of the rate map",
    "Brier skill (%)",
    "PR AUC",
    "of the rate map",
    "expected / happened",
)
NEXT_HEAD = (
    "network",
    "posterior",
    "data",
    "events (open)",
    "gain of place (nats)",
    "gain of time",
    "over Poisson",
    "error of place (km)",
    "of the centroid",
    "of the last event",
    "CRPS of time (days)",
    "of Poisson",
)


def rows_of(folders: Iterable[Path]) -> list[Row]:
    """Scores of runs: a row for each target, and one for the next event, each with the run's `about`.

    Raises:
        ValueError: where a folder is no finished run of a forecasting network; names it.
    """
    rows = []
    for folder in folders:
        path = folder / "scores.json"
        scores = json.loads(path.read_text()) if path.is_file() else {}
        if scores.get("about", {}).get("task") != "forecast":
            raise ValueError(
                f"{folder} must be a finished run of a forecasting network; `jaxloc run kail2021` trains one"
            )
        rows += [{"about": scores["about"], "target": each} for each in scores.get("targets", [])]
        rows += [{"about": scores["about"], "next_event": scores["next_event"]}] if "next_event" in scores else []
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """The rows as tables in Markdown; brackets are 95 % intervals over resampled blocks of time."""
    parts = [
        (HEAD, [_target(row) for row in rows if "target" in row]),
        (NEXT_HEAD, [_next(row) for row in rows if "next_event" in row]),
    ]
    return "\n".join(f"{markdown_table(head, part)}\n" for head, part in parts if part)


def _target(row: Row) -> list[str]:
    target, scores = row["target"], row["target"]["network"]
    return [
        *_names(row["about"]),
        target["target"],
        str(scores["happened"]),
        shown(scores["information_gain"], 3),
        shown(target["over_recent"], 3),
        f"{scores['brier']['value']:.5f}",
        f"{scores['brier_reference']['value']:.5f}",
        shown(scores["brier_skill"], 2, 100),
        shown(scores["pr_auc"], 3),
        f"{scores['pr_auc_reference']['value']:.3f}",
        shown(scores["expected"], 2),
    ]


def _next(row: Row) -> list[str]:
    scores = row["next_event"]
    own, climatology, poisson = (scores[name] for name in ("network", "climate", "poisson"))
    return [
        *_names(row["about"]),
        f"{scores['events']} ({scores['open']})",
        shown(own["over_climate"]["gain_place"], 2),
        shown(own["over_climate"]["gain_time"], 2),
        shown(own["over_poisson"]["gain_time"], 2),
        shown(own["place_km"], 0),
        shown(climatology["place_km"], 0),
        shown(scores["last_event"]["place_km"], 0),
        shown(own["crps_days"], 0),
        shown(poisson["crps_days"], 0),
    ]


def _names(about: Mapping[str, Any]) -> list[str]:
    return [about["network"], about["posterior"], about["dataset"]]


def shown(estimate: Mapping[str, float | None], places: int, factor: float = 1.0) -> str:
    """An estimate with its interval."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{factor * value:.{places}f} [{factor * low:.{places}f}, {factor * high:.{places}f}]"
