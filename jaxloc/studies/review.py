"""Networks side by side: what each reaches on its data, beside its paper's figure and who knows the catalogue alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloc.score_card import lookup
from jaxloc.studies.table import in_markdown
from jaxloc.study_plots import ORDINARY

HEADER = (
    "network",
    "data",
    "weights",
    "events",
    "epicentre median (km)",
    "depth MAE (km)",
    "energy (km)",
    "of the catalogue",
    "better",
    "90 % stated",
    "90 % recalibrated",
    "epistemic share",
    "other labels",
    "parameters",
    "training s",
    "ms an event",
    "published",
)
Record = Mapping[str, Any]


def markdown(records: Sequence[Record], networks: Mapping[str, Mapping[str, Any]]) -> str:
    """The table in Markdown, a row for each run.

    Energy scores have their 95 % bootstrap intervals; `better` is yes where that of the network ends below that of the
    catalogue begins, no where it is the other way round, and open where they overlap.

    Args:
        records: of judged runs.
        networks: of the study's configuration; `data` and `published` of each are shown as they are.
    """
    return in_markdown(HEADER, [_row(record, networks[record["cell"]["network"]]) for record in records]) + "\n"


def _row(record: Record, about: Mapping[str, Any]) -> tuple[str, ...]:
    own, found = record["cell"], record["conditions"][ORDINARY]
    stated, catalogue = found["stated"]["card"], found["catalogue"]["card"]
    energy, trivial = (dict(lookup(card, "hypocentre/energy/mean") or {}) for card in (stated, catalogue))
    return (
        own["network"],
        str(about.get("data", "")),
        own["method"],
        str(stated["hypocentre"]["number"]),
        _value(stated, "epicentre/error/median"),
        _value(stated, "depth/error/mae"),
        _with_interval(energy),
        _with_interval(trivial),
        better(energy, trivial),
        _value(stated, "hypocentre/coverage/90"),
        _value(found["calibrated"]["card"], "hypocentre/coverage/90"),
        _value(stated, "epicentre/epistemic_share/mean"),
        "; ".join(_label(name, card) for name, card in found.get("labels", {}).items()),
        f"{record['parameters']:,}",
        f"{record['training_s']:.0f}",
        f"{1000 * found['locating_s']:.0f}",
        str(about.get("published", "")),
    )


def better(own: Mapping[str, float], other: Mapping[str, float]) -> str:
    """Whether a score is lower than another by more than their intervals leave open."""
    if not own or not other:
        return "-"
    if own["high"] < other["low"]:
        return "yes"
    return "no" if own["low"] > other["high"] else "open"


def _value(card: Record, path: str) -> str:
    found = lookup(dict(card), path)
    return "-" if found is None or found["value"] is None else f"{found['value']:.3g}"


def _with_interval(score: Mapping[str, float]) -> str:
    return f"{score['value']:.3g} ({score['low']:.3g} to {score['high']:.3g})" if score else "-"


def _label(name: str, card: Record) -> str:
    score = "crps" if "crps" in card else "brier"
    own, trivial = card[score], card[f"{score}_climatology"]
    return f"{name} {score} {own['value']:.3g} (climatology {trivial['value']:.3g})"


def published(networks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a study compares with published figures, so that this table is wanted."""
    return any("published" in about for about in networks.values())
