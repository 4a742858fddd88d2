"""All events at once: hypocentres, station terms, path terms and pick errors in one hierarchical model.

A pick is origin time, travel time, station term, path term and error. Path terms are Gaussian processes over the place
of the source at each station (`jaxloc.physics.path_terms`), errors mixtures of normal distributions with outliers
(`jaxloc.physics.scale_mixture`); the hyper-parameters of both are estimated from the same picks by marginal likelihood.
Events near each other share their path terms: their relative locations are as sharp as those of double differences
(Waldhauser & Ellsworth 2000, BSSA 90; Rodi & Myers 2008), and the posterior says how sharp, since covariances between
events are kept (`Posterior.difference`).

Each round moves all hypocentres by Gauss and Newton's method and updates the factors that stand for picks; rounds of
part of the events take a step of the hyper-parameters too. The posterior is Laplace's: normal about the most probable
hypocentres, and wider by what wrong speeds about the sources do to separations (`jaxloc.physics.source_velocity`). It
lacks the uncertainty of the hyper-parameters, and path terms of different stations count as independent, although
residuals show that they are not.

Exact linear algebra: memory grows with the square, time with the third power of the number of events.
"""

# pyright: reportArgumentType=false
# Arrays are NumPy's, in double precision on the host.

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.locators.setup import Setup, times_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.joint_system import Solution, StationPicks, by_others, solve, station_picks, station_systems
from jaxloc.physics.marginal_likelihood import slope_of, stepped
from jaxloc.physics.path_terms import PathKernel, start_kernel
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.physics.scale_mixture import Factors, PickNoise, damped, refitted, start_noise, told
from jaxloc.physics.source_velocity import source_error, with_error
from jaxloc.physics.topography import Ground, surface_depth_km
from jaxloc.physics.velocity_error import VelocityError
from jaxloc.types import Locator, Observations, Posterior

FIRST_SHARE, SHARE = 1.0, 0.7  # of the way to new factors, in the first round and later
LARGEST_STEP_KM = 3.0
ALONE_SD_S, ALONE_DAMPING = 0.15, 1.0  # of residuals of single events, and added to their information
BEFORE_S = 1.5  # of the origin time before the first pick
CENTRES = 3  # events about which hyper-parameters are learnt
QUIET = 3  # rounds before the first step of the kernel
FAR = 2.0  # standard deviations of the prior, in half-widths of the region
MOST_EVENTS = 2500  # a covariance of 800 MB


class Model(NamedTuple):
    """Hyper-parameters: covariance of path terms and errors of picks."""

    kernel: PathKernel
    noise: PickNoise


class Settings(NamedTuple):
    """Rounds of all events; whether, on how many events and in how many rounds the kernel of path terms is learnt.

    `speed_error` is the relative standard deviation of speeds about the sources, which path terms do not take up.
    """

    rounds: int = 5
    learn: bool = True
    learn_events: int = 250
    learn_rounds: int = 25
    speed_error: float = VelocityError().speed


class Problem(NamedTuple):
    """Picks on the rows of one list of stations, the region, and travel times with their slopes in s/km from places.

    Hypocentres are not above the `ground`, where there is one.
    """

    pick_s: Float[np.ndarray, "event station phase"]
    mask: Bool[np.ndarray, "event station phase"]
    region: Region
    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    ground: Ground | None = None


class Fit(NamedTuple):
    """A fitted joint model; `hypocentre` is the most probable one, `log_density` that of each pick by others."""

    hypocentre: Float[np.ndarray, "event 4"]
    solution: Solution
    model: Model
    factors: list[Factors]
    log_density: Float[np.ndarray, " pick"]


def build(
    setup: Setup,
    *,
    rounds: int = 5,
    learn: bool = True,
    learn_events: int = 250,
    learn_rounds: int = 25,
    spacing_km: float = 0.25,
) -> Locator:
    """The joint locator with first arrivals of the setup's velocity model.

    Args:
        setup: region, stations and velocity model.
        rounds: of all events, after hyper-parameters are learnt.
        learn: whether the hyper-parameters of path terms are estimated; False: as `start_kernel`.
        learn_events: number of events that they are estimated from.
        learn_rounds: rounds of these events.
        spacing_km: of the nodes of the travel-time table.

    Raises:
        ValueError: where there is no velocity model, or a number of rounds or events is not positive.
    """
    speed_error = (setup.velocity_error or VelocityError()).speed
    settings = Settings(rounds, learn, learn_events, learn_rounds, speed_error)
    return hierarchical(times_of(setup, "hierarchical", spacing_km), setup.region, settings, setup.ground)


