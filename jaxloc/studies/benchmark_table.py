"""Networks side by side: scores of each on its data, of baselines, and the figure that its paper reports."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloc.plots.benchmark import Standing
from jaxloc.plots.study import NOMINAL
from jaxloc.scores.markdown import markdown_table
from jaxloc.scores.score_card import lookup
from jaxloc.studies.table import value_of

HEADER = (
    "network",
    "data",
    "weights",
    "events",
    "epicentre median (km)",
    "depth MAE (km)",
    "CRPS east / north / depth (km)",
    "energy (km)",
    "baselines",
    "improvement",
    "90 % coverage",
    "recalibrated",
    "conformal",
    "epistemic share (its rank correlation with error)",
    "other labels",
    "parameters",
    "training s",
    "ms an event",
    "published",
)
ENERGY = "hypocentre/energy/mean"
Record = Mapping[str, Any]


def markdown(records: Sequence[Record], networks: Mapping[str, Mapping[str, Any]]) -> str:
    """The table in Markdown, a row for each run.

    Energy scores have 95 % bootstrap intervals. Baselines are the climatology and the weight-free locators of the
    network's kind; `improvement` is the mean difference of their energy scores and the network's, event by event: an
    interval above zero means that the network is better. The coverage of 90 % regions of the hypocentre is that of raw
    posteriors, of recalibrated posteriors, and of conformal regions.

    Args:
        records: of evaluated runs.
        networks: of the study's configuration; `data` and `published` of each are copied.
    """
    return markdown_table(HEADER, [_row(record, networks[record["cell"]["network"]]) for record in records]) + "\n"


def _row(record: Record, about: Mapping[str, Any]) -> tuple[str, ...]:
    own, found = record["cell"], record["conditions"][NOMINAL]
    raw, improvement = found["raw"]["card"], found["improvement"]
    return (
        own["network"],
        str(about.get("data", "")),
        own["method"],
        str(raw["hypocentre"]["number"]),
        _value(raw, "epicentre/error/median"),
        _value(raw, "depth/error/mae"),
        " / ".join(_value(raw, f"{axis}/crps/mean") for axis in ("east", "north", "depth")),
        _energy(raw),
        "; ".join(f"{name} {_energy(found[name]['card'])}" for name in improvement),
        "; ".join(_with_interval(difference) for difference in improvement.values()),
        _value(raw, "hypocentre/coverage/90"),
        _value(found["calibrated"]["card"], "hypocentre/coverage/90"),
        f"{found['calibrated']['conformal_coverage']['90']:.3g}",
        f"{_value(raw, 'epicentre/epistemic_share/mean')} ({_value(raw, 'epicentre/epistemic_rank_correlation')})",
        "; ".join(_label(name, card) for name, card in found.get("labels", {}).items()),
        f"{record['parameters']:,}",
        f"{record['training_s']:.0f}",
        f"{1000 * found['locating_s']:.0f}",
        str(about.get("published") or ""),
    )


def standings(records: Sequence[Record]) -> list[Standing]:
    """The same for a figure (`jaxloc.plots.benchmark.standings`)."""
    return [_standing(record["cell"], record["conditions"][NOMINAL]) for record in records]


def _standing(own: Record, found: Record) -> Standing:
    raw = found["raw"]["card"]
    value, low, high = (value_of(raw, ENERGY, name) for name in ("value", "low", "high"))
    return Standing(
        own["network"],
        own["method"],
        (value, low, high),
        {name: value_of(found[name]["card"], ENERGY) for name in found["improvement"]},
        value_of(raw, "hypocentre/coverage/90"),
        found["calibrated"]["conformal_coverage"]["90"],
    )


def _energy(card: Record) -> str:
    return _with_interval(lookup(dict(card), ENERGY))


def _value(card: Record, path: str) -> str:
    found = lookup(dict(card), path)
    return "-" if found is None or found["value"] is None else f"{found['value']:.3g}"


def _with_interval(score: Mapping[str, float | None] | None) -> str:
    if score is None or score["value"] is None:
        return "-"
    return f"{score['value']:.3g} ({score['low']:.3g} to {score['high']:.3g})"


def _label(name: str, card: Record) -> str:
    score = "crps" if "crps" in card else "brier"
    own, trivial = card[score], card[f"{score}_climatology"]
    return f"{name} {score} {own['value']:.3g} (climatology {trivial['value']:.3g})"


def published(networks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether any network of a study has a published figure to compare with."""
    return any(about.get("published") is not None for about in networks.values())
