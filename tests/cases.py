"""Tables of everything there is: networks, heads, weight posteriors, locators. Tests run over them.

A new one is a new row here; `test_api.py` fails where a table and its registry differ. Rows are functions, so
that nothing is computed at import. Sizes are as small as a test needs.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxloc import inference
from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.heads import arrivals as arrival_head
from jaxloc.heads import autoregressive, distance_ring, gaussian, isotropic, labels, polar_classes, volume
from jaxloc.heads import clusters as cluster_head
from jaxloc.heads import clusters as clusters_
from jaxloc.heads.polar_classes import Scale
from jaxloc.heads.single_station import Beforehand, numbers, station
from jaxloc.locators import arrivals as arrivals_locator
from jaxloc.locators import (
    climatology,
    double_difference,
    geiger,
    grid_search,
    hierarchical,
    neural,
    nuts,
    octree,
    single_station,
    source_scan,
    sp_rule,
)
from jaxloc.locators.double_difference import Settings
from jaxloc.locators.over_events import over_events
from jaxloc.models.network_and_physics import with_physics
from jaxloc.networks import (
    arrival_rates,
    arrivals,
    convnetquake,
    convnetquake_ingv,
    gu2019,
    janbakhsh2019,
    kriegerowski2019,
    mousavi2020,
    picks,
    preseis,
    set_transformer,
    station_graph,
    zhang2020,
    zhang2021,
)
from jaxloc.per_station import over_stations, placed
from jaxloc.physics.adaptive_grid import Region, Search
from jaxloc.physics.adaptive_sampling import Sampling
from jaxloc.physics.event_pairs import PairSettings
from jaxloc.physics.layered import uniform, velocity_of
from jaxloc.physics.parameters import PhysicsSetting
from jaxloc.physics.pick_errors import PickErrors
from jaxloc.physics.priors import log_prior_of, same_everywhere
from jaxloc.physics.table import TableGrid, table_around
from jaxloc.types import Batch, Head, Label, Locator, Method, Network, Observations, Target, Weights

# Compiling takes nearly all of the time in tests; without optimisation it takes an eighth.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

STATIONS, SAMPLES, RATE_HZ = 5, 128, 20.0
CENTRE, SCALE = (3.0, -4.0, 8.0, 2.0), (20.0, 15.0, 5.0, 1.0)
REGION = Region((-30.0, 30.0), (-30.0, 30.0), (0.0, 20.0), (-2.0, 5.0))
SIZES = Search((7, 7, 2, 12), (7, 7, 3, 5), 2, (7, 7, 5, 5))
SAMPLING = Sampling((7, 7, 2, 12), points=128, levels=3, last=256, times=5)
LOG_PRIOR = log_prior_of(REGION, same_everywhere(8.0, 5.0))
BEFORE = Beforehand((15.0, 10.0), (8.0, 5.0), (2.0, 1.0))
PRIOR = gaussian_mixture(jnp.zeros(1), jnp.array([CENTRE]), jnp.diag(jnp.array(SCALE))[None])
AXES = np.linspace(-20, 20, 6), np.linspace(-15, 15, 5), np.array([0.0, 5.0, 20.0])


def observations(key: int = 0, stations: int = STATIONS, samples: int = SAMPLES) -> Observations:
    """One event of noise at stations spread over the region."""
    names = dict(zip(("waveforms", "places", "heights"), jax.random.split(jax.random.key(key), 3), strict=True))
    waveforms = 1e-6 * jax.random.normal(names["waveforms"], (stations, 3, samples))
    station_km = jax.random.uniform(jax.random.key(7), (stations, 3), minval=-20.0, maxval=20.0).at[:, 2].set(-0.5)
    apart_km = jnp.linalg.norm(station_km - jnp.array(CENTRE[:3]), axis=-1)
    picks_s = CENTRE[3] + apart_km[:, None] / jnp.array([6.0, 3.5])
    return Observations(
        waveforms,
        station_km,
        jnp.ones(stations, bool),
        jnp.arange(stations),
        jnp.array(RATE_HZ),
        picks_s,
        jnp.full(picks_s.shape, 0.2),
        jnp.ones(picks_s.shape, bool),
    )


def batch(number: int = 3) -> Batch:
    """Events of noise with full labels."""
    seen = jax.tree.map(lambda *x: jnp.stack(x), *(observations(key) for key in range(number)))
    hypocentre = jnp.array(CENTRE) + jax.random.normal(jax.random.key(1), (number, 4))
    arrival_s = jnp.broadcast_to(jnp.array([3.0, 4.5]), (number, STATIONS, 2))
    full = lambda value: Label(value, jnp.ones(value.shape, bool))
    return Batch(seen, {"hypocentre": full(hypocentre), "arrivals": full(arrival_s)})


class NetworkCase(NamedTuple):
    """How to build a network, and the shape of its raw output; None where it is a structure of its own."""

    build: Callable[[], Network]
    size: tuple[int, ...] | None


def _arrivals_network() -> Network:
    grid = TableGrid(90.0, (0.0, 20.0), (-1.0, 0.0), 16, 8, 2)
    velocity = velocity_of({"top_km": [0.0, 10.0], "vp_km_s": [5.0, 6.0], "vp_vs": 1.73})
    setting = PhysicsSetting(velocity, (0.0,) * STATIONS, grid)
    return with_physics(arrivals.network(channels=(4, 6), kernel_size=3), setting)


def _rates_network() -> Network:
    grid = TableGrid(90.0, (0.0, 20.0), (-1.0, 0.0), 16, 8, 2)
    velocity = velocity_of({"top_km": [0.0, 10.0], "vp_km_s": [5.0, 6.0], "vp_vs": 1.73})
    setting = PhysicsSetting(velocity, (0.0,) * STATIONS, grid)
    return with_physics(arrival_rates.network(rate_hz=RATE_HZ, channels=(4, 6), kernel_size=3), setting)


def _clusters() -> clusters_.Clusters:
    places = np.random.default_rng(0).normal(CENTRE, SCALE, (30, 4)).astype(np.float32)
    return clusters_.clusters(places, np.ones((30, 4), bool), 3, (np.array(CENTRE), np.array(SCALE)))


POLAR = polar_classes.Classes(Scale(6, 60.0, 2), Scale(5, 5.0), Scale(4, 30.0, 2), 8)


def _mousavi_network() -> Network:
    small = {"features": 4, "blocks": 3, "hidden": 4, "window": 64, "onset": (4, 12), "shake": 6}
    return mousavi2020.network(numbers(2)[0], azimuth_size=numbers(2)[1], directions=2, **small)


def _placed(at: Callable[[Array], Head]) -> Head:
    return over_stations(placed(at, math.prod(np.atleast_1d(at(jnp.zeros(3)).size))))


SMALL = {"width": 8, "channels": (4, 6), "seeds": 2, "rounds": 3}

NETWORKS = {
    "arrivals": NetworkCase(_arrivals_network, None),
    "arrival_rates": NetworkCase(_rates_network, None),
    "convnetquake": NetworkCase(lambda: convnetquake.network(4, layers=4, width=4, num_stations=STATIONS), None),
    "convnetquake_ingv": NetworkCase(lambda: convnetquake_ingv.network(sum(POLAR.sizes), layers=4, width=4), None),
    "janbakhsh2019": NetworkCase(lambda: janbakhsh2019.network(6, width=2, recurrent=3, dense=4, motion=(4, 4)), None),
    "gu2019": NetworkCase(lambda: gu2019.network(14, width=4, pools=(4, 4), num_stations=STATIONS), (14,)),
    "preseis": NetworkCase(
        lambda: preseis.network(14, centre=CENTRE, scale=SCALE, links=((3, 2),), hidden=4, num_stations=STATIONS), None
    ),
    "kriegerowski2019": NetworkCase(lambda: kriegerowski2019.network(14, width=4, num_stations=STATIONS), (14,)),
    "mousavi2020": NetworkCase(_mousavi_network, None),
    "picks": NetworkCase(lambda: picks.network(14, width=8, heads=2, seeds=2), (14 + picks.PLACE,)),
    "set_transformer": NetworkCase(lambda: set_transformer.network(14, **SMALL, heads=2, blocks=(1, 1)), None),
    "station_graph": NetworkCase(lambda: station_graph.network(14, **SMALL, neighbours=3, layers=(1, 1)), None),
    "zhang2020": NetworkCase(lambda: zhang2020.network((5, 4, 2), width=2, num_stations=STATIONS), (5, 4, 2)),
    "zhang2021": NetworkCase(lambda: zhang2021.network((5, 4, 2), width=2, num_stations=STATIONS), (5 * 4 * 2 + 2,)),
}

HEADS: dict[str, Callable[[], Head]] = {
    "arrivals": lambda: arrival_head.arrivals(REGION, LOG_PRIOR, sizes=SAMPLING),
    "clusters": lambda: over_stations(placed(lambda station_km: cluster_head.cluster_classes(_clusters()), 4)),
    "beside": lambda: arrival_head.with_arrivals(HEADS["moved"]()),
    "chain": lambda: autoregressive.chain(
        jax.random.key(0),
        gaussian.moved(gaussian.gaussian(np.zeros(4), np.ones(4))),
        [
            autoregressive.Link(
                labels.number(2.0, 1.5, 0.05),
                (autoregressive.Given("hypocentre", np.array(CENTRE[:3]), np.array(SCALE[:3])),),
            )
        ],
        4,
    ),
    "gaussian": lambda: gaussian.gaussian(np.array(CENTRE), np.array(SCALE)),
    "isotropic": lambda: isotropic.isotropic(np.array(CENTRE), np.array(SCALE)),
    "mixture": lambda: gaussian.mixture(np.array(CENTRE), np.array(SCALE), 2),
    "moved": lambda: gaussian.moved(gaussian.gaussian(np.zeros(4), np.ones(4))),
    "record": lambda: _placed(distance_ring.of_record(((1.0, 0.3), (8.0, 5.0), (2.0, 1.0)), (2.0, 1.5), 1.0)),
    "station": lambda: _placed(station(BEFORE, 2)),
    "volume": lambda: volume.volume(*AXES, CENTRE[3], SCALE[3]),
    "polar": lambda: over_stations(polar_classes.polar_classes(POLAR, (2.0, 1.0))),
    "published_volume": lambda: volume.published_volume(*AXES, CENTRE[3], SCALE[3]),
    "volume and magnitude": lambda: labels.joint(
        volume.volume(*AXES, CENTRE[3], SCALE[3]), labels.number(2.0, 1.5, 0.05)
    ),
}

LABEL_HEADS: dict[str, Callable[[], Head]] = {
    "binned": lambda: labels.binned(0.0, 5.0, 4),
    "categorical": lambda: labels.categorical(3, "polarity"),
    "number": lambda: labels.number(2.0, 1.5, 0.05),
    "joint": lambda: labels.joint(HEADS["gaussian"](), labels.number(2.0, 1.5, 0.05), labels.categorical()),
}

# Which head reads which network's output, where this is not any head at all.
PAIRS = {
    "arrival_rates": ("arrivals",),
    "arrivals": ("arrivals",),
    "convnetquake": ("clusters",),
    "convnetquake_ingv": ("polar",),
    "janbakhsh2019": ("record",),
    "gu2019": ("gaussian", "isotropic"),
    "preseis": ("chain",),
    "kriegerowski2019": ("gaussian",),
    "mousavi2020": ("station",),
    "picks": ("moved",),
    "set_transformer": ("beside",),
    "station_graph": ("beside",),
    "zhang2020": ("volume", "published_volume"),
    "zhang2021": ("volume and magnitude",),
}

METHODS: dict[str, Callable[[Target, optax.GradientTransformation], Method]] = {
    "dropout": inference.dropout,
    "ensemble": lambda target, optimizer: inference.ensemble(inference.point(target, optimizer), 3),
    "full_covariance": partial(inference.full_covariance, steps=40),
    "laplace": partial(inference.laplace, start=2),
    "low_rank": partial(inference.low_rank, steps=40, rank=2),
    "mean_field": partial(inference.mean_field, steps=40),
    "nuts": lambda target, optimizer: inference.nuts(target, start=2, keep=4),
    "point": inference.point,
    "sghmc": lambda target, optimizer: inference.sghmc(target, steps=8, keep=4),
    "sgld": lambda target, optimizer: inference.sgld(target, steps=8, keep=4),
    "stein": partial(inference.stein, particles=3),
    "subspace": lambda target, optimizer: inference.subspace(
        target, lambda name: name == "kernel", lambda part: inference.full_covariance(part, optimizer, steps=40)
    ),
    "swag": partial(inference.swag, start=1),
}
ENSEMBLES = ("ensemble",)  # their parameters come with a leading axis of three members
WHOLE_BATCHES = ("nuts",)  # all events a step, or none


def sampled(network: Network, number: int = 2) -> Weights:
    """Draws of a network's weights that differ in scale alone."""
    params = quick_jit(network.init)(jax.random.key(0), observations())
    return Weights(jax.tree.map(lambda x: jnp.stack([x * (1 - 0.2 * i) for i in range(number)]), params))


