"""The system of Gu and others (2019): a network with dropout before its dense layers, to a hypocentre."""

from typing import Any

from jaxloc.heads import gaussian
from jaxloc.heads.isotropic import dropout_precision, isotropic
from jaxloc.models.model import System, of_known_stations
from jaxloc.models.spec import Blueprint, spread_of
from jaxloc.networks import gu2019

KEPT = 0.5  # share of features in the published form


def coordinates(blueprint: Blueprint, *, published: bool = False, precision: Any = "learnt", **settings: Any) -> System:
    """Waveforms of the stations of training to a hypocentre.

    By default a Gaussian of full covariance. With `published`, three coordinates of one `precision`: a number,
    "learnt", or the settings of `isotropic_head.dropout_precision` (`length` and `weight_decay`).

    Raises:
        ValueError: for a precision that is none of these.
    """
    middle, spread = spread_of(blueprint)
    build = lambda size, **more: gu2019.network(size, num_stations=len(blueprint.stations), **settings, **more)
    if not published:
        head = gaussian.gaussian(middle, spread)
        return of_known_stations(build(head.size), head)
    known = _precision(precision, len(blueprint.catalogue.known))
    network = build(3, published=True, learns_precision=known is None)
    return of_known_stations(network, isotropic(middle, spread, known))


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
