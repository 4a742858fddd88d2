"""The evidence lower bound (ELBO) for any family of normal distributions over all weights.

The divergence may be annealed (`warm_up`): a wide initial posterior then fits the data before it contracts to the
prior. The prior's scale may be fitted as well (`learn_prior`; empirical Bayes, MacKay 1992): the bound approximates the
evidence. Parameters outside of the network (`Target.parts`) keep their prior.

Scales are logarithms of standard deviations in units of the prior, with a learning rate of their own: a step changes
them by a share, wherever they are. They start from the width that the first steps' gradients imply: one over the root
of one (the prior's precision) plus the Fisher information, the variance of an event's gradient times the number of
events. That is the prior's width for weights that data do not determine, and close to the optimum for the others.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.inference import convergence
from jaxloc.inference.convergence import Moments, Progress
from jaxloc.inference.microbatching import size_of, total_log_likelihood
from jaxloc.types import NETWORK, Batch, Diagnosis, Info, Method, Params, Target, Variation, Weights

MIDDLE, LOG_SPREAD, FACTOR = "mean", "log_sd", "factor"
ESTIMATORS = ("plain", "flipout", "local")
LOG_WIDTH = "log_prior_width"
MOST_SOLVED = 60  # columns of a factor: the inverse of a larger unit triangular matrix may grow without bound
Fitted = dict[str, Float[Array, "..."]]


class Family(NamedTuple):
    """Normal distributions of all weights in units of their prior, by unconstrained parameters.

    `LOG_SPREAD` scales each weight's displacement from the mean `MIDDLE`; `factor` gives the first values of what
    correlates them, `columns` numbers a weight, whose learning rate is that of scales over the root of their number.
    """

    distribution: Callable[[Fitted], dist.Distribution]
    factor: Float[Array, "..."] | None = None
    columns: int = 1


class VariationalState(NamedTuple):
    """Unconstrained parameters, the optimisers' states, how far the fit is, and the gradients of its first steps."""

    fitted: Fitted
    optimizer: dict[str, optax.OptState]
    progress: Progress
    moments: Moments


class Bound(NamedTuple):
    """What the bound is made of, with weights in units of the prior: displacements z from its mean over its scale.

    Attributes:
        target: likelihood and prior.
        family: of the posterior.
        learn_prior: whether the prior's scale is fitted, one factor for each array of weights.
        estimator: of the gradient of the likelihood, one of `ESTIMATORS`.
        centre: mean of the prior.
        scale: its standard deviations.
        unravel: a row of all weights to a tree like the parameters.
        array_of: the array that each weight belongs to.
        fittable: 1 for arrays whose prior may be learnt, else 0.
    """

    target: Target
    family: Family
    learn_prior: bool
    estimator: str
    centre: Float[Array, " weight"]
    scale: Float[Array, " weight"]
    unravel: Callable[[Float[Array, " weight"]], Params]
    array_of: Int[np.ndarray, " weight"]
    fittable: Float[np.ndarray, " array"]

    def weights_of(self, z: Float[Array, " weight"]) -> Weights:
        """Weights at a displacement."""
        return Weights(self.unravel(self.centre + self.scale * z))

    def varied(self, key: Key[Array, ""], fitted: Fitted, z: Float[Array, " weight"]) -> Weights:
        """As `weights_of`, with what varies them from event to event (`estimator`)."""
        if self.estimator == "plain":
            return self.weights_of(z)
        change = self.unravel(self.scale * (z - fitted[MIDDLE]))
        sd = self.unravel(self.scale * jnp.exp(fitted[LOG_SPREAD])) if self.estimator == "local" else None
        return self.weights_of(z)._replace(variation=Variation(key, change, sd))

    def width(self, fitted: Fitted) -> Float[Array, " weight"] | float:
        """The scale of the prior of displacements: one, or the fitted one."""
        return jnp.exp(self.fittable * fitted[LOG_WIDTH])[self.array_of] if self.learn_prior else 1.0

    def divergence(self, fitted: Fitted) -> Float[Array, ""]:
        """Of the posterior from the prior, in nats an event."""
        q, prior = self.family.distribution(fitted), self.width(fitted)
        squares = (jnp.asarray(q.variance) + jnp.asarray(q.mean) ** 2) / prior**2
        in_prior = (0.5 * squares + 0.5 * math.log(2 * math.pi) + jnp.log(prior)).sum()
        return (in_prior - q.entropy()) / self.target.num_data

    def drawn(self, key: Key[Array, ""], fitted: Fitted, first: Bool[Array, ""]) -> Float[Array, " weight"]:
        """A draw; the mean in the first steps."""
        z = jnp.asarray(self.family.distribution(fitted).sample(key))
        return jnp.where(first, fitted[MIDDLE], z)

    def apart(self, fitted: Fitted, key: Key[Array, ""], first: Bool[Array, ""]) -> Float[Array, ""]:
        """The divergence, or an estimate whose gradient is that of the path (Roeder and others 2017).

        That has the noise of the likelihood's gradient with the other sign, where all events have the same weights. It
        needs the density of a draw, and so the inverse of the factor, which only a small one has in single precision.
        """
        if self.estimator != "plain" or self.family.columns > MOST_SOLVED:
            return self.divergence(fitted)
        z = self.drawn(key, fitted, first)
        q = self.family.distribution(jax.lax.stop_gradient(fitted))
        return (q.log_prob(z) - dist.Normal(0.0, self.width(fitted)).log_prob(z).sum()) / self.target.num_data  # pyright: ignore

    def negative(
        self, fitted: Fitted, keys: tuple[Key[Array, ""], Key[Array, ""]], batch: Batch, first: Bool[Array, ""]
    ) -> Float[Array, ""]:
        """Minus the log-likelihood of a batch under a draw, in nats an event."""
        weights = self.varied(keys[1], fitted, self.drawn(keys[0], fitted, first))
        return -total_log_likelihood(self.target, weights, batch) / size_of(batch)


