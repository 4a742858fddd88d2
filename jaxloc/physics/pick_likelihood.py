"""Likelihoods of picks given a hypocentre: normal, Laplace, Student's t, and equal differential time.

A residual is a pick's time less its travel time: what the pick by itself says of the origin time. At the true place all
residuals agree. Least squares (`l2`), least absolute values (`l1`) and `student_t` take each residual for the origin
time plus an error that is normal, Laplace or of Student's t distribution with the standard deviation of the pick
(Tarantola & Valette 1982, J. Geophys. 50). Equal differential time (`edt`, `edt_ot_wt`; `jaxloc.physics.pick_pairs`)
asks of every pair of picks whether its two residuals agree, and adds the answers: a pick that agrees with no other
costs its own pairs alone.

Origin time is a parameter like place, but cheap: given the place it costs no travel time. `joint` is the likelihood of
both, `over_origin` integrates it out.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int

from jaxloc.physics.pick_errors import PickErrors, Residuals
from jaxloc.physics.pick_pairs import log_pairs, log_stack, stack_peak

AT_ONCE = 4  # densities multiplied before their logarithm: of 1e-6 to 1e6 per s, far from the ends of float32
STARTS = 16  # residuals tried as origin time: the best lies within a standard deviation of it or so
FIRST_NODES, NODES = 33, 49  # of the two passes of quadrature over origin time
FIRST_REACH, SECOND_REACH = 8.0, 6.0  # their half-widths in standard deviations of origin time
UNKNOWN_S2 = 1e6  # a variance of origin time that nobody has asked for
FARTHEST = 1e8  # square of a residual over its scale that Student's t counts, which keeps products finite


class OriginTime(NamedTuple):
    """Of each point: log-likelihood with origin time integrated out, and origin time's mean and variance there."""

    log_evidence: Float[Array, " point"]
    mean_s: Float[Array, " point"]
    variance_s2: Float[Array, " point"]


OverTime: TypeAlias = Callable[[Residuals, Float[Array, "point time"]], Float[Array, "point time"]]


def joint(errors: PickErrors, seen: Residuals, origin_s: Float[Array, "point time"]) -> Float[Array, "point time"]:
    """Log-likelihood at each point and origin time."""
    if errors.by_pairs:
        pairs = log_pairs(errors, seen).log_density
        return (pairs - _integrate(log_stack, seen).log_evidence)[:, None] + log_stack(seen, origin_s)
    return _log_product(errors)(seen, origin_s)


def over_origin(errors: PickErrors, seen: Residuals) -> OriginTime:
    """Origin time integrated out: by its normal distribution for `l2` without outliers, else by quadrature.

    Of equal differential time, origin time is normal about the peak of the stack that goes with it. Without any pick
    the origin time's variance is infinite.
    """
    if errors.by_pairs:
        pairs = log_pairs(errors, seen)
        return OriginTime(pairs.log_density, *stack_peak(seen, pairs.mean_s))
    if errors.kind == "l2" and not errors.outlier:
        return _normal(seen)
    return _integrate(_log_product(errors), seen)


def roughly_over_origin(errors: PickErrors, seen: Residuals) -> OriginTime:
    """As `over_origin` for less: of pairs of picks, the origin time is the mean of theirs, its variance not known."""
    if not errors.by_pairs:
        return over_origin(errors, seen)
    pairs = log_pairs(errors, seen)
    return OriginTime(pairs.log_density, pairs.mean_s, jnp.full_like(pairs.mean_s, UNKNOWN_S2))


def origin_near(errors: PickErrors, seen: Residuals, found: OriginTime) -> Float[Array, " point"]:
    """The mean origin time that `over_origin` has found, cheaply differentiable in the residuals."""
    if errors.by_pairs:
        return stack_peak(seen, found.mean_s, steps=0)[0]
    return over_origin(errors, seen).mean_s


def _whitened(seen: Residuals) -> tuple[Float[Array, "point pick"], Float[Array, "point pick"]]:
    """Residuals, and what a second of origin time takes from them, in standard deviations and uncorrelated."""
    slope = seen.mask / seen.sd_s
    white = seen.value_s * slope
    if seen.correlation is None:
        return white, slope
    return white @ seen.correlation.whiten, slope @ seen.correlation.whiten


def _log_scale(seen: Residuals) -> Float[Array, " point"]:
    """Logarithm of the volume of one standard deviation of all picks."""
    scale = jnp.where(seen.mask, jnp.log(seen.sd_s), 0.0).sum(-1)
    return scale if seen.correlation is None else scale + seen.correlation.log_volume


def _normal(seen: Residuals) -> OriginTime:
    """The normal likelihood is normal in origin time: its weighted mean (Tarantola & Valette 1982, eq. 10-11)."""
    white, slope = _whitened(seen)
    total = (slope**2).sum(-1)
    mean = (white * slope).sum(-1) / jnp.maximum(total, 1e-12)
    misfit = ((white - slope * mean[:, None]) ** 2).sum(-1)
    scale = _log_scale(seen) + 0.5 * math.log(2 * math.pi) * seen.mask.sum()
    evidence = -0.5 * misfit - scale + 0.5 * jnp.log(2 * jnp.pi / jnp.maximum(total, 1e-12))
    return OriginTime(jnp.where(total > 0, evidence, 0.0), mean, 1 / total)


