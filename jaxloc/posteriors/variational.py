"""Variational inference over all weights, by NumPyro: independent normals, low rank, full covariance.

The weights are one site, in units of their prior: w = mean + scale * z with z standard normal before data. One
setting, `initial_scale`, is then right for every layer at once: a twentieth of the prior is sharp enough for the
likelihood to be felt from the first step. NumPyro's defaults (0.1 of weight units, random middle) end in the prior.

Guides are those of NumPyro's AutoNormal, AutoLowRankMultivariateNormal and AutoMultivariateNormal, written out: for the
first, random numbers are drawn elsewhere (`DrawnApart`), and for all, the divergence from the prior is told apart.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PRNGKeyArray
from numpyro import handlers
from numpyro.distributions import constraints
from numpyro.infer import SVI, Predictive, TraceMeanField_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro

from jaxloc.random_numbers import drawn_apart
from jaxloc.types import Batch, Info, Method, Params, Target, Variation, Weights

ESTIMATORS = ("plain", "flipout", "local")
SITE = "displacement"
MIDDLE, SPREAD, FACTOR = f"{SITE}_loc", f"{SITE}_scale", f"{SITE}_factor"
MAX_FULL = 5000  # weights whose full covariance is fitted: 25 million numbers, and as many twice in Adam


class Family(NamedTuple):
    """Distributions of all weights (in units of their prior), by parameters with their first values and constraints."""

    parameters: dict[str, tuple[Array, constraints.Constraint]]
    distribution: Callable[[dict[str, Array]], dist.Distribution]


class DrawnApart(dist.Normal):
    """A normal distribution whose random numbers are drawn in a loop of their own (`random_numbers.drawn_apart`).

    (A site for every array of weights is as fast, but takes two to three times as long to compile.)
    """

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()
    ) -> Array:
        """Draws of shape `sample_shape + batch_shape`."""
        numbers: Any = drawn_apart(jax.random.normal, key, self.shape(sample_shape))
        return self.loc + self.scale * numbers


def mean_field(
    target: Target,
    optimizer: optax.GradientTransformation,
    *,
    initial_scale: float = 0.05,
    temperature: float = 1.0,
    estimator: str = "plain",
) -> Method:
    """Mean-field variational inference: independent normals, fitted by the evidence lower bound.

    The bound is the same for every estimator of its gradient, and so is the posterior; the noise of steps is not:

    * `plain`: one draw of weights a step, the same for all events of a batch. The cheapest.
    * `flipout` (Wen and others 2018): every event flips the signs of that draw, by channel, in linear layers.
    * `local` (Kingma and others 2015): in dense layers that see an event once, every event draws outputs in place of
      weights; flipout elsewhere, for outputs that share weights depend on one another: those of a convolution are no
      independent draws.

    Networks decide what differs by event (`networks/event_weights.py`); one that knows nothing of it has `plain`.

    Args:
        target: likelihood and prior.
        optimizer: an optax optimiser.
        initial_scale: first standard deviation of every weight, in standard deviations of its prior.
        temperature: of the posterior; below one the divergence counts for less. One is Bayes' rule.
        estimator: "plain", "flipout" or "local".

    Raises:
        ValueError: for another estimator; names it.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")
    size = _size(target)
    first = {
        MIDDLE: (jnp.zeros(size), constraints.real),
        SPREAD: (jnp.full(size, initial_scale), constraints.softplus_positive),
    }
    family = Family(first, lambda fitted: DrawnApart(fitted[MIDDLE], fitted[SPREAD]).to_event(1))
    return variational(target, optimizer, family, temperature, estimator)


def low_rank(
    target: Target,
    optimizer: optax.GradientTransformation,
    *,
    rank: int = 10,
    initial_scale: float = 0.05,
    temperature: float = 1.0,
) -> Method:
    """Variational inference with a covariance of a diagonal and `rank` directions (Ong and others 2018).

    Arguments are those of `mean_field`.

    Raises:
        ValueError: where the rank is below one.
    """
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}; without directions use mean_field")
    size = _size(target)
    first = {
        MIDDLE: (jnp.zeros(size), constraints.real),
        SPREAD: (jnp.full(size, initial_scale), constraints.softplus_positive),
        FACTOR: (jnp.zeros((size, rank)), constraints.real),
    }

    def distribution(fitted: dict[str, Array]) -> dist.Distribution:
        spread = fitted[SPREAD]
        return dist.LowRankMultivariateNormal(fitted[MIDDLE], fitted[FACTOR] * spread[:, None], spread**2)

    return variational(target, optimizer, Family(first, distribution), temperature)


