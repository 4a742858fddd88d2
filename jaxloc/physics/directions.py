"""Directions that P comes from, as a network reads them at each station, against those to a hypocentre.

At one station they tell what arrival times cannot: where on the circle of its distance an event lies.
"""

import jax.numpy as jnp
from jax.scipy.special import i0e
from jaxtyping import Array, Float

WRONG = 0.1  # share of directions that tell nothing: components misnamed, or a wave scattered aside
NEAR_KM = 1.0  # epicentral distance below which a wave comes from below, from no side


def direction_log_density(
    towards: Float[Array, "station 2"],
    active: Float[Array, " station"],
    station_km: Float[Array, "station 3"],
    place_km: Float[Array, "*batch 3"],
) -> Float[Array, "*batch"]:
    """The log of the density of all stations' directions at places, over that of directions that are all alike.

    Each is von Mises' (Mardia & Jupp 2000, eq. 3.5.17), mixed with a share `WRONG` of those that tell nothing.

    Args:
        towards: vector (north, east) to the source at each station, as long as its concentration.
        active: 1 where a station counts, else 0.
        station_km: east, north and depth of the stations.
        place_km: the same of places.
    """
    away_km = (place_km[..., None, :2] - station_km[:, :2])[..., ::-1]
    distance_km = jnp.sqrt((away_km**2).sum(-1) + NEAR_KM**2)
    concentration = jnp.sqrt((towards**2).sum(-1) + 1e-12)
    along = (away_km * towards).sum(-1) / distance_km
    excess = jnp.exp(along - concentration) / i0e(concentration)
    return (jnp.log(WRONG + (1 - WRONG) * excess) * active).sum(-1)
