"""Arrival times at each station as all other stations predict them.

A station whose clock or coordinates are wrong pulls the location towards itself, so that its residuals are smaller than
its error. Residuals without it follow from one linearisation about the located hypocentre: robust least squares of
hypocentre and common errors (iteratively reweighted, as in `jaxloc.physics.common_error`), solved once more for each
station without its picks. Nothing is located again.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.arrival_likelihood import Arrivals, errors_around, predicted_s, tempering_of, travel_s
from jaxloc.physics.common_error import SHARES, factors_s, probability_right, summary_of

PRIOR_SD = (100.0, 100.0, 20.0, 100.0)  # of the hypocentre about the located one, in km and s: next to nothing
LEAST_KNOWN = 0.01  # share of the prior variance of common errors that picks resolve
COMMON = slice(len(PRIOR_SD), None)  # the unknowns that are common errors


class Prediction(NamedTuple):
    """What the others predict at each station.

    Attributes:
        arrival_s: arrival times, in s after the first sample.
        variance_s2: their variance: what the others leave open, and errors of travel times and terms of the station.
        common: errors common to all arrivals of the event (`jaxloc.physics.common_error`), most probable with all
            stations, in prior standard deviations.
        surprise: their squared size over what the prior lets expect of such estimates; chi-square distributed, with as
            many degrees of freedom, where the prior is right.
    """

    arrival_s: Float[Array, "station phase"]
    variance_s2: Float[Array, "station phase"]
    common: Float[Array, " factor"]
    surprise: Float[Array, ""]


def predicted_by_others(arrivals: Arrivals, hypocentre: Float[Array, " 4"]) -> Prediction:
    """Predict the arrivals at each station without its own picks.

    Args:
        arrivals: densities of one event.
        hypocentre: located with all stations; linearised about.
    """
    physics = arrivals.physics
    errors = errors_around(physics, hypocentre[None, :3])
    own_s2 = errors.smoothing_s2 + jnp.diagonal(errors.delay_covariance_s2, axis1=-2, axis2=-1)
    predicted = predicted_s(physics, hypocentre) + errors.delay_s
    column_s = _columns(arrivals, hypocentre)
    duration_s = (arrivals.log_mass.shape[-1] - 1) / arrivals.rate_hz
    seen = summary_of(arrivals.readings, jnp.sqrt(own_s2), physics.outlier, duration_s)
    residual_s, common_s2 = seen.time_s - predicted, (column_s[COMMON] ** 2).sum(0)
    everyone, others = jnp.ones((1, len(own_s2))), 1 - jnp.eye(len(own_s2))
    left_s, weight = residual_s, jnp.zeros_like(residual_s)
    together = _solved(weight, residual_s, column_s, everyone)
    for share in SHARES:
        right = probability_right(left_s, seen.variance_s2 + share * common_s2, seen.wrong)
        weight = tempering_of(arrivals) * seen.share * right / seen.variance_s2
        together = _solved(weight, residual_s, column_s, everyone)
        left_s = residual_s - jnp.einsum("usp,u->sp", column_s, together[0][0])
    found, covariance = _solved(weight, residual_s, column_s, others)
    arrival_s = predicted + jnp.einsum("usp,su->sp", column_s, found)
    variance_s2 = own_s2 + jnp.einsum("usp,suv,vsp->sp", column_s, covariance, column_s)
    common = together[0][0, COMMON]
    return Prediction(arrival_s, variance_s2, common, _surprise(common, together[1][0, COMMON, COMMON]))


def _surprise(common: Float[Array, " factor"], left_open: Float[Array, "factor factor"]) -> Float[Array, ""]:
    """Estimates vary by the prior less what picks leave open; directions that picks say nothing of do not count."""
    expected = (1 + LEAST_KNOWN) * jnp.eye(len(common)) - left_open
    return common @ jnp.linalg.solve(expected, common)


def _columns(arrivals: Arrivals, hypocentre: Float[Array, " 4"]) -> Float[Array, "unknown station phase"]:
    """What one prior standard deviation of each unknown adds to arrival times: hypocentre, and common errors if any."""
    physics = arrivals.physics
    slopes = jax.jacfwd(lambda each: predicted_s(physics, each))(hypocentre)
    columns = jnp.moveaxis(slopes * jnp.array(PRIOR_SD), -1, 0)
    if physics.common is None:
        return columns
    return jnp.concatenate([columns, factors_s(physics.common, travel_s(physics, hypocentre[None, :3]))[:, 0]])


def _solved(
    weight: Float[Array, "station phase"],
    residual_s: Float[Array, "station phase"],
    column_s: Float[Array, "unknown station phase"],
    used: Float[Array, "set station"],
) -> tuple[Float[Array, "set unknown"], Float[Array, "set unknown unknown"]]:
    """Unknowns and their covariance by weighted least squares from each set of stations, standard normal before data.

    Rows and columns are scaled to a unit diagonal, since depth and origin time are nearly the same.
    """
    each = jnp.einsum("sp,usp,vsp->suv", weight, column_s, column_s)
    information = jnp.einsum("es,suv->euv", used, each) + jnp.eye(len(column_s))
    right = jnp.einsum("es,sp,usp->eu", used, weight * residual_s, column_s)
    size = jnp.sqrt(jnp.diagonal(information, axis1=-2, axis2=-1))
    scaled = jnp.linalg.inv(information / (size[:, :, None] * size[:, None]))
    covariance = scaled / (size[:, :, None] * size[:, None])
    return jnp.einsum("euv,ev->eu", covariance, right), covariance
