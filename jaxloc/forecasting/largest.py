"""The largest magnitude of a period in a cell, as a distribution.

Events of at least `least` have a mean number `rate` a period and Gutenberg-Richter magnitudes; their number is negative
binomial, since earthquakes cluster (Kagan 2010): with the mean number N(m) = rate 10^(-b (m - least)) of events of at
least m, the largest is below m with probability (1 + N(m) / k)^(-k). There is no event with the probability at `least`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

NONE = 0.0  # the magnitude of a period without events
SCALES = (1.0, 0.1, 1.0)  # scales of the raw outputs, logarithms of factors on rate, b and k
LIMIT = 5.0
MIN_RATE = 1e-4


class Climate(NamedTuple):
    """The climatology: events a period in a cell, the b-value, and the clustering parameter k."""

    rate: Float[Array, " *cell"]
    b_value: Array | float
    clustering: Array | float
    least: Array | float


def changed(raw: Float[Array, " 3"], climatology: Climate) -> Climate:
    """The climatology modified by a network's raw outputs; zeros change nothing."""
    rate, b_value, clustering = (jnp.exp(s * LIMIT * jnp.tanh(r / LIMIT)) for s, r in zip(SCALES, raw, strict=True))
    return Climate(
        climatology.rate * rate, climatology.b_value * b_value, climatology.clustering * clustering, climatology.least
    )


def log_below(climate: Climate, magnitude: Float[Array, ""] | float) -> Float[Array, ""]:
    """Log probability that the largest event is below a magnitude."""
    return -climate.clustering * jnp.log1p(_number(climate, magnitude) / climate.clustering)


def exceedance(climate: Climate, magnitude: Float[Array, ""]) -> Float[Array, ""]:
    """Probability of an event of at least a magnitude."""
    return -jnp.expm1(log_below(climate, magnitude))


def log_likelihood(climate: Climate, magnitude: Float[Array, ""]) -> Float[Array, ""]:
    """Log density of the largest magnitude; `NONE`, or less than `least`, means no event (nats)."""
    any_event = magnitude >= climate.least
    at = jnp.where(any_event, magnitude, climate.least)
    number = _number(climate, at)
    density = log_below(climate, at) - jnp.log1p(number / climate.clustering)
    log_derivative = jnp.log(number) + jnp.log(climate.b_value * jnp.log(10.0))
    return jnp.where(any_event, density + log_derivative, log_below(climate, climate.least))


def fitted_climate(
    rate: Float[np.ndarray, " cell"], largest: Float[np.ndarray, "period cell"], b_value: float, least: float
) -> Climate:
    """The climatology of training periods: k and a common factor on the rates by maximum likelihood.

    Rates are means over time and dominated by a few sequences: typical rates may be lower.
    """

    @jax.jit
    def loss(at: Float[Array, " 2"]) -> Float[Array, ""]:
        of_cell = lambda climatology, each: log_likelihood(Climate(climatology, b_value, jnp.exp(at[1]), least), each)
        return -jax.vmap(lambda each: jax.vmap(of_cell)(rate * jnp.exp(at[0]), each))(largest).mean()

    gradient = jax.jit(jax.grad(loss))
    found = minimize(
        lambda x: float(loss(x)), np.zeros(2), jac=lambda x: np.asarray(gradient(x), float), method="BFGS"
    ).x
    return Climate(jnp.asarray(rate * np.exp(found[0]), jnp.float32), b_value, float(np.exp(found[1])), least)


def _number(climate: Climate, magnitude: Float[Array, ""] | float) -> Float[Array, ""]:
    return climate.rate * 10 ** (-climate.b_value * (magnitude - climate.least))
