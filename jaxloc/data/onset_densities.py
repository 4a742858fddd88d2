"""Characteristic functions as densities of arrival times.

A stack of characteristic functions c_j over stations and phases j, at the arrival times t_j that a hypocentre
predicts, is no likelihood. Divided by a temperature T it is the logarithm of one, but for a constant: exp(sum c_j / T)
is the product of densities proportional to exp(c_j(t) / T), one for each record. So each record says when its wave
arrived, with the density

    p_j(t) = (1 - outlier) exp(c_j(t + delay) / T) / sum_t exp(c_j(t) / T) + outlier / duration

in which the outlier level is the null model: the function's largest values are noise, and the arrival may be anywhere.
It also bounds what one record may add to the stack. Temperature and the delay of the function's peak are properties of
the characteristic function, found by the likelihood of known arrival times (`fit`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Bool, Float

from jaxloc.data.characteristic_functions import Characteristic
from jaxloc.types import PHASES

NOTHING = -60.0  # log of a probability that never counts; finite, since derivatives of -inf are NaN
MOST_RECORDS = 4096  # that a scale is fitted to: bounds the memory
BOUNDS = ((-6.0, 6.0), (-5.0, 0.0), (-2.0, 2.0))  # of log temperature, log outlier share, delay in s


class Scale(NamedTuple):
    """What turns characteristic functions of P and S into densities of arrival times.

    Attributes:
        temperature: in units of the characteristic function.
        delay_s: time of the function's peak less that of the arrival.
    """

    temperature: tuple[float, float]
    delay_s: tuple[float, float]


class Fit(NamedTuple):
    """A fitted scale, the shares of P and S that lie anywhere in the record, and the mean log-density of arrivals.

    `log_density` is in nats, of densities per s.
    """

    scale: Scale
    outlier: tuple[float, float]
    log_density: tuple[float, float]


def log_mass_of(
    characteristic: Characteristic, temperature: Float[Array, " phase"]
) -> Float[Array, "station phase sample_and_none"]:
    """The log-probability of the function's peak at each sample, without outliers; the last place is no arrival.

    A record without a characteristic function says nothing of the arrival: all of its mass is in the last place.
    """
    there = characteristic.mask
    some = there.any(-1, keepdims=True)
    value = jnp.where(there, characteristic.value / temperature[:, None], -jnp.inf)
    inside = jax.nn.log_softmax(jnp.where(some, value, 0.0), -1)
    inside = jnp.where(some & there, jnp.maximum(inside, NOTHING), NOTHING)
    return jnp.concatenate([inside, jnp.where(some, NOTHING, 0.0)], -1)


def fit(
    characteristic: Characteristic,
    arrival_s: Float[np.ndarray, "record phase"],
    known: Bool[np.ndarray, "record phase"],
    rate_hz: float,
) -> Fit:
    """The scale under which known arrival times are likeliest.

    Args:
        characteristic: of the records of all events and stations in one axis; the first `MOST_RECORDS` are used.
        arrival_s: arrival times of P and S in s after the first sample.
        known: which of them are known.
        rate_hz: sampling rate.

    Raises:
        ValueError: where no arrival of a phase is known.
    """
    known = np.asarray(known) & np.asarray(characteristic.mask).any(-1)
    if not known.any(0).all():
        raise ValueError(f"arrivals of P and S must be known, got {known.sum(0).tolist()} of them")
    found = []
    for phase in range(len(PHASES)):
        rows = np.flatnonzero(known[:, phase])[:MOST_RECORDS]
        one = Characteristic(*(jnp.asarray(np.asarray(x)[rows, phase]) for x in characteristic))
        time_s = jnp.asarray(np.asarray(arrival_s)[rows, phase], jnp.float32)
        # About where a tenth of the function's rise changes a probability by half.
        peak = jnp.where(one.mask, one.value, -jnp.inf).max(-1) - jnp.where(one.mask, one.value, jnp.inf).min(-1)
        simplex = _SIMPLEX + np.array([np.log(0.1 * float(jnp.median(peak))), 0.0, 0.0])
        # The density is linear between samples, no smooth function of the delay: a search without derivatives.
        best = scipy.optimize.minimize(
            lambda free, one=one, time_s=time_s: float(_loss(free, one, time_s, rate_hz)),
            simplex[0],
            method="Nelder-Mead",
            bounds=BOUNDS,
            options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-4},
        )
        found.append((np.exp(best.x[0]), best.x[2], np.exp(best.x[1]), -best.fun))
    temperature, delay_s, outlier, log_density = ((float(p), float(s)) for p, s in zip(*found, strict=True))
    return Fit(Scale(temperature, delay_s), outlier, log_density)


_SIMPLEX = np.array([[0.0, -3.0, 0.0], [1.0, -3.0, 0.0], [0.0, -1.5, 0.0], [0.0, -3.0, -0.3]])


@jax.jit
def _loss(
    free: Float[Array, " parameter"], one: Characteristic, arrival_s: Float[Array, " record"], rate_hz: float
) -> Float[Array, ""]:
    """Mean negative log-density of arrivals, `one` [record, sample] being the functions of their phase."""
    temperature, outlier, delay_s = jnp.exp(free[0]), jnp.exp(free[1]), free[2]
    with_phase = Characteristic(*(x[:, None] for x in one))
    mass = jnp.exp(log_mass_of(with_phase, temperature[None]))[:, 0, :-1]
    samples = mass.shape[-1]
    position = (arrival_s + delay_s) * rate_hz
    read = jax.vmap(lambda at, of: jnp.interp(at, jnp.arange(samples), of, left=0.0, right=0.0))(position, mass)
    density = (1 - outlier) * read * rate_hz + outlier * rate_hz / samples
    return -jnp.log(density).mean()
