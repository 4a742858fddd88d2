"""Sampling by noisy gradients of batches, with cyclical steps: Langevin dynamics, without and with momentum.

Diffusions are Blackjax's. Steps are in units of the prior: the largest that is stable follows from the sharpest
direction of the posterior alone. With `s` its standard deviation there, in those of the prior, Langevin steps must stay
below 2 s^2, those with momentum below 2 s; at a tenth of that, the variance in that direction comes out 11 per cent too
wide (Langevin), or one (momentum). Gradients of batches add noise of their own, more so the larger the steps. Where
nothing is known of `s`: a chain that is not stable overflows within a few steps.
"""

import math
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxloc.posteriors.displacement import displacement
from jaxloc.posteriors.kept import Kept, drawn, keep_if, nothing
from jaxloc.types import Batch, Info, Method, Params, Target, Weights

Slope = Callable[[Array], tuple[Array, Info]]
Move = Callable[..., tuple[Array, Array | None, Info]]
"""Key, displacement, momentum, slope of the log-posterior, step and heat, to where the chain is then."""


class ChainState(NamedTuple):
    """Where the chain is, in units of the prior, and the draws that were kept."""

    z: Float[Array, " weight"]
    momentum: Float[Array, " weight"] | None
    step: Int[Array, ""]
    kept: Kept


class Cycles(NamedTuple):
    """Steps that fall along a cosine, again and again (Zhang and others 2020, arXiv:1902.03932, equation 1).

    A cycle of `length` steps has `exploring` ones without noise, which find a mode; in those after them the chain
    samples, and every `every`-th of these is kept.
    """

    length: int
    exploring: int
    every: int

    def size(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The step's size, in units of the first of a cycle."""
        return (jnp.cos(jnp.pi * (step % self.length) / self.length) + 1) / 2

    def samples(self, step: Int[Array, ""]) -> Array:
        """Whether the chain samples at this step."""
        return step % self.length >= self.exploring

    def due(self, step: Int[Array, ""]) -> Array:
        """Whether the weights after this step are kept."""
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
    step_size: float = 1e-5,
    cycles: int = 4,
    exploration: float = 0.5,
    keep: int = 20,
    temperature: float = 1.0,
) -> Method:
    """Stochastic gradient Langevin dynamics (Welling and Teh 2011), in cycles.

    Args:
        target: likelihood and prior.
        steps: of all cycles; more go on with another cycle.
        step_size: the first of a cycle, in variances of the prior.
        cycles: times that the step starts anew.
        exploration: share of a cycle that goes without noise, in search of a mode.
        keep: draws that are kept, evenly spaced over the rest of all cycles. Before the first, draws are the chain's
            current point.
        temperature: of the posterior; the likelihood weighs one over it. One is Bayes' rule.

    Raises:
        ValueError: where a setting is outside its range; tells which.
    """
    diffuse = _diffusions().overdamped_langevin()

    def move(key: PRNGKeyArray, z: Array, momentum: None, slope: Slope, step: Array, heat: Array) -> tuple:
        upwards, info = slope(z)
        return diffuse(key, z, upwards, step, heat), None, info

    when = cycles_of(steps, cycles, exploration, keep)
    return _chain(target, move, False, when, step_size, keep, temperature)


def sghmc(
    target: Target,
    *,
    steps: int,
    step_size: float = 2e-3,
    friction: float = 10.0,
    cycles: int = 4,
    exploration: float = 0.5,
    keep: int = 20,
    temperature: float = 1.0,
) -> Method:
    """Stochastic gradient Hamiltonian Monte Carlo (Chen and others 2014), in cycles; momentum is never drawn anew.

    Arguments are those of `sgld`, but for two.

    Args:
        target: likelihood and prior.
        steps: of all cycles.
        step_size: the first of a cycle, in standard deviations of the prior.
        friction: share of its momentum that the chain loses in a unit of time, thus `friction * step_size` in a step.
        cycles: times that the step starts anew.
        exploration: share of a cycle that goes without noise.
        keep: draws that are kept.
        temperature: of the posterior.

    Raises:
        ValueError: where a setting is outside its range; tells which.
    """
    if not 0 < friction * step_size < 1:
        raise ValueError(
            f"friction * step_size must be within 0-1, got {friction} * {step_size}; it is the share of momentum "
            "that a step loses"
        )
    diffuse = _diffusions().sghmc(friction)

    def move(key: PRNGKeyArray, z: Array, momentum: Array, slope: Slope, step: Array, heat: Array) -> tuple:
        # The diffusion goes along the old momentum first; with the slope from there (Chen and others, algorithm 2) it
        # is stable wherever steps are below 2 s, with the slope from here only under strong friction.
        upwards, info = slope(z + step * momentum)
        return *diffuse(key, z, momentum, upwards, step, heat), info

    when = cycles_of(steps, cycles, exploration, keep)
    return _chain(target, move, True, when, step_size, keep, temperature)


def _diffusions() -> ModuleType:
    """Blackjax makes arrays when it is imported: not before a sampler is asked for, and none that belong to a trace."""
    with jax.ensure_compile_time_eval():
        from blackjax.sgmcmc import diffusions
    return diffusions


def _chain(
    target: Target, move: Move, with_momentum: bool, when: Cycles, step_size: float, keep: int, temperature: float
) -> Method:
    if not step_size > 0:
        raise ValueError(f"step_size must be above zero, got {step_size}")
    units = displacement(target, temperature)

    def init(key: PRNGKeyArray, params: Params) -> ChainState:
        z = units.of_params(params)
        momentum = jnp.zeros_like(z) if with_momentum else None
        return ChainState(z, momentum, jnp.zeros((), jnp.int32), nothing(keep, units.size))

    def update(key: PRNGKeyArray, state: ChainState, batch: Batch) -> tuple[ChainState, Info]:
        size, heat = step_size * when.size(state.step), jnp.where(when.samples(state.step), 1.0, 0.0)
        z, momentum, info = move(key, state.z, state.momentum, lambda z: units.slope(z, batch), size, heat)
        return ChainState(z, momentum, state.step + 1, keep_if(when.due(state.step), z, state.kept)), info

    def sample(key: PRNGKeyArray, state: ChainState, n: int) -> Weights:
        return Weights(jax.vmap(units.to_params)(drawn(key, state.kept, state.z, n)))

    return Method(init, update, sample)
