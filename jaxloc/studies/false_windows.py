"""Windows without a local earthquake, and events to tell them from, as data sets of networks."""

# pyright: reportArgumentType=false
# A batch has NumPy arrays until it reaches the device.

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.data import shifts
from jaxloc.data.augmentation import only_stations
from jaxloc.data.dataset import Dataset, Event, Station, positions_km
from jaxloc.geometry import Frame
from jaxloc.io.seisbench_alone import Alone
from jaxloc.runs.shift_windows import changed
from jaxloc.simulation.disturbances import KINDS
from jaxloc.simulation.disturbed_networks import disturbed_network
from jaxloc.studies.buried_events import MARGIN_S, NOISE_S, noise_before_p
from jaxloc.types import Batch, Label, Observations

NETWORK, FEW, ONE = "all stations", "5 stations", "1 station"
EVENTS, TELESEISM = "events", "teleseism"
FEWEST = 10  # windows of pseudo-networks of a category
FRAME = Frame(40.0, 10.0)
PLACES = tuple(
    Station(f"XX.N{i}", FRAME.latitude_deg + north, FRAME.longitude_deg + east, 0.0)
    for i, (east, north) in enumerate([(0.0, 0.0), (0.15, 0.08), (-0.12, 0.11), (-0.1, -0.13), (0.14, -0.1)])
)
"""Five places that are no real network, up to 25 km apart."""


class Windows(NamedTuple):
    """Windows of one kind, how many stations are active in them, and how long they are recorded, in hours."""

    dataset: Dataset
    stations: str
    hours: float


def of_network(key: Key[Array, ""], dataset: Dataset) -> dict[tuple[str, str], Windows]:
    """Events of a real network, at five and at one of their stations, reversed in time, and their noise, by kind.

    Noise has the spectrum of the first three seconds of each record and random phases.
    """
    keys = jax.random.split(key, 3)
    first_p_s = jnp.full(len(dataset.stations), NOISE_S + MARGIN_S)

    def noise(key: Key[Array, ""], event: Batch) -> Batch:
        found = noise_before_p(key, event, first_p_s, dataset.rate_hz)
        return event._replace(observations=event.observations._replace(waveforms=found))

    hours = len(dataset) * dataset.num_samples / dataset.rate_hz / 3600
    kinds = {
        (EVENTS, NETWORK): dataset,
        (EVENTS, FEW): changed(keys[0], dataset, lambda k, event: only_stations(k, event, len(PLACES))),
        (EVENTS, ONE): changed(keys[1], dataset, lambda k, event: only_stations(k, event, 1)),
        ("reversed in time", NETWORK): changed(keys[2], dataset, shifts.reversed_in_time),
        ("noise before P", NETWORK): changed(keys[2], dataset, noise),
    }
    return {(name, stations): Windows(each, stations, hours) for (name, stations), each in kinds.items()}


def of_records(
    generator: np.random.Generator, alone: Alone, rate_hz: float, rounds: int
) -> tuple[dict[str, Windows], dict[str, Windows]]:
    """Records of noise as pseudo-networks of five at `PLACES`, and as single stations, by category.

    A pseudo-network has five different records at random, at five places; where all records of a category are of one
    station they are of different times. Each record is used about `rounds` times, and more often where there would be
    fewer than `FEWEST` windows. Records shorter than the window end early. All teleseisms are one category.
    """
    few, one = {}, {}
    category_of = np.array([TELESEISM if each.startswith(TELESEISM) else each for each in alone.category.tolist()])
    for category in dict.fromkeys(category_of.tolist()):
        rows = np.flatnonzero((category_of == category) & alone.recorded.any(-1))
        one[category] = _windows(alone, rows[:, None], rate_hz, category, ONE)
        if number := len(rows) // len(PLACES):
            times = max(rounds, -(-FEWEST // number))
            groups = [generator.permutation(rows)[: number * len(PLACES)].reshape(number, -1) for _ in range(times)]
            groups = np.concatenate(groups)
            few[category] = _windows(alone, groups, rate_hz, category, FEW)
    return few, one


def _windows(
    alone: Alone, rows: Int[np.ndarray, "window station"], rate_hz: float, name: str, stations: str
) -> Windows:
    places = PLACES[: rows.shape[1]]
    ids = [f"{name} {i}" for i in range(len(rows))]
    take = lambda index: _batch(alone.waveforms[rows[index]], alone.recorded[rows[index]], places, rate_hz)
    dataset = _dataset(name, places, ids, rate_hz, alone.waveforms.shape[-1], take)
    hours = float(alone.recorded[rows].any(1).sum()) / rate_hz / 3600
    return Windows(dataset, stations, hours)


def simulated(key: Key[Array, ""], number: int, num_samples: int, rate_hz: float) -> dict[str, Windows]:
    """Windows of simulated noise at `PLACES` with a disturbance of each kind (`jaxloc.simulation.disturbances`)."""
    station_km = jnp.asarray(positions_km(FRAME, PLACES))
    draw = jax.jit(
        lambda kind, i: disturbed_network(
            jax.random.fold_in(jax.random.fold_in(key, kind), i), kind, station_km, num_samples, rate_hz
        )
    )

    def of(kind: int, name: str) -> Windows:
        def take(index: Int[np.ndarray, " window"]) -> Batch:
            waveforms = np.stack([np.asarray(draw(kind, int(i))) for i in index])
            return _batch(waveforms, np.ones((*waveforms.shape[:2], num_samples), bool), PLACES, rate_hz)

        dataset = _dataset(name, PLACES, [f"{name} {i}" for i in range(number)], rate_hz, num_samples, take)
        return Windows(dataset, FEW, number * num_samples / rate_hz / 3600)

    return {f"simulated {each.__name__.replace('_', ' ')}": of(i, each.__name__) for i, each in enumerate(KINDS)}


def _batch(
    waveforms: Float[np.ndarray, "window station component sample"],
    recorded: Bool[np.ndarray, "window station sample"],
    places: tuple[Station, ...],
    rate_hz: float,
) -> Batch:
    number, stations = waveforms.shape[:2]
    km = np.tile(positions_km(FRAME, places), (number, 1, 1))
    seen = Observations(
        waveforms.astype(np.float32),
        km,
        recorded.any(-1),
        np.full((number, stations), -1, np.int32),
        np.full(number, rate_hz, np.float32),
        sample_mask=recorded,
    )
    unknown = lambda *shape: Label(np.zeros((number, *shape), np.float32), np.zeros((number, *shape), bool))
    return Batch(seen, {"hypocentre": unknown(4), "arrivals": unknown(stations, 2)})


def _dataset(
    name: str,
    places: tuple[Station, ...],
    ids: list[str],
    rate_hz: float,
    samples: int,
    take: Callable[[Int[np.ndarray, " event"]], Batch],
) -> Dataset:
    return Dataset(name, FRAME, places, tuple(Event(each, "") for each in ids), rate_hz, samples, take)
