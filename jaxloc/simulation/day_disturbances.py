"""What else crosses a network in a day: teleseisms, and any kind of `disturbances` in turn, to count false events."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Float, Key

from jaxloc.simulation.disturbances import KINDS, DisturbanceRanges, disturbance
from jaxloc.simulation.disturbed_networks import SLOWNESS_S_KM
from jaxloc.simulation.records import fast_length
from jaxloc.simulation.seismicity import generator_of

NAMES = tuple(each.__name__ for each in KINDS)
LENGTH_S = 240.0
STATION_DB = 6.0  # standard deviation of amplitudes at stations
NEAR_CHANCE = 0.3  # of a station to have what is near one sensor, where a disturbance does not cross the network
NEAR_S = 60.0  # within which it comes to each of them


class Disturbance(NamedTuple):
    """One disturbance: its kind by its place in `NAMES`, when it begins at each station, peak over noise in dB.

    Stations that do not have it are at minus infinity.
    """

    number: int
    kind: int
    time_s: float
    crosses: bool
    start_s: Float[np.ndarray, " station"]
    level_db: Float[np.ndarray, " station"]


def draw_disturbances(
    key: Key[Array, ""],
    rate_per_hour: Mapping[str, float],
    station_km: Float[np.ndarray, "station 3"],
    length_s: float,
    peak_db: tuple[float, float] = (6.0, 40.0),
) -> tuple[Disturbance, ...]:
    """Disturbances of a day in the order of their times, uniformly distributed.

    Raises:
        ValueError: for a kind that is not in `NAMES`.
    """
    if unknown := sorted(set(rate_per_hour) - set(NAMES)):
        raise ValueError(f"no such kind of disturbance: {unknown[0]!r}; use one of {', '.join(NAMES)}")
    rng = generator_of(key)
    found = []
    for name, rate in rate_per_hour.items():
        for _ in range(rng.poisson(rate * length_s / 3600)):
            found.append(_one(rng, name, station_km, float(rng.uniform(0, length_s)), float(rng.uniform(*peak_db))))
    found.sort(key=lambda each: each.time_s)
    return tuple(each._replace(number=number) for number, each in enumerate(found))


def _one(
    rng: np.random.Generator, name: str, station_km: Float[np.ndarray, "station 3"], time_s: float, peak_db: float
) -> Disturbance:
    """A plane wave from a random direction, or what is near some sensors."""
    number = len(station_km)
    level_db = peak_db + STATION_DB * rng.normal(size=number)
    if name in SLOWNESS_S_KM:
        azimuth = rng.uniform(0, 2 * np.pi)
        late_s = rng.uniform(*SLOWNESS_S_KM[name]) * (station_km[:, :2] @ [np.sin(azimuth), np.cos(azimuth)])
        return Disturbance(0, NAMES.index(name), time_s, True, time_s + late_s, level_db)
    there = rng.random(number) < NEAR_CHANCE
    start_s = time_s + rng.uniform(-NEAR_S, NEAR_S, number)
    return Disturbance(0, NAMES.index(name), time_s, False, start_s, np.where(there, level_db, -np.inf))


def overlapping(disturbances: tuple[Disturbance, ...], begin_s: float, end_s: float) -> list[Disturbance]:
    """Those with waves at any station between two times."""
    return [each for each in disturbances if each.start_s.min() < end_s and each.start_s.max() + LENGTH_S > begin_s]


def add_disturbance(
    counts: Float[np.ndarray, "station component sample"],
    key: Key[Array, ""],
    each: Disturbance,
    noise_sd: Float[np.ndarray, " station"],
    first: int,
    rate_hz: float,
) -> None:
    """Add one to records that begin at sample `first` of the day; `noise_sd` is that of the noise, in their unit."""
    own = random.fold_in(key, each.number)
    shared = np.asarray(_wave(own, each.kind, rate_hz)) if each.crosses else None
    for station in np.flatnonzero(np.isfinite(each.level_db)):
        wave = np.asarray(_wave(random.fold_in(own, station), each.kind, rate_hz)) if shared is None else shared
        size = noise_sd[station] * 10 ** (each.level_db[station] / 20)
        add_at(counts[station], size * wave, round(each.start_s[station] * rate_hz) - first)


def add_at(counts: Float[np.ndarray, "component sample"], wave: Float[np.ndarray, "component part"], at: int) -> None:
    """Add the part of a wave that lies within records, from sample `at` on."""
    low, high = max(at, 0), min(at + wave.shape[-1], counts.shape[-1])
    if low < high:
        counts[..., low:high] += wave[..., low - at : high - at]


@partial(jax.jit, static_argnums=(2,))
def _wave(key: Key[Array, ""], kind: int, rate_hz: float) -> Float[Array, "component sample"]:
    return disturbance(key, DisturbanceRanges(), fast_length(round(LENGTH_S * rate_hz)), rate_hz, jnp.asarray(kind))
