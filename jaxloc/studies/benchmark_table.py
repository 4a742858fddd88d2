"""Networks side by side: what each reaches on its data, beside its paper's figure and who knows the catalogue alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloc.plots.benchmark import Standing
from jaxloc.plots.study import ORDINARY
from jaxloc.scores.score_card import lookup
from jaxloc.studies.table import in_markdown, value_of

HEADER = (
    "network",
    "data",
    "weights",
    "events",
    "epicentre median (km)",
    "depth MAE (km)",
    "CRPS east / north / depth (km)",
    "energy (km)",
    "beside it",
    "lower by",
    "90 % stated",
    "after a map",
    "as drawn",
    "epistemic share",
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

    Energy scores have their 95 % bootstrap intervals. Beside it stand one who knows the training catalogue alone, and
    the trivial locators of its kind; `lower by` is what the network's energy is lower than each, event by event: where
    the interval begins above zero, it is better than they are. What regions said to hold 90 % of hypocentres hold:
    as stated, after the calibration's map of posteriors, and as it draws them (conformal).

    Args:
        records: of judged runs.
        networks: of the study's configuration; `data` and `published` of each are shown as they are.
    """
    return in_markdown(HEADER, [_row(record, networks[record["cell"]["network"]]) for record in records]) + "\n"


def _row(record: Record, about: Mapping[str, Any]) -> tuple[str, ...]:
    own, found = record["cell"], record["conditions"][ORDINARY]
    stated, lower = found["stated"]["card"], found["lower"]
    return (
        own["network"],
        str(about.get("data", "")),
        own["method"],
        str(stated["hypocentre"]["number"]),
        _value(stated, "epicentre/error/median"),
        _value(stated, "depth/error/mae"),
        " / ".join(_value(stated, f"{axis}/crps/mean") for axis in ("east", "north", "depth")),
        _energy(stated),
        "; ".join(f"{name} {_energy(found[name]['card'])}" for name in lower),
        "; ".join(_with_interval(difference) for difference in lower.values()),
        _value(stated, "hypocentre/coverage/90"),
        _value(found["calibrated"]["card"], "hypocentre/coverage/90"),
        f"{found['calibrated']['held']['90']:.3g}",
        _value(stated, "epicentre/epistemic_share/mean"),
        "; ".join(_label(name, card) for name, card in found.get("labels", {}).items()),
        f"{record['parameters']:,}",
        f"{record['training_s']:.0f}",
        f"{1000 * found['locating_s']:.0f}",
        str(about.get("published", "")),
    )


def standings(records: Sequence[Record]) -> list[Standing]:
    """The same for a picture (`review_plots.standings`)."""
    return [_standing(record["cell"], record["conditions"][ORDINARY]) for record in records]


def _standing(own: Record, found: Record) -> Standing:
    stated = found["stated"]["card"]
    value, low, high = (value_of(stated, ENERGY, name) for name in ("value", "low", "high"))
    return Standing(
        own["network"],
        own["method"],
        (value, low, high),
        {name: value_of(found[name]["card"], ENERGY) for name in found["lower"]},
        value_of(stated, "hypocentre/coverage/90"),
        found["calibrated"]["held"]["90"],
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
    """Whether a study compares with published figures, so that this table is wanted."""
    return any("published" in about for about in networks.values())
