"""The joint linear system of all hypocentres, with path terms integrated out at each station.

Residuals at one station are those of hypocentres (through the slopes of travel times), of the path terms and of the
picks. The last two have the covariance C, dense over the picks of the station; hypocentres then have the information
J' C^-1 J, summed over stations, dense over all events (generalised least squares with the terms marginalised;
Rasmussen & Williams 2006, section 2.7). Exact: some n^3 operations for each station of n picks, (4 N)^3 for N events.
Linear algebra runs in double precision on the host, what is elementwise through JAX.
"""

# pyright: reportArgumentType=false
# Arrays are NumPy's, in double precision on the host.

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.linalg import get_lapack_funcs, solve_triangular

from jaxloc.physics.path_terms import PathKernel, covariance_s2
from jaxloc.physics.scale_mixture import Factors

DRAWS = 256  # of all hypocentres
SMALLEST_SHARE, SMALLEST_S2 = 1e-3, 1e-8  # that rounding may leave of a precision, and of a variance in s^2
PAIRS = tuple((a, b) for a in range(4) for b in range(a + 1))  # of coordinates


class StationPicks(NamedTuple):
    """The picks of one station: rows of events, phases, and for each phase and event its pick or the number of them."""

    event: Int[np.ndarray, " pick"]
    phase: Int[np.ndarray, " pick"]
    row: Int[np.ndarray, "phase event"]


class StationSystem(NamedTuple):
    """At one station: inverse covariance of residuals, slopes by hypocentre (s/km; 1 for origin time), residuals."""

    precision: Float[np.ndarray, "pick pick"]
    slope: Float[np.ndarray, "pick 4"]
    residual_s: Float[np.ndarray, " pick"]


class Solution(NamedTuple):
    """Change of hypocentres, their covariance, precision times what they leave at each station, and draws."""

    change: Float[np.ndarray, "event 4"]
    covariance: Float[np.ndarray, "event 4 event 4"]
    left: list[Float[np.ndarray, " pick"]]
    draws: Float[np.ndarray, "event 4 draw"]


def station_picks(mask: np.ndarray) -> list[StationPicks]:
    """The picks of each station, by `mask` [event, station, phase]."""
    found = []
    for station in range(mask.shape[1]):
        phase, event = np.nonzero(mask[:, station].T)
        row = np.full((mask.shape[2], mask.shape[0]), len(event))
        row[phase, event] = np.arange(len(event))
        found.append(StationPicks(event, phase, row))
    return found


