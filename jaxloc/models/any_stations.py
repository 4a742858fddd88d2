"""Systems whose network reads waveforms of any stations and tells coordinates that move with them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxloc.heads import arrivals, gaussian
from jaxloc.locators.neural import neural
from jaxloc.models.model import System, as_tuples, flat, not_prepared
from jaxloc.models.spec import Blueprint
from jaxloc.networks import set_transformer as set_network
from jaxloc.networks import station_graph as graph_network
from jaxloc.types import Head, Network


def set_transformer(blueprint: Blueprint, **settings: Any) -> System:
    """Stations that see one another by attention."""
    return _any_stations(set_network.network, **settings)


def station_graph(blueprint: Blueprint, **settings: Any) -> System:
    """Stations that hear their neighbours."""
    return _any_stations(graph_network.network, **settings)


def _any_stations(
    build: Callable[..., Network],
    *,
    components: int = 8,
    floor: float = 0.02,
    label_sd_s: float = 0.05,
    **settings: Any,
) -> System:
    """A mixture of `components` in units of the network's own place; nothing of the training's region is in it."""
    own = gaussian.mixture(np.zeros(4), np.ones(4), components, (floor,) * 4)
    place = gaussian.moved(own)
    network = build(flat(own), **as_tuples(settings))

    def head(arrival_weight: float, hypocentre_weight: float) -> Head:
        return arrivals.beside(
            place, arrival_weight=arrival_weight, hypocentre_weight=hypocentre_weight, label_sd_s=label_sd_s
        )

    return System(network, network, head, neural(network, head(1.0, 1.0)), not_prepared, True)
