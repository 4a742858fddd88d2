"""Gu and others (2019): waveforms of the training stations to a hypocentre, with dropout before the dense layers."""

from typing import Any

from jaxloc.heads import gaussian
from jaxloc.heads.isotropic import dropout_precision, isotropic
from jaxloc.models.model import Model, of_known_stations
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.networks import gu2019
from jaxloc.settings import hands_on

KEPT = 0.5  # share of features in the published form


@hands_on(gu2019.Model)
def model(spec: ModelSpec, *, published: bool = False, precision: Any = "learnt", **settings: Any) -> Model:
    """A Gaussian of full covariance by default.

    With `published`, three coordinates of one `precision`: a number,
    "learnt", or the settings of `jaxloc.heads.isotropic.dropout_precision` (`length` and `weight_decay`).

    Raises:
        ValueError: for a precision that is none of these.
    """
    centre, spread = spread_of(spec)
    build = lambda size, **more: gu2019.network(size, num_stations=len(spec.stations), **settings, **more)
    if not published:
        head = gaussian.gaussian(centre, spread)
        return of_known_stations(build(head.size), head)
    known = _precision(precision, len(spec.catalogue.known))
    network = build(3, published=True, learns_precision=known is None)
    return of_known_stations(network, isotropic(centre, spread, known))


def _precision(given: Any, number: int) -> float | None:
    if given == "learnt":
        return None
    if isinstance(given, dict) and set(given) == {"length", "weight_decay"}:
        return dropout_precision(KEPT, float(given["length"]), number, float(given["weight_decay"]))
    if isinstance(given, int | float):
        return float(given)
    raise ValueError(
        f'model.precision must be "learnt", a number, or {{length: ..., weight_decay: ...}}, got {given!r}'
    )
