"""Variational inference over all weights, by NumPyro: independent normals, low rank, full covariance.

The weights are one site, in units of their prior: w = mean + scale * z with z standard normal before data. One
setting, `initial_scale`, then suits every layer: a twentieth of the prior lets the likelihood dominate from the first
step. NumPyro's defaults (0.1 in weight units, random mean) end in the prior.

Guides are those of NumPyro's AutoNormal, AutoLowRankMultivariateNormal and AutoMultivariateNormal, written out: for the
first, random numbers are generated in a loop of their own (`DrawnApart`), and for all, the divergence is separate.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import optax
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from jaxloc.inference.elbo import ESTIMATORS, MIDDLE, SITE, SPREAD, Family, variational
from jaxloc.prng import drawn_apart
from jaxloc.types import Method, Target

FACTOR = f"{SITE}_factor"
MAX_FULL = (
    5000  # largest number of weights with a full covariance: 25 million numbers, and twice as many in Adam's state
)


class DrawnApart(dist.Normal):
    """A normal distribution whose random numbers are generated in a loop of their own (`jaxloc.prng.drawn_apart`).

    (A site for every array of weights is as fast, but takes two to three times as long to compile.)
    """

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()
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
    warm_up: int = 0,
    learn_prior: bool = False,
    estimator: str = "plain",
) -> Method:
    """Mean-field variational inference: independent normals, fitted by the evidence lower bound.

    The bound and the posterior are the same for every estimator of the gradient; its variance is not:

    * `plain`: one draw of weights a step, common to all events of a batch. The cheapest.
    * `flipout` (Wen and others 2018): every event flips the signs of that draw, by channel, in linear layers.
    * `local` (Kingma and others 2015): in dense layers applied once an event, every event samples outputs instead of
      weights (local reparameterisation); flipout in other layers, whose outputs share weights and are dependent.

    Networks decide what differs by event (`networks/flipout.py`); without support a layer uses `plain`.

    Args:
        target: likelihood and prior.
        optimizer: an optax optimiser.
        initial_scale: initial standard deviation of every weight, in standard deviations of its prior.
        temperature: of the posterior: the divergence is multiplied by it. One is Bayes' rule.
        warm_up: steps over which the divergence's weight rises to the temperature (Sønderby and others 2016).
        learn_prior: whether the prior's scale is fitted too, one factor for each array of weights of the network.
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
    return variational(target, optimizer, family, temperature, warm_up, learn_prior, estimator)


def low_rank(
    target: Target,
    optimizer: optax.GradientTransformation,
    *,
    rank: int = 10,
    initial_scale: float = 0.05,
    temperature: float = 1.0,
    warm_up: int = 0,
    learn_prior: bool = False,
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

    def distribution(fitted: dict[str, Float[Array, "..."]]) -> dist.Distribution:
        spread = fitted[SPREAD]
        return dist.LowRankMultivariateNormal(fitted[MIDDLE], fitted[FACTOR] * spread[:, None], spread**2)

    return variational(target, optimizer, Family(first, distribution), temperature, warm_up, learn_prior)


def full_covariance(
    target: Target,
    optimizer: optax.GradientTransformation,
    *,
    initial_scale: float = 0.05,
    temperature: float = 1.0,
    warm_up: int = 0,
    learn_prior: bool = False,
) -> Method:
    """Variational inference with one multivariate normal over all weights; for small networks, or inside `subspace`.

    Arguments are those of `mean_field`.

    Raises:
        ValueError: where there are more weights than `MAX_FULL`.
    """
    size = _size(target)
    if size > MAX_FULL:
        raise ValueError(
            f"the covariance of {size:,} weights has {size**2:,} elements, at most {MAX_FULL:,} weights are possible; "
            "use low_rank, or full_covariance of a subspace"
        )
    first = {
        MIDDLE: (jnp.zeros(size), constraints.real),
        FACTOR: (initial_scale * jnp.eye(size), constraints.scaled_unit_lower_cholesky),
    }

    def distribution(fitted: dict[str, Float[Array, "..."]]) -> dist.Distribution:
        return dist.MultivariateNormal(fitted[MIDDLE], scale_tril=fitted[FACTOR])

    return variational(target, optimizer, Family(first, distribution), temperature, warm_up, learn_prior)


def _size(target: Target) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(target.prior_mean))
