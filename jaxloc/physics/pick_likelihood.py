"""Likelihoods of picks given a hypocentre: normal, Laplace, and equal differential time.

A residual is a pick's time less its travel time: what the pick by itself says of the origin time. At the true place all
residuals agree. Least squares (`l2`) and least absolute values (`l1`) take each residual for the origin time plus an
error that is normal or Laplace with the standard deviation of the pick (Tarantola & Valette 1982, J. Geophys. 50).
Equal differential time (`edt`; Font and others 2004, GJI 158; Lomax 2005, BSSA 95) asks of every pair of picks whether
its two residuals agree, and adds the answers: a pick that agrees with no other costs its own pairs alone.

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

KINDS = ("l2", "l1", "edt")
AT_ONCE = 4  # densities multiplied before their logarithm: of 1e-6 to 1e6 per s, far from the ends of float32
STARTS = 16  # residuals tried as origin time: the best lies within a standard deviation of it or so
FIRST_NODES, NODES = 33, 49  # of the two passes of quadrature over origin time
FIRST_REACH, SECOND_REACH = 8.0, 6.0  # their half-widths in standard deviations of origin time


class PickErrors(NamedTuple):
    """How picks err about a model's travel times.

    The standard deviation of a residual is that of the pick, a constant (`model_sd_s`) and a part of the travel time
    (`model_share`), added in squares. `outlier` is the share of picks that may lie anywhere within `outlier_range_s`.
    """

    kind: str = "l2"
    model_sd_s: float = 0.0
    model_share: float = 0.0
    outlier: float = 0.0
    outlier_range_s: float = 60.0


class Residuals(NamedTuple):
    """Picks less travel times from each point, their standard deviations, and which picks there are."""

    value_s: Float[Array, "point pick"]
    sd_s: Float[Array, "point pick"]
    mask: Bool[Array, " pick"]


class OriginTime(NamedTuple):
    """Of each point: log-likelihood with origin time integrated out, and origin time's mean and variance there."""

    log_evidence: Float[Array, " point"]
    mean_s: Float[Array, " point"]
    variance_s2: Float[Array, " point"]


OverTime: TypeAlias = Callable[[Residuals, Float[Array, "point time"]], Float[Array, "point time"]]


def check(errors: PickErrors) -> None:
    """Refuse what is no likelihood.

    Raises:
        ValueError: for an unknown kind, a negative error, a share outside 0-1, or outliers with `edt`; names it.
    """
    if errors.kind not in KINDS:
        raise ValueError(f"kind of pick errors must be one of {', '.join(KINDS)}, got {errors.kind!r}")
    if min(errors.model_sd_s, errors.model_share) < 0:
        raise ValueError(
            f"model_sd_s and model_share must not be negative, got {errors.model_sd_s} and {errors.model_share}"
        )
    if not 0 <= errors.outlier < 1 or errors.outlier_range_s <= 0:
        raise ValueError(
            f"outlier must be a share within 0-1 and outlier_range_s positive, got {errors.outlier} and "
            f"{errors.outlier_range_s}"
        )
    if errors.kind == "edt" and errors.outlier:
        raise ValueError(f"edt bears outliers by itself: leave outlier at 0, got {errors.outlier}")


def residuals(
    errors: PickErrors,
    pick_s: Float[Array, " pick"],
    pick_sd_s: Float[Array, " pick"],
    mask: Bool[Array, " pick"],
    travel_s: Float[Array, "point pick"],
    blur_s: Float[Array, ""] | float = 0.0,
) -> Residuals:
    """What each pick says of the origin time at each point; `blur_s` widens errors, as a coarse grid needs."""
    variance = pick_sd_s**2 + errors.model_sd_s**2 + (errors.model_share * travel_s) ** 2 + blur_s**2
    value = jnp.where(mask, pick_s - travel_s, 0.0)
    return Residuals(value, jnp.sqrt(jnp.where(mask, variance, 1.0)), mask)


def joint(errors: PickErrors, seen: Residuals, origin_s: Float[Array, "point time"]) -> Float[Array, "point time"]:
    """Log-likelihood at each point and origin time."""
    if errors.kind == "edt":
        pairs = _log_pairs(seen)
        return (pairs - _integrate(_log_stack, seen).log_evidence)[:, None] + _log_stack(seen, origin_s)
    return _log_product(errors)(seen, origin_s)


