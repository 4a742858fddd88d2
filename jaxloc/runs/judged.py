"""Labelled windows with several earthquakes: which of the located events a window is judged by.

A catalogue has one event of a window, and the strongest arrivals in it may be those of another. Each window is searched
for several events (`jaxloc.runs.several_events`), and judged by the one whose origin time is the nearest to the
label's. Origin time alone selects: errors of places and depths stay those of an event that was not chosen by its place,
errors of origin times are favourable. A further event counts only where it is neither refused nor flagged, as it would
be written by `jaxloc locate`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxloc.data.dataset import Dataset
from jaxloc.distributions.gaussian_mixture import moments
from jaxloc.runs.several_events import MOST, NAMED, Searched, some, together, with_further


class Judged(NamedTuple):
    """Windows, each with the event that it is judged by.

    Attributes:
        chosen: in the order of the windows, under their own ids.
        first: each with the event that was located first.
        windows: how many were searched for further events.
        further: how many further events were located.
        replaced: ids of the windows that a further event judges.
    """

    chosen: Searched
    first: Searched
    windows: int
    further: int
    replaced: tuple[str, ...]

    def told(self) -> dict[str, object]:
        """What scores tell of it."""
        told = [bool(each.told) for each in self.first.verdicts]
        refused = [bool(each.refused) for each in self.first.verdicts]
        return {
            "windows": self.windows,
            "located": self.further,
            "judged_by": list(self.replaced),
            "first": {"flagged": sum(told), "no_event": sum(refused)},
        }


def judged(first: Searched, search: Callable[[Dataset], Searched], say: Callable[[str], None]) -> Judged:
    """Windows judged by the located event whose origin time is the nearest to the label's.

    Windows without a labelled origin time are judged by their first event, and not searched again.

    Args:
        first: each window once, with the event that was located first.
        search: locates the events of a data set.
        say: takes one line for the user.
    """
    timed = np.flatnonzero(np.asarray(first.located.batch.labels["hypocentre"].mask)[:, 3])
    if first.located.check is None or not len(timed):
        return Judged(first, first, 0, 0, ())
    whole = with_further(some(first, timed), search, say)
    further = some(whole, np.arange(len(timed), len(whole.windows)))
    if not len(further.windows):
        return Judged(first, first, len(timed), 0, ())
    rows = nearest_in_time(first, further)
    replaced = tuple(first.windows.events[i].id for i in np.flatnonzero(rows >= len(first.windows)))
    chosen = some(together([first, further]), rows)._replace(windows=first.windows)
    return Judged(chosen, first, len(timed), len(further.windows), replaced)


def nearest_in_time(first: Searched, further: Searched) -> Int[np.ndarray, " window"]:
    """Row of each window's event that is the nearest to the label in origin time, of the first and then the further."""
    truth_s, known = (np.asarray(x)[:, 3] for x in first.located.batch.labels["hypocentre"])
    ids = [event.id for event in first.windows.events]
    window_of = {NAMED.format(name, number): i for i, name in enumerate(ids) for number in range(2, MOST + 1)}
    rows, nearest_s = np.arange(len(ids)), _away_s(first, truth_s)
    of = np.array([window_of[event.id] for event in further.windows.events])
    for row, (window, away_s) in enumerate(zip(of, _away_s(further, truth_s[of]), strict=True)):
        if known[window] and away_s < nearest_s[window]:
            rows[window], nearest_s[window] = len(ids) + row, away_s
    return rows


def _away_s(searched: Searched, truth_s: np.ndarray) -> np.ndarray:
    """Mean origin times from the labels'; infinite where a posterior is not finite."""
    origin_s = np.asarray(moments(searched.located.posterior.hypocentre)[0], float)[:, 3]
    return np.where(np.isfinite(origin_s), np.abs(origin_s - truth_s), np.inf)
