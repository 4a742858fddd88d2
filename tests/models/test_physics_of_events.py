"""Station terms by source, learnt from the picks of a network whose densities are known, and kept with a model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrival_densities import GRID, RATE_HZ, SAMPLES, stations, times_s
from scipy.stats import norm

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.geometry import Frame
from jaxloc.models.model import Model
from jaxloc.models.network_and_physics import NetworkAndPhysics, with_physics
from jaxloc.models.physics_of_events import terms_by_source
from jaxloc.models.spec import Catalogue, ModelSpec, read_spec, write_spec
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform
from jaxloc.physics.parameters import PhysicsPrior, PhysicsSetting, prior_parameters
from jaxloc.physics.readings import Readings
from jaxloc.physics.source_terms import Covariance, SourceTerms, terms_at
from jaxloc.types import Batch, Label, Network, Observations

NUMBER, STATIONS, SD_S = 60, 6, 0.05
STATION_KM = stations(STATIONS)
SETTING = PhysicsSetting(uniform(6.0), (0.0,) * STATIONS, GRID, PhysicsPrior(speed_sd=0.0))


def late_s(place_km):
    """What P and S at each station are late by: the more, the farther a source is to the east."""
    return 0.02 * place_km[..., 0, None, None] * np.linspace(-1, 1, STATIONS)[:, None] * [1.0, 1.5]


def catalogue(unknown):
    rng = np.random.default_rng(0)
    places = np.c_[rng.uniform(-20, 20, (NUMBER, 2)), rng.uniform(4, 12, NUMBER), np.full(NUMBER, 4.0)]
    known = np.ones((NUMBER, 4), bool)
    known[:unknown] = False
    return places, known


def dataset(places, known):
    """The "waveforms" of an event are its arrival densities: the network below passes them on."""
    arrival_s = times_s(STATION_KM, places) + late_s(places)
    mass = norm.pdf(np.arange(SAMPLES) / RATE_HZ, arrival_s[..., None], SD_S)
    mass = 0.98 * mass / mass.sum(-1, keepdims=True)
    listed = tuple(Station(f"XX.S{i}", 35 + 0.1 * i, -97.0, 0.0) for i in range(STATIONS))

    def take(index):
        number = len(index)
        row = lambda x: np.broadcast_to(x, (number, *np.shape(x)))
        observations = Observations(
            np.log(mass[index] + 1e-30).astype(np.float32),
            row(STATION_KM.astype(np.float32)),
            row(np.ones(STATIONS, bool)),
            row(np.arange(STATIONS, dtype=np.int32)),
            np.full(number, RATE_HZ, np.float32),
        )
        return Batch(observations, {"hypocentre": Label(places[index].astype(np.float32), known[index])})

    events = tuple(Event(f"e{i}", "train") for i in range(NUMBER))
    return Dataset("known", Frame(35.0, -97.0), listed, events, RATE_HZ, SAMPLES, take)


def read(weights, observations):
    none = jnp.full((STATIONS, 2, 1), jnp.log(0.02))
    return Readings(jnp.concatenate([observations.waveforms, none], -1), observations.rate_hz, jnp.ones(STATIONS))


def learnt(unknown=0, network=read):
    one = Network(lambda key, seen: {}, network)
    draws = jax.tree.map(lambda x: jnp.stack([x, x]), NetworkAndPhysics(prior_parameters(SETTING), {}))
    return terms_by_source(with_physics(one, SETTING), SETTING, draws, dataset(*catalogue(unknown)))


def test_terms_are_those_of_the_sources_nearby():
    """Sources of east and west have opposite terms, up to 0.36 s; events without a hypocentre teach nothing."""
    terms = learnt(unknown=10)
    assert len(terms.source_km) == NUMBER - 10
    for place in ([12.0, 3.0, 8.0], [-12.0, -4.0, 8.0]):
        found = np.asarray(terms_at(terms, jnp.array(place), jnp.array(0.0)).mean_s)
        want = late_s(np.array(place))
        np.testing.assert_allclose(found - found.mean(), want - want.mean(), atol=0.1)


def test_a_network_that_is_sure_of_nothing_is_refused():
    unsure = lambda weights, seen: read(weights, seen)._replace(log_mass=jnp.full((STATIONS, 2, SAMPLES + 1), -7.0))
    with pytest.raises(ValueError, match=r"model\.source_terms=false"):
        learnt(network=unsure)


def test_a_specification_keeps_its_terms(tmp_path):
    shape = (3, STATIONS, 2)
    value = lambda seed: jax.random.normal(jax.random.key(seed), shape)
    covariance = Covariance(jnp.array([0.1, 0.2]), jnp.array([0.05, 0.1]), jnp.array(6.0), jnp.array(0.7))
    terms = SourceTerms(value(0)[:, :3, 0], value(1), jnp.abs(value(2)), covariance)
    places, known = catalogue(0)
    spec = ModelSpec(
        {"name": "arrivals"},
        Frame(35.0, -97.0),
        (),
        20.0,
        512,
        None,
        Catalogue(places, known),
        {"top_km": [0.0], "vp_km_s": [6.0], "vp_vs": 1.73},
        Region((-30.0, 30.0), (-30.0, 30.0), (0.0, 20.0), (0.0, 25.0)),
        terms,
    )
    write_spec(tmp_path / "model.json", spec)
    again = read_spec(tmp_path / "model.json").source_terms
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), again, terms)
    assert Model._field_defaults["source_terms"] is None
