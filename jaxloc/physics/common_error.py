"""Errors that all travel times of an event have in common, integrated out of the likelihood.

A velocity model that is wrong by some per cent moves all arrivals together: by a share of their travel time, S more
than P where Vp/Vs is wrong, and one way to the east of the event and the other way to its west where speeds differ
laterally. These errors are a few unknowns z of each event, standard normal before data, that add `factors @ z` to the
arrival times. Residuals of picks tell of them (far stations late, near ones early), and what they do not tell stays
unknown and widens the posterior. The integral over z is Laplace's approximation at each hypocentre (Tierney & Kadane
1986, JASA 81): exact for normal picks. Wrong picks have little weight, as those of Student's t distribution
(Lange and others 1989, JASA 84).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.readings import Readings, pick_details
from jaxloc.types import PHASES

DEGREES_OF_FREEDOM = 4.0  # of Student's t for picks
TINY = 1e-6


class CommonError(NamedTuple):
    """Relative standard deviations: of all speeds together, of Vp/Vs, and of speeds to the east and to the north.

    The speed along a horizontal ray towards an azimuth differs from the mean by `lateral` times its sine and cosine.
    """

    speed: Float[Array, ""]
    vp_vs: Float[Array, ""]
    lateral: Float[Array, ""]


class Summary(NamedTuple):
    """Arrival densities as normal picks; `share` is the probability of a pick, zero at stations without records."""

    time_s: Float[Array, "station phase"]
    variance_s2: Float[Array, "station phase"]
    share: Float[Array, "station phase"]


class MostProbable(NamedTuple):
    """The most probable common errors at each hypocentre, what they add to arrival times, and the log of their part.

    `log_part` is the log-prior of the errors and half the log-determinant of their covariance given the picks.
    """

    shift_s: Float[Array, "point time station phase"]
    log_part: Float[Array, "point time"]


def summary_of(readings: Readings, width_s: Float[Array, "station phase"]) -> Summary:
    """The picks of arrival densities that errors of `width_s` come on top of."""
    picks = pick_details(readings)
    return Summary(picks.time_s, picks.sigma_s**2 + width_s**2, picks.probability * readings.active[:, None])


def factors_s(
    error: CommonError,
    travel_s: Float[Array, "point station phase"],
    apart_km: Float[Array, "point station 3"],
) -> Float[Array, "factor point station phase"]:
    """What one standard deviation of each common error adds to arrival times.

    Args:
        error: standard deviations.
        travel_s: travel times.
        apart_km: stations minus hypocentres, east, north and down.
    """
    of_s = jnp.array([float(phase == "S") for phase in PHASES])
    straight_km = jnp.sqrt((apart_km**2).sum(-1) + TINY)
    east, north = (apart_km[..., i] / straight_km for i in range(2))
    lateral_s = error.lateral * travel_s
    return jnp.stack(
        [
            error.speed * travel_s,
            error.vp_vs * of_s * travel_s,
            lateral_s * east[..., None],
            lateral_s * north[..., None],
        ]
    )


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
    residual_s = seen.time_s - predicted_s
    column_s = factors[:, :, None]
    total_s2 = seen.variance_s2 + (column_s**2).sum(0)
    z, _ = _given_weights(_weights(seen, residual_s, total_s2, power), residual_s, column_s)
    left_s = residual_s - _times(column_s, z)
    z, log_determinant = _given_weights(_weights(seen, left_s, seen.variance_s2, power), residual_s, column_s)
    z = jax.lax.stop_gradient(z)
    return MostProbable(_times(column_s, z), -0.5 * ((z**2).sum(0) + log_determinant))


def _weights(
    seen: Summary, residual_s: Float[Array, "*batch"], variance_s2: Float[Array, "*batch"], power: Float[Array, ""]
) -> Float[Array, "*batch"]:
    """Inverse variances of picks, smaller where a residual is larger than its standard deviation."""
    trust = (DEGREES_OF_FREEDOM + 1) / (DEGREES_OF_FREEDOM + residual_s**2 / variance_s2)
    return jax.lax.stop_gradient(power * seen.share * jnp.minimum(trust, 1.0) / seen.variance_s2)


def _times(
    column_s: Float[Array, "factor point 1 station phase"], z: Float[Array, "factor point time"]
) -> Float[Array, "point time station phase"]:
    return (column_s * z[..., None, None]).sum(0)


def _given_weights(
    weight: Float[Array, "point time station phase"],
    residual_s: Float[Array, "point time station phase"],
    column_s: Float[Array, "factor point 1 station phase"],
) -> tuple[Float[Array, "factor point time"], Float[Array, "point time"]]:
    """Mean of the errors given normal picks, and the log-determinant of the inverse of their covariance."""
    size = len(column_s)
    over_picks = lambda x: x.sum((-2, -1))
    information = [
        [over_picks(weight * column_s[i] * column_s[j]) + float(i == j) for j in range(i + 1)] for i in range(size)
    ]
    return _solved(information, [over_picks(weight * column * residual_s) for column in column_s])


def _solved(
    lower: list[list[Float[Array, "*batch"]]], right: list[Float[Array, "*batch"]]
) -> tuple[Float[Array, "row *batch"], Float[Array, "*batch"]]:
    """Solution of small positive definite systems, and the log of their determinants.

    Cholesky's method written out: linear-algebra libraries are slow for many small matrices.
    """
    size = len(right)
    tril: list[list[Any]] = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = lower[i][j] - sum(tril[i][k] * tril[j][k] for k in range(j))
            tril[i][j] = jnp.sqrt(rest) if i == j else rest / tril[j][j]
    half: list[Any] = []
    for i in range(size):
        half.append((right[i] - sum(tril[i][k] * half[k] for k in range(i))) / tril[i][i])
    z: list[Any] = [0.0] * size
    for i in reversed(range(size)):
        z[i] = (half[i] - sum(tril[k][i] * z[k] for k in range(i + 1, size))) / tril[i][i]
    diagonal = jnp.stack([tril[i][i] for i in range(size)])
    return jnp.stack(z), 2 * jnp.log(diagonal).sum(0)