def _neural(network: Network, locate: neural.LocateByDraws) -> Locator:
    draws = sampled(network)
    return neural.with_weights(locate, lambda key: draws, chunk=2)


def _by_arrivals() -> Locator:
    network = _arrivals_network()
    return _neural(network, arrivals_locator.arrivals(network, REGION, LOG_PRIOR, SAMPLING))


def _by_records() -> Locator:
    network = _mousavi_network()
    head = placed(station(BEFORE, 2), sum(numbers(2)) + 4)
    return _neural(network, single_station.single_station(network, head, PRIOR, REGION))


def _by_stack() -> Locator:
    table = table_around(uniform(6.0), REGION, np.array([[0.0, 0.0, -0.5]]))
    errors = source_scan.TravelTimeErrors((0.1, 0.17), correlation=0.3)  # of noise an exact stack has many sharp modes
    return over_events(
        source_scan.source_scan(table, REGION, LOG_PRIOR, RATE_HZ, errors=errors, sizes=SAMPLING), chunk=2
    )


def _by_coordinates() -> Locator:
    network = NETWORKS["kriegerowski2019"].build()
    return _neural(network, neural.neural(network, HEADS["gaussian"]()))


JOINT = ("double_difference", "hierarchical")  # locators that treat all events of a batch as one problem
CHAINS = ("nuts",)  # locators by random draws, which rounding changes