def bound_of(target: Target, family: Family, learn_prior: bool, estimator: str) -> Bound:
    """The bound for a target and a family."""
    centre, unravel = ravel_pytree(target.prior_mean)
    scale, _ = ravel_pytree(target.prior_scale)
    return Bound(target, family, learn_prior, estimator, centre, scale, unravel, *_arrays(target))


def variational(
    target: Target,
    optimizer: optax.GradientTransformation,
    family: Family,
    steps: int,
    *,
    initial_scale: float | None = None,
    scale_rate: float = 0.05,
    temperature: float = 1.0,
    warm_up: int = 0,
    learn_prior: bool = False,
    estimator: str = "plain",
) -> Method:
    """Variational inference with any family of normal distributions, until it has converged (`convergence`).

    The likelihood of a batch counts for all `num_data` events, the divergence from the prior once. Losses are divided
    by `num_data`: nats an event. They include the whole divergence, also while it is annealed, so that losses of
    different steps are comparable. Without noise of batches, that of the `plain` gradient vanishes where the family has
    the posterior. Other estimators need independent normals.

    Raises:
        ValueError: where the number of steps of the warm-up is negative.
    """
    if warm_up < 0:
        raise ValueError(f"warm_up must be a number of steps, at least 0, got {warm_up}")
    plan = convergence.plan_of(steps)
    if initial_scale is not None:
        plan = plan._replace(first=0)
    bound = bound_of(target, family, learn_prior, estimator)
    to_nats = target.num_data / temperature
    factor_rate = scale_rate / math.sqrt(family.columns)
    optimizers = {MIDDLE: optimizer, LOG_SPREAD: optax.adam(scale_rate), FACTOR: optax.adam(factor_rate)}

    def init(key: Key[Array, ""], params: Params) -> VariationalState:
        z = (ravel_pytree(params)[0] - bound.centre) / bound.scale
        fitted = {MIDDLE: z, LOG_SPREAD: jnp.full_like(z, math.log(initial_scale or 1.0))}
        fitted |= {} if family.factor is None else {FACTOR: family.factor}
        fitted |= {LOG_WIDTH: jnp.zeros(bound.fittable.size)} if learn_prior else {}
        memory = {by: optimizers[by].init(part) for by, part in _by_optimizer(fitted).items()}
        progress = convergence.begun(plan, bound.fittable.size)
        return VariationalState(fitted, memory, progress, convergence.no_moments(z.shape if plan.first else ()))

    def update(key: Key[Array, ""], state: VariationalState, batch: Batch) -> tuple[VariationalState, Info]:
        fitted, step = state.fitted, state.progress.step
        first, (key_draw, key_event) = step < plan.first, jax.random.split(key)
        loss, by_data = _with_gradient(bound.negative)(fitted, (key_draw, key_event), batch, first)
        weight = temperature * (jnp.minimum(1.0, (step + 1) / warm_up) if warm_up else 1.0)
        by_prior = jax.grad(bound.apart)(fitted, key_draw, first)
        gradient = jax.tree.map(lambda data, prior: data + weight * prior, by_data, by_prior)
        share = convergence.rate(plan, state.progress)
        moved, memory = dict(fitted), {}
        for by, part in _by_optimizer(gradient).items():
            # Scales wait for the end of the first steps, which estimate them.
            part = part if by == MIDDLE else jax.tree.map(lambda g: jnp.where(first, 0.0, g), part)
            change, memory[by] = optimizers[by].update(part, state.optimizer[by], _by_optimizer(fitted)[by])
            moved |= {name: fitted[name] + share * x for name, x in cast(Fitted, change).items()}
        moments = state.moments
        if plan.first:
            moments = _with_gradients(moments, by_data[MIDDLE], first)
            estimate = -0.5 * jnp.log1p(to_nats * size_of(batch) * jnp.asarray(moments.variance))
            moved[LOG_SPREAD] = jnp.where(step + 1 == plan.first, estimate, moved[LOG_SPREAD])
        kl = temperature * bound.divergence(fitted)
        by_scale, spread = -to_nats * gradient[LOG_SPREAD], jnp.exp(fitted[LOG_SPREAD])
        groups = convergence.by_array(by_scale, spread, bound.array_of, bound.fittable.size)
        progress = convergence.followed(plan, state.progress, loss + kl, groups)
        return VariationalState(moved, memory, progress, moments), Info(loss + kl, loss, kl)

    def sample(key: Key[Array, ""], state: VariationalState, n: int) -> Weights:
        return jax.vmap(bound.weights_of)(jnp.asarray(family.distribution(state.fitted).sample(key, (n,))))

    def at_prior(state: VariationalState) -> VariationalState:
        fitted = {name: jnp.zeros_like(x) for name, x in state.fitted.items()}
        step = jnp.maximum(state.progress.step, plan.first)
        return state._replace(fitted=fitted, progress=state.progress._replace(step=step))

    finished = lambda state: convergence.finished(plan, state.progress)
    return Method(init, update, sample, finished, partial(_diagnosis, bound, temperature), at_prior)


