"""Location by the arrival densities of a network and physics: the same samples of space for all draws of weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxloc.distributions.gaussian_mixture import covariance, covariance_of_means
from jaxloc.locators.neural import LocateByDraws
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.adaptive_sampling import Cloud, Sampling, evaluate, mean_of, search
from jaxloc.physics.arrival_check import check_arrivals
from jaxloc.physics.arrival_likelihood import Arrivals, about_station, log_density, posterior_of
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.types import Network, Observations, Posterior, Weights


def arrivals(network: Network, region: Region, log_prior: LogDensity, sizes: Sampling = Sampling()) -> LocateByDraws:
    """Locate one event by every draw of weights at common samples.

    These follow the mean of the draws' arrival densities and physics (`jaxloc.physics.adaptive_sampling`); every draw's
    own posterior is then computed at them, and their mean is the posterior. The covariance of the draws' means is
    epistemic, the rest of the posterior's aleatoric.
    """
    locate = located_draws(region, log_prior, sizes)
    return lambda weights, observations: locate(_read(network, weights, observations))


def checked_arrivals(
    network: Network, region: Region, log_prior: LogDensity, sizes: Sampling = Sampling()
) -> Callable[[Weights, Observations], tuple[Posterior, ArrivalCheck]]:
    """As `arrivals`, with the posterior compared with the mean arrival densities of the draws (`check_arrivals`)."""
    locate = located_draws(region, log_prior, sizes)

    def checked(weights: Weights, observations: Observations) -> tuple[Posterior, ArrivalCheck]:
        draws = _read(network, weights, observations)
        posterior = locate(draws)
        mixture: Any = posterior.hypocentre
        return posterior, check_arrivals(mean_of_draws(draws), mixture, region)

    return checked


def _read(network: Network, weights: Weights, observations: Observations) -> Arrivals:
    return jax.lax.map(lambda w: network.apply(w, observations), weights)


def located_draws(region: Region, log_prior: LogDensity, sizes: Sampling) -> Callable[[Arrivals], Posterior]:
    """Arrival densities of one event by every draw [draw, ...] to the posterior."""

    def locate(draws: Arrivals) -> Posterior:
        together = mean_of_draws(draws)
        about = about_station(together)
        proposal = search(log_density(together, log_prior), region, sizes, about=about)

        def at_samples(one: Arrivals) -> tuple[Array, Array]:
            cloud = evaluate(log_density(one, log_prior), proposal)
            return cloud.log_mass, mean_of(cloud)

        log_mass, means = jax.lax.map(at_samples, draws)
        total = jax.scipy.special.logsumexp(log_mass, axis=0) - jnp.log(log_mass.shape[0])
        cloud = Cloud(proposal.point_km, proposal.origin_s, total, proposal.log_density)
        mixture = posterior_of(cloud, draws.physics.floor_km.mean(0), draws.physics.surprises.mean())
        epistemic = covariance_of_means(means)
        # The mixture has these draws alone: the covariance of their means about their own mean.
        within = covariance(mixture) - epistemic * (len(means) - 1) / len(means)
        return Posterior(mixture, epistemic, within)

    return locate


def mean_of_draws(draws: Arrivals) -> Arrivals:
    """The mean arrival density of draws, with a leading axis, and the mean of their physics."""
    mean = jax.tree.map(lambda x: x.mean(0), draws)
    count = draws.log_mass.shape[0]
    return mean._replace(log_mass=jax.scipy.special.logsumexp(draws.log_mass, axis=0) - jnp.log(count))
