"""Picks of an event whose place is known: arrivals read near the times that physics predicts from the catalogue.

A network in a region that it has not learnt is sure of few arrivals, and of the wrong one where a record has several.
Where the place of an event is known its origin time alone is left, which all stations have in common: that of the
largest likelihood is taken. Each arrival is then read near its predicted time.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.arrival_likelihood import Arrivals, log_likelihood, read_arrivals
from jaxloc.physics.readings import ArrivalPicks, near_times, pick_details

SAMPLES_EACH = 4  # samples to one of the origin times that are compared
SPACING_KM = 2.0  # of points that densities are smoothed for meanwhile
NEAR_S, NEAR_SHARE = 0.4, 0.03  # error of predicted times before data, and its part relative to the travel time
LEAST_PROBABILITY = 0.3  # of an arrival, of which the catalogue says that there should be one


def picks_of_known(arrivals: Arrivals, place_km: Float[Array, " 3"]) -> ArrivalPicks:
    """Picks of one event at a known place.

    Args:
        arrivals: densities of the event.
        place_km: its hypocentre, east, north and depth.
    """
    predicted_s, travel_s = _predicted(arrivals, place_km)
    near_s = jnp.hypot(NEAR_S, NEAR_SHARE * travel_s)
    found = pick_details(near_times(arrivals.readings, predicted_s, near_s))
    sure = (found.probability > LEAST_PROBABILITY) & (arrivals.active > 0)[:, None]
    return found._replace(sure=sure)


def _predicted(
    arrivals: Arrivals, place_km: Float[Array, " 3"]
) -> tuple[Float[Array, "station phase"], Float[Array, "station phase"]]:
    """Arrival times at the likeliest origin time, and the travel times in them, in s."""
    read, duration_s = read_arrivals(arrivals), (arrivals.log_mass.shape[-1] - 1) / arrivals.rate_hz
    at_zero = read(place_km[None], jnp.zeros((1, 1)), jnp.zeros(()))
    travel_s = at_zero.arrival_s[0, 0]
    # Their number may not depend on the rate, which is traced.
    share = jnp.linspace(0.0, 1.0, arrivals.log_mass.shape[-1] // SAMPLES_EACH)
    origin_s = duration_s * share - travel_s.max() * (1 - share)
    found = read(place_km[None], origin_s[None], jnp.asarray(SPACING_KM))
    best = (log_likelihood(arrivals, found) + found.log_common)[0].argmax()
    return origin_s[best] + travel_s, travel_s
