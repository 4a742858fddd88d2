"""Double difference of 2,662 events with catalogue times: pairing, relocation and posterior.

pytest benchmarks/test_double_difference.py -s
"""

import resource
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.locators.double_difference import IterationSet, Settings, double_difference
from jaxloc.physics.double_differences import Links
from jaxloc.physics.event_pairs import PairSettings, pair_events
from jaxloc.physics.layered import layered
from jaxloc.physics.layered_times import layered_times
from jaxloc.types import Observations

STATIONS, PICKED, PICK_SD_S = 30, 0.5, 0.03
SETS = (IterationSet(4, residual_catalogue=6.0, damping=40.0),)


def region(number: int) -> tuple[np.ndarray, np.ndarray, Observations]:
    """Events along a fault of 30 km, starting locations 0.5 km off, picks of half of the stations."""
    rng = np.random.default_rng(0)
    truth = np.column_stack(
        [rng.uniform(-15, 15, number), rng.normal(0, 0.7, number), rng.uniform(3, 12, number), np.zeros(number)]
    )
    station_km = np.column_stack([rng.uniform(-30, 30, (STATIONS, 2)), np.zeros(STATIONS)])
    travel_s = TIMES(jnp.asarray(station_km, jnp.float32))
    picks_s = np.asarray(jax.lax.map(lambda place: travel_s(place[None])[0], jnp.asarray(truth[:, :3]), batch_size=64))
    shape = picks_s.shape
    own = (np.broadcast_to(station_km, (number, STATIONS, 3)), np.ones(shape[:2], bool), np.zeros(shape[:2], int))
    picks_s = picks_s + rng.normal(0, PICK_SD_S, shape)
    mask = rng.uniform(size=shape) < PICKED
    seen = Observations(None, *own, np.ones(number), picks_s, np.full(shape, PICK_SD_S), mask)
    return truth, truth + rng.normal(0, [0.5, 0.5, 0.5, 0.1], truth.shape), seen


TIMES = layered_times(layered([0.0, 3.0, 8.0, 16.0], [4.8, 5.8, 6.3, 6.8], [2.8, 3.35, 3.65, 3.9]))


@pytest.mark.parametrize("number", [500, 2662])
def test_relocation(figures: dict, number: int) -> None:
    """Below 60 s of wall-clock time on two free cores; relative errors below those of the start (0.7 km)."""
    truth, start, seen = region(number)
    wall, cpu = time.perf_counter(), time.process_time()
    paired = pair_events(seen, start, PairSettings(fewest=8, most=30))
    covariance = np.tile(np.diag([0.25, 0.25, 0.25, 0.01]), (number, 1, 1))
    links = [Links("catalogue", paired.times)]
    settings = Settings(SETS, air_quakes="reset", draws=200)
    station_km = np.asarray(seen.station_km[0])
    found = double_difference(jax.random.key(0), TIMES, station_km, start, covariance, links, settings)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    first, second = np.asarray(paired.times.first), np.asarray(paired.times.second)
    mean = np.asarray(found.posterior.mean)
    error_km = (mean[first] - mean[second] - truth[first] + truth[second])[:, :3].std(0)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures["double difference"] |= {f"{number} events s": spent[0], f"{number} events CPU s": spent[1]}
    print(
        f"{number} events, {len(first)} links: {spent[0]:.1f} s, CPU {spent[1]:.1f} s, peak {peak_gb:.2f} GB", error_km
    )
    assert (error_km < [0.25, 0.25, 0.6]).all()
