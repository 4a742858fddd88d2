"""Geiger's method for one event: Gauss-Newton steps with adaptive damping on its arrival times.

Travel times are linearised about a trial hypocentre, and the step to the next one solves the damped normal equations
(Geiger 1912, Bull. St. Louis Univ. 8; Levenberg 1944; Marquardt 1963). Picks are weighted by the probability that
they are no outliers: the step of an EM algorithm for `PickErrors`. Origin time is eliminated from the equations, which
keeps them well conditioned in single precision.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.pick_errors import PickErrors
from jaxloc.physics.picks_on_cells import Picks
from jaxloc.physics.small_matrices import solved

BLURS_S = (3.0, 1.5, 0.7, 0.3, 0.1)
"""Widen the errors of picks in the first steps: far from the mode every pick would look like an outlier."""

FIRST_DAMPING, LESS, MORE = 1e-2, 0.2, 5.0  # of Marquardt, and its factors after a step that was better or worse
FEWEST = 1e-6  # damping: below it the equations are those of Gauss-Newton
RIDGE = 1e-5  # information in 1/km^2 about every coordinate, which bounds steps where there is none

Travel = Callable[[Float[Array, "point 3"]], Float[Array, "point station phase"]]


class Problem(NamedTuple):
    """What is fitted: picks, travel times from a place to the event's stations, likelihood, and the box of places.

    `free` is 1 for coordinates that are solved for and 0 for those held. `second_derivatives` adds those of travel
    times to the normal equations (Thurber 1985, BSSA 75).
    """

    picks: Picks
    travel: Travel
    errors: PickErrors
    low_km: Float[Array, " 3"]
    high_km: Float[Array, " 3"]
    free: Float[Array, " 3"]
    second_derivatives: bool = False


class Anchor(NamedTuple):
    """A normal prior of place about a point, with independent coordinates."""

    place_km: Float[Array, " 3"]
    information: Float[Array, " 3"]


class Trial(NamedTuple):
    """A trial hypocentre, with travel times and their gradients there."""

    place_km: Float[Array, " 3"]
    origin_s: Float[Array, ""]
    travel_s: Float[Array, " pick"]
    slope_s_km: Float[Array, "pick 3"]
    damping: Float[Array, ""]


class Weighed(NamedTuple):
    """Residuals of a trial, their standard deviations, the probabilities of no outlier, and the log-posterior."""

    residual_s: Float[Array, " pick"]
    sd_s: Float[Array, " pick"]
    share: Float[Array, " pick"]
    log_density: Float[Array, ""]


class Equations(NamedTuple):
    """Normal equations of place with origin time eliminated, and what origin time follows from."""

    information: Float[Array, "3 3"]
    gradient: Float[Array, " 3"]
    mean_slope_s_km: Float[Array, " 3"]
    mean_residual_s: Float[Array, ""]
    total_weight: Float[Array, ""]


def times_and_slopes(
    travel: Travel, place_km: Float[Array, " 3"]
) -> tuple[Float[Array, " pick"], Float[Array, "pick 3"]]:
    """Travel times of all stations and phases in one axis, and their gradients in s/km."""
    at = lambda place: travel(place[None])[0].reshape(-1)
    push = lambda direction: jax.jvp(at, (place_km,), (direction,))
    return jax.vmap(push, out_axes=(None, -1))(jnp.eye(3))


def median(values: Float[Array, " pick"], mask: Array) -> Float[Array, ""]:
    """The lower median of values that are there; 0 without any."""
    number = mask.sum()
    ordered = jnp.sort(jnp.where(mask, values, jnp.inf))
    return jnp.where(number > 0, ordered[jnp.maximum((number - 1) // 2, 0)], 0.0)


def weighed(
    problem: Problem, at: Trial, anchor: Anchor | None = None, blur_s: Float[Array, ""] | float = 0.0
) -> Weighed:
    """Residuals, weights and log-posterior (flat prior but for the anchor) of a trial."""
    picks, errors = problem.picks, problem.errors
    variance = picks.sd_s**2 + errors.model_sd_s**2 + (errors.model_share * at.travel_s) ** 2 + blur_s**2
    sd = jnp.sqrt(jnp.where(picks.mask, variance, 1.0))
    residual = jnp.where(picks.mask, picks.time_s - at.travel_s - at.origin_s, 0.0)
    normal = -0.5 * (residual / sd) ** 2 - jnp.log(sd) - 0.9189385
    anywhere = errors.outlier / errors.outlier_range_s
    inlier = (1 - errors.outlier) * jnp.exp(normal)
    if errors.outlier:
        log_density, share = jnp.log(inlier + anywhere), inlier / (inlier + anywhere)
    else:
        log_density, share = normal, jnp.ones_like(normal)
    total = jnp.where(picks.mask, log_density, 0.0).sum()
    if anchor is not None:
        total = total - 0.5 * (anchor.information * (at.place_km - anchor.place_km) ** 2).sum()
    return Weighed(residual, sd, jnp.where(picks.mask, share, 0.0), total)


def equations(
    problem: Problem, at: Trial, seen: Weighed, anchor: Anchor | None = None, observed: bool = False
) -> Equations:
    """The normal equations of a trial.

    Where `observed`, picks count by the curvature of their log-density, less than their weight where they may be
    outliers (the observed information of Laplace's approximation); else by their weight, as steps need.
    """
    weight = seen.share / seen.sd_s**2
    # The errors of picks grow with travel time, which is a part of the gradient but of no weight in the information.
    growth = (seen.residual_s**2 / seen.sd_s**2 - 1) * problem.errors.model_share**2 * at.travel_s
    pull = weight * (seen.residual_s + growth)
    slope = at.slope_s_km * problem.free
    doubt = (1 - seen.share) * (seen.residual_s / seen.sd_s) ** 2 if observed else jnp.zeros(())
    # A pick between in and out bends the log-density upwards: it counts as no information.
    counted = weight * jnp.maximum(1 - doubt, 0.0)
    total = jnp.maximum(counted.sum(), 1e-12)
    mean_slope = counted @ slope / total
    mean_residual = (weight * seen.residual_s).sum() / total
    apart = slope - mean_slope
    information = (apart.T * counted) @ apart
    gradient = slope.T @ pull - mean_slope * (weight * seen.residual_s).sum()
    if anchor is not None:
        information = information + jnp.diag(anchor.information * problem.free)
        gradient = gradient + anchor.information * (anchor.place_km - at.place_km) * problem.free
    if problem.second_derivatives:
        information = information - _curvature(problem, at, pull)
    return Equations(information, gradient, mean_slope, mean_residual, total)


def _curvature(problem: Problem, at: Trial, pull: Float[Array, " pick"]) -> Float[Array, "3 3"]:
    """Second derivatives of travel times, summed with the weighted residuals."""
    along = lambda place: (times_and_slopes(problem.travel, place)[1] * problem.free).T @ pull
    return jax.jacfwd(along)(at.place_km) * problem.free


def climb(
    problem: Problem,
    place_km: Float[Array, " 3"],
    blurs_s: tuple[float, ...],
    origin_s: Float[Array, ""] | None = None,
    anchor: Anchor | None = None,
) -> Trial:
    """From a place uphill, a step for each of `blurs_s`: widths that the errors of picks are widened by.

    Without an origin time, the first is the median of what the picks say of it. A step to a lower posterior is not
    taken, but damped more the next time.
    """
    prior = Anchor(jnp.zeros(3), jnp.zeros(3)) if anchor is None else anchor
    most_km = 0.25 * jnp.linalg.norm(problem.high_km - problem.low_km)

    def take(at: Trial, plan: tuple[Array, Array]) -> tuple[Trial, None]:
        first, blur_s = plan
        before = weighed(problem, at, prior, blur_s)
        place, origin = _proposed(problem, at, equations(problem, at, before, prior), most_km)
        # The first turn only looks up travel times at the start: looked up in one place, they are compiled once.
        place, origin = jnp.where(first, at.place_km, place), jnp.where(first, at.origin_s, origin)
        travel_s, slope = times_and_slopes(problem.travel, place)
        if origin_s is None:
            origin = jnp.where(first, median(problem.picks.time_s - travel_s, problem.picks.mask), origin)
        damping = jnp.where(first, at.damping, jnp.maximum(at.damping * LESS, FEWEST))
        new = Trial(place, origin, travel_s, slope, damping)
        better = first | (weighed(problem, new, prior, blur_s).log_density >= before.log_density)
        stay = at._replace(damping=at.damping * MORE)
        return jax.tree.map(lambda a, b: jnp.where(better, a, b), new, stay), None

    size = len(problem.picks.time_s)
    origin = jnp.zeros(()) if origin_s is None else origin_s
    start = Trial(place_km, origin, jnp.zeros(size), jnp.zeros((size, 3)), jnp.asarray(FIRST_DAMPING))
    plans = jnp.arange(len(blurs_s) + 1) == 0, jnp.array([0.0, *blurs_s])
    return jax.lax.scan(take, start, plans)[0]


def _proposed(
    problem: Problem, at: Trial, normal: Equations, most_km: Float[Array, ""]
) -> tuple[Float[Array, " 3"], Float[Array, ""]]:
    """Where a damped step leads, no farther than `most_km` and not out of the box."""
    diagonal = jnp.abs(jnp.diagonal(normal.information))
    damped = normal.information + jnp.diag(at.damping * diagonal + RIDGE + (1 - problem.free))
    change, _ = solved(lambda i, j: damped[i, j], normal.gradient)
    change = change * jnp.minimum(1.0, most_km / jnp.maximum(jnp.linalg.norm(change), 1e-9))
    place = jnp.clip(at.place_km + change, problem.low_km, problem.high_km)
    return place, at.origin_s + normal.mean_residual_s - normal.mean_slope_s_km @ (place - at.place_km)
