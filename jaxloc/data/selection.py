"""Some of the events of a data set, or those of two together."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from jaxloc.data.dataset import Dataset, retaken


def select(dataset: Dataset, index: Int[np.ndarray, " event"]) -> Dataset:
    """Some of the events of a data set, in the order given."""
    events = tuple(dataset.events[i] for i in index)
    whole = dataset.take
    return retaken(dataset, lambda chosen: whole(index[chosen]), events)


def evenly(dataset: Dataset, most: int) -> Dataset:
    """Up to `most` events of a data set, evenly spaced in its order.

    Raises:
        ValueError: where that is less than one.
    """
    if most < 1:
        raise ValueError(f"at least one event must be taken, got {most}")
    number = min(most, len(dataset))
    return select(dataset, np.unique(np.round(np.linspace(0, len(dataset) - 1, number)).astype(int)))


def by_time(dataset: Dataset) -> Int[np.ndarray, " event"]:
    """Numbers of the events of a data set in the order of their times, or where these are unknown of their ids."""
    return np.argsort([event.origin or event.start or event.id for event in dataset.events], kind="stable")


def concatenated(first: Dataset, second: Dataset) -> Dataset:
    """The events of two data sets of stations of the same codes, the first one's first.

    Raises:
        ValueError: where their stations differ.
    """
    if [station.code for station in first.stations] != [station.code for station in second.stations]:
        raise ValueError(f"{first.name} and {second.name} have different stations; both must have the same")
    number = len(first)

    def take(index: Int[np.ndarray, " event"]) -> Any:
        index = np.asarray(index)
        early = index < number
        parts = [(first, index[early]), (second, index[~early] - number)]
        batches = [dataset.take(own) for dataset, own in parts if len(own)]
        batch = jax.tree.map(lambda *x: np.concatenate(x), *batches)
        order = np.argsort(np.argsort(~early, kind="stable"), kind="stable")
        return jax.tree.map(lambda x: x[order], batch)

    return retaken(first, take, (*first.events, *second.events))


def of_events(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Events by their ids, in the order given.

    Raises:
        ValueError: for an id that the data set does not have.
    """
    at = {event.id: i for i, event in enumerate(dataset.events)}
    if missing := [name for name in names if name not in at]:
        raise ValueError(
            f"{dataset.name} has no event {missing[0]!r}, which a fold of the cross-validation names; the data must be "
            "those that the folds were made of"
        )
    return select(dataset, np.array([at[name] for name in names], int))


def held(dataset: Dataset) -> Dataset:
    """A data set whose events are made once, all at the first use, and then kept in memory."""
    kept: list[Any] = []

    def take(index: Int[np.ndarray, " event"]) -> Any:
        if not kept:
            kept.append(dataset.take(np.arange(len(dataset))))
        return jax.tree.map(lambda x: x[index], kept[0])

    return retaken(dataset, take)
