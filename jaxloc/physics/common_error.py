"""Errors that all travel times of an event have in common, integrated out of the likelihood.

A velocity model that is wrong by some per cent moves all arrivals together: by a share of their travel time, S more
than P where Vp/Vs is wrong, and one way to the east of the event and the other way to its west where speeds differ
laterally. These errors are a few unknowns z of each event, standard normal before data, that add `factors @ z` to the
arrival times. Residuals of picks tell of them (far stations late, near ones early), and what they do not tell stays
unknown and widens the posterior. The integral over z is Laplace's approximation at each hypocentre (Tierney & Kadane
1986, JASA 81): exact for normal picks. Wrong picks have little weight, as those of Student's t distribution
(Lange and others 1989, JASA 84).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.readings import Readings, pick_details
from jaxloc.types import PHASES

DEGREES_OF_FREEDOM = 4.0  # of Student's t for picks
ROUNDS = 2  # of weights of picks: from their total errors, then from what is left of their residuals
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
    of_s = jnp.array([0.0, 1.0]) if len(PHASES) == 2 else jnp.ones(len(PHASES))
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
    """
    residual_s = seen.time_s - predicted_s
    total_s2 = seen.variance_s2 + (factors**2).sum(0)[:, None]
    left_s, variance_s2 = residual_s, total_s2
    columns = list(factors[:, :, None])
    for _ in range(ROUNDS):
        freedom = DEGREES_OF_FREEDOM
        trust = (freedom + 1) / (freedom + left_s**2 / variance_s2)
        weight = jax.lax.stop_gradient(power * seen.share * jnp.minimum(trust, 1.0) / seen.variance_s2)
        over_picks = lambda x: x.sum((-2, -1))
        information = [
            [over_picks(weight * a * b) + float(i == j) for j, b in enumerate(columns[: i + 1])]
            for i, a in enumerate(columns)
        ]
        z, log_determinant = _solved(information, [over_picks(weight * a * residual_s) for a in columns])
        shift_s = sum(a * each[..., None, None] for a, each in zip(columns, z, strict=True))
        left_s, variance_s2 = residual_s - shift_s, seen.variance_s2
    squares = sum(each**2 for each in z)
    return MostProbable(shift_s, -0.5 * (squares + log_determinant))


def _solved(lower: list[list[Array]], right: list[Array]) -> tuple[list[Array], Array]:
    """Solution of small positive definite systems and the log of their determinants; elements are arrays.

    Cholesky's method written out: a batch of many small matrices is slow in linear-algebra libraries.
    """
    size = len(right)
    tril: list[list[Array]] = [[jnp.zeros(())] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = lower[i][j] - sum(tril[i][k] * tril[j][k] for k in range(j))
            tril[i][j] = jnp.sqrt(rest) if i == j else rest / tril[j][j]
    half: list[Array] = []
    for i in range(size):
        half.append((right[i] - sum(tril[i][k] * half[k] for k in range(i))) / tril[i][i])
    z: list[Array] = [jnp.zeros(())] * size
    for i in reversed(range(size)):
        z[i] = (half[i] - sum(tril[k][i] * z[k] for k in range(i + 1, size))) / tril[i][i]
    return z, 2 * sum(jnp.log(tril[i][i]) for i in range(size))
