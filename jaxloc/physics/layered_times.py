"""Exact first arrivals of flat layers as travel times of a locator, without a table: for problems of few rays."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.geometry import distance_km
from jaxloc.physics.layered import VelocityModel, travel_time_s
from jaxloc.physics.picks_on_cells import TravelTimes


def layered_times(model: VelocityModel) -> TravelTimes:
    """First arrivals of P and S in s (`jaxloc.physics.layered.travel_time_s`), differentiable in the hypocentre."""
    speed_km_s = jnp.stack([jnp.asarray(model.vp_km_s), jnp.asarray(model.vs_km_s)])

    def time_s(
        speed_km_s: Float[Array, " layer"], point_km: Float[Array, " 3"], station_km: Float[Array, " 3"]
    ) -> Float[Array, ""]:
        apart_km = distance_km(point_km, station_km)
        return travel_time_s(jnp.asarray(model.top_km), speed_km_s, apart_km, point_km[2], station_km[2])

    of_phases = jax.vmap(time_s, (0, None, None))
    at_all = jax.vmap(jax.vmap(of_phases, (None, None, 0)), (None, 0, None))

    def of_stations(station_km: Float[Array, "station 3"]) -> Callable[[Array], Array]:
        return lambda points_km: at_all(speed_km_s, points_km, station_km)

    return of_stations
