"""Station terms: what is added to all arrivals of a phase at a station, as it is to travel times of a locator of picks.

Stations are known by where they are (`jaxloc.physics.known_stations`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jaxloc.physics.known_stations import at_stations
from jaxloc.physics.picks_on_cells import TravelTimes


class StationTerms(NamedTuple):
    """Terms of P and S in s of the stations at `station_km`; any other station has none."""

    station_km: Float[np.ndarray, "known 3"]
    term_s: Float[np.ndarray, "known phase"]


def with_terms(times: TravelTimes, terms: StationTerms) -> TravelTimes:
    """Travel times and the terms of their stations."""

    def of_stations(station_km: Float[Array, "station 3"]) -> Callable[[Array], Array]:
        travel_s, late_s = times(station_km), at_stations(terms.station_km, terms.term_s, station_km)
        return lambda place_km: travel_s(place_km) + late_s

    return of_stations
