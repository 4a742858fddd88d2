"""Picks of any stations to hypocentres, amortised: learned least squares, then attention among picks."""

from typing import Any

import numpy as np

from jaxloc.heads import gaussian
from jaxloc.models.model import Model, as_tuples, flat, of_known_stations
from jaxloc.models.spec import ModelSpec
from jaxloc.networks import picks
from jaxloc.settings import hands_on


@hands_on(picks.Model)
def model(spec: ModelSpec, *, components: int = 16, floor: float = 0.02, **settings: Any) -> Model:
    """Arrival times to a Gaussian mixture of `components` over hypocentres, `floor` its smallest relative width."""
    head = gaussian.moved(gaussian.mixture(np.zeros(4), np.ones(4), components, (floor,) * 4))
    low, high = zip(*spec.region[:3], strict=True)
    network = picks.network(flat(head) - picks.PLACE, low_km=low, high_km=high, **as_tuples(settings))
    return of_known_stations(network, head)