LOCATORS: dict[str, Callable[[], Locator]] = {
    "arrivals": _by_arrivals,
    "climatology": lambda: climatology.climatology(PRIOR),
    "double_difference": lambda: double_difference.relocating(
        LOCATORS["grid_search"](), grid_search.uniform_times(6.0), PairSettings(fewest=4), Settings(cluster_links=4)
    ),
    "geiger": lambda: geiger.geiger(grid_search.uniform_times(6.0), REGION, LOG_PRIOR),
    "grid_search": lambda: over_events(
        grid_search.grid_search(grid_search.uniform_times(6.0), REGION, LOG_PRIOR, sizes=SIZES), chunk=2
    ),
    "hierarchical": lambda: hierarchical.hierarchical(
        grid_search.uniform_times(6.0), REGION, hierarchical.Settings(rounds=2, learn=False)
    ),
    "neural": _by_coordinates,
    "nuts": lambda: nuts.nuts(grid_search.uniform_times(6.0), REGION, LOG_PRIOR, warmup=30, draws=40, chains=2),
    "octree": lambda: over_events(
        octree.octree(grid_search.uniform_times(6.0), REGION, LOG_PRIOR, PickErrors("edt", 0.1)), chunk=2
    ),
    "single_station": _by_records,
    "source_scan": _by_stack,
    "sp_rule": lambda: over_events(
        sp_rule.sp_rule(sp_rule.rule_of(jnp.zeros(6), False), BEFORE, PRIOR, REGION, shake=6), chunk=2
    ),
}
