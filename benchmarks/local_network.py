"""What benchmarks measure: networks with their heads and locators, at the size of a local network.

Twelve stations of three components, 40 s at 50 Hz, batches of four events. Waveforms are noise: the cost of a step does
not depend on them.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from jaxloc import inference
from jaxloc.heads import gaussian, volume
from jaxloc.heads.arrivals import arrivals as arrivals_head
from jaxloc.inference.target import all_network
from jaxloc.locators import neural
from jaxloc.locators.arrivals import arrivals as arrivals_locator
from jaxloc.models.network_and_physics import parts, with_physics
from jaxloc.networks import arrivals, kriegerowski2019, zhang2020
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import velocity_of
from jaxloc.physics.parameters import PhysicsSetting
from jaxloc.physics.priors import log_prior_of, same_everywhere
from jaxloc.physics.table import TableGrid
from jaxloc.types import Batch, Head, Label, Method, Network, Observations, Params, Weights

STATIONS, SAMPLES, RATE_HZ, EVENTS = 12, 2000, 50.0, 4
DRAWS = 100
NUM_DATA = 1000
CENTRE, SCALE = np.array([0.0, 0.0, 8.0, 8.0]), np.array([12.0, 12.0, 4.0, 2.0])
REGION = Region((-30.0, 30.0), (-30.0, 30.0), (0.0, 20.0), (0.0, 16.0))
CELLS = (30, 30, 10)


class Case(NamedTuple):
    """A network, its head, and `locate(chunk)`, its locator with so many samples of the weights at a time."""

    network: Network
    head: Head
    locate: Callable[[int], neural.LocateByDraws]
    parts: Callable[[Params], PyTree[str]] = all_network


def _arrivals() -> Case:
    grid = TableGrid(90.0, (-1.0, 20.0), (-1.0, 0.0), 48, 32, 3)
    velocity = velocity_of({"top_km": [0.0, 10.0], "vp_km_s": [5.5, 6.2], "vp_vs": 1.73})
    network = with_physics(arrivals.network(), PhysicsSetting(velocity, (0.0,) * STATIONS, grid))
    log_prior = log_prior_of(REGION, same_everywhere(8.0, 4.0))
    return Case(
        network, arrivals_head(REGION, log_prior), lambda chunk: arrivals_locator(network, REGION, log_prior), parts
    )


def _kriegerowski2019() -> Case:
    head = gaussian.gaussian(CENTRE, SCALE)
    network = kriegerowski2019.network(14, num_stations=STATIONS)
    return Case(network, head, lambda chunk: neural.neural(network, head, draw_chunk=chunk))


def _zhang2020() -> Case:
    edges = (np.linspace(*span, cells + 1) for span, cells in zip(REGION[:3], CELLS, strict=True))
    head = volume.volume(*edges, float(CENTRE[3]), float(SCALE[3]))
    network = zhang2020.network(CELLS, num_stations=STATIONS)

    def average(raws: jax.Array) -> jax.Array:
        log_mass = jax.nn.log_softmax(raws.reshape(len(raws), -1), -1)
        return (jax.scipy.special.logsumexp(log_mass, axis=0) - jnp.log(len(raws))).reshape(raws.shape[1:])

    return Case(network, head, lambda chunk: neural.neural(network, head, average, draw_chunk=chunk))


CASES: dict[str, Callable[[], Case]] = {
    "arrivals": _arrivals,
    "kriegerowski2019": _kriegerowski2019,
    "zhang2020": _zhang2020,
}
METHODS = {"point": inference.point, "mean_field": partial(inference.mean_field, steps=1000)}


def batch(number: int = EVENTS) -> Batch:
    """Events of noise with all labels known."""
    names = dict(zip(("waveforms", "places", "labels"), jax.random.split(jax.random.key(0), 3), strict=True))
    place = jax.random.uniform(names["places"], (STATIONS, 3), minval=-25.0, maxval=25.0).at[:, 2].set(-0.5)
    seen = Observations(
        1e-6 * jax.random.normal(names["waveforms"], (number, STATIONS, 3, SAMPLES)),
        jnp.broadcast_to(place, (number, STATIONS, 3)),
        jnp.ones((number, STATIONS), bool),
        jnp.broadcast_to(jnp.arange(STATIONS, dtype=jnp.int32), (number, STATIONS)),
        jnp.full(number, RATE_HZ),
    )
    hypocentre = jnp.asarray(CENTRE + 0.3 * SCALE * jax.random.normal(names["labels"], (number, 4)))
    arrival_s = jnp.broadcast_to(jnp.array([12.0, 15.0]), (number, STATIONS, 2))
    known = {"hypocentre": hypocentre, "arrivals": arrival_s}
    return Batch(seen, {name: Label(value, jnp.ones(value.shape, bool)) for name, value in known.items()})


def event() -> Observations:
    """The observations of one event."""
    return jax.tree.map(lambda x: x[0], batch(1).observations)


def fitted(case: Case, name: str) -> tuple[Method, object]:
    """A weight posterior of a case by name, and its initial state."""
    params = case.network.init(jax.random.key(1), event())
    labels = case.parts(params)
    centre, scale = inference.prior_mean(params, parts=labels), inference.prior_scale(params, parts=labels)
    goal = inference.target(case.network, case.head, centre, scale, NUM_DATA, parts=labels)
    method = METHODS[name](goal, optax.adam(1e-3))
    return method, jax.jit(method.init)(jax.random.key(2), params)


def draws(case: Case, number: int = DRAWS) -> Weights:
    """Samples of the weights from the initial mean-field posterior."""
    method, state = fitted(case, "mean_field")
    return method.sample(jax.random.key(3), state, number)
