"""CPU seconds of full posteriors by equal differential time: octree and grid search of the same events.

pytest benchmarks/test_octree.py

Events of 30 picks at 15 stations in a layered model. NonLinLoc takes 277 CPU seconds for 1,000 events of about as many
picks on a grid of 0.1 km.
"""

import time

import jax
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from jaxloc.locators import build
from jaxloc.locators.setup import Setup
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import layered
from jaxloc.types import Observations

NAME = "1,000 events of 30 picks, equal differential time"
NONLINLOC_S = 277.0
EVENTS = {"octree": 256, "grid_search": 16}
REGION = Region((-50.0, 50.0), (-50.0, 50.0), (0.0, 25.0), (-10.0, 10.0))
STATIONS = np.c_[np.random.default_rng(0).uniform(-40, 40, (15, 2)), np.zeros(15)]
MODEL = layered([0.0, 5.0, 15.0, 30.0], [5.0, 6.0, 6.5, 8.0], [2.9, 3.5, 3.75, 4.6])


def events(number: int) -> Observations:
    """Picks about straight rays, whose times differ from those of the layers as those of the ground do."""
    rng = np.random.default_rng(1)
    place = rng.uniform([-30, -30, 2], [30, 30, 15], (number, 3))
    apart_km = np.linalg.norm(place[:, None] - STATIONS, axis=-1)
    picks_s = (apart_km[..., None] / np.array([5.9, 3.4]) + 0.1 * rng.normal(size=(number, 15, 2))).astype(np.float32)
    return Observations(
        None,
        np.broadcast_to(STATIONS.astype(np.float32), (number, 15, 3)),
        np.ones((number, 15), bool),
        np.broadcast_to(np.arange(15), (number, 15)),
        np.ones(number, np.float32),
        picks_s,
        np.full_like(picks_s, 0.1),
        np.ones(picks_s.shape, bool),
    )


@pytest.mark.parametrize("name", EVENTS)
def test_events(benchmark: BenchmarkFixture, figures: dict, name: str) -> None:
    """CPU seconds of the process, all threads, without compilation; and those of the first run, with it."""
    locate = build(name, Setup(REGION, STATIONS, MODEL), {"kind": "edt", "model_sd_s": 0.1})
    batch, cpu_s = events(EVENTS[name]), []
    begin = time.process_time()
    locate(jax.random.key(0), batch)
    first_s = time.process_time() - begin

    def run() -> None:
        begin = time.process_time()
        jax.block_until_ready(locate(jax.random.key(0), batch).covariance)
        cpu_s.append(time.process_time() - begin)

    benchmark.pedantic(run, rounds=3)
    per_thousand = min(cpu_s) * 1000 / EVENTS[name]
    figures[NAME] |= {
        f"{name} CPU s": per_thousand,
        f"{name} compilation s": first_s - min(cpu_s),
        "NonLinLoc CPU s": NONLINLOC_S,
    }
