"""All events at once: hypocentres, station terms, path terms and pick errors in one hierarchical model.

A pick is origin time, travel time, station term, path term and error. Path terms are Gaussian processes over the place
of the source at each station (`jaxloc.physics.path_terms`), errors mixtures of normal distributions with outliers
(`jaxloc.physics.scale_mixture`); the hyper-parameters of both are estimated from the same picks by marginal likelihood.
Events near each other share their path terms: their relative locations are as sharp as those of double differences
(Waldhauser & Ellsworth 2000, BSSA 90; Rodi & Myers 2008), and the posterior says how sharp, since covariances between
events are kept (`Posterior.difference`).

Each round moves all hypocentres by Gauss and Newton's method, updates the factors that stand for picks, and takes a
step of the hyper-parameters. The posterior is Laplace's: normal about the most probable hypocentres. It lacks the
uncertainty of the hyper-parameters, and path terms of different stations count as independent.

Exact linear algebra: memory grows with the square, time with the third power of the number of events.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.locators.grid_search import table_times
from jaxloc.locators.setup import Setup, velocity_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.joint_system import Solution, StationPicks, by_others, solve, station_picks, station_systems
from jaxloc.physics.marginal_likelihood import slope_of, stepped
from jaxloc.physics.path_terms import PathKernel, start_kernel
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.physics.scale_mixture import Factors, PickNoise, damped, refitted, start_noise, told
from jaxloc.physics.table import table_around
from jaxloc.types import Locator, Observations, Posterior

START_SD_S = (0.05, 0.08)  # of the factors of P and S picks, before any is known
FIRST_SHARE, SHARE = 1.0, 0.7  # of the way to new factors, in the first round and later
LARGEST_STEP_KM = 3.0
STILL_KM = 0.003  # rms step of the last round
FAR = 2.0  # standard deviations of the prior, in half-widths of the region
MOST_EVENTS = 2500  # a covariance of 800 MB


class Model(NamedTuple):
    """Hyper-parameters: covariance of path terms and errors of picks."""

    kernel: PathKernel
    noise: PickNoise


class Fit(NamedTuple):
    """A fitted joint model; `hypocentre` is the most probable one, `log_density` of picks that of each by all others."""

    hypocentre: Float[np.ndarray, "event 4"]
    solution: Solution
    model: Model
    factors: list[Factors]
    log_density: Float[np.ndarray, " pick"]


def build(
    setup: Setup,
    *,
    rounds: int = 12,
    learn: bool = True,
    spacing_km: float = 0.25,
) -> Locator:
    """The joint locator with first arrivals of the setup's velocity model.

    Args:
        setup: region, stations and velocity model.
        rounds: of all unknowns, at most.
        learn: whether the covariance of path terms is estimated; False: as `start_kernel`.
        spacing_km: of the nodes of the travel-time table.

    Raises:
        ValueError: where there is no velocity model, or `rounds` is not positive.
    """
    table = table_around(velocity_of(setup, "hierarchical"), setup.region, setup.station_km, spacing_km)
    return hierarchical(table_times(table), setup.region, rounds=rounds, learn=learn)


def hierarchical(times: TravelTimes, region: Region, *, rounds: int = 12, learn: bool = True) -> Locator:
    """Locate all events of a batch jointly; one uncertainty for absolute and relative locations.

    Args:
        times: travel times.
        region: search region; the prior is normal, with a standard deviation of `FAR` half-widths about its middle.
        rounds: of all unknowns, at most.
        learn: whether the covariance of path terms is estimated.

    Raises:
        ValueError: where `rounds` is not positive; from the locator, where there are no picks, stations differ between
            events, or events are more than `MOST_EVENTS`.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be positive, got {rounds}")

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        return posterior_of(fit(np.random.default_rng(seed), observations, times, region, rounds, learn))

    return locate


