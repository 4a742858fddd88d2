"""PreSEIS (Boese, Wenzel & Erdik 2008): hypocentre, magnitude and rupture extent, each conditioned on the previous."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from jaxloc import prng
from jaxloc.heads import gaussian
from jaxloc.heads.autoregressive import Given, Link, chain
from jaxloc.heads.labels import joint, number
from jaxloc.models.model import Model, flat, of_known_stations
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.networks import preseis
from jaxloc.settings import hands_on

FLOOR = (0.02, 0.02, 0.02, 0.02)  # least standard deviations of the hypocentre, in those of the catalogue
LABELS = ("magnitude", "extent")
EXTENT = MappingProxyType(
    {"rupture_log10_km": (1.2, 0.6), "rupture_west_km": (80.0, 55.0), "rupture_east_km": (105.0, 55.0)}
)
"""Logarithm of a rupture's length and its ends along the fault, with mean and standard deviation before data."""


@hands_on(preseis.Model)
def model(
    spec: ModelSpec,
    *,
    components: int = 3,
    labels: Sequence[str] = LABELS,
    magnitude: tuple[float, float] = (6.0, 0.9),
    extent: Mapping[str, tuple[float, float]] = EXTENT,
    travel_s: tuple[float, float] = (4.0, 2.0),
    draws: int = 64,
    **settings: Any,
) -> Model:
    """Onsets to a hypocentre; with cumulative absolute velocity to magnitude and rupture extent.

    Args:
        spec: stations and catalogue of the training network.
        components: of the hypocentre's mixture.
        labels: "magnitude", and after it "extent"; none where hypocentres alone are labelled.
        magnitude: mean and standard deviation of raw zeros.
        extent: labels of the rupture's extent, each with mean and standard deviation of raw zeros.
        travel_s: mean and standard deviation of the time from an event's beginning to its first trigger.
        draws: of earlier labels, that the distribution of a later one is averaged over.
        settings: those of the network.

    Raises:
        ValueError: for labels that are not the first ones of the chain.
    """
    if tuple(labels) != LABELS[: len(labels)]:
        raise ValueError(f"model.labels must be the first of {', '.join(LABELS)} in this order, got {list(labels)}")
    centre, spread = spread_of(spec)
    place = Given("hypocentre", centre[:3], spread[:3])
    size = Given("magnitude", np.array(magnitude[:1]), np.array(magnitude[1:]))
    extents = [number(*scale, 0.02 * scale[1], name) for name, scale in extent.items()]
    links = [Link(number(*magnitude, 0.05), (place,))]
    links += [Link(joint(*extents), (place, size))] if extents else []
    links = links[: len(labels)]
    first = gaussian.moved(gaussian.mixture(np.zeros(4), np.ones(4), components, FLOOR))
    head = chain(prng.stream("samples of earlier labels"), first, links, draws)
    network = preseis.network(
        flat(gaussian.mixture(np.zeros(4), np.ones(4), components)),
        centre=(*map(float, centre[:3]), travel_s[0]),
        scale=(*map(float, spread[:3]), travel_s[1]),
        links=tuple((sum(len(g.centre) for g in link.given), link.head.size) for link in links),
        num_stations=len(spec.stations),
        **settings,
    )
    return of_known_stations(network, head, ("hypocentre", *labels[:1], *(extent if len(labels) > 1 else ())))
