"""Simulated picks: hypocentres of a known prior, travel times of a layered model, errors of known standard deviation.

The posterior is known: a grid search with the same table of travel times, region and normal errors
(`jaxloc.locators.grid_search`) gives it, for comparison with networks trained on such picks. Which picks exist, and
their standard deviations, are independent of the hypocentre.
"""

import datetime
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Float, Key

from jaxloc.data.augmentation import picked_again
from jaxloc.data.dataset import Dataset, Event, Station, positions_km
from jaxloc.geometry import Frame, distance_km
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.table import TravelTimeTable, for_stations, look_up_s, table_around
from jaxloc.simulation.events import FIRST_START
from jaxloc.types import Batch, Label, Observations


class Picking(NamedTuple):
    """Hypocentres uniform over `region`, and the errors of their picks.

    Standard deviations are log-uniform over `sd_s` in s, pick by pick. The share of missing picks of an event is
    uniform up to `lost`; `least` picks are kept.
    """

    region: Region
    sd_s: tuple[float, float] = (0.05, 0.3)
    lost: float = 0.5
    least: int = 6


def simulate_picks(
    key: Key[Array, ""], picking: Picking, table: TravelTimeTable, station_km: Float[Array, "station 3"]
) -> Batch:
    """One event without waveforms; labels are its "hypocentre" and the true "arrivals" of all stations."""
    keys = dict(zip(("place", "sd", "error", "share", "lost"), random.split(key, 5), strict=True))
    low, high = (jnp.array(side) for side in zip(*picking.region, strict=True))
    hypocentre = random.uniform(keys["place"], (4,), minval=low, maxval=high)
    away_km = distance_km(hypocentre[:3], station_km)
    arrival_s = hypocentre[3] + look_up_s(for_stations(table, station_km[:, 2]), away_km, hypocentre[2])
    narrow, wide = map(math.log, picking.sd_s)
    sd_s = jnp.exp(random.uniform(keys["sd"], arrival_s.shape, minval=narrow, maxval=wide))
    luck = random.uniform(keys["lost"], (arrival_s.size,))
    share = random.uniform(keys["share"], (), maxval=picking.lost)
    mask = ((luck > share) | (jnp.argsort(jnp.argsort(-luck)) < picking.least)).reshape(arrival_s.shape)
    number = len(station_km)
    seen = Observations(
        None, jnp.asarray(station_km), jnp.ones(number, bool), jnp.arange(number), jnp.ones(()), arrival_s, sd_s, mask
    )
    full = lambda value: Label(value, jnp.ones(value.shape, bool))
    return picked_again(keys["error"], Batch(seen, {"hypocentre": full(hypocentre), "arrivals": full(arrival_s)}))


def simulated_picks(
    key: Key[Array, ""],
    picking: Picking,
    model: VelocityModel,
    stations: tuple[Station, ...],
    frame: Frame,
    num_events: int,
    split: str = "train",
    first: int = 0,
) -> Dataset:
    """A data set of picks in memory: event `i` follows from `fold_in(key, first + i)`.

    Raises:
        ValueError: where there are no events or stations, or the picking is invalid; names the value.
    """
    _check(picking, num_events, len(stations))
    station_km = positions_km(frame, stations)
    table = table_around(model, picking.region, station_km)
    one = lambda i: simulate_picks(random.fold_in(key, i), picking, table, jnp.asarray(station_km))
    whole: Batch = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(first + jnp.arange(num_events)))
    origin_s = whole.labels["hypocentre"].value[:, 3]
    return Dataset(
        name="simulated picks",
        frame=frame,
        stations=stations,
        events=tuple(_event(first + i, split, float(origin_s[i])) for i in range(num_events)),
        rate_hz=1.0,
        num_samples=int(np.ceil(picking.region.origin_s[1] + 60.0)),
        take=lambda index: jax.tree.map(lambda x: x[index], whole),
    )


def _check(picking: Picking, num_events: int, num_stations: int) -> None:
    if num_events < 1 or num_stations < 1:
        raise ValueError(f"num_events and stations must be at least one, got {num_events} and {num_stations}")
    if not 0 < picking.sd_s[0] <= picking.sd_s[1] or not 0 <= picking.lost <= 1 or picking.least < 1:
        raise ValueError(
            "sd_s must be positive and increasing, lost a share within 0-1 and least one or more, got "
            f"{picking.sd_s}, {picking.lost} and {picking.least}"
        )


def _event(index: int, split: str, origin_s: float) -> Event:
    start = FIRST_START + datetime.timedelta(hours=index)
    origin = start + datetime.timedelta(seconds=origin_s)
    return Event(f"pick{index:07d}", split, start.isoformat(), origin.isoformat())
