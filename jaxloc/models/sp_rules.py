"""What models of one record with picks share: the S-P rule as a baseline, and their prior from the catalogue."""

from collections.abc import Mapping

import numpy as np

from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.heads.single_station import Beforehand
from jaxloc.locators import sp_rule
from jaxloc.locators.over_events import over_events
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.models.stations_apart import prior_of, stations_apart
from jaxloc.physics.layered import mean_speed_km_s, mean_vp_vs, velocity_of
from jaxloc.types import Head, Locator, Network

CHUNK = 64  # records read at a time


def compared_with_sp_rules(spec: ModelSpec, network: Network, head: Head) -> Model:
    """Raw numbers are in units of the training catalogue, so that other stations are refused."""
    model = stations_apart(spec, network, head, 0.0)
    return model._replace(baselines=lambda train: sp_rules(spec, train))


def sp_rules(spec: ModelSpec, train: Dataset) -> Mapping[str, Locator]:
    """The rule of S minus P, with textbook speeds and with fitted ones; errors fitted to the training records."""
    before, prior, shake = beforehand(spec), prior_of(spec), max(4, round(train.rate_hz))
    parts = [train.take(np.arange(at, min(at + CHUNK, len(train)))) for at in range(0, len(train), CHUNK)]
    found = {}
    for name, fitted in (("sp_rule", False), ("sp_rule_fitted", True)):
        rule = sp_rule.fit_rule(parts, before, shake=shake, fitted=fitted)
        found[name] = over_events(sp_rule.sp_rule(rule, before, prior, spec.region, shake=shake))
    return found


def beforehand(spec: ModelSpec) -> Beforehand:
    """What is known before a record is read; distances are those of events to their nearest stations, and beyond."""
    centre, spread = spread_of(spec)
    velocity = velocity_of(spec.velocity)
    known = spec.catalogue.known[:, :2].all(-1)
    places = spec.catalogue.hypocentres[known, :2]
    stations_km = positions_km(spec.frame, spec.stations)[:, :2]
    nearest_km = np.linalg.norm(places[:, None] - stations_km, axis=-1).min(1)
    distance_km = max(float(nearest_km.mean()), 1.0)
    return Beforehand(
        (distance_km, max(float(nearest_km.std()), distance_km)),
        (float(centre[2]), float(spread[2])),
        (float(centre[3]), float(spread[3])),
        mean_speed_km_s(np.asarray(velocity.top_km), np.asarray(velocity.vp_km_s), float(centre[2])),
        mean_vp_vs(velocity),
    )
