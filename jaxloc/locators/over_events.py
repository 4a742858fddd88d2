"""From a locator of one event to a locator of batches: chunks, padding and devices in one place."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree, Shaped

from jaxloc.devices import event_by_event, on_all
from jaxloc.types import LocateEvent, Locator, Observations, Posterior

OnEvent = Callable[[int], None]
"""Receives the number of events located so far, after each chunk."""


def over_events(locate_event: LocateEvent, *, chunk: int = 4, on_event: OnEvent = lambda located: None) -> Locator:
    """A locator of any number of events, each with a key of its own.

    Args:
        locate_event: key and observations of one event to its posterior.
        chunk: events per call of the compiled function, rounded up to a multiple of the number of devices.
        on_event: called after each chunk.

    Raises:
        ValueError: from the locator, where there is no event.
    """
    run = in_chunks(lambda _, event: locate_event(*event), chunk=chunk, on_event=on_event)

    def locator(key: Key[Array, ""], observations: Observations) -> Posterior:
        return run((), (jax.random.split(key, observations.station_mask.shape[0]), observations))

    return locator


def in_chunks(
    locate: Callable[[Any, Any], Posterior],
    *,
    chunk: int,
    on_event: OnEvent,
    compiled_by: Callable[[Callable], Callable] = jax.jit,
) -> Callable[[PyTree, PyTree], Posterior]:
    """`locate(shared, event)` over all events of a batch, compiled once: `chunk` of them a call, the last one padded.

    Raises:
        ValueError: from the returned function, where there is no event.
    """
    chunk = -(-chunk // jax.device_count()) * jax.device_count()
    compiled = compiled_by(event_by_event(locate, chunk))

    def run(shared: PyTree, events: PyTree[Shaped[Array, "event ..."]]) -> Posterior:
        number = len(jax.tree.leaves(events)[0])
        if number == 0:
            raise ValueError("there is no event to locate; observations must have at least one")
        shared = on_all(shared, chunk)
        index = np.arange(-(-number // chunk) * chunk) % number
        parts = []
        for rows in index.reshape(-1, chunk):
            part = compiled(shared, jax.tree.map(lambda x, rows=rows: x[rows], events))
            parts.append(jax.tree.map(np.asarray, part))
            on_event(min(len(parts) * chunk, number))
        return jax.tree.map(lambda *x: np.concatenate(x)[:number], *parts)

    return run
