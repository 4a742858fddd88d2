"""Laplace's approximation: a normal distribution by the curvature at the mode."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxloc.posteriors.point import PointState, point
from jaxloc.types import Batch, Info, Method, Params, Target, Weights

MAX_FULL = 2000  # weights whose full curvature is taken: a Hessian costs that many gradients


class LaplaceState(NamedTuple):
    """The point estimate, and the curvature of the negative log-likelihood there, in units of the prior."""

    point: PointState
    step: Int[Array, ""]
    curvature: Float[Array, "weight ..."]


def laplace(target: Target, optimizer: optax.GradientTransformation, *, start: int, diagonal: bool = False) -> Method:
    """Laplace's approximation (MacKay 1992): weights learn until step `start`; later steps take the curvature there.

    The curvature is the Hessian over all events, averaged over the batches of the later steps. Directions in which it
    is negative, away from a mode, count as flat: there the prior stays. Full curvature is for small networks and for
    `subspace` (a last layer); the diagonal is estimated with one random direction a step (Hutchinson 1990).

    Args:
        target: likelihood and prior.
        optimizer: an optax optimiser.
        start: step from which weights stay and curvature is taken.
        diagonal: no correlations, for networks of any size.

    Raises:
        ValueError: where full curvature is asked of more than `MAX_FULL` weights.
    """
    learner = point(target, optimizer)
    centre, unravel = ravel_pytree(target.prior_mean)
    scale, _ = ravel_pytree(target.prior_scale)
    if not diagonal and centre.size > MAX_FULL:
        raise ValueError(
            f"full curvature of {centre.size:,} weights, at most {MAX_FULL:,} are possible; use diagonal=true, "
            "or full curvature of a subspace"
        )

    def negative(z: Array, batch: Batch) -> Array:
        return -target.log_likelihood(Weights(unravel(centre + scale * z)), batch).mean() * target.num_data

    def curvature(key: PRNGKeyArray, z: Array, batch: Batch) -> Array:
        if not diagonal:
            return jax.hessian(negative)(z, batch)
        along = jax.random.rademacher(key, z.shape, z.dtype)
        return along * jax.jvp(jax.grad(lambda z: negative(z, batch)), (z,), (along,))[1]

    def init(key: PRNGKeyArray, params: Params) -> LaplaceState:
        shape = centre.shape if diagonal else (centre.size, centre.size)
        return LaplaceState(learner.init(key, params), jnp.zeros((), jnp.int32), jnp.zeros(shape))

    def learn(key: PRNGKeyArray, state: LaplaceState, batch: Batch) -> tuple[LaplaceState, Info]:
        learnt, info = learner.update(key, state.point, batch)
        return state._replace(point=learnt), info

    def look(key: PRNGKeyArray, state: LaplaceState, batch: Batch) -> tuple[LaplaceState, Info]:
        z = (ravel_pytree(state.point.params)[0] - centre) / scale
        share = 1 / (state.step - start + 1)
        found = state.curvature + share * (curvature(key, z, batch) - state.curvature)
        loss = negative(z, batch) / target.num_data
        prior = -target.log_prior(state.point.params) / target.num_data
        return state._replace(curvature=found), Info(loss + prior, loss, prior)

    def update(key: PRNGKeyArray, state: LaplaceState, batch: Batch) -> tuple[LaplaceState, Info]:
        new, info = jax.lax.cond(state.step < start, learn, look, key, state, batch)
        return new._replace(step=state.step + 1), info

    def sample(key: PRNGKeyArray, state: LaplaceState, n: int) -> Weights:
        z = (ravel_pytree(state.point.params)[0] - centre) / scale
        noise = jax.random.normal(key, (n, z.size))
        if diagonal:
            away = noise / jnp.sqrt(1 + jnp.maximum(state.curvature, 0))
        else:
            values, directions = jnp.linalg.eigh((state.curvature + state.curvature.T) / 2)
            away = noise / jnp.sqrt(1 + jnp.maximum(values, 0)) @ directions.T
        away = jnp.where(state.step > start, away, 0.0)  # nothing is known of the curvature before
        return Weights(jax.vmap(unravel)(centre + scale * (z + away)))

    return Method(init, update, sample)


def log_evidence(target: Target, state: LaplaceState, log_likelihood: Float[Array, ""]) -> Float[Array, ""]:
    """Laplace's estimate of the log marginal likelihood, from the log-likelihood of all events at the mode.

    With it, prior scales can be compared (MacKay 1992, equation 2.5).
    """
    values = jnp.linalg.eigvalsh(state.curvature) if state.curvature.ndim == 2 else state.curvature
    flat, _ = ravel_pytree(target.prior_scale)
    occam = -0.5 * jnp.log1p(jnp.maximum(values, 0)).sum() + jnp.log(flat).sum()
    return log_likelihood + target.log_prior(state.point.params) + occam + 0.5 * flat.size * math.log(2 * math.pi)
