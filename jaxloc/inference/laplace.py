"""Laplace's approximation: a normal distribution from the curvature at the mode.

Curvature is full or diagonal. Kronecker-factored curvature is not implemented: laplax has full, diagonal and Lanczos
curvature for Flax; kfac-jax needs losses and layers registered in the model's own code.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key

from jaxloc.inference.point import PointState, point
from jaxloc.types import NETWORK, Batch, Diagnosis, Info, Method, Params, Target, Weights

MAX_FULL = 2000  # largest number of weights with full curvature: a Hessian costs that many gradients
WIDTHS = np.exp(np.linspace(-5, 5, 501)).astype(
    np.float32
)  # scale factors of the prior that are compared, two per cent apart
AWAY = 0.15  # as much as the error of a standard deviation that variational posteriors are allowed
CRITERION = f"the mode less than {AWAY:g} standard deviations away from the weights, root mean square over directions"
FLAT = 1e-3  # curvature relative to the prior's, below which a direction is not constrained by the data


class LaplaceState(NamedTuple):
    """The point estimate, curvature of the negative log-likelihood and gradient of the negative log-posterior there.

    Both are means over the batches of the later steps, in units of the prior.
    """

    point: PointState
    step: Int[Array, ""]
    curvature: Float[Array, "weight ..."]
    gradient: Float[Array, " weight"]


def laplace(
    target: Target,
    optimizer: optax.GradientTransformation,
    *,
    start: int,
    diagonal: bool = False,
    learn_prior: bool = False,
) -> Method:
    """Laplace's approximation (MacKay 1992): weights are optimised until `start`, later steps estimate the curvature.

    The curvature is the Hessian over all events, averaged over the batches of the later steps. Directions of negative
    curvature, away from a mode, are treated as flat and keep the prior. Full curvature is for small networks and for
    `subspace` (a last layer); the diagonal is estimated with one random direction a step (Hutchinson 1990).

    Args:
        target: likelihood and prior.
        optimizer: an optax optimiser.
        start: step from which weights are fixed and the curvature is estimated.
        diagonal: no correlations, for networks of any size.
        learn_prior: whether the prior's scale maximises the evidence (`best_width`); the posterior mean changes with
            it.

    Raises:
        ValueError: where full curvature of more than `MAX_FULL` weights is requested, or the prior of parameters
            outside of the network would be fitted.
    """
    _check(target, diagonal, learn_prior)
    learner = point(target, optimizer)
    centre, unravel = ravel_pytree(target.prior_mean)
    scale, _ = ravel_pytree(target.prior_scale)

    def negative(z: Float[Array, " weight"], batch: Batch) -> Float[Array, ""]:
        return -target.log_likelihood(Weights(unravel(centre + scale * z)), batch).mean() * target.num_data

    def curvature(key: Key[Array, ""], z: Float[Array, " weight"], batch: Batch) -> Float[Array, "weight ..."]:
        if not diagonal:
            return jax.hessian(negative)(z, batch)
        along = jax.random.rademacher(key, z.shape, z.dtype)
        return along * jax.jvp(jax.grad(lambda z: negative(z, batch)), (z,), (along,))[1]

    def init(key: Key[Array, ""], params: Params) -> LaplaceState:
        shape = centre.shape if diagonal else (centre.size, centre.size)
        zero = jnp.zeros((), jnp.int32)
        return LaplaceState(learner.init(key, params), zero, jnp.zeros(shape), jnp.zeros(centre.shape))

    def learn(key: Key[Array, ""], state: LaplaceState, batch: Batch) -> tuple[LaplaceState, Info]:
        updated, info = learner.update(key, state.point, batch)
        return state._replace(point=updated), info

    def add_curvature(key: Key[Array, ""], state: LaplaceState, batch: Batch) -> tuple[LaplaceState, Info]:
        z = (ravel_pytree(state.point.params)[0] - centre) / scale
        share = 1 / (state.step - start + 1)
        found = state.curvature + share * (curvature(key, z, batch) - state.curvature)
        value, downhill = jax.value_and_grad(negative)(z, batch)
        gradient = state.gradient + share * (downhill + z - state.gradient)
        loss, prior = value / target.num_data, -target.log_prior(state.point.params) / target.num_data
        return state._replace(curvature=found, gradient=gradient), Info(loss + prior, loss, prior)

    def update(key: Key[Array, ""], state: LaplaceState, batch: Batch) -> tuple[LaplaceState, Info]:
        new, info = jax.lax.cond(state.step < start, learn, add_curvature, key, state, batch)
        return new._replace(step=state.step + 1), info

    def sample(key: Key[Array, ""], state: LaplaceState, n: int) -> Weights:
        near = _nearby(target, state)
        width = best_width(target, state) if learn_prior else 1.0
        noise = jax.random.normal(key, (n, centre.size))
        along = near.middle(width) + noise / jnp.sqrt(1 / width**2 + near.curvature)
        z = along if near.directions is None else along @ near.directions.T
        mode = (ravel_pytree(state.point.params)[0] - centre) / scale
        z = jnp.where(state.step > start, z, mode)  # there is no curvature before
        return Weights(jax.vmap(unravel)(centre + scale * z))

    return Method(init, update, sample, diagnose=lambda state: _diagnosis(target, state, start))


def _diagnosis(target: Target, state: LaplaceState, start: int) -> Diagnosis:
    """How far the mode of the parabola lies from the weights, in its standard deviations: one Newton step's length."""
    near = _nearby(target, state)
    along = state.gradient if near.directions is None else state.gradient @ near.directions
    away = jnp.sqrt(jnp.mean(along**2 / (1 + near.curvature)))
    averaged = jnp.maximum(state.step - start, 0)
    figures = {"steps_of_curvature": averaged, "mode_is_away_sd": away}
    return Diagnosis((averaged > 0) & (away < AWAY), CRITERION, figures)


