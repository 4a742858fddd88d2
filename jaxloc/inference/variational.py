"""Variational posteriors over weights by NumPyro's distributions: independent normals, low rank, full covariance.

The weights are one site, in units of their prior: w = mean + scale * z with z standard normal before data. One
setting then suits every layer. Each family has means, logarithms of standard deviations and, where weights are
correlated, a factor in units of these. NumPyro's guides (0.1 in weight units, random mean) end in the prior.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Key
from numpyro.distributions.util import vec_to_tril_matrix

from jaxloc.inference.elbo import ESTIMATORS, FACTOR, LOG_SPREAD, MIDDLE, Family, Fitted, variational
from jaxloc.inference.optimizer import ConstantRate
from jaxloc.prng import drawn_apart
from jaxloc.types import Method, Target

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
    optimizer: ConstantRate,
    *,
    steps: int,
    initial_scale: float | None = None,
    scale_rate: float = 0.05,
    temperature: float = 1.0,
    warm_up: int = 0,
    learn_prior: bool = False,
    estimator: str = "plain",
) -> Method:
    """Mean-field variational inference: independent normals, fitted by the evidence lower bound until it converges.

    The bound and the posterior are the same for every estimator of the gradient; its variance is not:

    * `plain`: one draw of weights a step, common to all events of a batch. The cheapest.
    * `flipout` (Wen and others 2018): every event flips the signs of that draw, by channel, in linear layers.
    * `local` (Kingma and others 2015): in dense layers applied once an event, every event samples outputs instead of
      weights (local reparameterisation); flipout in other layers, whose outputs share weights and are dependent.

    Networks decide what differs by event (`networks/flipout.py`); without support a layer uses `plain`.

    Args:
        target: likelihood and prior.
        optimizer: an optax optimiser at a constant rate, for means; the rate falls once the fit has converged.
        steps: largest number of steps; the fit is complete at the end of its stage alone (`convergence`).
        initial_scale: initial standard deviation of every weight, in standard deviations of its prior; None: what the
            gradients of the first tenth of the steps imply (`elbo`), the prior's where data say nothing.
        scale_rate: learning rate of the logarithms of standard deviations, by Adam: the largest change in a step.
        temperature: of the posterior: the divergence is multiplied by it. One is Bayes' rule.
        warm_up: steps over which the divergence's weight rises to the temperature (Sønderby and others 2016).
        learn_prior: whether the prior's scale is fitted too, one factor for each array of weights of the network.
        estimator: "plain", "flipout" or "local".

    Raises:
        ValueError: for another estimator; names it.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")

    def distribution(fitted: Fitted) -> dist.Distribution:
        return DrawnApart(fitted[MIDDLE], jnp.exp(fitted[LOG_SPREAD])).to_event(1)

    return variational(
        target,
        optimizer,
        Family(distribution),
        steps,
        initial_scale=initial_scale,
        scale_rate=scale_rate,
        temperature=temperature,
        warm_up=warm_up,
        learn_prior=learn_prior,
        estimator=estimator,
    )


def low_rank(
    target: Target,
    optimizer: ConstantRate,
    *,
    steps: int,
    rank: int = 10,
    initial_scale: float | None = None,
    scale_rate: float = 0.05,
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

    def distribution(fitted: Fitted) -> dist.Distribution:
        spread = jnp.exp(fitted[LOG_SPREAD])
        return dist.LowRankMultivariateNormal(fitted[MIDDLE], fitted[FACTOR] * spread[:, None], spread**2)

    return variational(
        target,
        optimizer,
        Family(distribution, jnp.zeros((_size(target), rank)), rank),
        steps,
        initial_scale=initial_scale,
        scale_rate=scale_rate,
        temperature=temperature,
        warm_up=warm_up,
        learn_prior=learn_prior,
    )


def full_covariance(
    target: Target,
    optimizer: ConstantRate,
    *,
    steps: int,
    initial_scale: float | None = None,
    scale_rate: float = 0.05,
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

    def distribution(fitted: Fitted) -> dist.Distribution:
        unit = vec_to_tril_matrix(fitted[FACTOR], -1) + jnp.eye(size)
        return dist.MultivariateNormal(fitted[MIDDLE], scale_tril=jnp.exp(fitted[LOG_SPREAD])[:, None] * unit)

    return variational(
        target,
        optimizer,
        Family(distribution, jnp.zeros(size * (size - 1) // 2), size),
        steps,
        initial_scale=initial_scale,
        scale_rate=scale_rate,
        temperature=temperature,
        warm_up=warm_up,
        learn_prior=learn_prior,
    )


def _size(target: Target) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(target.prior_mean))
