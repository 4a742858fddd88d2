"""Tables of travel times as travel times of a locator of picks."""

from collections.abc import Callable

from jaxtyping import Array, Float

from jaxloc.geometry import distance_km
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.physics.table import TravelTimeTable, for_stations, look_up_s


def table_times(table: TravelTimeTable) -> TravelTimes:
    """First arrivals of a layered model, by its table (`jaxloc.physics.layered.tabulate`)."""

    def of_stations(station_km: Float[Array, "station 3"]) -> Callable[[Array], Array]:
        ready = for_stations(table, station_km[:, 2])
        return lambda place: look_up_s(ready, distance_km(place[:, None], station_km), place[:, None, 2])

    return of_stations
