"""Systems of one station: a network answers for each record, a product puts the stations' answers together."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloc import ring_head
from jaxloc.blueprint import Blueprint, spread_of
from jaxloc.data.dataset import Dataset
from jaxloc.data.synthetic import positions_km
from jaxloc.distributions import Components, HypocentreMixture, contaminated
from jaxloc.locators import sp_rule
from jaxloc.locators.neural import LocateEvent
from jaxloc.locators.single_station import single_station
from jaxloc.networks import janbakhsh2019, mousavi2020
from jaxloc.station_by_station import over_stations, placed
from jaxloc.station_head import Beforehand, numbers, station
from jaxloc.systems.system import System, not_prepared

CHUNK = 64  # records read at a time
MAGNITUDES = (2.0, 1.5)  # centre and scale before a record is read
SURPRISES = (0.1, 3.0)  # share and width of the prior's heavier part


def bayesian_single_station(
    blueprint: Blueprint, *, directions: int = 2, depth: bool = True, published: bool = False, **settings: Any
) -> System:
    """Mousavi and Beroza (2020): distance and travel time by one network, direction by another, of each record."""
    if published:
        directions, depth = 1, False
    far, towards = numbers(directions, depth)
    settings = {name: tuple(x) if isinstance(x, list) else x for name, x in settings.items()}
    network = mousavi2020.network(far, azimuth_size=towards, directions=directions, published=published, **settings)
    before, prior = beforehand(blueprint), prior_of(blueprint)
    head = placed(station(before, directions, depth), far + towards + mousavi2020.PASSED)
    over_all = over_stations(head)
    locate = single_station(network, head, prior, blueprint.region)
    baselines = lambda train: sp_rules(blueprint, train)
    return System(network, network, lambda *_: over_all, locate, not_prepared, False, baselines)


def denoised_record(
    blueprint: Blueprint, *, magnitude: bool = True, reconstruction: float = 1.0, **settings: Any
) -> System:
    """After Janbakhsh and others (2019): event or noise, first motion, magnitude and distance of each record."""
    before, prior = beforehand(blueprint), prior_of(blueprint)
    middle_km, spread_km = before.distance_km
    logarithm = (float(np.log10(middle_km)), float(max(0.3, spread_km / middle_km / np.log(10))))
    catalogue = (logarithm, before.depth_km, before.origin_s)
    settings = {name: tuple(x) if isinstance(x, list) else x for name, x in settings.items()}
    network = janbakhsh2019.network(ring_head.size_of(magnitude), **settings)
    at = ring_head.of_record(catalogue, MAGNITUDES if magnitude else None, reconstruction)
    head = placed(at, ring_head.size_of(magnitude) + 2)
    over_all = over_stations(head)
    locate = single_station(network, head, prior, blueprint.region)
    baselines = lambda train: sp_rules(blueprint, train)
    return System(network, network, lambda *_: over_all, locate, not_prepared, False, baselines)


def sp_rules(blueprint: Blueprint, train: Dataset) -> Mapping[str, LocateEvent]:
    """The rule of S minus P, with textbook speeds and with those that fit best; learnt from the training records."""
    before, prior, shake = beforehand(blueprint), prior_of(blueprint), max(4, round(train.rate_hz))
    parts = [train.take(np.arange(at, min(at + CHUNK, len(train)))) for at in range(0, len(train), CHUNK)]
    found = {}
    for name, fitted in (("sp_rule", False), ("sp_rule_fitted", True)):
        rule = sp_rule.learnt(parts, before, shake=shake, fitted=fitted)
        found[name] = sp_rule.sp_rule(rule, before, prior, blueprint.region, shake=shake)
    return found


def beforehand(blueprint: Blueprint) -> Beforehand:
    """What is known before a record is read; distances are those of events to their nearest stations, and beyond."""
    middle, spread = spread_of(blueprint.catalogue, blueprint.num_samples / blueprint.rate_hz)
    known = blueprint.catalogue.known[:, :2].all(-1)
    places = blueprint.catalogue.hypocentres[known, :2]
    stations_km = positions_km(blueprint.frame, blueprint.stations)[:, :2]
    distance_km = np.linalg.norm(places[:, None] - stations_km, axis=-1).min(1)
    velocity = blueprint.velocity
    layers = np.append(np.diff(velocity["top_km"]), 1e3)
    # Down to the mean depth of events, each layer for as long as it takes.
    thick = np.clip(middle[2] - np.asarray(velocity["top_km"]), 0.0, layers)
    slowness = (thick / np.asarray(velocity["vp_km_s"])).sum() / max(thick.sum(), 1e-6)
    vp_km_s = 1 / slowness if thick.sum() > 0 else velocity["vp_km_s"][0]
    return Beforehand(
        (float(distance_km.mean()), float(max(distance_km.std(), distance_km.mean()))),
        (float(middle[2]), float(spread[2])),
        (float(middle[3]), float(spread[3])),
        float(vp_km_s),
        float(velocity["vp_vs"]),
    )


def prior_of(blueprint: Blueprint) -> HypocentreMixture:
    """The training catalogue as a normal with heavier tails."""
    middle, spread = spread_of(blueprint.catalogue, blueprint.num_samples / blueprint.rate_hz)
    whole = Components(
        jnp.zeros(1), jnp.asarray(middle[None], jnp.float32), jnp.diag(jnp.asarray(spread, jnp.float32))[None]
    )
    return HypocentreMixture(jax.tree.map(jnp.asarray, contaminated(whole, *SURPRISES)))
