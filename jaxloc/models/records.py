"""Systems of one station's record with its picks, judged beside the rule of S minus P."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxloc.data.dataset import Dataset
from jaxloc.heads import distance_ring
from jaxloc.heads.single_station import Beforehand, numbers, station
from jaxloc.locators import sp_rule
from jaxloc.locators.over_events import over_events
from jaxloc.models.model import System, as_tuples
from jaxloc.models.single_station import prior_of, stations_apart
from jaxloc.models.spec import Blueprint, spread_of
from jaxloc.networks import janbakhsh2019, mousavi2020
from jaxloc.per_station import placed
from jaxloc.physics.layered import mean_speed_km_s
from jaxloc.simulation.events import positions_km
from jaxloc.types import Head, Locator, Network

CHUNK = 64  # records read at a time
MAGNITUDES = (2.0, 1.5)  # centre and scale before a record is read


def bayesian_single_station(
    blueprint: Blueprint, *, directions: int = 2, depth: bool = True, published: bool = False, **settings: Any
) -> System:
    """Mousavi and Beroza (2020): distance and travel time by one network, direction by another, of each record."""
    if published:
        directions, depth = 1, False
    far, towards = numbers(directions, depth)
    kept = {"azimuth_size": towards, "directions": directions, "published": published} | as_tuples(settings)
    head = placed(station(beforehand(blueprint), directions, depth), far + towards + mousavi2020.PASSED)
    return _beside_the_rule(blueprint, mousavi2020.network(far, **kept), head)


def denoised_record(
    blueprint: Blueprint, *, magnitude: bool = True, reconstruction: float = 1.0, **settings: Any
) -> System:
    """After Janbakhsh and others (2019): event or noise, first motion, magnitude and distance of each record."""
    before, size = beforehand(blueprint), distance_ring.size_of(magnitude)
    middle_km, spread_km = before.distance_km
    logarithm = (float(np.log10(middle_km)), float(max(0.3, spread_km / middle_km / distance_ring.LN_10)))
    catalogue = (logarithm, before.depth_km, before.origin_s)
    sizes = MAGNITUDES if magnitude else None
    at = distance_ring.of_record(catalogue, sizes, reconstruction, prior_of(blueprint))
    network = janbakhsh2019.network(size, **as_tuples(settings))
    return _beside_the_rule(blueprint, network, placed(at, size + 2))


def _beside_the_rule(blueprint: Blueprint, network: Network, head: Head) -> System:
    """Raw numbers are in units of the training catalogue, so that other stations are refused."""
    system = stations_apart(blueprint, network, head, 0.0)
    return system._replace(baselines=lambda train: sp_rules(blueprint, train))


def sp_rules(blueprint: Blueprint, train: Dataset) -> Mapping[str, Locator]:
    """The rule of S minus P, with textbook speeds and with those that fit best; learnt from the training records."""
    before, prior, shake = beforehand(blueprint), prior_of(blueprint), max(4, round(train.rate_hz))
    parts = [train.take(np.arange(at, min(at + CHUNK, len(train)))) for at in range(0, len(train), CHUNK)]
    found = {}
    for name, fitted in (("sp_rule", False), ("sp_rule_fitted", True)):
        rule = sp_rule.learnt(parts, before, shake=shake, fitted=fitted)
        found[name] = over_events(sp_rule.sp_rule(rule, before, prior, blueprint.region, shake=shake))
    return found


def beforehand(blueprint: Blueprint) -> Beforehand:
    """What is known before a record is read; distances are those of events to their nearest stations, and beyond."""
    middle, spread = spread_of(blueprint)
    known = blueprint.catalogue.known[:, :2].all(-1)
    places = blueprint.catalogue.hypocentres[known, :2]
    stations_km = positions_km(blueprint.frame, blueprint.stations)[:, :2]
    nearest_km = np.linalg.norm(places[:, None] - stations_km, axis=-1).min(1)
    distance_km = max(float(nearest_km.mean()), 1.0)
    return Beforehand(
        (distance_km, max(float(nearest_km.std()), distance_km)),
        (float(middle[2]), float(spread[2])),
        (float(middle[3]), float(spread[3])),
        mean_speed_km_s(blueprint.velocity["top_km"], blueprint.velocity["vp_km_s"], float(middle[2])),
        float(blueprint.velocity["vp_vs"]),
    )
