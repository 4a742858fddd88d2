"""One of two distributions, for events that may lie outside of what a density covers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from jaxloc.distributions.any_distribution import ByEvent, Density, as_mixture, by_event, marginal_of
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, covariance, mean


class Either(NamedTuple):
    """The log-probability of the first of two distributions, and both."""

    log_share: Float[Array, ""]
    first: Any
    second: Any


def either(log_share: Float[Array, ""], first: dist.Distribution, second: dist.Distribution) -> ByEvent:
    """The mixture of two distributions of one event, `log_share` the log-probability of the first."""
    return by_event(EITHER, Either(log_share, first, second))


def _log_rest(log_share: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.log(-jnp.expm1(jnp.minimum(log_share, -1e-7)))


def _sample(of: Either, key: Key[Array, ""], number: int) -> Float[Array, "sample d"]:
    key_which, *keys = jax.random.split(key, 3)
    first = jax.random.uniform(key_which, (number, 1)) < jnp.exp(of.log_share)
    return jnp.where(first, *(one.sample(k, (number,)) for one, k in zip(of[1:], keys, strict=True)))


def _log_prob(of: Either, points: Float[Array, "point d"]) -> Float[Array, " point"]:
    first, second = (one.log_prob(points) for one in of[1:])
    return jnp.logaddexp(of.log_share + first, _log_rest(of.log_share) + second)


def _mean(of: Either) -> Float[Array, " d"]:
    share = jnp.exp(of.log_share)
    return share * mean(of.first) + (1 - share) * mean(of.second)


def _covariance(of: Either) -> Float[Array, "d d"]:
    share, apart = jnp.exp(of.log_share), mean(of.first) - mean(of.second)
    within = share * covariance(of.first) + (1 - share) * covariance(of.second)
    return within + share * (1 - share) * jnp.outer(apart, apart)


def _marginal(of: Either, dims: tuple[int, ...]) -> dist.Distribution | None:
    first, second = (marginal_of(one, dims) for one in of[1:])
    if first is None or second is None:
        return None
    found = Either(of.log_share, first, second)
    return _mixture(found) if len(dims) == 1 else by_event(EITHER, found)


def _mixture(of: Either) -> HypocentreMixture:
    parts = [as_mixture(one).parts for one in of[1:]]
    whole = [
        part._replace(scale_tril=jnp.broadcast_to(part.scale_tril, (*part.mean.shape, part.mean.shape[-1])))
        for part in parts
    ]
    first, second = (
        part._replace(log_weight=part.log_weight + log_share)
        for part, log_share in zip(whole, (of.log_share, _log_rest(of.log_share)), strict=True)
    )
    return HypocentreMixture(jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second))


EITHER = Density(_sample, _log_prob, _mean, _covariance, _marginal, _mixture)
