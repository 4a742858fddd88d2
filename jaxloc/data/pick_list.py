"""Picks that belong to no event yet, and what association makes of them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NO_EVENT = -1


class PickList(NamedTuple):
    """Picks of a seismic network in the order of their times.

    Attributes:
        station: row of the list of stations.
        phase: place in `jaxloc.types.PHASES`.
        time_s: double precision, from a zero that the caller keeps (`zero_ns`, ns since 1970).
        sigma_s: standard deviation of the time.
        probability: that there is such an arrival; 1 where the picker says nothing.
        amplitude: as the picker gives it; NaN for none.
    """

    station: Int[np.ndarray, " pick"]
    phase: Int[np.ndarray, " pick"]
    time_s: Float[np.ndarray, " pick"]
    sigma_s: Float[np.ndarray, " pick"]
    probability: Float[np.ndarray, " pick"]
    amplitude: Float[np.ndarray, " pick"]


class Associated(NamedTuple):
    """Events that picks make, in the order of their origin times.

    Attributes:
        hypocentre: east, north and depth in km, origin time in s from the zero of the picks.
        covariance: of the hypocentre; NaN where the method gives none.
        log_odds: natural logarithm of the odds that the event is real; NaN where the method gives none.
        event: of each pick, or `NO_EVENT`.
        reason: why each pick has no event; "" for those that have one.
    """

    hypocentre: Float[np.ndarray, "event 4"]
    covariance: Float[np.ndarray, "event 4 4"]
    log_odds: Float[np.ndarray, " event"]
    event: Int[np.ndarray, " pick"]
    reason: tuple[str, ...]
