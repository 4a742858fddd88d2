"""Systems of one station: a network of single records, located by each station and by all of them together."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, contaminated
from jaxloc.heads.clusters import averaged, cluster_classes
from jaxloc.heads.clusters import clusters as clusters_of
from jaxloc.heads.polar_classes import (
    PUBLISHED_DEPTH,
    PUBLISHED_DISTANCE,
    PUBLISHED_MAGNITUDE,
    Classes,
    Scale,
    polar_classes,
)
from jaxloc.locators.climatology import kernel_density
from jaxloc.locators.single_station import single_station
from jaxloc.models.model import System, as_tuples, flat, not_prepared
from jaxloc.models.spec import Blueprint, spread_of
from jaxloc.networks import convnetquake, convnetquake_ingv
from jaxloc.per_station import AtStation, over_stations, placed
from jaxloc.types import Head, Network

Average: TypeAlias = Callable[[AtStation], AtStation] | None
PRIOR_EVENTS = 64  # of the training catalogue that stand for it where stations are put together
MOST_EVENTS = 300  # that the catalogue seen from a station is made of
SURPRISES = (0.1, 2.0)  # share and width of the tails of that prior: see `single_station`


def perol2018(
    blueprint: Blueprint,
    *,
    clusters: int = 6,
    event_share: float | None = None,
    correlation: float = 0.0,
    **settings: Any,
) -> System:
    """Perol and others (2018): noise or one of so many clusters. `event_share` is that of windows where it is used."""
    found = clusters_of(*blueprint.catalogue, clusters, spread_of(blueprint))
    head = cluster_classes(found, _odds_ratio(blueprint, event_share))
    network = convnetquake.network(flat(head), num_stations=len(blueprint.stations), **as_tuples(settings))
    return stations_apart(blueprint, network, placed(lambda station_km: head, flat(head)), correlation, averaged)


def lomax2019(
    blueprint: Blueprint,
    *,
    distances: int = PUBLISHED_DISTANCE.number,
    farthest_km: float = PUBLISHED_DISTANCE.largest,
    depths: int = PUBLISHED_DEPTH.number,
    deepest_km: float = PUBLISHED_DEPTH.largest,
    magnitudes: int = PUBLISHED_MAGNITUDE.number,
    largest_magnitude: float = PUBLISHED_MAGNITUDE.largest,
    azimuths: int = 36,
    smoothing: float = 0.5,
    most: int = 100,
    event_share: float | None = None,
    correlation: float = 0.0,
    published: bool = False,
    **settings: Any,
) -> System:
    """Lomax and others (2019): classes of distance, depth, magnitude and azimuth, of any station."""
    classes = Classes(
        Scale(distances, farthest_km, 2),
        Scale(magnitudes, largest_magnitude, 1),
        Scale(depths, deepest_km, 2),
        azimuths,
        None if published else smoothing,
        most,
    )
    middle, spread = spread_of(blueprint)
    origin_s, odds = (float(middle[3]), float(spread[3])), _odds_ratio(blueprint, event_share)
    head = polar_classes(classes, origin_s, odds, _epicentres(blueprint))
    network = convnetquake_ingv.network(flat(head), published=published, **settings)
    return stations_apart(blueprint, network, head, correlation)


def stations_apart(
    blueprint: Blueprint, network: Network, head: Head, correlation: float, average: Average = None
) -> System:
    """The system of a network over all stations (`each_station`) and a head of one (`placed`).

    It is not taken to other stations: amplitudes, depths and azimuths that it learnt are those of its own.
    """
    whole = over_stations(head)
    locate = single_station(network, head, prior_of(blueprint), blueprint.region, average, correlation=correlation)
    return System(network, network, lambda *_: whole, locate, not_prepared, False)


def prior_of(blueprint: Blueprint) -> HypocentreMixture:
    """The training catalogue as a density of few kernels, with heavier tails."""
    middle, spread = (tuple(map(float, each)) for each in spread_of(blueprint))
    density = kernel_density(*blueprint.catalogue, middle, spread, PRIOR_EVENTS)
    return HypocentreMixture(contaminated(density.parts, *SURPRISES))


def _epicentres(blueprint: Blueprint) -> np.ndarray:
    """Each epicentre of the training catalogue once; of many, some, taken evenly."""
    hypocentres, known = blueprint.catalogue
    once = np.unique(hypocentres[known[:, :2].all(-1), :2], axis=0)
    return once[np.linspace(0, len(once) - 1, min(len(once), MOST_EVENTS)).astype(int)]


def _odds_ratio(blueprint: Blueprint, event_share: float | None) -> float:
    """Odds of an event where the network is used over those among training windows; None: they are the same."""
    if event_share is None:
        return 1.0
    events = int(blueprint.catalogue.known.any(-1).sum())
    noise = len(blueprint.catalogue.known) - events
    if not (0 < event_share < 1 and noise):
        raise ValueError(
            f"model.event_share must be within 0-1 and needs data.records.noise, got {event_share} "
            f"with {noise} windows of noise"
        )
    return event_share / (1 - event_share) * noise / events