def hierarchical(
    times: TravelTimes, region: Region, settings: Settings = Settings(), ground: Ground | None = None
) -> Locator:
    """Locate all events of a batch jointly; one uncertainty for absolute and relative locations.

    Args:
        times: travel times.
        region: search region; the prior is normal, with a standard deviation of `FAR` half-widths about its middle.
        settings: numbers of rounds and events.
        ground: surface that no location is above; posteriors, which are normal, may reach above it.

    Raises:
        ValueError: where a number is not positive; from the locator, where there are no picks, or events are more than
            `MOST_EVENTS`.
    """
    if min(settings.rounds, settings.learn_events, settings.learn_rounds) < 1:
        raise ValueError(f"numbers of rounds and of events must be positive, got {settings}")

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        return posterior_of(fit(np.random.default_rng(seed), observations, times, region, settings, ground=ground))

    return locate


def fit(
    rng: np.random.Generator,
    observations: Observations,
    times: TravelTimes,
    region: Region,
    settings: Settings = Settings(),
    model: Model | None = None,
    ground: Ground | None = None,
) -> Fit:
    """The joint model fitted to all picks, below the `ground`.

    `model` are hyper-parameters to start from, kept where nothing is learnt.
    """
    pick_s, mask, station_km = _checked(observations)
    problem = Problem(pick_s, mask, region, _predictions(times, station_km), ground)
    start = independent_places(problem, first_places(problem, station_km))
    model = Model(start_kernel(), start_noise()) if model is None else model
    if settings.learn:
        rows = neighbours_of_some(rng, start[:, :3], settings.learn_events)
        part = problem._replace(pick_s=pick_s[rows], mask=mask[rows])
        model = rounds_of(rng, part, start[rows], model, settings.learn_rounds, True).model
    return _with_source_error(
        rng, problem, rounds_of(rng, problem, start, model, settings.rounds, False), settings.speed_error
    )


def _with_source_error(rng: np.random.Generator, problem: Problem, fitted: Fit, speed_error: float) -> Fit:
    """The fit with what wrong speeds about the sources add to its posterior."""
    travel_s, _ = problem.predict(fitted.hypocentre[:, :3])
    count = np.maximum(problem.mask.sum((1, 2)), 1)
    error = source_error(fitted.hypocentre[:, :3], (travel_s * problem.mask).sum((1, 2)) / count, speed_error)
    covariance, draws = with_error(rng, fitted.solution.covariance, fitted.solution.draws, error)
    return fitted._replace(solution=fitted.solution._replace(covariance=covariance, draws=draws))


def rounds_of(
    rng: np.random.Generator,
    problem: Problem,
    hypocentre: Float[np.ndarray, "event 4"],
    model: Model,
    rounds: int,
    learn: bool,
) -> Fit:
    """Rounds of all unknowns of a problem, and a last solution of the hypocentres."""
    picks = station_picks(problem.mask)
    observed = [problem.pick_s[each.event, station, each.phase] for station, each in enumerate(picks)]
    factors = _first_factors(observed, picks, model.noise)
    middle, precision = _prior(problem.region, len(hypocentre))
    start, log_density = model, np.zeros(0)
    for turn in itertools.count():
        travel_s, slope = problem.predict(hypocentre[:, :3])
        predicted_s = travel_s + hypocentre[:, None, None, 3]
        with jax.enable_x64(True):
            systems = station_systems(picks, model.kernel, hypocentre[:, :3], factors, predicted_s, slope)
            solution = solve(rng, picks, systems, precision, middle - hypocentre)
            hypocentre, kernel = _inside(hypocentre + _bounded(solution.change), problem), model.kernel
            if turn == rounds:
                return Fit(hypocentre, solution, model, factors, log_density)
            if learn and turn >= QUIET:
                kernel = stepped(
                    kernel, start.kernel, slope_of(rng, picks, systems, solution, kernel, hypocentre[:, :3])
                )
            others = by_others(picks, systems, solution, factors)
            noise, factors, log_density = _new_factors(model.noise, picks, observed, predicted_s, others, factors, turn)
        model = Model(kernel, noise)
    raise AssertionError("the loop ends by its last round")


