"""Events as they are known a while after their first trigger: what a network of stations has recorded so far.

Samples that are still to come are zero and picks that are still to come are masked, so that nothing that reads such an
event can see ahead. Its end in time is the last sample that is not zero.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxloc.data.dataset import Dataset, retaken
from jaxloc.data.truncation import only
from jaxloc.types import Batch

P = 0  # the phase that triggers


def so_far(event: Batch, elapsed_s: Float[Array, ""]) -> Batch:
    """One event at `elapsed_s` after its first pick of P; labels stay, and an event without a pick stays as it is.

    Raises:
        ValueError: where the event has no picks, or no waveforms.
    """
    seen = event.observations
    if seen.picks_s is None or seen.pick_mask is None or seen.waveforms is None:
        raise ValueError("only events with waveforms and picks have a first trigger; use a data set with both")
    triggered = seen.pick_mask[:, P] & seen.station_mask
    first_s = jnp.where(triggered, seen.picks_s[:, P], jnp.inf).min()
    number = jnp.floor((first_s + elapsed_s) * seen.rate_hz + 1e-3) + 1  # samples 0 to this one less one are known
    now_s = (number - 1) / seen.rate_hz
    return only(event, jnp.arange(seen.waveforms.shape[-1]) < number, seen.picks_s <= now_s)


def at_times(dataset: Dataset, elapsed_s: Sequence[float]) -> Dataset:
    """Each event at each of these times after its first trigger, named by event and time, event by event.

    Raises:
        ValueError: where a time is not positive.
    """
    times_s = np.asarray(elapsed_s, np.float32)
    if not times_s.size or not (times_s > 0).all():
        raise ValueError(f"data.records.elapsed_s must be positive times in s, got {list(elapsed_s)}")
    whole, cut = dataset.take, jax.jit(jax.vmap(so_far))
    events = tuple(e._replace(id=f"{e.id} {time:g} s") for e in dataset.events for time in times_s)

    def take(index: Int[np.ndarray, " record"]) -> Batch:
        which, inverse = np.unique(np.asarray(index) // len(times_s), return_inverse=True)
        batch = jax.tree.map(lambda x: np.asarray(x)[inverse], whole(which))
        return jax.tree.map(np.asarray, cut(batch, times_s[np.asarray(index) % len(times_s)]))

    return retaken(dataset, take, events)