def fit(
    rng: np.random.Generator,
    observations: Observations,
    times: TravelTimes,
    region: Region,
    rounds: int = 12,
    learn: bool = True,
    model: Model | None = None,
) -> Fit:
    """The joint model fitted to all picks; `model` are hyper-parameters to start from, kept where `learn` is False."""
    pick_s, mask, station_km = _checked(observations)
    predict = _predictions(times, station_km)
    middle, precision = _prior(region, len(mask))
    hypocentre = first_places(pick_s, mask, station_km, region)
    picks = station_picks(mask)
    observed = [pick_s[each.event, station, each.phase] for station, each in enumerate(picks)]
    factors = [
        Factors(time_s, np.array(START_SD_S)[each.phase] ** 2) for time_s, each in zip(observed, picks, strict=True)
    ]
    start = Model(start_kernel(), start_noise()) if model is None else model
    now, log_density = start, np.zeros(0)
    for turn in range(rounds + 1):
        travel_s, slope = predict(hypocentre[:, :3])
        predicted_s = travel_s + hypocentre[:, None, None, 3]
        with jax.enable_x64(True):
            systems = station_systems(picks, now.kernel, hypocentre[:, :3], factors, predicted_s, slope)
            solution = solve(rng, picks, systems, precision, middle - hypocentre)
            step = _bounded(solution.change)
            if turn == rounds or (turn > 3 and not learn and _rms(step[:, :3]) < STILL_KM):
                break
            kernel = now.kernel
            if learn and turn > 2:
                kernel = stepped(kernel, start.kernel, slope_of(rng, picks, systems, solution, kernel, hypocentre[:, :3]))
            others = by_others(picks, systems, solution, factors)
            noise, factors, log_density = _new_factors(now.noise, picks, observed, predicted_s, others, factors, turn)
        now = Model(kernel, noise)
        hypocentre = _inside(hypocentre + step, region)
    return Fit(_inside(hypocentre + step, region), solution, now, factors, log_density)


def posterior_of(fitted: Fit) -> Posterior:
    """Normal posteriors of the events, and draws of all of them at once."""
    mean, solution = fitted.hypocentre, fitted.solution
    covariance = np.einsum("iaib->iab", solution.covariance)
    mixture = gaussian_mixture(
        jnp.zeros((len(mean), 1)), jnp.asarray(mean)[:, None], jnp.asarray(np.linalg.cholesky(covariance))[:, None]
    )
    jointly = mean[:, None] + np.moveaxis(solution.draws, 1, 2)
    return Posterior(mixture, jnp.zeros(covariance.shape), jnp.asarray(covariance), jointly=jnp.asarray(jointly))


def first_places(
    pick_s: Float[np.ndarray, "event station phase"],
    mask: np.ndarray,
    station_km: Float[np.ndarray, "station 3"],
    region: Region,
) -> Float[np.ndarray, "event 4"]:
    """Where to start: about the stations of the earliest picks, at a third of the region's depth."""
    first_s = np.where(mask, pick_s, np.inf).min(-1)
    wait_s = first_s - first_s.min(1, keepdims=True)
    weight = np.where(np.isfinite(wait_s), np.exp(-np.where(np.isfinite(wait_s), wait_s, 0.0)), 0.0)
    place = weight @ station_km[:, :2] / np.maximum(weight.sum(1, keepdims=True), 1e-12)
    low, high = region.depth_km
    depth_km = np.full((len(mask), 1), low + (high - low) / 3)
    earliest_s = np.where(np.isfinite(first_s.min(1)), first_s.min(1), np.mean(region.origin_s))
    return np.concatenate([place, depth_km, earliest_s[:, None] - 1.5], 1)


def _checked(observations: Observations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picks on the rows of one list of stations."""
    if observations.picks_s is None or observations.pick_mask is None:
        raise ValueError("observations have no picks; the joint model must have picks_s and pick_mask")
    mask = np.asarray(observations.pick_mask & observations.station_mask[..., None])
    pick_s = np.where(mask, np.asarray(observations.picks_s, float), 0.0)
    if len(mask) > MOST_EVENTS:
        raise ValueError(f"the joint model takes at most {MOST_EVENTS} events at once, got {len(mask)}; split them")
    if not mask.any():
        raise ValueError("there is no pick of any event; the joint model must have some")
    place_km = np.asarray(observations.station_km, float)
    rows, where = np.unique(np.round(place_km[mask.any(-1)], 4), axis=0, return_inverse=True)
    event, station = np.nonzero(mask.any(-1))
    found_s, found = np.zeros((len(mask), len(rows), mask.shape[2])), np.zeros((len(mask), len(rows), mask.shape[2]), bool)
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


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _inside(hypocentre: Float[np.ndarray, "event 4"], region: Region) -> Float[np.ndarray, "event 4"]:
    """Hypocentres within the region, where there are travel times."""
    low, high = np.asarray(region, float).T
    return np.clip(hypocentre, [*low[:3], -np.inf], [*high[:3], np.inf])