def full_covariance(
    target: Target,
    optimizer: optax.GradientTransformation,
    *,
    initial_scale: float = 0.05,
    temperature: float = 1.0,
) -> Method:
    """Variational inference with one multivariate normal over all weights; for small networks, or inside `subspace`.

    Arguments are those of `mean_field`.

    Raises:
        ValueError: where there are more weights than `MAX_FULL`.
    """
    size = _size(target)
    if size > MAX_FULL:
        raise ValueError(
            f"the covariance of {size:,} weights has {size**2:,} numbers, at most {MAX_FULL:,} weights are fitted so; "
            "use low_rank, or full_covariance of a subspace"
        )
    first = {
        MIDDLE: (jnp.zeros(size), constraints.real),
        FACTOR: (initial_scale * jnp.eye(size), constraints.scaled_unit_lower_cholesky),
    }

    def distribution(fitted: dict[str, Array]) -> dist.Distribution:
        return dist.MultivariateNormal(fitted[MIDDLE], scale_tril=fitted[FACTOR])

    return variational(target, optimizer, Family(first, distribution), temperature)


def variational(
    target: Target,
    optimizer: optax.GradientTransformation,
    family: Family,
    temperature: float = 1.0,
    estimator: str = "plain",
) -> Method:
    """Variational inference with any family of distributions.

    The likelihood of a batch counts for all `num_data` events (a NumPyro plate), the divergence from the
    prior once. Losses are divided by `num_data`: nats an event. Estimators other than `plain` are for
    independent normals.
    """
    centre, unravel = ravel_pytree(target.prior_mean)
    scale, _ = ravel_pytree(target.prior_scale)

    def weights_of(z: Array) -> Weights:
        return Weights(unravel(centre + scale * z))

    def varied(z: Array) -> Weights:
        if estimator == "plain":
            return weights_of(z)
        fitted, key = parameters(), cast(PRNGKeyArray, numpyro.prng_key())
        change, sd = unravel(scale * (z - fitted[MIDDLE])), unravel(scale * fitted[SPREAD])
        return weights_of(z)._replace(variation=Variation(key, change, sd if estimator == "local" else None))

    def parameters() -> Any:
        return {name: numpyro.param(name, at, constraint=c) for name, (at, c) in family.parameters.items()}

    def model(batch: Batch | None) -> None:
        with handlers.scale(scale=temperature):
            z: Any = numpyro.sample(SITE, dist.Normal(0, 1).expand(centre.shape).to_event(1))
        if batch is None:  # the guide asks only for the site
            return
        log_likelihood = target.log_likelihood(varied(z), batch)
        with numpyro.plate("events", target.num_data, subsample_size=log_likelihood.shape[0]):
            numpyro.factor("log_likelihood", log_likelihood)

    def guide(batch: Batch | None) -> None:
        with handlers.scale(scale=temperature):
            numpyro.sample(SITE, family.distribution(parameters()))

    per_event = 1 / target.num_data
    svi = SVI(
        handlers.scale(model, per_event),
        handlers.scale(guide, per_event),
        optax_to_numpyro(optimizer),
        TraceMeanField_ELBO(),
    )
    # NumPyro keeps the transforms of parameters on the object: set up once, by shapes, so that nothing is computed.
    jax.eval_shape(lambda: svi.init(jax.random.key(0), None))

    def init(key: PRNGKeyArray, params: Params) -> SVIState:
        start = svi.optim.get_params(svi.init(key, None).optim_state)
        start[MIDDLE] = (ravel_pytree(params)[0] - centre) / scale
        return SVIState(svi.optim.init(start), None, None)

    def divergence(state: SVIState) -> Array:
        fitted = family.distribution(svi.get_params(state))
        in_prior = 0.5 * (fitted.variance + fitted.mean**2 + math.log(2 * math.pi)).sum()
        return (in_prior - fitted.entropy()) / target.num_data

    def update(key: PRNGKeyArray, state: SVIState, batch: Batch) -> tuple[SVIState, Info]:
        kl = temperature * divergence(state)
        new, loss = svi.update(state._replace(rng_key=key), batch)
        return new._replace(rng_key=None), Info(loss, loss - kl, kl)

    def sample(key: PRNGKeyArray, state: SVIState, n: int) -> Weights:
        draws = Predictive(guide, params=svi.get_params(state), num_samples=n, parallel=True)(key, None)
        return jax.vmap(weights_of)(draws[SITE])

    return Method(init, update, sample)


def _size(target: Target) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(target.prior_mean))
