"""A target in units of its prior, for samplers: weights = mean + scale * z, with z standard normal before data."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxloc.types import Batch, Info, Params, Target, Weights


class Displacement(NamedTuple):
    """A target as a function of displacements from the prior's mean.

    `of_params` and `to_params` transform there and back, `slope(z, batch)` is the gradient of the log-posterior of `z`
    with the update's `Info`, and `potential(z, batch)` the negative log-posterior, in nats, up to a constant.
    """

    size: int
    of_params: Callable[[Params], Float[Array, " weight"]]
    to_params: Callable[[Float[Array, " weight"]], Params]
    gradient: Callable[[Array, Batch], tuple[Float[Array, " weight"], Info]]
    potential: Callable[[Array, Batch | None], Float[Array, ""]]


def displacement(target: Target, temperature: float = 1.0) -> Displacement:
    """The posterior over displacements; a batch's mean log-likelihood counts for all `num_data` events.

    Args:
        target: likelihood and prior.
        temperature: the likelihood is divided by it, as in `variational`. One is Bayes' rule.

    Raises:
        ValueError: where the temperature is not above zero.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above zero, got {temperature}; one is Bayes' rule")
    centre, unravel = ravel_pytree(target.prior_mean)
    scale, _ = ravel_pytree(target.prior_scale)
    to_nats = target.num_data / temperature

    def to_params(z: Float[Array, " weight"]) -> Params:
        return unravel(centre + scale * z)

    def loss(z: Float[Array, " weight"], batch: Batch | None) -> tuple[Float[Array, ""], Info]:
        """Nats an event, as in `Info`; without a batch, the prior's part."""
        params = to_params(z)
        prior = -target.log_prior(params) * temperature / target.num_data
        negative = 0.0 * prior if batch is None else -target.log_likelihood(Weights(params), batch).mean()
        return negative + prior, Info(negative + prior, negative, prior)

    def gradient(z: Float[Array, " weight"], batch: Batch) -> tuple[Float[Array, " weight"], Info]:
        gradient, info = jax.grad(loss, has_aux=True)(z, batch)
        return -to_nats * gradient, info

    return Displacement(
        centre.size,
        lambda params: (ravel_pytree(params)[0] - centre) / scale,
        to_params,
        gradient,
        lambda z, batch: to_nats * loss(z, batch)[0],
    )
