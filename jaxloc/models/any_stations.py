"""What models share whose network reads waveforms of any stations, with predictions that move with the stations."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxloc.heads import arrivals, gaussian
from jaxloc.locators.neural import neural
from jaxloc.models.model import Model, Transfer, as_tuples, flat
from jaxloc.types import Head, Network


def any_stations(
    build: Callable[..., Network],
    *,
    components: int = 8,
    floor: float = 0.02,
    label_sd_s: float = 0.05,
    **settings: Any,
) -> Model:
    """A mixture of `components` relative to the stations; nothing depends on the region of training.

    Args:
        build: the network for a number of raw outputs, with its settings.
        components: of the mixture.
        floor: smallest standard deviation, in units of the aperture of the stations.
        label_sd_s: standard deviation of labelled arrival times, in s.
        settings: of the network.
    """
    own = gaussian.mixture(np.zeros(4), np.ones(4), components, (floor,) * 4)
    place = gaussian.moved(own)
    network = build(flat(own), **as_tuples(settings))

    def head(arrival_weight: float, hypocentre_weight: float) -> Head:
        return arrivals.with_arrivals(
            place, arrival_weight=arrival_weight, hypocentre_weight=hypocentre_weight, label_sd_s=label_sd_s
        )

    plain = head(1.0, 1.0)
    return Model(network, plain, neural(network, plain), transfer=Transfer(), weighted=head)
