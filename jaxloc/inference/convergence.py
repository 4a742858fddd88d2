"""When a variational posterior has converged: windows of steps at a constant rate, then a decay of the rate.

Two things are followed in windows of equal numbers of steps, the negative evidence lower bound (ELBO) and its gradient
with respect to the logarithm of every standard deviation, averaged over each array of weights. In nats of the whole
training set that gradient is one minus the variance times the precision that prior and data ask for: 1 where a
posterior is far too narrow, 0 at the optimum, negative where it is too wide, and it does not depend on the number of
events or weights. Plateaus of a noisy loss alone prove nothing: they are where a posterior stays that hardly moves.

The rate is constant until both criteria hold, or as late as the last steps allow; it then falls to zero, because at a
constant rate means and scales scatter (as Dhaka and others 2020 and Welandawe and others 2022, who lower the rate at a
plateau too). After that a stage has ended.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

FIRST = 0.1  # share of the steps before the first window, in which scales are estimated
WINDOWS = 10  # in the other steps
DECAY = 3  # windows over which the rate falls to zero, as the square of the time left
TOLERANCE = 0.15  # of the mean gradient with its error: 0.15 is a standard deviation that errs by 7 per cent
CRITERION = (
    f"mean gradient of log sd below {TOLERANCE:g} (two standard errors included) for all weights, within {TOLERANCE:g} "
    "and three standard errors for each array and for the weights that data determine, and a loss that fell by less "
    "than two standard errors over two windows"
)


class Moments(NamedTuple):
    """Number, mean and sum of squared differences from it (Welford 1962) of values seen one by one."""

    number: Int[Array, ""]
    mean: Float[Array, "..."]
    squares: Float[Array, "..."]

    def with_one(self, value: Float[Array, "..."]) -> "Moments":
        """The moments with one more value."""
        mean = self.mean + (value - self.mean) / (self.number + 1)
        return Moments(self.number + 1, mean, self.squares + (value - self.mean) * (value - mean))

    @property
    def variance(self) -> Float[Array, "..."]:
        """Of the values; zero before the second."""
        return self.squares / jnp.maximum(self.number - 1, 1)

    @property
    def error(self) -> Float[Array, "..."]:
        """Standard error of the mean."""
        return jnp.sqrt(self.variance / jnp.maximum(self.number, 1))


def no_moments(shape: tuple[int, ...] = ()) -> Moments:
    """Before the first value."""
    return Moments(jnp.zeros((), jnp.int32), jnp.zeros(shape), jnp.zeros(shape))


class Plan(NamedTuple):
    """Numbers of steps: before the first window, in a window, and in all."""

    first: int
    window: int
    steps: int

    @property
    def latest(self) -> int:
        """The step at which the rate begins to fall at the latest: at the end of a window."""
        windows = (self.steps - self.first) // self.window
        return self.first + self.window * max(windows - DECAY, 0)


def plan_of(steps: int) -> Plan:
    """The plan of a stage of so many steps.

    Raises:
        ValueError: where there is no step.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    first = int(FIRST * steps)
    return Plan(first if first > 1 else 0, max(1, int((1 - FIRST) * steps) // WINDOWS), steps)


class Progress(NamedTuple):
    """How far a fit has come.

    `loss` is of the current window and `before` of the two before it, the later one first. `gradient` of log standard
    deviations is by group (`by_array`), and `last` that of the last full window. The rate falls from step `decay` on.
    `settled` is whether both criteria held there.
    """

    step: Int[Array, ""]
    loss: Moments
    before: tuple[Moments, Moments]
    gradient: Moments
    last: Moments
    decay: Int[Array, ""]
    settled: Bool[Array, ""]


def begun(plan: Plan, num_arrays: int) -> Progress:
    """Before the first step."""
    none, by_array = no_moments(), no_moments((num_arrays + 2,))
    return Progress(
        jnp.zeros((), jnp.int32), none, (none, none), by_array, by_array, jnp.int32(plan.latest), jnp.zeros((), bool)
    )


def followed(plan: Plan, progress: Progress, loss: Float[Array, ""], gradient: Float[Array, " group"]) -> Progress:
    """Progress after one more step, with its loss and its gradient by array (`by_array`)."""
    counts, step = progress.step >= plan.first, progress.step + 1
    keep = lambda new, old: Moments(*(jnp.where(counts, a, b) for a, b in zip(new, old, strict=True)))
    now = progress._replace(
        step=step,
        loss=keep(progress.loss.with_one(loss), progress.loss),
        gradient=keep(progress.gradient.with_one(gradient), progress.gradient),
    )
    full = now.loss.number >= plan.window
    settles = full & (step <= progress.decay) & is_flat(now.before[1], now.loss) & is_small(now.gradient)
    choose = lambda new, old: Moments(*(jnp.where(full, a, b) for a, b in zip(new, old, strict=True)))
    return now._replace(
        loss=choose(no_moments(), now.loss),
        before=(choose(now.loss, now.before[0]), choose(now.before[0], now.before[1])),
        gradient=choose(no_moments(gradient.shape), now.gradient),
        last=choose(now.gradient, now.last),
        decay=jnp.where(settles, step, now.decay),
        settled=now.settled | settles,
    )


def by_array(
    gradient: Float[Array, " weight"], sd: Float[Array, " weight"], array_of: Int[np.ndarray, " weight"], number: int
) -> Float[Array, " group"]:
    """Means of a gradient over each array, over the weights that data determine, and over all.

    The second but last counts each weight by the share of its prior variance that it has lost: most weights of a
    network have the prior's width, and would hide the others.
    """
    sums = jax.ops.segment_sum(gradient, jnp.asarray(array_of), number, indices_are_sorted=True)
    lost = jnp.clip(1 - sd**2, 0.0, 1.0)
    determined = (lost * gradient).sum() / jnp.maximum(lost.sum(), 1e-9)
    return jnp.concatenate([sums / np.bincount(array_of, minlength=number), jnp.stack([determined, gradient.mean()])])


def is_flat(before: Moments, now: Moments) -> Bool[Array, ""]:
    """Whether the loss of a window fell by less than two standard errors since an earlier one."""
    error = jnp.sqrt(before.error**2 + now.error**2)
    return (before.number > 0) & (before.mean - now.mean < 2 * error)


def is_small(gradient: Moments) -> Bool[Array, ""]:
    """Whether a window's mean gradient of log standard deviations is small: shown for all, plausible by array."""
    away, error = jnp.abs(gradient.mean), gradient.error
    return (gradient.number > 0) & (away[-1] + 2 * error[-1] < TOLERANCE) & (away < TOLERANCE + 3 * error).all()


def rate(plan: Plan, progress: Progress) -> Float[Array, ""]:
    """The factor of the learning rate at the next step."""
    return jnp.clip(1 - (progress.step - progress.decay) / (DECAY * plan.window), 0.0, 1.0) ** 2


def finished(plan: Plan, progress: Progress) -> Bool[Array, ""]:
    """Whether the rate has fallen to zero."""
    return progress.step >= progress.decay + DECAY * plan.window


def converged(progress: Progress) -> Bool[Array, ""]:
    """Whether both criteria held before the rate fell, and the one of gradients in the last window as well."""
    return progress.settled & is_small(progress.last)
