"""Location by the arrival densities of a network and physics: one lattice an event for all draws of weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxloc.distributions.gaussian_mixture import covariance, covariance_of_means
from jaxloc.locators.neural import LocateByDraws
from jaxloc.physics import adaptive_grid
from jaxloc.physics.adaptive_grid import LogDensity, Region, Search
from jaxloc.physics.arrival_check import ArrivalCheck, check_arrivals
from jaxloc.physics.arrival_likelihood import Arrivals, log_density, posterior_of
from jaxloc.types import Network, Observations, Posterior, Weights


def arrivals(network: Network, region: Region, log_prior: LogDensity, sizes: Search = Search()) -> LocateByDraws:
    """Locate one event by every draw of weights on a common lattice.

    The lattice is placed by the mean of the draws' arrival densities and physics; every draw's own posterior is
    then computed on it, and their mean is the posterior. The covariance of the draws' means is epistemic, the rest
    of the posterior's aleatoric.
    """
    locate = located_draws(region, log_prior, sizes)
    return lambda weights, observations: locate(_read(network, weights, observations))


def checked_arrivals(
    network: Network, region: Region, log_prior: LogDensity, sizes: Search = Search()
) -> Callable[[Weights, Observations], tuple[Posterior, ArrivalCheck]]:
    """As `arrivals`, with the posterior compared with the mean arrival densities of the draws (`check_arrivals`)."""
    locate = located_draws(region, log_prior, sizes)

    def checked(weights: Weights, observations: Observations) -> tuple[Posterior, ArrivalCheck]:
        draws = _read(network, weights, observations)
        posterior = locate(draws)
        mixture: Any = posterior.hypocentre
        return posterior, check_arrivals(_mean(draws), mixture, region)

    return checked


def _read(network: Network, weights: Weights, observations: Observations) -> Arrivals:
    return jax.lax.map(lambda w: network.apply(w, observations), weights)


def located_draws(region: Region, log_prior: LogDensity, sizes: Search) -> Callable[[Arrivals], Posterior]:
    """Arrival densities of one event by every draw [draw, ...] to the posterior."""

    def locate(draws: Arrivals) -> Posterior:
        centre, scale_tril = adaptive_grid.search(log_density(_mean(draws), log_prior), region, sizes)

        def on_lattice(one: Arrivals) -> tuple[Array, Array]:
            grid = adaptive_grid.evaluate(log_density(one, log_prior), centre, scale_tril, sizes.last)
            parts = adaptive_grid.components(grid, one.physics.floor_km)
            return grid.log_mass, jnp.exp(parts.log_weight) @ parts.mean

        log_mass, means = jax.lax.map(on_lattice, draws)
        total = jax.scipy.special.logsumexp(log_mass, axis=0) - jnp.log(log_mass.shape[0])
        axes = tuple(jnp.linspace(-adaptive_grid.SPREAD, adaptive_grid.SPREAD, n) for n in sizes.last)
        grid = adaptive_grid.Lattice(centre, scale_tril, axes, total)
        mixture = posterior_of(grid, draws.physics.floor_km.mean(0), draws.physics.surprises.mean())
        epistemic = covariance_of_means(means)
        # The mixture has these draws alone: the covariance of their means about their own mean.
        within = covariance(mixture) - epistemic * (len(means) - 1) / len(means)
        return Posterior(mixture, epistemic, within)

    return locate


def _mean(draws: Arrivals) -> Arrivals:
    """The mean arrival density of the draws, and the mean of their physics."""
    mean = jax.tree.map(lambda x: x.mean(0), draws)
    count = draws.log_mass.shape[0]
    return mean._replace(log_mass=jax.scipy.special.logsumexp(draws.log_mass, axis=0) - jnp.log(count))
