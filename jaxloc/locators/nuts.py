"""The No-U-Turn sampler on the hypocentre and origin time of each event (Hoffman & Gelman 2014), by NumPyro.

It starts from the mixture of Geiger's method, whose covariance whitens the coordinates, so that few steps are needed.
The region's ends are no walls: coordinates are logistic between them. Every kind of `PickErrors` is a likelihood here.
Chains see one mode where there are several far apart; `grid_search` or `geiger` are right for one or two stations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key
from numpyro.infer.hmc import hmc

from jaxloc.distributions.bandwidth import silverman
from jaxloc.distributions.gaussian_mixture import (
    HypocentreMixture,
    components,
    covariance,
    gaussian_mixture,
    without_weights,
)
from jaxloc.locators.geiger import geiger
from jaxloc.locators.over_events import in_chunks
from jaxloc.locators.setup import Setup, errors_of, flat_prior_of, times_of
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.pick_errors import PickErrors, check
from jaxloc.physics.pick_likelihood import joint
from jaxloc.physics.picks_on_cells import Question, TravelTimes, residuals_at, seen_by
from jaxloc.settings import hands_on
from jaxloc.types import Locator, Observations, Posterior

CHUNK = 16
EDGE = 1e-3  # share of the region within which a chain does not start
STEP_SIZE = 0.3  # at first, in standard deviations
WIDEST = 3.0  # of the first covariance, in units of the logistic coordinate


class Chain(NamedTuple):
    """Draws of hypocentres, and which transitions diverged."""

    draws: Float[Array, "draw 4"]
    diverged: Bool[Array, " draw"]


class Units(NamedTuple):
    """From white coordinates to hypocentres: an affine map, then a logistic one into the region."""

    low: Float[Array, " 4"]
    size: Float[Array, " 4"]
    centre: Float[Array, " 4"]
    scale_tril: Float[Array, "4 4"]

    def hypocentre(self, white: Float[Array, " 4"]) -> Float[Array, " 4"]:
        """East, north, depth and origin time."""
        return self.low + self.size * jax.nn.sigmoid(self.centre + self.scale_tril @ white)

    def log_jacobian(self, white: Float[Array, " 4"]) -> Float[Array, ""]:
        """Of the map, up to a constant."""
        logit = self.centre + self.scale_tril @ white
        return (jax.nn.log_sigmoid(logit) + jax.nn.log_sigmoid(-logit)).sum()


def nuts(
    times: TravelTimes,
    region: Region,
    log_prior: LogDensity,
    errors: PickErrors = PickErrors(outlier=0.02),
    *,
    warmup: int = 150,
    draws: int = 400,
    chains: int = 4,
    max_tree_depth: int = 6,
) -> Locator:
    """Locate events by their picks, each by a few chains; the posterior is a mixture about their draws.

    Args:
        times: travel times.
        region: bounds of hypocentres and origin times.
        log_prior: prior density of hypocentres (`jaxloc.physics.priors.log_prior_of`).
        errors: likelihood of picks.
        warmup: steps of adaptation of each chain.
        draws: of all chains together.
        chains: number of chains, from draws of the first approximation.
        max_tree_depth: doublings of a trajectory.

    Raises:
        ValueError: where `errors` are no likelihood, or a number is below 1; from the locator, where there are no picks
            or no events.
    """
    check(errors)
    if min(warmup, draws, chains, max_tree_depth) < 1:
        raise ValueError(
            f"warmup, draws, chains and max_tree_depth must be at least 1, got {warmup}, {draws}, {chains} and "
            f"{max_tree_depth}"
        )
    # Geiger's method gives a start alone, without limits and correlations of model errors, which it does not have.
    alone = PickErrors("l2", errors.model_sd_s, errors.model_share, errors.outlier, errors.outlier_range_s)
    first, question = geiger(times, region, log_prior, alone), Question(times, region, log_prior, errors)
    each = -(-draws // chains)

    def locate(_: Any, event: Any) -> Posterior:
        key, observations, start = event
        key_start, key_run = jax.random.split(key)
        mixture = HypocentreMixture(start)
        units, places = _units(region, mixture, mixture.sample(key_start, (chains,)))
        value = _log_posterior(question, observations)
        potential = lambda white: -value(units.hypocentre(white)) - units.log_jacobian(white)
        run = lambda key_chain, white: _chain(key_chain, potential, white, warmup, each, max_tree_depth)
        white, _ = jax.vmap(run)(jax.random.split(key_run, chains), places)
        return _posterior(jax.vmap(units.hypocentre)(white.reshape(-1, 4)), region)

    run = in_chunks(locate, chunk=CHUNK, on_event=lambda located: None)

    def locator(key: Key[Array, ""], observations: Observations) -> Posterior:
        key_first, key_chains = jax.random.split(key)
        start = components(first(key_first, observations).hypocentre)
        keys = jax.random.split(key_chains, observations.station_mask.shape[0])
        return run((), (keys, observations._replace(waveforms=None, sample_mask=None), start))

    return locator


def _log_posterior(question: Question, observations: Observations) -> Any:
    """The log-posterior of one hypocentre, up to a constant."""
    given = seen_by(question, observations)

    def value(hypocentre: Float[Array, " 4"]) -> Float[Array, ""]:
        place, origin_s = hypocentre[None, :3], hypocentre[None, 3:]
        seen = residuals_at(question.errors, *given, place, 0.0)
        return (joint(question.errors, seen, origin_s) + question.log_prior(place, origin_s, jnp.zeros(())))[0, 0]

    return value


def _units(
    region: Region, mixture: HypocentreMixture, starts: Float[Array, "chain 4"]
) -> tuple[Units, Float[Array, "chain 4"]]:
    """White coordinates by the covariance of the first approximation, and the starts in them."""
    low, high = (jnp.array(side, jnp.float32) for side in zip(*region, strict=True))
    inside = lambda x: jnp.clip((x - low) / (high - low), EDGE, 1 - EDGE)
    share = inside(mixture.mean)
    slope = (high - low) * share * (1 - share)
    root = jnp.linalg.cholesky(covariance(mixture) + jnp.diag((1e-4 * (high - low)) ** 2) * 1e-2)
    tril = root / slope[:, None]
    tril = tril * jnp.minimum(1.0, WIDEST / jnp.linalg.norm(tril, axis=-1))[:, None]
    centre = jnp.log(share) - jnp.log1p(-share)
    at = inside(starts)
    white = jax.scipy.linalg.solve_triangular(tril, (jnp.log(at) - jnp.log1p(-at) - centre).T, lower=True).T
    return Units(low, high - low, centre, tril), jnp.clip(white, -4.0, 4.0)


def _chain(
    key: Key[Array, ""], potential: Any, start: Float[Array, " 4"], warmup: int, draws: int, max_tree_depth: int
) -> Chain:
    """One chain in white coordinates; mass matrix and step size adapt during `warmup`."""
    begin, transition = hmc(potential)
    settings: Any = {"step_size": STEP_SIZE, "max_tree_depth": max_tree_depth, "trajectory_length": None}
    state = begin(start, warmup, **settings, rng_key=key)

    def onward(state: Any, _: None) -> tuple[Any, Chain]:
        new = transition(state)
        return new, Chain(new.z, new.diverging)

    _, chain = jax.lax.scan(onward, state, None, length=warmup + draws)
    return jax.tree.map(lambda x: x[warmup:], chain)


def _posterior(draws: Float[Array, "draw 4"], region: Region) -> Posterior:
    """A mixture about the draws, drawn together so that it keeps their covariance (West 1993, JRSS B 55)."""
    number, width = len(draws), silverman(len(draws), 4)
    mean = draws.mean(0)
    apart = draws - mean
    spread = apart.T @ apart / (number - 1)
    floor = jnp.diag((1e-6 * jnp.array([high - low for low, high in region])) ** 2)
    tril = width * jnp.linalg.cholesky(spread + floor)
    means = mean + np.sqrt(1 - width**2) * apart
    mixture = gaussian_mixture(jnp.zeros(number), means, tril[None])
    return without_weights(mixture)


@hands_on(errors_of)
def build(
    setup: Setup,
    *,
    kind: str = "l2",
    outlier: float = 0.02,
    warmup: int = 150,
    draws: int = 400,
    chains: int = 4,
    spacing_km: float = 0.5,
    **of_picks: Any,
) -> Locator:
    """NUTS with first arrivals of the setup's velocity model and a flat prior over its region.

    Args:
        setup: region, stations and velocity model.
        kind: likelihood of picks; further settings are those of `jaxloc.locators.setup.errors_of`.
        outlier: probability of an outlier; leave it at 0 with `edt`.
        warmup: steps of adaptation of each chain.
        draws: of all chains together.
        chains: number of chains.
        spacing_km: of the nodes of the travel-time table.
        of_picks: of `errors_of`.

    Raises:
        ValueError: where there is no velocity model, or a setting is wrong.
    """
    errors = errors_of(setup, kind=kind, outlier=outlier, **of_picks)
    times = times_of(setup, "nuts", spacing_km)
    return nuts(times, setup.region, flat_prior_of(setup), errors, warmup=warmup, draws=draws, chains=chains)
