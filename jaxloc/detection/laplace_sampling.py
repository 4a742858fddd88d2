"""Draws of a posterior of few parameters: Laplace's approximation at several modes, corrected by importance sampling.

Newton's method finds a mode from each of several starts; the first proposal is an equal mixture of multivariate t
about them, to which the mean and covariance that the weights give are added in further rounds (Cappe et al. 2004,
population Monte Carlo). Draws are resampled by their weights. There is no loop of unknown length, so that `vmap` can
batch it. The effective number of draws says whether the approximation was good enough.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

STEPS = 30
DEGREES_OF_FREEDOM = 5.0
WIDER = 1.1  # scale of the proposal over that of Laplace's approximation
SMALLEST_CURVATURE = 1e-2
LONGEST_STEP = 2.0
ROUNDS = 4
SMALLEST_VARIANCE = 1e-6

LogDensity = Callable[[Float[Array, " parameter"]], Float[Array, ""]]


class Draws(NamedTuple):
    """Equally weighted draws, and the effective number of independent ones among the proposals."""

    value: Float[Array, "draw parameter"]
    effective: Float[Array, ""]


def laplace_draws(
    key: Key[Array, ""], log_density: LogDensity, starts: Float[Array, "start parameter"], draws: int, proposals: int
) -> Draws:
    """Draws of a posterior.

    Args:
        key: of the draws.
        log_density: up to a constant, twice differentiable.
        starts: where modes are searched from.
        draws: returned.
        proposals: evaluated.
    """
    key_rounds, key_again = jax.random.split(key)
    modes, precisions = jax.vmap(lambda start: find_mode(log_density, start))(starts)
    roots = WIDER * jax.vmap(_root)(precisions)

    def again(part: tuple[Array, Array], key: Key[Array, ""]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        parts = jnp.concatenate([part[0][None], modes]), jnp.concatenate([part[1][None], roots])
        places, weight = _weighed(key, log_density, *parts, proposals)
        return _moments(places, weight), (places, weight)

    rounds = jax.lax.scan(again, (modes[0], roots[0]), jax.random.split(key_rounds, ROUNDS))[1]
    places, weight = (values[-1] for values in rounds)
    chosen = jax.random.choice(key_again, proposals, (draws,), p=weight)
    return Draws(places[chosen], 1 / (weight**2).sum())


def _weighed(
    key: Key[Array, ""],
    log_density: LogDensity,
    means: Float[Array, "part parameter"],
    roots: Float[Array, "part parameter parameter"],
    number: int,
) -> tuple[Float[Array, "proposal parameter"], Float[Array, " proposal"]]:
    """Draws of an equal mixture of multivariate t, and their normalised importance weights."""
    key_choice, key_normal, key_scale = jax.random.split(key, 3)
    which = jax.random.randint(key_choice, (number,), 0, len(means))
    # Not by NumPyro's own sampling, which (0.22) has one chi-square for all of a batch that shares its degrees.
    normal = jax.random.normal(key_normal, (number, means.shape[1]))
    scale = jnp.sqrt(0.5 * DEGREES_OF_FREEDOM / jax.random.gamma(key_scale, 0.5 * DEGREES_OF_FREEDOM, (number,)))
    places = means[which] + scale[:, None] * jnp.einsum("nij,nj->ni", roots[which], normal)
    log_proposal = dist.MultivariateStudentT(DEGREES_OF_FREEDOM, means, roots).log_prob(places[:, None])
    log_weight = jax.vmap(log_density)(places) - jax.nn.logsumexp(log_proposal, -1)
    return places, jax.nn.softmax(jnp.where(jnp.isfinite(log_weight), log_weight, -jnp.inf))


def _moments(
    places: Float[Array, "proposal parameter"], weight: Float[Array, " proposal"]
) -> tuple[Float[Array, " parameter"], Float[Array, "parameter parameter"]]:
    """Weighted mean, and the Cholesky factor of the covariance."""
    mean = weight @ places
    centred = places - mean
    covariance = (weight[:, None] * centred).T @ centred + SMALLEST_VARIANCE * jnp.eye(len(mean))
    return mean, WIDER * jnp.linalg.cholesky(covariance)


def find_mode(
    log_density: LogDensity, start: Float[Array, " parameter"]
) -> tuple[Float[Array, " parameter"], Float[Array, "parameter parameter"]]:
    """A local maximum by Newton's method, and the precision there.

    Steps are at most `LONGEST_STEP` long and halved until they ascend.
    """
    shares = 0.5 ** jnp.arange(6.0)

    def step(before: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        at = before[0]
        precision = -jax.hessian(log_density)(at)
        values, vectors = jnp.linalg.eigh(precision)
        ahead = vectors @ ((vectors.T @ jax.grad(log_density)(at)) / jnp.maximum(jnp.abs(values), SMALLEST_CURVATURE))
        ahead = ahead * jnp.minimum(1.0, LONGEST_STEP / (jnp.linalg.norm(ahead) + 1e-9))
        places = jnp.concatenate([at[None], at + shares[:, None] * ahead])
        best = places[jnp.nan_to_num(jax.vmap(log_density)(places), nan=-jnp.inf).argmax()]
        return (best, precision), None

    return jax.lax.scan(step, (start, jnp.eye(len(start))), None, length=STEPS)[0]


def _root(precision: Float[Array, "parameter parameter"]) -> Float[Array, "parameter parameter"]:
    """The Cholesky factor of the inverse of a precision, made positive definite."""
    values, vectors = jnp.linalg.eigh(precision)
    covariance = (vectors / jnp.maximum(values, SMALLEST_CURVATURE)) @ vectors.T
    return jnp.linalg.cholesky((covariance + covariance.T) / 2)