def neighbours_of_some(
    rng: np.random.Generator, place_km: Float[np.ndarray, "event 3"], number: int
) -> Int[np.ndarray, " row"]:
    """Rows of the events nearest to a few events chosen by chance: hyper-parameters are learnt from near events."""
    centres = rng.choice(len(place_km), min(CENTRES, len(place_km)), replace=False)
    apart = np.linalg.norm(place_km[:, None] - place_km[centres], axis=-1).min(1)
    return np.sort(np.argsort(apart)[:number])


def independent_places(
    problem: Problem, hypocentre: Float[np.ndarray, "event 4"], rounds: int = 20
) -> Float[np.ndarray, "event 4"]:
    """Each event by itself: damped least squares with Cauchy's weights, a start for the joint rounds."""
    middle, precision = _prior(problem.region, len(hypocentre))
    for turn in range(rounds):
        travel_s, slope = problem.predict(hypocentre[:, :3])
        left_s = np.where(problem.mask, problem.pick_s - travel_s - hypocentre[:, None, None, 3], 0.0)
        scale_s = ALONE_SD_S * (1 + 4 * 0.7**turn)
        weight = problem.mask / (scale_s**2 + left_s**2)
        full = np.concatenate([slope, np.ones((*slope.shape[:-1], 1))], -1)
        information = np.einsum("esp,espa,espb->eab", weight, full, full) + np.einsum(
            "ea,ab->eab", precision + ALONE_DAMPING, np.eye(4)
        )
        right = np.einsum("esp,espa->ea", weight * left_s, full) + precision * (middle - hypocentre)
        change = np.linalg.solve(information, right[..., None])[..., 0]
        hypocentre = _inside(hypocentre + _bounded(change), problem)
    return hypocentre


def posterior_of(fitted: Fit) -> Posterior:
    """Normal posteriors of the events, and draws of all of them at once."""
    mean, solution = fitted.hypocentre, fitted.solution
    covariance = np.einsum("iaib->iab", solution.covariance)
    mixture = gaussian_mixture(
        jnp.zeros((len(mean), 1)), jnp.asarray(mean)[:, None], jnp.asarray(np.linalg.cholesky(covariance))[:, None]
    )
    jointly = mean[:, None] + np.moveaxis(solution.draws, 1, 2)
    return Posterior(mixture, jnp.zeros(covariance.shape), jnp.asarray(covariance), jointly=jnp.asarray(jointly))


def first_places(problem: Problem, station_km: Float[np.ndarray, "station 3"]) -> Float[np.ndarray, "event 4"]:
    """Where to start: about the stations of the earliest picks, at a third of the region's depth."""
    first_s = np.where(problem.mask, problem.pick_s, np.inf).min(-1)
    earliest_s = first_s.min(1, keepdims=True)
    wait_s = np.where(np.isfinite(first_s), first_s, np.inf) - np.where(np.isfinite(earliest_s), earliest_s, 0.0)
    weight = np.exp(-wait_s)
    place = weight @ station_km[:, :2] / np.maximum(weight.sum(1, keepdims=True), 1e-12)
    low, high = problem.region.depth_km
    depth_km = np.full_like(earliest_s, low + (high - low) / 3)
    known = np.where(np.isfinite(earliest_s), earliest_s - BEFORE_S, np.mean(problem.region.origin_s))
    return np.concatenate([place, depth_km, known], 1)


def _first_factors(observed: list[np.ndarray], picks: list[StationPicks], noise: PickNoise) -> list[Factors]:
    """Picks as they are, with the standard deviation of most of them."""
    sd_s = np.exp(noise.form.log_sd)
    return [Factors(time_s, sd_s[each.phase] ** 2) for time_s, each in zip(observed, picks, strict=True)]


