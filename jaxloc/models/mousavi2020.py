"""Mousavi and Beroza (2020): distance and travel time by one network, direction by another, from one record."""

from typing import Any

from jaxloc.heads.single_station import numbers, station
from jaxloc.models.model import Model, as_tuples
from jaxloc.models.sp_rules import beforehand, compared_with_sp_rules
from jaxloc.models.spec import ModelSpec
from jaxloc.networks import mousavi2020
from jaxloc.per_station import placed
from jaxloc.settings import hands_on


@hands_on(mousavi2020.Model)
def model(
    spec: ModelSpec, *, directions: int = 2, depth: bool = True, published: bool = False, **settings: Any
) -> Model:
    """A mixture over `directions` from a station, and distance; depth too, unless `published`, as in the paper.

    Args:
        spec: stations and catalogue of the training network.
        directions: number of directions of the mixture.
        depth: whether depth is predicted; else it has the training catalogue's distribution.
        published: one direction and no depth, as in the paper.
        settings: of the network.
    """
    if published:
        directions, depth = 1, False
    far, towards = numbers(directions, depth)
    kept = {"azimuth_size": towards, "directions": directions, "published": published} | as_tuples(settings)
    head = placed(station(beforehand(spec), directions, depth), far + towards + mousavi2020.PASSED)
    return compared_with_sp_rules(spec, mousavi2020.network(far, **kept), head)
