"""Faults of one station, or of all records, made of events without them: to test what a locator makes of them.

Each function is of one event with a random key; labels stay those of the event. Records without an earthquake, and with
other velocities, are in `jaxloc.data.shifts`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxloc.data.augmentation import own_noise, records_of, silence_stations
from jaxloc.data.shifts import noise_alone, reversed_in_time, with_records
from jaxloc.per_station import active_stations
from jaxloc.types import Batch

CLOCK_S = 1.0  # of a clock that is fast: its records are late
MOVED_KM = 20.0  # of wrong coordinates
CLIPPED_AT = 1 / 3  # of the largest value of each component
LOST = 0.2  # of the samples of each record, in one gap
Change = Callable[[Key[Array, ""], Batch], Batch]


def faulty_stations(key: Key[Array, ""], event: Batch, number: int) -> Int[Array, "{number}"]:
    """Rows of the active stations that the functions of one or two stations change, given the same key."""
    active = active_stations(event.observations)
    order = jax.random.uniform(jax.random.fold_in(key, 0), active.shape) - active
    return jnp.argsort(order)[:number]


def clock_off(key: Key[Array, ""], event: Batch) -> Batch:
    """One station's record late by `CLOCK_S`, with noise as that of its beginning before it."""
    (row,), seen = faulty_stations(key, event, 1), event.observations
    samples = jnp.round(CLOCK_S * seen.rate_hz).astype(int)
    records = records_of(event)
    later = jnp.roll(records[row], samples, -1)
    filled = jnp.where(jnp.arange(records.shape[-1]) < samples, own_noise(key, event)[row], later)
    if seen.sample_mask is not None:
        mask = jnp.roll(seen.sample_mask[row], samples) | (jnp.arange(records.shape[-1]) < samples)
        event = event._replace(observations=seen._replace(sample_mask=seen.sample_mask.at[row].set(mask)))
    return with_records(event, records.at[row].set(filled))


def exchanged(key: Key[Array, ""], event: Batch) -> Batch:
    """The records of two stations exchanged."""
    rows, seen = faulty_stations(key, event, 2), event.observations
    swapped = lambda each: each.at[rows].set(each[rows[::-1]])
    mask = None if seen.sample_mask is None else swapped(seen.sample_mask)
    return with_records(event._replace(observations=seen._replace(sample_mask=mask)), swapped(records_of(event)))


def moved(key: Key[Array, ""], event: Batch) -> Batch:
    """One station's coordinates wrong by `MOVED_KM` in a random direction."""
    (row,), seen = faulty_stations(key, event, 1), event.observations
    azimuth = jax.random.uniform(jax.random.fold_in(key, 1), maxval=2 * jnp.pi)
    step_km = MOVED_KM * jnp.stack([jnp.sin(azimuth), jnp.cos(azimuth)])
    return event._replace(observations=seen._replace(station_km=seen.station_km.at[row, :2].add(step_km)))


def half_missing(key: Key[Array, ""], event: Batch) -> Batch:
    """Half of the active stations silent."""
    return silence_stations(key, event, active_stations(event.observations).sum() // 2)


def clipped(key: Key[Array, ""], event: Batch) -> Batch:
    """Every component clipped at `CLIPPED_AT` of its largest value."""
    records = records_of(event)
    limit = CLIPPED_AT * jnp.abs(records).max(-1, keepdims=True)
    return with_records(event, jnp.clip(records, -limit, limit))


def with_gaps(key: Key[Array, ""], event: Batch) -> Batch:
    """One gap of `LOST` of the record at a random place of each station's, zeros that are masked as a reader does."""
    records, seen = records_of(event), event.observations
    samples = records.shape[-1]
    length = round(LOST * samples)
    start = jax.random.randint(key, (len(records), 1), 0, samples - length)
    sample = jnp.arange(samples)
    kept = (sample < start) | (sample >= start + length)
    mask = kept if seen.sample_mask is None else kept & seen.sample_mask
    return with_records(event._replace(observations=seen._replace(sample_mask=mask)), records)


AT_STATIONS: dict[str, tuple[Change, int]] = {
    "clock": (clock_off, 1),
    "exchanged": (exchanged, 2),
    "coordinates": (moved, 1),
}
"""Faults of stations by name, with the number of stations that each changes."""
OF_RECORDS: dict[str, Change] = {
    "half missing": half_missing,
    "clipped": clipped,
    "gaps": with_gaps,
    "reversed in time": reversed_in_time,
    "noise alone": noise_alone,
}
"""Faults of all records by name; there is no event in the last two."""
WITHOUT_EVENT = ("reversed in time", "noise alone")


def faulty_rows(key: Key[Array, ""], event: Batch, fault: str) -> Float[Array, " station"]:
    """1 at the stations that a fault of `AT_STATIONS` changes with this key, else 0."""
    rows = faulty_stations(key, event, AT_STATIONS[fault][1])
    return jnp.zeros(event.observations.station_mask.shape).at[rows].set(1.0)
