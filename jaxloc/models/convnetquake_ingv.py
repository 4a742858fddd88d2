"""ConvNetQuake_INGV (Lomax and others 2019): classes of distance, depth, magnitude and azimuth from one record."""

from typing import Any

import numpy as np

from jaxloc.heads.polar_classes import (
    PUBLISHED_DEPTH,
    PUBLISHED_DISTANCE,
    PUBLISHED_MAGNITUDE,
    Classes,
    Scale,
    polar_classes,
)
from jaxloc.models.model import Model, flat
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.models.stations_apart import odds_ratio, stations_apart
from jaxloc.networks import convnetquake_ingv
from jaxloc.settings import hands_on

MOST_EVENTS = 300  # that the catalogue seen from a station is made of


@hands_on(convnetquake_ingv.Model)
def model(
    spec: ModelSpec,
    *,
    distances: int = PUBLISHED_DISTANCE.number,
    farthest_km: float = PUBLISHED_DISTANCE.largest,
    depths: int = PUBLISHED_DEPTH.number,
    deepest_km: float = PUBLISHED_DEPTH.largest,
    magnitudes: int = PUBLISHED_MAGNITUDE.number,
    largest_magnitude: float = PUBLISHED_MAGNITUDE.largest,
    azimuths: int = 36,
    smoothing: float = 0.5,
    event_share: float | None = None,
    correlation: float = 0.0,
    published: bool = False,
    **settings: Any,
) -> Model:
    """Lomax and others (2019): classes of distance, depth, magnitude and azimuth, of any station."""
    classes = Classes(
        Scale(distances, farthest_km, 2),
        Scale(magnitudes, largest_magnitude, 1),
        Scale(depths, deepest_km, 2),
        azimuths,
        None if published else smoothing,
    )
    centre, spread = spread_of(spec)
    origin_s, odds = (float(centre[3]), float(spread[3])), odds_ratio(spec, event_share)
    head = polar_classes(classes, origin_s, odds, _epicentres(spec))
    network = convnetquake_ingv.network(flat(head), published=published, **settings)
    return stations_apart(spec, network, head, correlation)


def _epicentres(spec: ModelSpec) -> np.ndarray:
    """Each epicentre of the training catalogue once; of many, some, taken evenly."""
    hypocentres, known = spec.catalogue
    once = np.unique(hypocentres[known[:, :2].all(-1), :2], axis=0)
    return once[np.linspace(0, len(once) - 1, min(len(once), MOST_EVENTS)).astype(int)]