def _log_product(errors: PickErrors) -> OverTime:
    """Picks that err independently once whitened, each by the density of its kind, or anywhere."""

    def value(seen: Residuals, origin_s: Float[Array, "point time"]) -> Float[Array, "point time"]:
        residual, slope = _whitened(seen)
        white = residual[:, None] - origin_s[..., None] * slope[:, None]
        if not errors.outlier:
            return _log_standard(errors, white, seen.mask) - _log_scale(seen)[:, None]
        each = _log_standard(errors, white[..., None], jnp.ones(1, bool))
        anywhere = errors.outlier / errors.outlier_range_s * seen.sd_s[:, None]
        density = (1 - errors.outlier) * jnp.exp(each) + anywhere
        return _log_of_product(jnp.where(seen.mask, density, 1.0)) - _log_scale(seen)[:, None]

    return value


def _log_standard(
    errors: PickErrors, white: Float[Array, "*batch pick"], mask: Bool[Array, " pick"]
) -> Float[Array, "*batch"]:
    """Log-density of residuals of standard deviation one, the sum over picks."""
    number = mask.sum()
    if errors.kind == "l1":
        return jnp.where(mask, -math.sqrt(2) * jnp.abs(white), 0.0).sum(-1) - 0.5 * math.log(2) * number
    if errors.kind == "l2":
        return jnp.where(mask, -0.5 * white**2, 0.0).sum(-1) - 0.5 * math.log(2 * math.pi) * number
    freedom = errors.freedom
    squared = jnp.minimum(white**2 / (freedom - 2), FARTHEST)
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log((freedom - 2) * math.pi)
    return scale * number - (freedom + 1) / 2 * _log_of_product(jnp.where(mask, 1 + squared, 1.0))


def _log_of_product(factors: Float[Array, "*batch pick"]) -> Float[Array, "*batch"]:
    """Logarithm of the product, one for every `AT_ONCE` factors: logarithms are most of what a pick costs."""
    beyond = -factors.shape[-1] % AT_ONCE
    factors = jnp.pad(factors, [(0, 0)] * (factors.ndim - 1) + [(0, beyond)], constant_values=1.0)
    parts = jnp.split(factors, AT_ONCE, axis=-1)
    return jnp.log(math.prod(parts[1:], start=parts[0])).sum(-1)


def _integrate(log_density: OverTime, seen: Residuals) -> OriginTime:
    """Integral, mean and variance over origin time, by the trapezoid rule in two passes.

    The first pass lies around the likeliest of some residuals, the second where the first found the mass. Spacing is
    half a standard deviation, then a quarter: good to a few 1e-3 for Laplace densities, whose peaks are sharp,
    and far better for normal ones. A second mode far away, of outliers that agree by chance, is left out.
    """
    information = (seen.mask / seen.sd_s**2).sum(-1)
    sd = 1 / jnp.sqrt(jnp.maximum(information, 1e-12))
    # The integral does not depend on where its nodes are: derivatives flow through the density there alone.
    fixed: Residuals = jax.lax.stop_gradient(seen)
    starts_s = fixed.value_s[:, _some_of(seen.mask)]
    start_s = jnp.take_along_axis(starts_s, log_density(fixed, starts_s).argmax(-1)[:, None], -1)[:, 0]
    first = _trapezoid(log_density, fixed, start_s, FIRST_REACH * jax.lax.stop_gradient(sd), FIRST_NODES)
    second = _trapezoid(log_density, seen, first.mean_s, SECOND_REACH * jnp.sqrt(first.variance_s2), NODES)
    some = information > 0
    return OriginTime(
        jnp.where(some, second.log_evidence, 0.0),
        jnp.where(some, second.mean_s, 0.0),
        jnp.where(some, second.variance_s2, jnp.inf),
    )


def _some_of(mask: Bool[Array, " pick"]) -> Int[Array, " start"]:
    """Up to `STARTS` of the picks that there are, evenly through them."""
    number = min(STARTS, len(mask))
    present = jnp.argsort(~mask, stable=True)
    return present[jnp.arange(number) * mask.sum() // number]


def _trapezoid(
    log_density: OverTime,
    seen: Residuals,
    centre_s: Float[Array, " point"],
    reach_s: Float[Array, " point"],
    nodes: int,
) -> OriginTime:
    unit = jnp.linspace(-1.0, 1.0, nodes)
    value = log_density(seen, centre_s[:, None] + reach_s[:, None] * unit)
    mass = jax.nn.softmax(value, -1)
    mean = mass @ unit
    variance = (mass * (unit - mean[:, None]) ** 2).sum(-1)
    evidence = logsumexp(value, axis=-1) + jnp.log(reach_s * (unit[1] - unit[0]))
    # All mass on one node: narrower than the spacing, which is then what is known of its width.
    variance = jnp.maximum(variance, (unit[1] - unit[0]) ** 2 / 12)
    return OriginTime(evidence, centre_s + reach_s * mean, variance * reach_s**2)