def _checked(observations: Observations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picks on the rows of one list of stations."""
    if observations.picks_s is None or observations.pick_mask is None:
        raise ValueError("observations have no picks; the joint model must have picks_s and pick_mask")
    mask = np.asarray(observations.pick_mask & observations.station_mask[..., None])
    pick_s = np.where(mask, np.asarray(observations.picks_s, float), 0.0)
    if not len(mask):
        raise ValueError("there is no event to locate; observations must have at least one")
    if len(mask) > MOST_EVENTS:
        raise ValueError(f"the joint model takes at most {MOST_EVENTS} events at once, got {len(mask)}; split them")
    if not mask.any():
        raise ValueError("there is no pick of any event; the joint model must have some")
    place_km = np.asarray(observations.station_km, float)
    rows, where = np.unique(np.round(place_km[mask.any(-1)], 4), axis=0, return_inverse=True)
    event, station = np.nonzero(mask.any(-1))
    found_s, found = (
        np.zeros((len(mask), len(rows), mask.shape[2])),
        np.zeros((len(mask), len(rows), mask.shape[2]), bool),
    )
    found_s[event, where.ravel()], found[event, where.ravel()] = pick_s[event, station], mask[event, station]
    return found_s, found, rows


def _predictions(times: TravelTimes, station_km: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Places to travel times and their slopes in s/km, [event, station, phase, 3]."""
    travel_s = times(jnp.asarray(station_km, jnp.float32))
    one = lambda place: travel_s(place[None])[0]
    both = jax.jit(jax.vmap(lambda place: (one(place), jax.jacfwd(one)(place))))

    def predict(place_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        time_s, slope = both(jnp.asarray(place_km, jnp.float32))
        return np.asarray(time_s, float), np.asarray(slope, float)

    return predict


def _prior(region: Region, events: int) -> tuple[np.ndarray, np.ndarray]:
    """Middle and precision of the prior of each event."""
    ends = np.asarray(region, float)
    middle, half = ends.mean(1), np.ptp(ends, axis=1) / 2
    return np.tile(middle, (events, 1)), np.tile((FAR * half) ** -2.0, (events, 1))


def _new_factors(
    noise: PickNoise,
    picks: list[StationPicks],
    observed: list[np.ndarray],
    predicted_s: np.ndarray,
    others: list[Factors],
    factors: list[Factors],
    turn: int,
) -> tuple[PickNoise, list[Factors], np.ndarray]:
    """Errors and factors of all picks, given what the others say; and the log-density of each."""
    phase = np.concatenate([each.phase for each in picks])
    at = [predicted_s[each.event, station, each.phase] for station, each in enumerate(picks)]
    given = _joined([each._replace(time_s=each.time_s + time_s) for each, time_s in zip(others, at, strict=True)])
    new = _told(noise, phase, np.concatenate(observed), np.zeros(len(phase)), given)
    both = damped(_joined(factors), new.factors, SHARE if turn else FIRST_SHARE)
    ends = np.cumsum([len(each.event) for each in picks])[:-1]
    parts = zip(*(np.split(np.asarray(values), ends) for values in both), strict=True)
    return refitted(noise, phase, new.responsibility), [Factors(*part) for part in parts], np.asarray(new.log_density)


_told = jax.jit(told)


def _joined(factors: list[Factors]) -> Factors:
    return Factors(*(np.concatenate(values) for values in zip(*factors, strict=True)))


def _bounded(change: Float[np.ndarray, "event 4"]) -> Float[np.ndarray, "event 4"]:
    """Steps no longer than `LARGEST_STEP_KM`: travel times are not linear farther away."""
    length_km = np.abs(change[:, :3]).max(1, keepdims=True)
    return change / np.maximum(length_km / LARGEST_STEP_KM, 1.0)


def _inside(hypocentre: Float[np.ndarray, "event 4"], problem: Problem) -> Float[np.ndarray, "event 4"]:
    """Hypocentres within the region, where there are travel times, and below the ground."""
    low, high = np.asarray(problem.region, float).T
    hypocentre = np.clip(hypocentre, [*low[:3], -np.inf], [*high[:3], np.inf])
    if problem.ground is not None:
        surface_km = np.asarray(surface_depth_km(problem.ground, jnp.asarray(hypocentre[:, :3], jnp.float32)), float)
        hypocentre[:, 2] = np.clip(hypocentre[:, 2], np.minimum(surface_km, high[2]), None)
    return hypocentre
