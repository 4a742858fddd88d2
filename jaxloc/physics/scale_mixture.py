"""Errors of picks as a mixture of normal distributions of many widths: core, tails and outliers in one.

Any symmetric density with one peak that falls off more slowly than a normal one is such a mixture (Andrews & Mallows
1974, JRSS B 36). Widths lie on a fixed ladder. Variances of most picks have a gamma distribution, whose shape makes the
errors normal (large), Laplace (one) or more peaked (variance-gamma errors; Madan & Seneta 1990, J. Business 63); those
of outliers are lognormal. Shape, width, share and width of outliers are estimated by phase from the picks (empirical
Bayes): the ladder's shares each by itself would not be told apart where widths are below what other picks know.

Given what all other picks say of a pick, which is nearly normal, the mixture's product with it has known moments, and
the normal factor with these moments stands for the pick: expectation propagation (Minka 2001; Rasmussen & Williams
2006, section 3.6). A pick that disagrees gets a wide factor, hence little weight.
"""

# pyright: reportArgumentType=false
# Arrays are NumPy's, in double precision on the host.

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int

WIDTHS_S = tuple(float(x) for x in np.geomspace(0.004, 4.0, 17))
LEAST_PRECISION, MOST_PRECISION = 0.05, 1e6  # of a factor, in s^-2
OUTLIER_SPREAD = 0.5  # of the logarithm of outliers' widths


class NoiseForm(NamedTuple):
    """By phase: logarithms of the gamma shape and of the standard deviation of most picks, of outliers' width in s, and
    the logit of their share.
    """

    log_shape: Float[np.ndarray, " phase"]
    log_sd: Float[np.ndarray, " phase"]
    logit_outliers: Float[np.ndarray, " phase"]
    log_outlier_sd: Float[np.ndarray, " phase"]


START = NoiseForm(np.array([0.5, 0.5]), np.log([0.05, 0.08]), np.array([-3.5, -3.5]), np.log([0.8, 0.8]))
PRIOR_SD = NoiseForm(np.array(0.7), np.array(1.0), np.array(1.5), np.array(0.7))  # normal, about the start


class PickNoise(NamedTuple):
    """Widths of the normal distributions in s, the logarithm of the share of each by phase, and the form of these."""

    width_s: Float[Array, " width"]
    log_share: Float[Array, "phase width"]
    form: NoiseForm


class Factors(NamedTuple):
    """Normal factors that stand for picks: mean arrival time and variance."""

    time_s: Float[Array, " *pick"]
    variance_s2: Float[Array, " *pick"]


class Told(NamedTuple):
    """New factors; log-density of each pick given all others; which width it may have."""

    factors: Factors
    log_density: Float[Array, " *pick"]
    responsibility: Float[Array, "*pick width"]


def noise_of(form: NoiseForm) -> PickNoise:
    """The shares of a form: the probabilities of gamma and lognormal variances between the middles of the ladder."""
    log_width = np.log(WIDTHS_S)
    edges = np.concatenate([[-np.inf], (log_width[1:] + log_width[:-1]) / 2, [np.inf]])
    shape = np.exp(form.log_shape)[:, None]
    core = np.diff(scipy.stats.gamma.cdf(np.exp(2 * (edges - form.log_sd[:, None])) * shape, shape))
    outliers = np.diff(scipy.stats.norm.cdf(edges, form.log_outlier_sd[:, None], OUTLIER_SPREAD))
    wrong = scipy.special.expit(form.logit_outliers)[:, None]
    return PickNoise(np.array(WIDTHS_S), np.log((1 - wrong) * core + wrong * outliers + 1e-12), form)


def start_noise() -> PickNoise:
    """Broad errors to start from."""
    return noise_of(START)


def told(
    noise: PickNoise,
    phase: Int[Array, " pick"],
    pick_s: Float[Array, " pick"],
    stated_s2: Float[Array, " pick"],
    others: Factors,
) -> Told:
    """Factors of picks, given the normal distributions of their arrival times by all other picks.

    Args:
        noise: of picks.
        phase: of each pick.
        pick_s: observed times.
        stated_s2: part of the variance that each pick brings with it, zero where none is stated.
        others: mean and variance of the arrival time by the other picks.
    """
    width_s2 = noise.width_s**2 + stated_s2[:, None]
    apart_s, total_s2 = (pick_s - others.time_s)[:, None], others.variance_s2[:, None] + width_s2
    log_each = noise.log_share[phase] - 0.5 * (jnp.log(2 * jnp.pi * total_s2) + apart_s**2 / total_s2)
    log_density = logsumexp(log_each, -1)
    responsibility = jnp.exp(log_each - log_density[:, None])
    part = others.variance_s2[:, None] / total_s2
    mean_s = (responsibility * part * apart_s).sum(-1)
    second_s2 = (responsibility * (part * width_s2 + (part * apart_s) ** 2)).sum(-1)
    variance_s2 = second_s2 - mean_s**2
    precision = 1 / variance_s2 - 1 / others.variance_s2
    bounded = jnp.clip(precision, LEAST_PRECISION, MOST_PRECISION)
    # An outlier makes the product wider than what the others say: a factor that says next to nothing, at the pick.
    shift_s = jnp.where(precision > LEAST_PRECISION, mean_s / variance_s2 / bounded, apart_s[:, 0])
    return Told(Factors(others.time_s + shift_s, 1 / bounded), log_density, responsibility)


def damped(old: Factors, new: Factors, share: Float[Array, ""] | float) -> Factors:
    """Part of the way from old to new factors, in precision and in precision times mean."""
    before, after = (1 - share) / old.variance_s2, share / new.variance_s2
    total = before + after
    return Factors((before * old.time_s + after * new.time_s) / total, 1 / total)


def refitted(
    noise: PickNoise, phase: Int[np.ndarray, " pick"], responsibility: Float[np.ndarray, "pick width"]
) -> PickNoise:
    """The form from the picks' responsibilities: a step of expectation-maximisation."""
    best = []
    for each in range(len(noise.log_share)):
        count = np.asarray(responsibility)[np.asarray(phase) == each].sum(0)
        middle = np.array([values[each] for values in START])

        def loss(value: np.ndarray, count: np.ndarray = count, middle: np.ndarray = middle) -> float:
            form = NoiseForm(*value[:, None])
            prior = 0.5 * (((value - middle) / np.array(PRIOR_SD)) ** 2).sum()
            return prior - float((count * noise_of(form).log_share[0]).sum())

        now = np.array([values[each] for values in noise.form])
        best.append(scipy.optimize.minimize(loss, now, method="Nelder-Mead", options={"maxfev": 300}).x)
    return noise_of(NoiseForm(*np.array(best).T))
