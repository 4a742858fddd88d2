"""After Janbakhsh and others (2019): event or noise, first motion, magnitude and distance from one station's record."""

from typing import Any

import numpy as np

from jaxloc.heads import distance_ring
from jaxloc.models.model import Model, as_tuples
from jaxloc.models.sp_rules import beforehand, compared_with_sp_rules
from jaxloc.models.spec import ModelSpec
from jaxloc.models.stations_apart import prior_of
from jaxloc.networks import janbakhsh2019
from jaxloc.per_station import placed
from jaxloc.settings import hands_on

MAGNITUDES = (2.0, 1.5)  # mean and standard deviation before a record is read


@hands_on(janbakhsh2019.Model)
def model(spec: ModelSpec, *, magnitude: bool = True, reconstruction: float = 1.0, **settings: Any) -> Model:
    """A ring of distances about a station, and labels of the record.

    Args:
        spec: stations and catalogue of the training network.
        magnitude: whether magnitudes are learned.
        reconstruction: weight of the denoising loss.
        settings: of the network.
    """
    before, size = beforehand(spec), distance_ring.size_of(magnitude)
    middle_km, spread_km = before.distance_km
    logarithm = (float(np.log10(middle_km)), float(max(0.3, spread_km / middle_km / distance_ring.LN_10)))
    catalogue = (logarithm, before.depth_km, before.origin_s)
    sizes = MAGNITUDES if magnitude else None
    at = distance_ring.of_record(catalogue, sizes, reconstruction, prior_of(spec))
    network = janbakhsh2019.network(size, **as_tuples(settings))
    return compared_with_sp_rules(spec, network, placed(at, size + 2))
