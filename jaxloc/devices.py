"""Several devices: events are sharded over them, weights are replicated.

All devices that JAX sees are used where the number of events is divisible by theirs, otherwise one. Results equal those
of one device up to the order of sums.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

EVENTS = "events"


def mesh(number: int) -> Mesh | None:
    """The mesh of devices over which so many events can be sharded; None for a single device."""
    devices = jax.devices()
    if len(devices) == 1 or number % len(devices):
        return None
    return Mesh(np.array(devices), (EVENTS,))


def shared_out(batch: PyTree, number: int, axis: int = 0) -> PyTree:
    """A batch of so many events with its event axis sharded over all devices; unchanged for a single device.

    Compiled functions then run where their data are (GSPMD, Xu and others 2021), with all-reduced sums over events.
    """
    over = mesh(number)
    if over is None:
        return batch
    spec = PartitionSpec(*[None] * axis, EVENTS)
    return jax.device_put(batch, NamedSharding(over, spec))


def on_all(tree: PyTree, number: int) -> PyTree:
    """Weights, or a state of them, replicated on every device over which a batch of so many events is sharded."""
    over = mesh(number)
    return tree if over is None else jax.device_put(tree, NamedSharding(over, PartitionSpec()))


def event_by_event(locate: Callable[[Any, Any], Any], number: int) -> Callable[[Any, Any], Any]:
    """A function of weights and one event, over a batch of so many events: one after the other on each device.

    One after the other, for working memory to be that of one event; on each device at once its share of them.
    """

    def own(weights: Any, events: Any) -> Any:
        return jax.lax.map(lambda one: locate(weights, one), events)

    over = mesh(number)
    if over is None:
        return own
    everywhere, split = PartitionSpec(), PartitionSpec(EVENTS)
    return jax.shard_map(own, mesh=over, in_specs=(everywhere, split), out_specs=split, check_vma=False)
