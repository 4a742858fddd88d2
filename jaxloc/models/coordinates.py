"""Systems whose network gives coordinates: raw numbers that a mixture density head reads."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxloc.heads import gaussian
from jaxloc.heads.labels import joint, number
from jaxloc.models.model import System, as_tuples, flat, of_known_stations
from jaxloc.models.spec import Blueprint, spread_of
from jaxloc.networks import kriegerowski2019
from jaxloc.networks import picks as picks_network
from jaxloc.types import Head

LABELS: dict[str, Callable[[], Head]] = {"magnitude": lambda: number(2.0, 1.5, 0.05)}
"""Heads of labels that data sets have beside the hypocentre."""


def multi_station(blueprint: Blueprint, *, components: int = 1, labels: Sequence[str] = (), **settings: Any) -> System:
    """Kriegerowski and others (2019): waveforms of the stations of training to coordinates, and to other `labels`."""
    middle, spread = spread_of(blueprint)
    head = gaussian.mixture(middle, spread, components)
    if unknown := sorted(set(labels) - set(LABELS)):
        raise ValueError(f"model.labels has {unknown}, beside the hypocentre there may be: {', '.join(LABELS)}")
    if labels:
        head = joint(head, *(LABELS[name]() for name in labels))
    network = kriegerowski2019.network(flat(head), num_stations=len(blueprint.stations), **as_tuples(settings))
    return of_known_stations(network, head)


def picks(blueprint: Blueprint, *, components: int = 8, floor: float = 0.02, **settings: Any) -> System:
    """Arrival times of any stations to coordinates."""
    head = gaussian.moved(gaussian.mixture(np.zeros(4), np.ones(4), components, (floor,) * 4))
    low, high = zip(*blueprint.region[:3], strict=True)
    network = picks_network.network(flat(head) - picks_network.PLACE, low_km=low, high_km=high, **as_tuples(settings))
    return of_known_stations(network, head)
