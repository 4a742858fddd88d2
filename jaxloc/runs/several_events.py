"""Several earthquakes in one window: what a located one explains is left out, and the window is searched again."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxloc.data.dataset import Dataset, retaken
from jaxloc.data.selection import concatenated, select
from jaxloc.runs.flags import Verdict
from jaxloc.runs.located import Located
from jaxloc.types import Batch

MOST = 4  # events in a window
NAMED = "{}#{}"  # window and number of the event in it


class Searched(NamedTuple):
    """Windows, the event that was located in each, and what is to be said of it."""

    windows: Dataset
    located: Located
    verdicts: list[Verdict]


def with_further(first: Searched, search: Callable[[Dataset], Searched], say: Callable[[str], None]) -> Searched:
    """Windows with all of their events, `MOST` at most: those with further ones follow again under other ids.

    Args:
        first: each window once.
        search: locates the events of a data set.
        say: takes one line for the user.
    """
    if first.located.check is None:
        return first
    found, before, unclear = [first], first, 0
    rows, explained_s = np.arange(len(first.windows)), np.zeros((len(first.windows), *_arrivals(first).shape[1:], 0))
    for number in range(2, MOST + 1):
        holds = np.array([not verdict.refused for verdict in before.verdicts])
        if not holds.any():
            break
        explained_s = np.concatenate([explained_s, _arrivals(before)[..., None]], -1)[holds]
        rows = rows[holds]
        say(f"searching {len(rows)} windows for another event")
        windows = _renamed(select(first.windows, rows), number)
        again = search(_explained(windows, explained_s))
        before = again
        unclear += sum(not verdict.refused and bool(verdict.flags) for verdict in again.verdicts)
        clear = np.array([not (verdict.refused or verdict.flags) for verdict in again.verdicts])
        if clear.any():
            found.append(some(again._replace(windows=windows), np.flatnonzero(clear)))
    if unclear:
        say(f"left out: {unclear} further sets of arrivals that fit an earthquake, but not well")
    return together(found)


def _arrivals(searched: Searched) -> Float[np.ndarray, "window station phase"]:
    assert searched.located.check is not None
    return np.asarray(searched.located.check.arrival_s, float)


def _renamed(windows: Dataset, number: int) -> Dataset:
    events = tuple(event._replace(id=NAMED.format(event.id, number)) for event in windows.events)
    return retaken(windows, windows.take, events)


def _explained(windows: Dataset, explained_s: Float[np.ndarray, "window station phase other"]) -> Dataset:
    """The same windows with arrivals of other events, padded so that one program serves all rounds."""
    whole = np.full((*explained_s.shape[:-1], MOST - 1), np.nan, np.float32)
    whole[..., : explained_s.shape[-1]] = explained_s

    def take(index: Int[np.ndarray, " window"]) -> Batch:
        batch = windows.take(index)
        return batch._replace(observations=batch.observations._replace(explained_s=whole[index]))

    return retaken(windows, take)


def some(searched: Searched, rows: Int[np.ndarray, " window"]) -> Searched:
    """Some of the windows, in the order given."""
    chosen: Any = lambda tree: jax.tree.map(lambda x: np.asarray(x)[rows], tree)
    return Searched(
        select(searched.windows, rows), chosen(searched.located), [searched.verdicts[row] for row in rows.tolist()]
    )


def together(parts: Sequence[Searched]) -> Searched:
    """The windows of all parts, those of the first one first."""
    whole = parts[0]
    for part in parts[1:]:
        located: Any = jax.tree.map(lambda *x: np.concatenate(x), whole.located, part.located)
        whole = Searched(concatenated(whole.windows, part.windows), located, [*whole.verdicts, *part.verdicts])
    return whole
