"""Equal differential time: the likelihood of pairs of picks, whatever the origin time.

The difference of two arrival times does not depend on the origin time (Font and others 2004, GJI 158; Lomax 2005, BSSA
95). `edt_ot_wt` also asks whether the origin times of agreeing pairs agree with one another, as NonLinLoc does. Arrays
have points in the last axis: a pair of picks is then one vector operation over all points.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from jaxloc.physics.pick_errors import PickErrors, Residuals

UNROLL = 4  # pairs at a distance along the list of picks, of which each loop takes so many
TAIL = 1e-20  # of a pair's density, falling slowly: far from agreement, points are still comparable
LEAST_LOG_WEIGHT = math.log(1e-5)  # of the agreement of origin times (NonLinLoc's)
STEPS = 3  # towards the peak of the stack of origin times
FLATTEST = 0.1  # curvature of the stack at its peak, relative to that of picks that agree


class Pairs(NamedTuple):
    """The likelihood of pairs at each point, and the mean of their origin times by how well each pair agrees."""

    log_density: Float[Array, " point"]
    mean_s: Float[Array, " point"]


def log_pairs(errors: PickErrors, seen: Residuals) -> Pairs:
    """N times the log of the mean density of a pair's difference (Lomax 2005, eq. 1, with a half in the exponent).

    The power N makes it about as sharp as the product of N picks that agree: near agreement it is the likelihood of
    least squares to the power N / (N - 1). Summed logarithms of pairs would count each pick N - 1 times. A pair
    counts by one less the correlation of its model errors. `edt_ot_wt` subtracts the variance of the origin times of
    pairs, relative to the mean variance of residuals, 11.5 at most.

    Differs from NonLinLoc: there, of the two origin times of a pair only that of the earlier pick counts.
    """
    number = seen.mask.sum()
    centre_s = seen.value_s.sum(-1) / jnp.maximum(number, 1)
    value_s, variance_s2 = (seen.value_s - centre_s[:, None]).T, seen.sd_s.T**2
    size = len(value_s)
    if size < 2:
        return Pairs(jnp.zeros_like(centre_s), centre_s)
    nonlinloc, place = errors.kind == "edt_ot_wt", jnp.arange(size)[:, None]
    shift, weight = jnp.arange(1, size // 2 + 1), _weights(seen)
    twice_s, twice_s2 = (jnp.concatenate([x, x]) for x in (value_s, variance_s2))

    def add(total: tuple[Array, ...], at: tuple[Array, Array]) -> tuple[tuple[Array, ...], None]:
        k, counted = at
        other_s, other_s2 = (jax.lax.dynamic_slice_in_dim(x, k, size) for x in (twice_s, twice_s2))
        scale = jax.lax.rsqrt(variance_s2 + other_s2)
        half = 0.5 * ((value_s - other_s) * scale) ** 2
        density = (jnp.exp(-half) + TAIL / (1 + half)) * scale * counted[:, None]
        of_pair_s = 0.5 * (value_s + other_s) if not nonlinloc else jnp.where(place + k < size, value_s, other_s)
        moments = (density, density * of_pair_s)
        if nonlinloc:
            moments = (*moments, density * of_pair_s**2)
        return tuple(old + new for old, new in zip(total, moments, strict=True)), None

    zeros = (jnp.zeros_like(value_s),) * (3 if nonlinloc else 2)
    total = [x.sum(0) for x in jax.lax.scan(add, zeros, (shift, weight), unroll=UNROLL)[0]]
    some = number > 1
    density = jnp.where(some, total[0], 1.0)
    mean_s = jnp.where(some, total[1] / density, 0.0)
    counted = jnp.maximum(weight.sum(), 1e-6) * math.sqrt(2 * math.pi)
    log_density = jnp.where(some, number * (jnp.log(density) - jnp.log(counted)), 0.0)
    if nonlinloc:
        scatter_s2 = jnp.maximum(total[2] / density - mean_s**2, 0.0)
        usual_s2 = (variance_s2 * seen.mask[:, None]).sum(0) / jnp.maximum(number, 1)
        log_density += jnp.where(some, jnp.maximum(-scatter_s2 / usual_s2, LEAST_LOG_WEIGHT), 0.0)
    return Pairs(log_density, centre_s + mean_s)


def _weights(seen: Residuals) -> Float[Array, "shift pick"]:
    """Of the pair of each pick with the one that comes so many later, going round."""
    size = len(seen.mask)
    pick, shift = jnp.arange(size), jnp.arange(1, size // 2 + 1)[:, None]
    other = (pick + shift) % size
    weight = (seen.mask & seen.mask[other]).astype(seen.value_s.dtype)
    if seen.correlation is not None:
        weight = weight * (1 - seen.correlation.of_model[pick, other])
    # Half the way round, every pair comes twice.
    return jnp.where(2 * shift == size, 0.5 * weight, weight)


def log_stack(seen: Residuals, origin_s: Float[Array, "point time"]) -> Float[Array, "point time"]:
    """N times the log of the densities of origin time by single picks, summed.

    The square of that sum integrates over time to the densities of the differences of its pairs, so that this is the
    origin time that goes with `log_pairs`; like it, a pick by itself changes it little.
    """
    sd = seen.sd_s[:, None]
    each = -0.5 * ((seen.value_s[:, None] - origin_s[..., None]) / sd) ** 2 - jnp.log(sd)
    return seen.mask.sum() * logsumexp(jnp.where(seen.mask, each, -1e9), axis=-1)


def stack_peak(
    seen: Residuals, start_s: Float[Array, " point"], steps: int = STEPS
) -> tuple[Float[Array, " point"], Float[Array, " point"]]:
    """Peak of the stack of origin times near `start_s`, and the variance of the normal distribution about it.

    Each step takes the mean of residuals by their densities, which climbs (mean shift; Cheng 1995, IEEE TPAMI 17). One
    step of Newton's method at the end carries the derivatives of the peak. Without picks the variance is infinite.
    """
    value_s, precision, mask = seen.value_s.T, 1 / seen.sd_s.T**2, seen.mask[:, None]

    def weights(
        value_s: Float[Array, "pick point"], peak_s: Float[Array, " point"]
    ) -> tuple[Float[Array, "pick point"], Float[Array, "pick point"]]:
        white2 = (value_s - peak_s) ** 2 * precision
        density = (jnp.exp(-0.5 * white2) + TAIL / (1 + white2)) * jnp.sqrt(precision)
        return jnp.where(mask, density, 0.0), white2

    fixed_s, peak_s = jax.lax.stop_gradient((value_s, start_s))
    for _ in range(steps):
        weight = weights(fixed_s, peak_s)[0] * precision
        peak_s = (weight * fixed_s).sum(0) / jnp.maximum(weight.sum(0), 1e-30)
    density, white2 = jax.lax.stop_gradient(weights(value_s, peak_s))
    weight = density * precision
    steepest = weight.sum(0)
    curvature = jnp.maximum((weight * (1 - white2)).sum(0), FLATTEST * steepest)
    share = jax.lax.stop_gradient(weight * (1 - white2) / jnp.maximum(curvature, 1e-30))
    # The step itself is that of Newton's method; its derivatives are those of the peak (implicit function theorem).
    step_s = (weight * (fixed_s - peak_s)).sum(0) / jnp.maximum(curvature, 1e-30)
    moved_s = (share * (value_s - fixed_s)).sum(0)
    variance_s2 = density.sum(0) / (seen.mask.sum() * jnp.maximum(curvature, 1e-30))
    some = seen.mask.any()
    return jnp.where(some, peak_s + step_s + moved_s, 0.0), jnp.where(some, variance_s2, jnp.inf)
