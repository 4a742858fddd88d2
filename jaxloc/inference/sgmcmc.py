"""Stochastic gradient MCMC with cyclical step sizes: Langevin dynamics, without and with momentum.

The diffusions are Blackjax's. Each weight moves in units of its own scale, estimated in the first steps (`adaptation`)
as one over the standard deviation of its gradient (after Springenberg and others 2016, who do not subtract the mean,
which slows a chain that is still far from the data). In equilibrium the variance of gradients is the mean curvature, so
these are the conditional scales of the weights; where batches make gradients noisy they are smaller, and so are the
steps. The same settings then suit any data. Without adaptation the units are those of the prior.

The largest stable step follows from the sharpest direction of the posterior. With `s` its standard deviation there, in
these units, Langevin steps must be below 2 s^2, those with momentum below 2 s; at a tenth of that, the variance in that
direction is 11 per cent too large (Langevin), or one per cent (momentum). Gradient noise of batches adds, in adapted
units, at most a share `step_size / (2 * friction)` of the temperature, with momentum.
"""

import math
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxloc.inference.mixing import diagnosis_of
from jaxloc.inference.sample_buffer import Kept, keep_if, nothing, sample_kept
from jaxloc.inference.whitening import displacement
from jaxloc.types import Batch, Info, Method, Params, Target, Weights

Move = Callable[..., tuple[Array, Array | None]]
"""Key, position, momentum, gradient of the log-posterior, step size, temperature, to the next position and momentum."""
MEMORY = 0.2  # share of the adaptation that moments of gradients average over: the first ones are far from any mode

STRONGEST = 10.0  # clipping of the gradient in adapted units, where its standard deviation is one


class Moments(NamedTuple):
    """Mean and variance of each weight's gradient, over the last steps."""

    mean: Float[Array, " weight"]
    variance: Float[Array, " weight"]


class ChainState(NamedTuple):
    """The position of the chain in units of the prior, the moments of its gradients, and the stored draws."""

    z: Float[Array, " weight"]
    momentum: Float[Array, " weight"] | None
    moments: Moments | None
    step: Int[Array, ""]
    kept: Kept


class Adaptation(NamedTuple):
    """The first `steps`, which estimate the scale of each weight; without any, all have the prior's, one."""

    steps: int

    def moments(self, state: ChainState, gradient: Float[Array, " weight"]) -> Moments | None:
        """Moments of gradients including this one; unchanged after the last adaptation step."""
        if state.moments is None:
            return None
        share = jnp.where(state.step < self.steps, 1 / jnp.clip(MEMORY * self.steps, 1, state.step + 1), 0.0)
        away = gradient - state.moments.mean
        variance = (1 - share) * (state.moments.variance + share * away**2)
        return Moments(state.moments.mean + share * away, variance)


def width(moments: Moments | None) -> Float[Array, " weight"] | float:
    """The scale of each weight in units of its prior, at most one."""
    return 1.0 if moments is None else jax.lax.rsqrt(1 + moments.variance)