def _check(target: Target, diagonal: bool, learn_prior: bool) -> None:
    size = sum(leaf.size for leaf in jax.tree.leaves(target.prior_mean))
    if not diagonal and size > MAX_FULL:
        raise ValueError(
            f"full curvature of {size:,} weights, at most {MAX_FULL:,} are possible; use diagonal=true, "
            "or full curvature of a subspace"
        )
    others = sorted(set(jax.tree.leaves(target.parts)) - {NETWORK})
    if learn_prior and others:
        raise ValueError(
            f"learn_prior would change the prior of parameters outside of the network ({', '.join(others)}) as well; "
            "select weights by posterior.subspace"
        )


class Nearby(NamedTuple):
    """The log-likelihood near the mode: a parabola along each of a set of directions, in units of the prior.

    Without `directions` they are the weights themselves.
    """

    mode: Float[Array, " direction"]
    curvature: Float[Array, " direction"]
    directions: Float[Array, "weight direction"] | None

    def middle(self, width: Float[Array, ""] | float) -> Float[Array, " direction"]:
        """The mode under a prior of another width; unchanged along flat directions."""
        # At the mode the likelihood pulls as hard as the prior of width one: that is where its parabola has its top.
        moved = self.mode * (1 + self.curvature) / (1 / width**2 + self.curvature)
        return jnp.where(self.curvature > FLAT, moved, self.mode)

    def gain(self, width: Float[Array, ""]) -> Float[Array, ""]:
        """The log-evidence of a prior of this width, relative to that of width one."""
        pull = self.mode * (1 + self.curvature)

        def evidence(width: Float[Array, ""] | float) -> Float[Array, " direction"]:
            return 0.5 * (pull**2 / (1 / width**2 + self.curvature) - jnp.log1p(width**2 * self.curvature))

        return jnp.where(self.curvature > FLAT, evidence(width) - evidence(1.0), 0.0).sum()


def best_width(target: Target, state: LaplaceState) -> Float[Array, ""]:
    """The factor on the prior's width with the highest evidence (MacKay 1992), one for all weights.

    The log-likelihood is approximated by its parabola at the mode, for which the evidence of every width is known in
    closed form: the weights are not fitted again. Exact where the likelihood is normal in the weights.
    """
    widths = jnp.asarray(WIDTHS)
    return widths[jnp.argmax(jax.lax.map(_nearby(target, state).gain, widths))]


def log_evidence(
    target: Target, state: LaplaceState, log_likelihood: Float[Array, ""], width: float = 1.0
) -> Float[Array, ""]:
    """Laplace's estimate of the log marginal likelihood, from the log-likelihood of all events at the mode.

    With it, prior scales can be compared (MacKay 1992, equation 2.5); `width` multiplies that of the target.
    """
    near = _nearby(target, state)
    flat, _ = ravel_pytree(target.prior_scale)
    occam = -0.5 * jnp.log1p(near.curvature).sum() + jnp.log(flat).sum() + 0.5 * flat.size * math.log(2 * math.pi)
    return log_likelihood + target.log_prior(state.point.params) + occam + near.gain(jnp.asarray(width))


def _nearby(target: Target, state: LaplaceState) -> Nearby:
    centre, scale = (ravel_pytree(tree)[0] for tree in (target.prior_mean, target.prior_scale))
    z = (ravel_pytree(state.point.params)[0] - centre) / scale
    if state.curvature.ndim == 1:
        return Nearby(z, jnp.maximum(state.curvature, 0), None)
    values, directions = jnp.linalg.eigh((state.curvature + state.curvature.T) / 2)
    return Nearby(z @ directions, jnp.maximum(values, 0), directions)
