"""What is known of stations, for the stations of an event: they are the same where they are at the same place."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

SAME_KM = 0.01  # a known station, and one that it stands for


def among(
    known_km: Float[Array, "known 3"], station_km: Float[Array, "station 3"]
) -> tuple[Int[Array, " station"], Bool[Array, " station"]]:
    """The row of the nearest known place, and whether it is the same."""
    if not len(known_km):
        return jnp.zeros(len(station_km), int), jnp.zeros(len(station_km), bool)
    apart_km = jnp.sqrt(((station_km[:, None] - known_km) ** 2).sum(-1))
    return apart_km.argmin(-1), apart_km.min(-1) < SAME_KM


def at_stations(
    known_km: Float[np.ndarray, "known 3"],
    value: Float[np.ndarray | Array, "known *rest"],
    station_km: Float[Array, "station 3"],
) -> Float[Array, "station *rest"]:
    """Values of known stations at the stations of an event, zero at others."""
    row, known = among(jnp.asarray(known_km, jnp.float32), station_km)
    found = jnp.asarray(value, jnp.float32)[row]
    return jnp.where(known.reshape(-1, *[1] * (found.ndim - 1)), found, 0.0)
