"""Views of a data set: station subsets, single stations, truncated records and noise windows.

Single-station networks are trained on records, not on events: each station that recorded an event gives one. Records of
an event stay in the split of the event.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxloc import prng
from jaxloc.data.augmentation import by_station, own_noise, recorded
from jaxloc.data.dataset import Dataset, retaken
from jaxloc.data.truncation import at_times
from jaxloc.types import Batch, Label

CHUNK = 64  # events read at a time
SETTINGS = ("stations", "each_station", "one_station", "picks_sd_s", "elapsed_s", "noise", "shuffled")


def taken_by(settings: Mapping[str, Any], dataset: Dataset) -> Dataset:
    """The data set as `records` of a configuration asks for it; no setting leaves it as it is.

    Args:
        settings: `stations`, codes of the stations to keep (null: all); `picks_sd_s`, errors of P and S picks about the
            labelled arrivals; `each_station`, each record an event of its own; `one_station`, each event at one of its
            stations, sampled at random; `elapsed_s`, each event truncated at these times after its first trigger;
            `noise`, as many windows of noise as there are events. `shuffled` has no effect here: only training
            events have their labels shuffled.
        dataset: events at a network of stations.

    Raises:
        ValueError: for a setting or a station that does not exist; lists those that do.
    """
    if unknown := sorted(set(settings) - set(SETTINGS)):
        raise ValueError(f"data.records has no setting {unknown[0]!r}; use one of {', '.join(SETTINGS)}")
    if settings.get("stations"):
        dataset = at_stations(dataset, settings["stations"])
    if settings.get("picks_sd_s"):
        dataset = picked(dataset, settings["picks_sd_s"])
    if settings.get("elapsed_s"):
        dataset = at_times(dataset, settings["elapsed_s"])
    if settings.get("one_station"):
        dataset = one_station(dataset)
    elif settings.get("each_station"):
        dataset = each_station(dataset)
    return with_noise(dataset) if settings.get("noise") else dataset


def at_stations(dataset: Dataset, codes: Sequence[str]) -> Dataset:
    """Events as these stations alone recorded them, in the order given.

    Raises:
        ValueError: for a station that the data set does not have; lists those that it has.
    """
    own = [station.code for station in dataset.stations]
    if missing := [code for code in codes if code not in own]:
        raise ValueError(f"{dataset.name} has no station {missing[0]!r}; use some of {', '.join(own)}")
    rows, whole = np.array([own.index(code) for code in codes]), dataset.take

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        batch = by_station(whole(index), lambda x: x[:, rows])
        there = np.broadcast_to(np.arange(len(rows), dtype=np.int32), batch.observations.station_index.shape)
        return batch._replace(observations=batch.observations._replace(station_index=there))  # pyright: ignore[reportArgumentType]

    kept = tuple(dataset.stations[row] for row in rows)
    return Dataset(dataset.name, dataset.frame, kept, dataset.events, dataset.rate_hz, dataset.num_samples, take)


def picked(dataset: Dataset, sd_s: Sequence[float]) -> Dataset:
    """Events with picks of P and S at the labelled arrivals plus normal errors, the same at each use.

    Raises:
        ValueError: where the standard deviations are not two positive numbers.
    """
    if np.shape(sd_s) != (2,) or not (np.asarray(sd_s) > 0).all():
        raise ValueError(f"data.records.picks_sd_s must be errors of P and S in s, two positive numbers; got {sd_s}")
    whole, sigma_s = dataset.take, np.asarray(sd_s, np.float32)

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        batch = whole(index)
        arrival_s, known = (np.asarray(x) for x in batch.labels["arrivals"])
        seed = prng.SEEDS["simulated picks"]
        error = [np.random.default_rng((seed, i)).normal(size=known.shape[1:]) for i in np.asarray(index)]
        picks_s = np.where(known, arrival_s + sigma_s * np.stack(error), 0.0).astype(np.float32)
        sigma = np.broadcast_to(sigma_s, known.shape)
        seen = batch.observations._replace(picks_s=picks_s, pick_sigma_s=sigma, pick_mask=known)  # pyright: ignore[reportArgumentType]
        return batch._replace(observations=seen)

    return retaken(dataset, take)


def one_station(dataset: Dataset) -> Dataset:
    """Each event at one of its active stations, sampled at random; events without one are left out."""
    event, row = np.nonzero(_alive(dataset))
    generator = np.random.default_rng(prng.SEEDS["station of an event"])
    number = np.bincount(event, minlength=len(dataset))
    there = np.flatnonzero(number)
    chosen = (np.cumsum(number) - number + generator.integers(0, np.maximum(number, 1)))[there]
    return _records(dataset, event[chosen], row[chosen])


def each_station(dataset: Dataset) -> Dataset:
    """Each record an event of its own, of one station, named by event and station; silent stations give none."""
    return _records(dataset, *np.nonzero(_alive(dataset)))


def _alive(dataset: Dataset) -> Bool[np.ndarray, "event station"]:
    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // CHUNK))
    return np.concatenate([np.asarray(dataset.take(part).observations.station_mask) for part in parts])


def _records(dataset: Dataset, event: Int[np.ndarray, " record"], row: Int[np.ndarray, " record"]) -> Dataset:
    names = [f"{dataset.events[e].id} {dataset.stations[r].code}" for e, r in zip(event, row, strict=True)]
    records = tuple(dataset.events[e]._replace(id=name) for e, name in zip(event, names, strict=True))
    whole = dataset.take

    def take(index: Int[np.ndarray, " record"]) -> Batch:
        which, inverse = np.unique(event[index], return_inverse=True)
        batch = jax.tree.map(lambda x: np.asarray(x)[inverse], whole(which))
        return by_station(batch, lambda x: x[np.arange(len(index)), row[index]][:, None])

    return retaken(dataset, take, records)


def with_noise(dataset: Dataset) -> Dataset:
    """All events, then as many windows of noise.

    Noise has the amplitude spectrum of the beginning of the same trace and random phases, so that no window contains an
    uncatalogued event. The label "is_event" separates them; noise has no hypocentre, arrivals or magnitude.
    """
    number, whole = len(dataset), dataset.take
    silent = jax.jit(jax.vmap(_noise_alone))
    noise = tuple(e._replace(id=f"{e.id} noise", origin=None, magnitude=None) for e in dataset.events)

    def take(index: Int[np.ndarray, " window"]) -> Batch:
        index = np.asarray(index)
        batch = whole(index % number)
        still, event = silent(index, batch), index < number
        choose = lambda there, gone: np.where(event.reshape(-1, *[1] * (np.ndim(there) - 1)), there, gone)
        mixed = jax.tree.map(choose, batch, still)
        is_event = Label(event.astype(np.float32), np.ones(len(index), bool))  # pyright: ignore[reportArgumentType]
        return mixed._replace(labels=mixed.labels | {"is_event": is_event})

    return retaken(dataset, take, (*dataset.events, *noise))


def shuffled(dataset: Dataset) -> Dataset:
    """Each event with the labels of another, permuted once: a control that has no information but the climatology.

    Events keep their names and picks; their labels are wrong on purpose.
    """
    other, whole = np.random.default_rng(prng.SEEDS["shuffled labels"]).permutation(len(dataset)), dataset.take
    return retaken(dataset, lambda index: whole(index)._replace(labels=whole(other[np.asarray(index)]).labels))


def _noise_alone(number: Int[Array, ""], event: Batch) -> Batch:
    seen = event.observations
    silent: Callable[[Array | None], Array | None] = lambda x: None if x is None else jnp.zeros_like(x)
    key = jax.random.fold_in(prng.stream("noise windows"), number)
    unpicked = seen._replace(
        waveforms=recorded(event, own_noise(key, event)), picks_s=silent(seen.picks_s), pick_mask=silent(seen.pick_mask)
    )
    return Batch(unpicked, jax.tree.map(jnp.zeros_like, event.labels))