def over_origin(errors: PickErrors, seen: Residuals) -> OriginTime:
    """Origin time integrated out: by its normal distribution for `l2` without outliers, else by quadrature.

    Without any pick the origin time's variance is infinite.
    """
    if errors.kind == "edt":
        return _integrate(_log_stack, seen)._replace(log_evidence=_log_pairs(seen))
    if errors.kind == "l2" and not errors.outlier:
        return _normal(seen)
    return _integrate(_log_product(errors), seen)


def _normal(seen: Residuals) -> OriginTime:
    """The normal likelihood is normal in origin time: its weighted mean (Tarantola & Valette 1982, eq. 10-11)."""
    weight = seen.mask / seen.sd_s**2
    total = weight.sum(-1)
    mean = (weight * seen.value_s).sum(-1) / jnp.maximum(total, 1e-12)
    misfit = (weight * (seen.value_s - mean[:, None]) ** 2).sum(-1)
    scale = jnp.where(seen.mask, jnp.log(seen.sd_s) + 0.5 * math.log(2 * math.pi), 0.0).sum(-1)
    evidence = -0.5 * misfit - scale + 0.5 * jnp.log(2 * jnp.pi / jnp.maximum(total, 1e-12))
    return OriginTime(jnp.where(total > 0, evidence, 0.0), mean, 1 / total)


def _log_product(errors: PickErrors) -> OverTime:
    """Picks that err independently, each a normal or Laplace about the origin time, or anywhere."""

    def value(seen: Residuals, origin_s: Float[Array, "point time"]) -> Float[Array, "point time"]:
        sd = seen.sd_s[:, None]
        white = jnp.abs(seen.value_s[:, None] - origin_s[..., None]) / sd
        if errors.kind == "l1":
            each = -math.sqrt(2) * white - 0.5 * math.log(2) - jnp.log(sd)
        else:
            each = -0.5 * white**2 - 0.5 * math.log(2 * math.pi) - jnp.log(sd)
        if not errors.outlier:
            return jnp.where(seen.mask, each, 0.0).sum(-1)
        density = (1 - errors.outlier) * jnp.exp(each) + errors.outlier / errors.outlier_range_s
        return _log_of_product(jnp.where(seen.mask, density, 1.0))

    return value


def _log_of_product(factors: Float[Array, "*batch pick"]) -> Float[Array, "*batch"]:
    """Logarithm of the product, one for every `AT_ONCE` factors: logarithms are most of what a pick costs."""
    beyond = -factors.shape[-1] % AT_ONCE
    factors = jnp.pad(factors, [(0, 0)] * (factors.ndim - 1) + [(0, beyond)], constant_values=1.0)
    parts = jnp.split(factors, AT_ONCE, axis=-1)
    return jnp.log(math.prod(parts[1:], start=parts[0])).sum(-1)


def _log_pairs(seen: Residuals) -> Float[Array, " point"]:
    """N times the log of the mean density of a pair's difference (Lomax 2005, eq. 1, with a half in the exponent).

    The power N makes it about as sharp as the product of N picks that agree: near agreement it is the likelihood of
    least squares to the power N / (N - 1). Summed logarithms of pairs would count each pick N - 1 times.
    """
    first, second = jnp.triu_indices(seen.mask.shape[0], 1)
    variance = seen.sd_s[:, first] ** 2 + seen.sd_s[:, second] ** 2
    apart = seen.value_s[:, first] - seen.value_s[:, second]
    each = -0.5 * apart**2 / variance - 0.5 * jnp.log(2 * jnp.pi * variance)
    both = seen.mask[first] & seen.mask[second]
    number = seen.mask.sum()
    mean = logsumexp(jnp.where(both, each, -jnp.inf), axis=-1) - jnp.log(jnp.maximum(both.sum(), 1))
    return jnp.where(number > 1, number * mean, 0.0)


def _log_stack(seen: Residuals, origin_s: Float[Array, "point time"]) -> Float[Array, "point time"]:
    """N times the log of the densities of origin time by single picks, summed.

    The square of that sum integrates over time to the densities of the differences of its pairs, so that this is the
    origin time that goes with `_log_pairs`; like it, a pick by itself changes it little.
    """
    sd = seen.sd_s[:, None]
    each = -0.5 * ((seen.value_s[:, None] - origin_s[..., None]) / sd) ** 2 - jnp.log(sd)
    return seen.mask.sum() * logsumexp(jnp.where(seen.mask, each, -1e9), axis=-1)


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
