"""Records truncated while an event is in progress: later samples are zero.

Times count from the first P at the network: the earliest labelled arrival, or, without labels, the first arrival
predicted from catalogue and picks, with the origin time from the median pick less its travel time, which is robust
against a few wrong picks.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.data.dataset import Dataset, retaken
from jaxloc.types import Batch, Observations

P_SPEED_KM_S = 6.1  # of the upper crust, for origin times from picks


def truncate(key: Key[Array, ""], event: Batch, longest_s: float) -> Batch:
    """An event whose records end at a uniform time up to `longest_s` after its first P."""
    return cut(event, first_p_s(event) + jax.random.uniform(key, (), maxval=longest_s))


def cut(event: Batch, end_s: Float[Array, ""]) -> Batch:
    """An event whose records end at a time: later samples are zero, later picks masked; labels are unchanged.

    Raises:
        ValueError: where the event has no waveforms.
    """
    seen = event.observations
    if seen.waveforms is None:
        raise ValueError("observations.waveforms is None; only waveforms can be cut: use a data set that has them")
    there = jnp.arange(seen.waveforms.shape[-1]) < end_s * seen.rate_hz
    return only(event, there, None if seen.picks_s is None else seen.picks_s < end_s)


def only(event: Batch, sample: Bool[Array, " sample"], pick: Bool[Array, "station phase"] | None) -> Batch:
    """An event with these samples and picks alone: others are zero and masked."""
    seen = event.observations
    if seen.waveforms is not None:
        seen = seen._replace(waveforms=jnp.where(sample, seen.waveforms, 0.0))
    if seen.sample_mask is not None:
        seen = seen._replace(sample_mask=seen.sample_mask & sample)
    if seen.pick_mask is not None and seen.picks_s is not None and pick is not None:
        known = seen.pick_mask & pick
        seen = seen._replace(pick_mask=known, picks_s=jnp.where(known, seen.picks_s, 0.0))
    return event._replace(observations=seen)


def first_p_s(event: Batch) -> Float[Array, ""]:
    """The first arrival of P in the network; the record's beginning where neither arrivals nor picks are known."""
    arrival_s, known = event.labels["arrivals"]
    labelled = jnp.where(known[:, 0], arrival_s[:, 0], jnp.inf).min()
    guessed = jnp.where(jnp.isfinite(labelled), labelled, _by_picks_s(event))
    return jnp.where(jnp.isfinite(guessed), guessed, 0.0)


def _by_picks_s(event: Batch) -> Float[Array, ""]:
    """Picks against travel times from the labelled hypocentre; not a number where either is missing."""
    seen, (hypocentre, known) = event.observations, event.labels["hypocentre"]
    travel_s = jnp.linalg.norm(seen.station_km - hypocentre[:3], axis=-1) / P_SPEED_KM_S
    nearest_s = jnp.where(seen.station_mask, travel_s, jnp.inf).min()
    origin_s = jnp.nanmedian(jnp.where(_picked(seen), _p_s(seen) - travel_s, jnp.nan))
    return jnp.where(known[:3].all(), origin_s + nearest_s, jnp.nan)


def _p_s(seen: Observations) -> Array:
    return jnp.zeros(seen.station_mask.shape) if seen.picks_s is None else seen.picks_s[:, 0]


def _picked(seen: Observations) -> Array:
    return jnp.zeros(seen.station_mask.shape, bool) if seen.pick_mask is None else seen.pick_mask[:, 0]


P = 0  # the phase that triggers


def so_far(event: Batch, elapsed_s: Float[Array, ""]) -> Batch:
    """One event at `elapsed_s` after its first pick of P; labels, and events without a pick, are unchanged.

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