def factor_of(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Cholesky's lower factor of a positive definite matrix.

    Raises:
        ValueError: where the matrix is not positive definite.
    """
    (potrf,) = get_lapack_funcs(("potrf",), (matrix,))
    factor, fault = potrf(np.asarray(matrix).T, lower=1)
    if fault:
        raise ValueError(f"a covariance of {len(matrix)} unknowns is not positive definite at row {fault}")
    return factor


def inverse(factor: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """The inverse of a matrix by its lower factor."""
    (potri,) = get_lapack_funcs(("potri",), (factor,))
    upper = np.triu(potri(factor, lower=1)[0].T)
    return upper + np.triu(upper, 1).T


def station_systems(
    picks: Sequence[StationPicks],
    kernel: PathKernel,
    place_km: Float[np.ndarray, "event 3"],
    factors: Sequence[Factors],
    predicted_s: Float[np.ndarray, "event station phase"],
    slope_s_km: Float[np.ndarray, "event station phase 3"],
) -> list[StationSystem]:
    """What each station says of changes of hypocentres; `predicted_s` are arrival times, origin times included."""
    size = max(len(each.event) for each in picks)
    systems = []
    for station, (each, factor) in enumerate(zip(picks, factors, strict=True)):
        number = len(each.event)
        index = np.resize(each.event, size) if number else np.zeros(size, int)
        phase = np.resize(each.phase, size) if number else np.zeros(size, int)
        variance_s2 = np.ones(size)
        variance_s2[:number] = factor.variance_s2
        residuals_s2 = np.asarray(_of_residuals(kernel, place_km[index], phase, variance_s2))[:number, :number]
        precision = inverse(factor_of(residuals_s2))
        at = (each.event, station, each.phase)
        slope = np.concatenate([slope_s_km[at], np.ones((number, 1))], 1)
        systems.append(StationSystem(precision, slope, factor.time_s - predicted_s[at]))
    return systems


def solve(
    rng: np.random.Generator,
    picks: Sequence[StationPicks],
    systems: Sequence[StationSystem],
    prior_precision: Float[np.ndarray, "event 4"],
    to_prior: Float[np.ndarray, "event 4"],
) -> Solution:
    """Changes of all hypocentres together; the prior is normal, `to_prior` its mean less the present hypocentre."""
    events = len(to_prior)
    information = jnp.zeros((10, events, events))
    right = prior_precision * to_prior
    size = max(len(each.event) for each in picks) + 1  # the same for all stations, and one of zeros for no pick
    for each, system in zip(picks, systems, strict=True):
        more = size - len(each.event)
        precision = np.pad(system.precision, ((0, more), (0, more)))
        slope = np.pad(system.slope, ((0, more), (0, 0)))[each.row]
        information = _added(information, precision, each.row, slope)
        np.add.at(right, each.event, system.slope * (system.precision @ system.residual_s)[:, None])
    matrix = np.array(_whole(information))
    matrix[np.diag_indices(4 * events)] += prior_precision.reshape(-1)
    factor = factor_of(matrix)
    covariance = inverse(factor)
    normal = rng.standard_normal((4 * events, DRAWS))
    draws = solve_triangular(factor, normal, lower=True, trans=1).reshape(events, 4, DRAWS)
    change = (covariance @ right.reshape(-1)).reshape(events, 4)
    left = [
        system.precision @ (system.residual_s - (system.slope * change[each.event]).sum(1))
        for each, system in zip(picks, systems, strict=True)
    ]
    return Solution(change, covariance.reshape(events, 4, events, 4), left, draws)


def by_others(
    picks: Sequence[StationPicks],
    systems: Sequence[StationSystem],
    solution: Solution,
    factors: Sequence[Factors],
) -> list[Factors]:
    """Mean and variance of each arrival time, less the predicted one, by all picks but itself.

    With R the inverse covariance of residuals, hypocentres integrated out, these are r - (R r)_i / R_ii and
    1 / R_ii less the variance of the factor (Rasmussen & Williams 2006, equation 5.12). The part of hypocentres in R_ii
    is that of the solution's draws: right to a tenth or so, of a part that is an eighth of R_ii.
    """
    found = []
    for each, system, factor, left in zip(picks, systems, factors, solution.left, strict=True):
        moved_s = np.einsum("pa,pad->pd", system.slope, solution.draws[each.event])
        taken = ((system.precision @ moved_s) ** 2).mean(1)
        diagonal = np.diagonal(system.precision)
        alone = np.maximum(diagonal - taken, SMALLEST_SHARE * diagonal)
        variance_s2 = np.maximum(1 / alone - factor.variance_s2, SMALLEST_S2)
        found.append(Factors(system.residual_s - left / alone, variance_s2))
    return found


def without_hypocentres(
    picks: Sequence[StationPicks],
    systems: Sequence[StationSystem],
    covariance: Float[np.ndarray, "event 4 event 4"],
    values: Sequence[Float[np.ndarray, "pick column"]],
) -> list[Float[np.ndarray, "pick column"]]:
    """R times columns, R the inverse covariance of all residuals with hypocentres integrated out."""
    events, columns = len(covariance), values[0].shape[1]
    weighted = [system.precision @ value for system, value in zip(systems, values, strict=True)]
    right = np.zeros((events, 4, columns))
    for each, system, value in zip(picks, systems, weighted, strict=True):
        np.add.at(right, each.event, system.slope[:, :, None] * value[:, None])
    moved = (covariance.reshape(4 * events, -1) @ right.reshape(4 * events, -1)).reshape(events, 4, columns)
    return [
        value - system.precision @ np.einsum("pa,pac->pc", system.slope, moved[each.event])
        for each, system, value in zip(picks, systems, weighted, strict=True)
    ]


@jax.jit
def _of_residuals(
    kernel: PathKernel,
    place_km: Float[Array, "pick 3"],
    phase: Int[Array, " pick"],
    variance_s2: Float[Array, " pick"],
) -> Float[Array, "pick pick"]:
    return covariance_s2(kernel, place_km, phase, place_km, phase) + jnp.diag(variance_s2)


@partial(jax.jit, donate_argnums=0)
def _added(
    information: Float[Array, "pair event event"],
    precision: Float[Array, "pick_and_none pick_and_none"],
    row: Int[Array, "phase event"],
    slope: Float[Array, "phase event 4"],
) -> Float[Array, "pair event event"]:
    """The information of one station added, for pairs of coordinates with the first not before the second."""
    phases = range(len(row))
    between = [[precision[row[f][:, None], row[g]] for g in phases] for f in phases]
    parts = []
    for a, b in PAIRS:
        parts.append(sum(slope[f, :, a, None] * between[f][g] * slope[g, :, b] for f in phases for g in phases))
    return information + jnp.stack(parts)


@jax.jit
def _whole(information: Float[Array, "pair event event"]) -> Float[Array, "unknown unknown"]:
    """All pairs of coordinates, as a matrix of event by event."""
    events = information.shape[-1]
    rows = []
    for a in range(4):
        of = lambda b, a=a: information[PAIRS.index((a, b))] if a >= b else information[PAIRS.index((b, a))].T
        rows.append(jnp.stack([of(b) for b in range(4)], -1))
    return jnp.stack(rows, 1).reshape(4 * events, 4 * events)