class Cycles(NamedTuple):
    """Cyclical cosine step sizes (Zhang and others 2020, arXiv:1902.03932, equation 1).

    A cycle of `length` steps has `exploring` steps without noise, which find a mode; the later ones sample, and every
    `every`-th of them is stored.
    """

    length: int
    exploring: int
    every: int

    def size(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The step size, relative to the first of a cycle."""
        return (jnp.cos(jnp.pi * (step % self.length) / self.length) + 1) / 2

    def samples(self, step: Int[Array, ""]) -> Array:
        """Whether the chain samples at this step."""
        return step % self.length >= self.exploring

    def due(self, step: Int[Array, ""]) -> Array:
        """Whether the weights after this step are stored."""
        sampled = step // self.length * (self.length - self.exploring) + step % self.length - self.exploring + 1
        return self.samples(step) & (sampled % self.every == 0)


def cycles_of(steps: int, cycles: int, exploration: float, keep: int) -> Cycles:
    """Cycles that fill `steps`, with at most `keep` draws spaced evenly over all their sampling steps.

    Raises:
        ValueError: where a number is below one, or exploration not a share below one.
    """
    if min(steps, cycles, keep) < 1:
        raise ValueError(f"steps, cycles and keep must be at least 1, got {steps}, {cycles} and {keep}")
    if not 0 <= exploration < 1:
        raise ValueError(f"exploration must be a share of a cycle within 0-1, got {exploration}")
    length = math.ceil(steps / cycles)
    exploring = min(math.ceil(exploration * length), length - 1)
    return Cycles(length, exploring, math.ceil(cycles * (length - exploring) / keep))


def sgld(
    target: Target,
    *,
    steps: int,
    step_size: float = 2e-3,
    adaptation: float = 0.25,
    cycles: int = 4,
    exploration: float = 0.0,
    keep: int = 100,
    temperature: float = 1.0,
) -> Method:
    """Stochastic gradient Langevin dynamics (Welling and Teh 2011), in cycles.

    Args:
        target: likelihood and prior.
        steps: of adaptation and all cycles; further steps continue with another cycle.
        step_size: the first of a cycle, in variances of each weight; in those of the prior without adaptation.
        adaptation: share of the steps, before the first cycle, that estimates the scales of weights; none at zero.
        cycles: number of cycles.
        exploration: share of a cycle without noise.
        keep: stored draws, evenly spaced over the sampling steps of all cycles. Before the first, draws are the chain's
            current point.
        temperature: of the posterior: the likelihood is divided by it. One is Bayes' rule.

    Raises:
        ValueError: where a setting is outside its range; tells which.
    """
    diffuse = _diffusions().overdamped_langevin()

    def move(
        key: Key[Array, ""],
        at: Float[Array, " weight"],
        momentum: None,
        gradient: Float[Array, " weight"],
        step: Float[Array, ""],
        temperature_now: Float[Array, ""],
    ) -> tuple:
        return diffuse(key, at, gradient, step, temperature_now), None

    adapt = _adaptation(steps, adaptation)
    when = cycles_of(steps - adapt.steps, cycles, exploration, keep)
    return _chain(target, move, False, adapt, when, step_size, keep, temperature)


def sghmc(
    target: Target,
    *,
    steps: int,
    step_size: float = 0.05,
    friction: float = 0.3,
    adaptation: float = 0.25,
    cycles: int = 4,
    exploration: float = 0.0,
    keep: int = 100,
    temperature: float = 1.0,
) -> Method:
    """Stochastic gradient Hamiltonian Monte Carlo (Chen and others 2014), in cycles; momentum is never resampled.

    With adaptation it is that of Springenberg and others (2016), except for the friction, which is constant.
    Arguments are those of `sgld`, except for two.

    Args:
        target: likelihood and prior.
        steps: of adaptation and all cycles.
        step_size: the first of a cycle, in standard deviations of each weight; of the prior without adaptation.
        friction: share of the momentum lost per unit of time, thus `friction * step_size` in a step.
        adaptation: share of the steps that estimates the scales of weights.
        cycles: number of cycles.
        exploration: share of a cycle without noise.
        keep: stored draws.
        temperature: of the posterior.

    Raises:
        ValueError: where a setting is outside its range; tells which.
    """
    if not 0 < friction * step_size < 1:
        raise ValueError(
            f"friction * step_size must be within 0-1, got {friction} * {step_size}; it is the share of momentum "
            "that a step loses"
        )
    adapt = _adaptation(steps, adaptation)
    when = cycles_of(steps - adapt.steps, cycles, exploration, keep)
    return _chain(target, _diffusions().sghmc(friction), True, adapt, when, step_size, keep, temperature)


def _adaptation(steps: int, share: float) -> Adaptation:
    if not 0 <= share < 1:
        raise ValueError(f"adaptation must be a share of the steps within 0-1, got {share}")
    return Adaptation(int(share * steps))


def _diffusions() -> ModuleType:
    """Blackjax makes arrays at import: it is imported when a sampler is built, outside of any trace."""
    with jax.ensure_compile_time_eval():
        from blackjax.sgmcmc import diffusions
    return diffusions


def _chain(
    target: Target,
    move: Move,
    with_momentum: bool,
    adapt: Adaptation,
    when: Cycles,
    step_size: float,
    keep: int,
    temperature: float,
) -> Method:
    if not step_size > 0:
        raise ValueError(f"step_size must be above zero, got {step_size}")
    units = displacement(target, temperature)

    def init(key: Key[Array, ""], params: Params) -> ChainState:
        z = units.of_params(params)
        momentum = jnp.zeros_like(z) if with_momentum else None
        moments = Moments(jnp.zeros_like(z), jnp.zeros_like(z)) if adapt.steps else None
        return ChainState(z, momentum, moments, jnp.zeros((), jnp.int32), nothing(keep, units.size))

    def update(key: Key[Array, ""], state: ChainState, batch: Batch) -> tuple[ChainState, Info]:
        adapting, step = state.step < adapt.steps, state.step - adapt.steps
        size = step_size * jnp.where(adapting, 1.0, when.size(step))
        temperature_now = jnp.where(adapting | when.samples(step), 1.0, 0.0)
        # The position moves along the old momentum first; with the gradient at the new position (Chen and others,
        # algorithm 2) it is stable for steps below 2 s, with the gradient at the old one only under strong friction.
        ahead = 0.0 if state.momentum is None else size * width(state.moments) * state.momentum
        gradient, info = units.gradient(state.z + ahead, batch)
        moments = adapt.moments(state, gradient)
        unit = width(moments)
        force = unit * gradient if moments is None else jnp.clip(unit * gradient, -STRONGEST, STRONGEST)
        place, momentum = move(key, state.z / unit, state.momentum, force, size, temperature_now)
        z = unit * place
        kept = keep_if(~adapting & when.due(step), z, state.kept)
        return ChainState(z, momentum, moments, state.step + 1, kept), info

    def sample(key: Key[Array, ""], state: ChainState, n: int) -> Weights:
        return Weights(jax.vmap(units.to_params)(sample_kept(key, state.kept, state.z, n)))

    return Method(init, update, sample, diagnose=lambda state: diagnosis_of(state.kept))
