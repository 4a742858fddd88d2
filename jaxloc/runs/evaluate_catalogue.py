"""A catalogue judged by another one from files: tables, scores and pictures."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.geometry import frame_of
from jaxloc.io.judged_catalogue import (
    JudgedCatalogue,
    expected,
    hypocentres,
    log_odds,
    magnitudes,
    pick_arrays,
    read_judged,
    zero_of,
)
from jaxloc.plots import catalogue_scores
from jaxloc.scores.associated_picks import EventPicks
from jaxloc.scores.catalogue_score import Catalogue, score_catalogue
from jaxloc.scores.markdown import markdown_table


class Evaluated(NamedTuple):
    """Both catalogues in one frame, the scores, and notes on what was left out."""

    catalogue: Catalogue
    truth: Catalogue
    scores: dict[str, Any]
    notes: tuple[str, ...]


def evaluate_catalogue(catalogue: Path, truth: Path, folder: Path, is_truth: bool | None = None) -> Evaluated:
    """Judge a catalogue by another one, and write scores.json, scores.md and pictures into a folder.

    Args:
        catalogue: file or folder of what is judged.
        truth: of what it is judged by.
        folder: for the results.
        is_truth: whether the truth is exact; None: where it says which of its events a network can locate.

    Raises:
        ValueError: as `jaxloc.io.judged_catalogue.read_judged`.
    """
    both = read_judged(catalogue), read_judged(truth)
    one, other = in_one_frame(*both)
    exact = other.expected is not None if is_truth is None else is_truth
    scores = score_catalogue(one, other, exact)
    found = Evaluated(one, other, scores, (*both[0].notes, *both[1].notes))
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "scores.json", json.dumps(_plain(scores), indent=1, allow_nan=False).encode())
    write_whole(folder / "scores.md", tables(scores).encode())
    _pictures(folder, found)
    return found


def in_one_frame(first: JudgedCatalogue, second: JudgedCatalogue) -> tuple[Catalogue, Catalogue]:
    """Two catalogues in km about their common centre and in s from one zero."""
    events = (*first.events, *second.events)
    frame = frame_of(*(np.array([getattr(e, name) for e in events]) for name in ("latitude_deg", "longitude_deg")))
    zero_ns = zero_of(events)
    networks = [
        any("." in pick.station.strip(".") for e in each.picked for pick in e.picks) for each in (first, second)
    ]

    def arrays(each: JudgedCatalogue) -> Catalogue:
        picks = pick_arrays(each, zero_ns, all(networks))
        return Catalogue(
            tuple(event.id for event in each.events),
            hypocentres(frame, zero_ns, each.events),
            magnitudes(each.events),
            np.stack([np.asarray(event.covariance, float) for event in each.events]),
            log_odds(each.events),
            None if picks is None else EventPicks(*picks),
            expected(each.events),
        )

    return arrays(first), arrays(second)


def _plain(value: Any) -> Any:
    """For JSON, which has no NaN."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float, digits: int = 3) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _share(of: Mapping[str, float]) -> str:
    return f"{_number(of['value'])} ({_number(of['low'])}-{_number(of['high'])})" if of["events"] else ""


def tables(scores: Mapping[str, Any]) -> str:
    """The scores in Markdown; in brackets 95 % intervals."""
    parts = [_numbers(scores), _gates(scores), _recall(scores), _completeness(scores)]
    if "locations" in scores:
        parts.append(_locations(scores["locations"]))
    if scores.get("odds", {}).get("events"):
        parts.append(_odds(scores["odds"]))
    return "\n\n".join(parts) + "\n"


def _numbers(scores: Mapping[str, Any]) -> str:
    rows = [[f"events: {name}", str(number)] for name, number in scores["events"].items()]
    if "recall of expected events" in scores:
        rows.append(["recall of events that the network can locate", _share(scores["recall of expected events"])])
    names = ("splits per 100 events", "merges per 100 true events")
    rows += [[name, _number(scores[name], 2)] for name in names]
    rows += [[f"unmatched: {reason}", str(number)] for reason, number in scores["unmatched events"].items()]
    rows += [[f"missed: {reason}", str(number)] for reason, number in scores["missed events"].items()]
    rows += [[f"picks of matched events: {name}", _number(value)] for name, value in scores.get("picks", {}).items()]
    apart = scores["magnitude, catalogue minus truth"]
    rows += [[f"magnitude, catalogue minus truth: {name}", _number(value)] for name, value in apart.items()]
    return markdown_table(["", "value"], rows)


def _gates(scores: Mapping[str, Any]) -> str:
    header = ["gate", "recall", "precision", "F1", "recall by chance"]
    rows = [
        [name, _share(row["recall"]), _share(row["precision"]), _number(row["f1"]), _number(row["recall by chance"])]
        for name, row in scores["gates"].items()
    ]
    if any("recall of expected events" in row for row in scores["gates"].values()):
        header.append("recall of events that the network can locate")
        for row, each in zip(rows, scores["gates"].values(), strict=True):
            row.append(_share(each["recall of expected events"]))
    return markdown_table(header, rows)


def _recall(scores: Mapping[str, Any]) -> str:
    rows = [
        [f"{row['from']:.1f} to {row['to']:.1f}", f"{row['events']:g}", _share(row)]
        for row in scores["recall by magnitude"]
    ]
    return markdown_table(["magnitude", "events", "recall"], rows)


def _completeness(scores: Mapping[str, Any]) -> str:
    rows = [
        [name, method, _number(value["value"], 2), f"{_number(value['low'], 2)}-{_number(value['high'], 2)}"]
        for name, methods in scores["completeness"].items()
        for method, value in methods.items()
        if math.isfinite(value["value"])
    ]
    return markdown_table(["magnitudes of", "quantity", "value", "95 % interval"], rows)


def _locations(locations: Mapping[str, Any]) -> str:
    levels = list(next(iter(locations.values()))["coverage"])
    header = ["part", "events", "median error", "90 % below", *(f"coverage of {100 * float(x):g} %" for x in levels)]
    rows = [
        [
            name,
            str(part["events"]),
            _number(part["median error"]),
            _number(part["90 % of errors below"]),
            *(_share(part["coverage"][level]) for level in levels),
            _number(part["median size of 90 % region"], 2),
        ]
        for name, part in locations.items()
    ]
    return markdown_table([*header, "median size of 90 % region (km, km2, km3, s)"], rows)


def _odds(odds: Mapping[str, Any]) -> str:
    rows = [[_number(row["predicted"]), str(row["events"]), _share(row)] for row in odds["bins"]]
    rows.append(["calibration error", str(odds["events"]), _number(odds["error"])])
    rows.append(["Brier score", str(odds["events"]), _number(odds["brier"])])
    return markdown_table(["predicted probability", "events", "share of real events"], rows)


def _pictures(folder: Path, found: Evaluated) -> None:
    """Pictures of what there is: magnitudes need magnitudes, reliability odds."""
    if found.scores["recall by magnitude"]:
        catalogue_scores.recall_by_magnitude(folder / "recall.png", found.scores["recall by magnitude"])
    sizes = {"catalogue": found.catalogue.magnitude, "truth": found.truth.magnitude}
    if any(np.isfinite(magnitude).any() for magnitude in sizes.values()):
        catalogue_scores.magnitudes(folder / "magnitudes.png", sizes, found.scores["completeness"])
    if found.scores.get("odds", {}).get("events"):
        catalogue_scores.reliability(folder / "odds.png", found.scores["odds"])
