"""Regions of highest density of distributions over hypocentres (Hyndman 1996)."""

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from jaxloc.distributions.any_distribution import plain


def highest_density_level(
    key: Key[Array, ""],
    distribution: dist.Distribution,
    point: Float[Array, "*event coordinate"],
    num_draws: int = 1000,
) -> Float[Array, " *event"]:
    """The posterior mass of the region denser than a point: P(p(X) > p(point)), plus half of the ties.

    Uniform on 0-1 where points come from the distribution itself (Hyndman 1996); 0 at the mode.
    """
    own = plain(distribution)
    at_samples, at_point = own.log_prob(own.sample(key, (num_draws,))), own.log_prob(point)
    return level_of(jnp.asarray(at_samples), jnp.asarray(at_point))


def highest_density_volume(
    key: Key[Array, ""], distribution: dist.Distribution, level: Float[Array, " level"], num_draws: int = 1000
) -> Float[Array, "*event level"]:
    """Length, area or volume of the smallest regions that hold given masses; in km, km2, km3 (s).

    E[1{p(X) > c} / p(X)] with c the (1 - level) quantile of the density over draws (Hyndman 1996).
    """
    own = plain(distribution)
    return volume_of(jnp.asarray(own.log_prob(own.sample(key, (num_draws,)))), level)


def level_of(log_density: Float[Array, "draw *event"], at_point: Float[Array, " *event"]) -> Float[Array, " *event"]:
    """`highest_density_level` from log-densities of its samples and of the point."""
    above = log_density > at_point[None]
    return (above + 0.5 * (log_density == at_point[None])).mean(0)


def volume_of(log_density: Float[Array, "draw *event"], level: Float[Array, " level"]) -> Float[Array, "*event level"]:
    """`highest_density_volume` from log-densities of its samples."""
    number = log_density.shape[0]
    rank = jnp.clip(jnp.round(jnp.asarray(level) * number).astype(int), 1, number)
    threshold = jnp.sort(log_density, axis=0)[number - rank]
    inside = log_density[:, None] >= threshold[None]
    return jnp.moveaxis(jnp.where(inside, jnp.exp(-log_density[:, None]), 0.0).mean(0), 0, -1)
