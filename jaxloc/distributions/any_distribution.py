"""Distributions over hypocentres that are no Gaussian mixture: what they need, and what is made of them.

Such a distribution is a pytree whose arrays have the leading axes of events, with `sample`, `log_prob`, `batch_shape`,
`mean` and `covariance`. It is scored and drawn by its samples and its log-density; densities of some of the coordinates
are kernel density estimates.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from jaxloc.distributions.bandwidth import silverman
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, covariance, gaussian_mixture, mean


def smoothed(samples: Float[Array, "sample d"]) -> HypocentreMixture:
    """The kernel density estimate of samples, shrunk to their mean so that it has their covariance (West 1993)."""
    number, size = samples.shape
    centre, width = samples.mean(0), silverman(number, size)
    tril = jnp.linalg.cholesky(jnp.cov(samples.T) + 1e-8 * jnp.eye(size))
    points = centre + math.sqrt(1 - width**2) * (samples - centre)
    return gaussian_mixture(jnp.zeros(number), points, width * tril[None])


class OfDraws(dist.Distribution):
    """The equal mixture of the distributions of draws of weights: `draws` has an axis of draws, behind those of events.

    `rank` is the number of axes that the first array of `draws` has for one event.
    """

    def __init__(self, draws: Any, rank: int) -> None:
        self.draws, self.rank = draws, rank
        super().__init__(self.batch_shape, self.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """All of space and time."""
        return constraints.real_vector

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the axes of events, read from the arrays."""
        first = jax.tree.leaves(self.draws)[0]
        return jnp.shape(first)[: jnp.ndim(first) - self.rank]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """East, north, depth and origin time."""
        return (4,)

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        """The distributions of the draws; the rank is no array."""
        return (self.draws,), (self.rank,)

    @classmethod
    def tree_unflatten(cls, aux_data: tuple[int, ...], params: tuple[Any, ...]) -> "OfDraws":
        """From whatever `tree_flatten`'s arrays have become; nothing is checked."""
        new = cls.__new__(cls)
        new.draws, new.rank = params[0], aux_data[0]
        new._validate_args = False
        return new

    def _over_events(self, function: Any, *arguments: Any) -> Array:
        """`function(draws, *arguments)` of one event, over all events; axes of events are the first of all arrays."""
        for _ in self.batch_shape:
            function = jax.vmap(function)
        return function(self.draws, *arguments)

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()
    ) -> Float[Array, "*batch coordinate"]:
        """Samples of draws at random."""
        number, batch = math.prod(sample_shape), self.batch_shape

        def of_event(draws: Any, key: Key[Array, ""]) -> Float[Array, "sample 4"]:
            key_draw, key_sample = jax.random.split(key)
            which = jax.random.randint(key_draw, (number,), 0, len(jax.tree.leaves(draws)[0]))
            one = lambda k, i: jax.tree.map(lambda x: x[i], draws).sample(k)
            return jax.vmap(one)(jax.random.split(key_sample, number), which)

        found = self._over_events(of_event, jax.random.split(key, batch))
        return jnp.moveaxis(found, -2, 0).reshape(*sample_shape, *batch, 4)

    def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: Float[Array, "*batch coordinate"], intermediates: Any = None
    ) -> Float[Array, " *batch"]:
        """The log of the mean density over draws."""
        batch = self.batch_shape
        lead = value.shape[: value.ndim - 1 - len(batch)]
        flat = jnp.moveaxis(value.reshape(-1, *batch, 4), 0, -2)

        def of_event(draws: Any, points: Float[Array, "point 4"]) -> Float[Array, " point"]:
            each = jax.vmap(lambda draw: jax.vmap(draw.log_prob)(points))(draws)
            return logsumexp(each, axis=0) - math.log(len(each))

        return jnp.moveaxis(self._over_events(of_event, flat), -1, 0).reshape(*lead, *batch)

    @property
    def mean(self) -> Float[Array, "*event 4"]:
        """The mean of the draws' means."""
        return self._over_events(lambda draws: jax.vmap(mean)(draws).mean(0))

    @property
    def covariance(self) -> Float[Array, "*event 4 4"]:
        """The covariance of the draws' means, and the mean of their covariances."""

        def of_event(draws: Any) -> Float[Array, "4 4"]:
            middle = jax.vmap(mean)(draws)
            apart = middle - middle.mean(0)
            return jnp.einsum("si,sj->ij", apart, apart) / len(apart) + jax.vmap(covariance)(draws).mean(0)

        return self._over_events(of_event)
