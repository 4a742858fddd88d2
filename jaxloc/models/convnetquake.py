"""ConvNetQuake (Perol and others 2018): noise or one of several clusters of epicentres, from one station's record."""

from typing import Any

from jaxloc.heads.clusters import averaged, cluster_classes
from jaxloc.heads.clusters import clusters as clusters_of
from jaxloc.models.model import Model, as_tuples, flat
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.models.stations_apart import odds_ratio, stations_apart
from jaxloc.networks import convnetquake
from jaxloc.per_station import placed
from jaxloc.settings import hands_on


@hands_on(convnetquake.Model)
def model(
    spec: ModelSpec,
    *,
    clusters: int = 6,
    event_share: float | None = None,
    correlation: float = 0.0,
    **settings: Any,
) -> Model:
    """Noise or one of the clusters of the training catalogue.

    Args:
        spec: stations and catalogue of the training network.
        clusters: their number.
        event_share: share of windows with an event where the model is used; None: that of training.
        correlation: of the stations' errors (`jaxloc.locators.single_station`).
        settings: of the network.
    """
    found = clusters_of(*spec.catalogue, clusters, spread_of(spec))
    head = cluster_classes(found, odds_ratio(spec, event_share))
    network = convnetquake.network(flat(head), num_stations=len(spec.stations), **as_tuples(settings))
    return stations_apart(spec, network, placed(lambda station_km: head, flat(head)), correlation, averaged)
