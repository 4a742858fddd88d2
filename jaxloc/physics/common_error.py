"""Errors that all travel times of an event have in common, integrated out of the likelihood.

A velocity model that is wrong by some per cent moves all arrivals together: by a share of their travel time, and S more
than P where Vp/Vs is wrong. These errors are unknowns z of each event, standard normal before data, that add
`factors @ z` to the arrival times. Residuals of picks tell of them (far stations late, near ones early), and what they
do not tell stays unknown and widens the posterior. The integral over z is Laplace's approximation at each hypocentre
(Tierney & Kadane 1986, JASA 81): exact for normal picks. The most probable z is found as by the expectation-
maximisation algorithm (Dempster and others 1977, JRSS B 39) for picks of which some are wrong, and may lie anywhere,
while the share of the common errors in the width of residuals falls from one to zero.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.readings import Readings, pick_details
from jaxloc.physics.small_matrices import solved
from jaxloc.types import PHASES

SHARES = (1.0, 0.1, 0.0, 0.0)  # of the variance of common errors, in the width of residuals that each round starts from


class CommonError(NamedTuple):
    """Relative standard deviations: of all speeds together, and of Vp/Vs."""

    speed: Float[Array, ""]
    vp_vs: Float[Array, ""]


class Summary(NamedTuple):
    """Arrival densities as normal picks.

    `share` is the probability that there is a pick, zero at stations without records; `wrong` is the density in 1/s of
    picks that are not those of the event.
    """

    time_s: Float[Array, "station phase"]
    variance_s2: Float[Array, "station phase"]
    share: Float[Array, "station phase"]
    wrong: Float[Array, ""]


class MostProbable(NamedTuple):
    """What the most probable common errors add to arrival times at each hypocentre, and the log of their part.

    `log_part` is the log-prior of the errors and half the log-determinant of their covariance given the picks.
    """

    shift_s: Float[Array, "point time station phase"]
    log_part: Float[Array, "point time"]


def summary_of(
    readings: Readings, width_s: Float[Array, "station phase"], outlier: Float[Array, ""], duration_s: Float[Array, ""]
) -> Summary:
    """The picks of arrival densities that errors of `width_s` come on top of, a share `outlier` of them wrong."""
    picks, share = pick_details(readings), readings.active[:, None]
    return Summary(
        picks.time_s, picks.sigma_s**2 + width_s**2, picks.probability * share, outlier / (1 - outlier) / duration_s
    )


def factors_s(
    error: CommonError, travel_s: Float[Array, "point station phase"]
) -> Float[Array, "factor point station phase"]:
    """What one standard deviation of each common error adds to arrival times."""
    of_s = jnp.array([float(phase == "S") for phase in PHASES])
    return jnp.stack([error.speed * travel_s, error.vp_vs * of_s * travel_s])


def most_probable(
    seen: Summary,
    predicted_s: Float[Array, "point time station phase"],
    factors: Float[Array, "factor point station phase"],
    power: Float[Array, ""],
) -> MostProbable:
    """Common errors given the picks, at each hypocentre.

    Args:
        seen: picks.
        predicted_s: arrival times without common errors.
        factors: of `factors_s`.
        power: of the likelihood.

    Returns:
        The errors' part of arrival times, differentiable in the factors, not in the errors: at the maximum the
        likelihood does not change with them.
    """
    flat = lambda x: x.reshape(*x.shape[:-2], -1)  # one axis of picks
    residual_s, column_s, variance_s2 = flat(seen.time_s - predicted_s), flat(factors), flat(seen.variance_s2)
    of_common_s2 = (column_s**2).sum(0)[:, None]
    left_s, z, log_determinant = residual_s, jnp.zeros(()), jnp.zeros(())
    for share in SHARES:
        right = probability_right(left_s, variance_s2 + share * of_common_s2, seen.wrong)
        weight = jax.lax.stop_gradient(power * flat(seen.share) * right / variance_s2)
        z, log_determinant = _given_weights(weight, residual_s, column_s)
        left_s = residual_s - jnp.einsum("fpn,fpt->ptn", column_s, z)
    z = jax.lax.stop_gradient(z)
    shift_s = jnp.einsum("fpsq,fpt->ptsq", factors, z)
    return MostProbable(shift_s, -0.5 * ((z**2).sum(0) + log_determinant))


def probability_right(
    residual_s: Float[Array, "*batch"], variance_s2: Float[Array, "*batch"], wrong: Float[Array, ""]
) -> Float[Array, "*batch"]:
    """The probability that a pick with this residual is of the event."""
    density = jnp.exp(-0.5 * residual_s**2 / variance_s2) / jnp.sqrt(2 * jnp.pi * variance_s2)
    return density / (density + wrong)


def _given_weights(
    weight: Float[Array, "point time pick"],
    residual_s: Float[Array, "point time pick"],
    column_s: Float[Array, "factor point pick"],
) -> tuple[Float[Array, "factor point time"], Float[Array, "point time"]]:
    """Mean of the errors given normal picks, and the log-determinant of the inverse of their covariance."""
    size = len(column_s)
    pairs = [(i, j) for i in range(size) for j in range(i + 1)]
    products = jnp.stack([column_s[i] * column_s[j] for i, j in pairs])
    information = jnp.einsum("ptn,kpn->kpt", weight, products)
    right = jnp.einsum("ptn,fpn->fpt", weight * residual_s, column_s)
    lower = {pair: each + float(pair[0] == pair[1]) for pair, each in zip(pairs, information, strict=True)}
    return solved(lambda i, j: lower[i, j], right)
