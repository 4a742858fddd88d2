"""The system of Gu and others (2019): a network with dropout before its dense layers, to a hypocentre."""

from typing import Any

from jaxloc import heads
from jaxloc.blueprint import Blueprint, spread_of
from jaxloc.isotropic_head import dropout_precision, isotropic
from jaxloc.locators.neural import neural
from jaxloc.networks import gu2019
from jaxloc.systems.system import System, not_prepared
from jaxloc.types import Head, Network

KEPT = 0.5  # share of features in the published form


def coordinates(blueprint: Blueprint, *, published: bool = False, precision: Any = "learnt", **settings: Any) -> System:
    """Waveforms of the stations of training to a hypocentre.

    By default a Gaussian of full covariance. With `published`, three coordinates of one `precision`: a number,
    "learnt", or the settings of `isotropic_head.dropout_precision` (`length` and `weight_decay`).

    Raises:
        ValueError: for a precision that is none of these.
    """
    middle, spread = spread_of(blueprint.catalogue, blueprint.num_samples / blueprint.rate_hz)
    build = lambda size, **more: gu2019.network(size, num_stations=len(blueprint.stations), **settings, **more)
    if not published:
        head = heads.gaussian(middle, spread)
        return _system(build(head.size), head)
    known = _precision(precision, len(blueprint.catalogue.known))
    network = build(3, published=True, learns_precision=known is None)
    return _system(network, isotropic(middle, spread, known))


def _system(network: Network, head: Head) -> System:
    return System(network, network, lambda *_: head, neural(network, head), not_prepared, False)


def _precision(given: Any, number: int) -> float | None:
    if given == "learnt":
        return None
    if isinstance(given, dict) and set(given) == {"length", "weight_decay"}:
        return dropout_precision(KEPT, float(given["length"]), number, float(given["weight_decay"]))
    if isinstance(given, int | float):
        return float(given)
    raise ValueError(
        f'network.precision must be "learnt", a number, or {{length: ..., weight_decay: ...}}, got {given!r}'
    )
