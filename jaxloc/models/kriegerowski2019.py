"""Kriegerowski and others (2019): waveforms of the training stations to coordinates, and to other labels."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxloc.heads import gaussian
from jaxloc.heads.labels import joint, number
from jaxloc.models.model import Model, as_tuples, flat, of_known_stations
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.networks import kriegerowski2019
from jaxloc.settings import hands_on
from jaxloc.types import Head

LABELS: dict[str, Callable[[], Head]] = {"magnitude": lambda: number(2.0, 1.5, 0.05)}
"""Heads of the labels that may be learned together with the hypocentre."""


@hands_on(kriegerowski2019.Model)
def model(spec: ModelSpec, *, components: int = 1, labels: Sequence[str] = (), **settings: Any) -> Model:
    """Waveforms of the training stations to a Gaussian mixture over hypocentres, and to other `labels`.

    Args:
        spec: stations and catalogue of the training network.
        components: of the mixture.
        labels: names of other labels, of `LABELS`.
        settings: of the network.

    Raises:
        ValueError: for a label that has no head; lists those that have one.
    """
    centre, spread = spread_of(spec)
    head = gaussian.mixture(centre, spread, components)
    if unknown := sorted(set(labels) - set(LABELS)):
        raise ValueError(f"model.labels has {unknown}; with the hypocentre, use only labels of: {', '.join(LABELS)}")
    if labels:
        head = joint(head, *(LABELS[name]() for name in labels))
    network = kriegerowski2019.network(flat(head), num_stations=len(spec.stations), **as_tuples(settings))
    return of_known_stations(network, head, ("hypocentre", *labels))