def _by_optimizer(fitted: Fitted) -> dict[str, Fitted]:
    """The parameters of each optimiser: means with the prior's width, scales, the factor."""
    own = lambda name: name if name in (LOG_SPREAD, FACTOR) else MIDDLE
    return {by: {name: x for name, x in fitted.items() if own(name) == by} for by in (MIDDLE, LOG_SPREAD, FACTOR)}


def _with_gradients(moments: Moments, gradient: Float[Array, " weight"], first: Bool[Array, ""]) -> Moments:
    """The moments of the gradients of the first steps, with one more; unchanged after these steps."""
    seen = moments.with_one(gradient)
    return Moments(*(jnp.where(first, new, old) for new, old in zip(seen, moments, strict=True)))


def _diagnosis(bound: Bound, temperature: float, state: VariationalState) -> Diagnosis:
    sd = jnp.sqrt(jnp.asarray(bound.family.distribution(state.fitted).variance))
    of_network = sd[np.flatnonzero(bound.fittable[bound.array_of])] if bound.fittable.any() else sd
    low, middle, high = jnp.quantile(of_network, jnp.array([0.05, 0.5, 0.95]))
    last = state.progress.last
    figures = {
        "steps": state.progress.step,
        "divergence": temperature * bound.divergence(state.fitted),
        "sigma_over_prior": {"median": middle, "p05": low, "p95": high},
        "gradient_of_log_sd": {"mean": last.mean[-1], "standard_error": last.error[-1]},
        "gradient_of_determined": {"mean": last.mean[-2], "standard_error": last.error[-2]},
    }
    return Diagnosis(convergence.converged(state.progress), convergence.CRITERION, figures)


def learnt_prior_scale(target: Target, state: VariationalState) -> Params:
    """Fitted standard deviations of the prior, a tree like the parameters.

    Raises:
        ValueError: where the state's prior was not fitted.
    """
    if LOG_WIDTH not in state.fitted:
        raise ValueError("the prior of this posterior was not fitted; use learn_prior=true to fit its scale")
    leaves, tree = jax.tree.flatten(target.prior_scale)
    factors = jnp.exp(_arrays(target)[1] * state.fitted[LOG_WIDTH])
    return tree.unflatten([leaf * factor for leaf, factor in zip(leaves, factors, strict=True)])


def _with_gradient(function: Callable[..., Float[Array, ""]]) -> Callable[..., tuple[Float[Array, ""], Fitted]]:
    return jax.value_and_grad(function)


def _arrays(target: Target) -> tuple[Int[np.ndarray, " weight"], Float[np.ndarray, " array"]]:
    """Which array each parameter belongs to, [parameter], and whether an array's prior may be learnt, [array]."""
    leaves = jax.tree.leaves(target.prior_mean)
    array_of = np.repeat(np.arange(len(leaves)), [leaf.size for leaf in leaves])
    parts = [NETWORK] * len(leaves) if target.parts is None else jax.tree.leaves(target.parts)
    return array_of, np.array([part == NETWORK for part in parts], np.float32)
