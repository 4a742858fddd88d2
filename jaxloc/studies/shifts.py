"""The conditions of a study's evaluation: events like those of training, and shifted ones."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from jaxloc import prng
from jaxloc.data import shifts
from jaxloc.data.augmentation import noisier, silence_stations
from jaxloc.data.dataset import Dataset, Event, retaken
from jaxloc.runs.datasets import fresh_events, select
from jaxloc.types import Batch

OTHER_NETWORK = 1000  # added to the seed: another network of stations
NETWORKS = 5  # other networks: the station delays of one are a single sample, and shift all its events together
CACHED = 2 + NETWORKS  # data sets in the memory of a process: its next run often has the same
RECORDS: dict[str, Callable[[Key[Array, ""], Batch], Batch]] = {
    "geophones": shifts.geophones,
    "other velocity": partial(shifts.other_velocity, factors=(1.08, 1.08)),
    "reversed in time": shifts.reversed_in_time,
    "noise alone": shifts.noise_alone,
}
"""Changes of records by name; there is no event in the last two, of which only the epistemic share and OOD tell."""


def conditions(ordinary: Dataset, evaluation: Mapping[str, Any]) -> Iterator[tuple[str, Dataset]]:
    """Names and events of every condition that changes given events, the first `shifted` of them."""
    few = select(ordinary, np.arange(min(int(evaluation["shifted"]), len(ordinary))))
    for number in evaluation["drop_stations"]:
        yield (
            f"{number} silent station{'s' * (int(number) > 1)}",
            _altered(few, partial(silence_stations, number=int(number))),
        )
    for level in evaluation["noise"]:
        yield f"noise {level:g}", _altered(few, partial(_noisier, level=float(level)))
    for name in evaluation["records"]:
        yield name, _altered(few, RECORDS[name])


def fresh_test_events(data: Mapping[str, Any], seed: int, evaluation: Mapping[str, Any]) -> Dataset:
    """Fresh events of the distribution of training."""
    return _fresh(data, seed, int(evaluation["events"]), "test")


def calibration_events(data: Mapping[str, Any], seed: int, evaluation: Mapping[str, Any]) -> Dataset:
    """Fresh events for calibration, different from the test events."""
    return _fresh(data, seed, int(evaluation["calibration"]), "calibration")


def _fresh(data: Mapping[str, Any], seed: int, number: int, purpose: str) -> Dataset:
    return _cached(json.dumps(dict(data)), seed, number, purpose)


@lru_cache(CACHED)
def _cached(data: str, seed: int, number: int, purpose: str) -> Dataset:
    return fresh_events(json.loads(data), seed, number, purpose)


def _noisier(key: Key[Array, ""], event: Batch, level: float) -> Batch:
    return noisier(key, event, jnp.full(event.observations.station_mask.shape, level))


def _altered(dataset: Dataset, change: Callable[[Key[Array, ""], Batch], Batch]) -> Dataset:
    """Each event after a random change, the same one whenever the event is taken."""
    key = prng.stream("noise of a condition")
    changed = jax.jit(jax.vmap(lambda i, event: change(jax.random.fold_in(key, i), event)))
    inner = dataset.take
    return retaken(dataset, lambda index: jax.tree.map(np.asarray, changed(index, inner(index))))


def elsewhere(data: Mapping[str, Any], seed: int, evaluation: Mapping[str, Any]) -> Iterator[tuple[str, Dataset]]:
    """Events at other networks, and the same where all speeds are another besides: another region."""
    name, networks = other_networks(data, seed, evaluation)
    yield name, networks
    yield "other regions", _altered(networks, RECORDS["other velocity"])


def other_networks(data: Mapping[str, Any], seed: int, evaluation: Mapping[str, Any]) -> tuple[str, Dataset]:
    """Events of the same kind at `NETWORKS` other networks in turn, whose stations have no name or index in any run.

    The data set lists the stations of the first network; each event has the coordinates of its own.
    """
    wanted = int(evaluation["shifted"])
    number = min(NETWORKS, wanted)
    parts = [_fresh(data, seed + OTHER_NETWORK + i, -(-wanted // number), "transfer") for i in range(number)]

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        each = [parts[i % number].take(np.array([i // number])) for i in index]
        batch = jax.tree.map(lambda *x: np.concatenate(x), *each)
        unknown = np.full_like(batch.observations.station_index, -1)
        return batch._replace(observations=batch.observations._replace(station_index=unknown))

    first = parts[0]
    stations = tuple(station._replace(code=f"YY.{station.code[3:]}") for station in first.stations)
    events = tuple(Event(f"other{i:07d}", "fresh") for i in range(wanted))
    return "other networks", Dataset(
        "other networks", first.frame, stations, events, first.rate_hz, first.num_samples, take
    )
