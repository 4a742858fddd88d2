"""Score cards of several runs side by side, with the climatology of each data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxloc.runs.report import read_scores
from jaxloc.scores.score_card import Card


def side_by_side(folders: Sequence[Path]) -> tuple[dict[str, Card], list[str]]:
    """Cards of runs, by their names, then those of climatologies; what is not comparable, in lines.

    Runs of one name go by their folders. Climatologies differ by data set and by the training catalogue: one that is
    the same for all runs is shown once.

    Raises:
        ValueError: where a folder has no scores.
    """
    scores = _scores_of(folders)
    names = _names(scores)
    return _by_name(scores, names) | _climatologies(scores, names), _warnings(scores, names)


def cards_of(folders: Sequence[Path]) -> dict[str, Card]:
    """Cards of runs alone, named as in `side_by_side`.

    Raises:
        ValueError: where a folder has no scores.
    """
    scores = _scores_of(folders)
    return _by_name(scores, _names(scores))


def _scores_of(folders: Sequence[Path]) -> dict[Path, dict[str, Any]]:
    return {folder: read_scores(folder) for folder in dict.fromkeys(folders)}


def _by_name(scores: dict[Path, dict[str, Any]], names: dict[Path, str]) -> dict[str, Card]:
    return {names[folder]: each["locator"] for folder, each in scores.items()}


def _names(scores: dict[Path, dict[str, Any]]) -> dict[Path, str]:
    """The name of each run, or its folder where runs share the name."""
    given = {folder: str(each["about"]["name"]) for folder, each in scores.items()}
    counts = list(given.values())
    return {folder: name if counts.count(name) == 1 else str(folder) for folder, name in given.items()}


def _climatologies(scores: dict[Path, dict[str, Any]], names: dict[Path, str]) -> dict[str, Card]:
    of_runs: list[tuple[Card, list[str]]] = []
    for folder, each in scores.items():
        card = each.get("catalogue")
        same = next((runs for known, runs in of_runs if known == card), None)
        if same is not None:
            same.append(names[folder])
        elif card is not None:
            of_runs.append((card, [names[folder]]))
    if len(of_runs) == 1 and len(of_runs[0][1]) == len(scores):
        return {"climatology": of_runs[0][0]}
    return {f"climatology of {', '.join(runs)}": card for card, runs in of_runs}


def _warnings(scores: dict[Path, dict[str, Any]], names: dict[Path, str]) -> list[str]:
    sets: dict[str, list[str]] = {}
    for folder, each in scores.items():
        about = each["about"]
        sets.setdefault(f"{about['events']} events of {about['dataset']}", []).append(names[folder])
    if len(sets) == 1:
        return []
    shown = "; ".join(f"{', '.join(runs)}: {events}" for events, runs in sets.items())
    return [f"scores are of different data sets and do not compare one locator with another: {shown}"]
