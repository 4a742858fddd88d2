"""Picks of matched events: which are shared, missing and extra."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

SAME_S = 0.5  # of one arrival in two catalogues
SHARED = 0.6  # of the larger set: PyOcto's rule for one event


class EventPicks(NamedTuple):
    """Picks of a catalogue's events: row of the event, NET.STA and phase as one name, time in s.

    Names of stations are compared without network where one side has none.
    """

    event: Int[np.ndarray, " pick"]
    name: tuple[str, ...]
    time_s: Float[np.ndarray, " pick"]


class SharedPicks(NamedTuple):
    """Numbers of picks of each pair of events: shared, all of the first, all of the second."""

    shared: Int[np.ndarray, " pair"]
    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]


def shared_picks(
    first: EventPicks,
    second: EventPicks,
    pairs: tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]],
    within_s: float = SAME_S,
) -> SharedPicks:
    """Picks of each pair of events: those of one station and phase within a time, and all of either side."""
    of = [_by_event(each) for each in (first, second)]
    rows = []
    for one, other in zip(*pairs, strict=True):
        mine, theirs = of[0].get(int(one), {}), of[1].get(int(other), {})
        shared = sum(abs(mine[name] - theirs[name]) <= within_s for name in mine.keys() & theirs.keys())
        rows.append((shared, len(mine), len(theirs)))
    return SharedPicks(*np.array(rows, int).reshape(-1, 3).T)


def _by_event(picks: EventPicks) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for event, name, time_s in zip(picks.event.tolist(), picks.name, picks.time_s.tolist(), strict=True):
        own = found.setdefault(event, {})
        own[name] = min(own.get(name, np.inf), time_s)
    return found


def pick_scores(shared: SharedPicks) -> dict[str, float]:
    """Precision and recall of picks, missing and extra picks an event, and events that share most of their picks."""
    total, first, second = (int(each.sum()) for each in shared)
    number = len(shared.shared)
    if not number or not first or not second:
        return {"events": float(number), "precision": np.nan, "recall": np.nan}
    larger = np.maximum(shared.first, shared.second)
    same = shared.shared >= SHARED * np.maximum(larger, 1)
    return {
        "events": float(number),
        "precision": total / first,
        "recall": total / second,
        "missing an event": (second - total) / number,
        "extra an event": (first - total) / number,
        f"share {SHARED:g} of the larger set": float(same.mean()),
    }
