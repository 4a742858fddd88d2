"""What arrival densities say of a located event: whether there is one, and which of its arrivals were recorded."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.distributions.gaussian_mixture import HypocentreMixture
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.arrival_likelihood import Arrivals, log_likelihood, read_arrivals, tempering_of
from jaxloc.physics.directions import direction_log_density
from jaxloc.physics.predicted_by_others import Prediction, predicted_by_others
from jaxloc.physics.readings import ArrivalCheck, CommonShift, pick_details
from jaxloc.physics.station_faults import station_faults

CANDIDATES = 256


def check_arrivals(arrivals: Arrivals, posterior: HypocentreMixture, region: Region) -> ArrivalCheck:
    """Compare a posterior's most probable hypocentre with arrival densities, and the event with no event at all.

    The evidence is likelihood times prior over posterior, all at one point (Chib 1995, JASA 90). Without an event
    arrivals have no moveout: each density is compared with one that is flat over the record, so that by chance the
    ratio of evidences exceeds a number r with a probability of at most 1 / r (Markov's inequality).

    Args:
        arrivals: densities of one event.
        posterior: of the same event.
        region: where hypocentres were searched, flat before data.
    """
    best = _densest(posterior)
    duration_s = (arrivals.log_mass.shape[-1] - 1) / arrivals.rate_hz
    read = jax.tree.map(lambda x: x[0, 0], read_arrivals(arrivals)(best[None, :3], best[None, 3:], jnp.zeros(())))
    log_ratio = (read.log_density + jnp.log(duration_s)) * arrivals.active[:, None]
    log_prior = -jnp.log(jnp.array([high - low for low, high in region])).sum()
    by_chance = tempering_of(arrivals) * 2 * arrivals.active.sum() * jnp.log(duration_s)
    likelihood = log_likelihood(arrivals, read) + by_chance + read.log_common
    if arrivals.towards is not None:  # by chance directions are all alike
        likelihood += direction_log_density(arrivals.towards, arrivals.active, arrivals.physics.station_km, best[:3])
    evidence = likelihood + log_prior - posterior.log_prob(best)
    predicted = predicted_by_others(arrivals, best)
    return ArrivalCheck(
        evidence,
        log_ratio,
        read.arrival_s,
        arrivals.active,
        pick_details(arrivals.readings),
        station_faults(arrivals, best, predicted),
        _common_shift(arrivals, predicted),
    )


def _common_shift(arrivals: Arrivals, predicted: Prediction) -> CommonShift | None:
    error = arrivals.physics.common
    if error is None:
        return None
    return CommonShift(predicted.common * jnp.stack([*error]), predicted.surprise)


def _densest(posterior: HypocentreMixture) -> Float[Array, " 4"]:
    """The mean of a component where the density is highest, out of `CANDIDATES` of them."""
    means = posterior.parts.mean
    some = means[:: -(-len(means) // CANDIDATES)]
    return some[posterior.log_prob(some).argmax()]
