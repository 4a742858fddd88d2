"""Geiger's method: iterative least squares on arrival times, with a posterior that holds where few stations do.

Events that a network constrains have a mixture over depth of normal epicentres and origin times
(`jaxloc.physics.depth_profile`); it is checked against the likelihood, and events that fail the checks, or have few
stations, are located by importance sampling about many local fits (`jaxloc.physics.local_pieces`): a single station
gives a shell. Pick errors, the error of travel times and outliers are those of `PickErrors`.

`hypoinverse` locates as HYPOINVERSE does and has its error ellipsoid (`jaxloc.physics.hypoinverse`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxloc.distributions.gaussian_mixture import Components, gaussian_mixture, without_weights
from jaxloc.locators.over_events import over_events
from jaxloc.locators.setup import Setup, flat_prior_of, model_share_of, times_of
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.depth_profile import Profile, profile
from jaxloc.physics.gauss_newton import Problem
from jaxloc.physics.hypoinverse import Settings
from jaxloc.physics.hypoinverse import locate as locate_as_hypoinverse
from jaxloc.physics.local_pieces import COMPONENTS, pieces
from jaxloc.physics.pick_errors import PickErrors, check
from jaxloc.physics.picks_on_cells import Picks, Question, TravelTimes, picks_of
from jaxloc.types import Locator, Observations, Posterior

POSTERIORS = ("likelihood", "hypoinverse")
FEWEST_KEPT = 0.2  # of the mixture over depth, or the event is located by importance sampling
CHUNK, FEW_CHUNK = 64, 8  # events at once: of all of them, and of those that are poorly constrained


class Fit(NamedTuple):
    """The mixture over depth of one event, and whether it passed its checks."""

    mixture: Components
    good: Bool[Array, ""]


def geiger(
    times: TravelTimes,
    region: Region,
    log_prior: LogDensity,
    errors: PickErrors = PickErrors(),
    *,
    second_derivatives: bool = False,
) -> Locator:
    """Locate events by their picks.

    Args:
        times: travel times.
        region: search region; no part of a posterior lies outside its depths.
        log_prior: prior density of hypocentres (`jaxloc.physics.priors.log_prior_of`).
        errors: likelihood of picks, of the kind `l2`, with outliers or without.
        second_derivatives: also use those of travel times in the steps (Thurber 1985).

    Raises:
        ValueError: where `errors` are no likelihood or of another kind; from the locator, where there are no picks or
            no events.
    """
    check(errors)
    if errors.kind != "l2":
        raise ValueError(
            f"geiger must have kind l2, got {errors.kind!r}; use octree or grid_search for the others, or outlier=0.05"
        )
    if errors != PickErrors("l2", errors.model_sd_s, errors.model_share, errors.outlier, errors.outlier_range_s):
        raise ValueError(f"geiger has no correlated or limited model errors; use octree for them, got {errors}")
    question = Question(times, region, log_prior, errors)

    def problem_of(observations: Observations) -> tuple[Problem, Float[Array, ""]]:
        picks, reference_s = _from_first(picks_of(observations))
        low, high = (jnp.array(side, jnp.float32) for side in zip(*region[:3], strict=True))
        travel = times(observations.station_km)
        return Problem(picks, travel, errors, low, high, jnp.ones(3), second_derivatives), reference_s

    def fit(observations: Observations) -> Fit:
        problem, reference_s = problem_of(observations)
        found = profile(problem, observations.station_km)
        mixture = _with_prior(question, found, reference_s)
        return Fit(mixture, found.good & (_kept(question, found, mixture) > FEWEST_KEPT))

    def few(key: Key[Array, ""], observations: Observations, start: Components) -> Components:
        problem, reference_s = problem_of(observations)
        moved = start._replace(mean=start.mean.at[:, 3].add(-reference_s))
        found = pieces(key, question, problem, reference_s, moved)
        return found._replace(mean=found.mean.at[:, 3].add(reference_s))

    all_of, few_of = jax.jit(jax.vmap(fit)), jax.jit(jax.vmap(few))

    def locator(key: Key[Array, ""], observations: Observations) -> Posterior:
        number = observations.station_mask.shape[0]
        if number == 0:
            raise ValueError("there is no event to locate; observations must have at least one")
        seen = observations._replace(waveforms=None, sample_mask=None)
        fits = _in_chunks(all_of, CHUNK, (seen,), np.arange(number))
        whole = _padded(fits.mixture)
        poor = np.flatnonzero(~fits.good)
        if len(poor):
            keys = jax.random.split(key, number)
            found = _in_chunks(few_of, FEW_CHUNK, (keys, seen, fits.mixture), poor)
            for all_events, some in zip(whole, found, strict=True):
                all_events[poor] = some
        return _posterior(Components(*map(jnp.asarray, whole)))

    return locator


def hypoinverse(times: TravelTimes, region: Region, settings: Settings = Settings()) -> Locator:
    """Locate events as HYPOINVERSE does: its weights and damped steps, and its ellipsoid as a normal posterior.

    The ellipsoid's errors are too small where the velocity model is wrong in the same way at many stations, and it has
    no meaning for events of fewer than four picks.

    Args:
        times: travel times.
        region: events stay below the top of its depths.
        settings: those of HYPOINVERSE's commands.

    Raises:
        ValueError: from the locator, where there are no picks or no events.
    """
    low, high = (jnp.array(side, jnp.float32) for side in zip(*region[:3], strict=True))

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        picks, reference_s = _from_first(picks_of(observations))
        problem = Problem(picks, times(observations.station_km), PickErrors(), low, high, jnp.ones(3))
        found = locate_as_hypoinverse(problem, observations.station_km, settings)
        mean = found.hypocentre.at[3].add(reference_s)
        mixture = gaussian_mixture(jnp.zeros(1), mean[None], jnp.linalg.cholesky(found.covariance)[None])
        return Posterior(mixture, jnp.zeros((4, 4)), found.covariance)

    return over_events(locate, chunk=CHUNK)


def _from_first(picks: Picks) -> tuple[Picks, Float[Array, ""]]:
    """Picks on a clock that starts with the first of them, and its time: single precision is for times nearby."""
    first_s = jnp.min(jnp.where(picks.mask, picks.time_s, jnp.inf))
    first_s = jnp.where(picks.mask.any(), first_s, 0.0)
    return picks._replace(time_s=jnp.where(picks.mask, picks.time_s - first_s, 0.0)), first_s


def _with_prior(question: Question, found: Profile, reference_s: Float[Array, ""]) -> Components:
    """The mixture on the clock of the picks, its components weighted by the prior."""
    mean = found.mixture.mean.at[:, 3].add(reference_s)
    prior = question.log_prior(mean[:, :3], mean[:, 3:], jnp.zeros(()))[:, 0]
    return found.mixture._replace(log_weight=found.mixture.log_weight + prior, mean=mean)


def _kept(question: Question, found: Profile, weighted: Components) -> Float[Array, ""]:
    """The share of the likelihood's mixture that the prior keeps, against that in the middle of the region's depth.

    Little is left of an event whose picks alone would have it above the ground.
    """
    middle_km = jnp.append(found.mode.place_km[:2], sum(question.region.depth_km) / 2)
    free = question.log_prior(middle_km[None], jnp.full((1, 1), sum(question.region.origin_s) / 2), jnp.zeros(()))[0, 0]
    prior = jnp.nan_to_num(weighted.log_weight - found.mixture.log_weight, nan=-jnp.inf) - free
    return (jax.nn.softmax(found.mixture.log_weight) * jnp.exp(jnp.minimum(prior, 0.0))).sum()


def _in_chunks(locate: Callable, chunk: int, trees: tuple, index: np.ndarray) -> Any:
    """A compiled function of batches on chosen events, `chunk` at a time, the last chunk filled up."""
    rows = np.resize(index, (-(-len(index) // chunk), chunk)) if len(index) else index
    parts = [jax.tree.map(np.asarray, locate(*jax.tree.map(lambda x, r=r: x[r], trees))) for r in rows]
    return jax.tree.map(lambda *x: np.concatenate(x)[: len(index)], *parts)


def _padded(mixture: Components) -> Components:
    """`COMPONENTS` components an event, those beyond the given ones of no weight."""
    events, given = mixture.log_weight.shape
    log_weight = np.full((events, COMPONENTS), -np.inf, np.float32)
    log_weight[:, :given] = mixture.log_weight
    mean = np.repeat(mixture.mean[:, :1], COMPONENTS, 1)
    mean[:, :given] = mixture.mean
    tril = np.repeat(mixture.scale_tril[:, :1], COMPONENTS, 1)
    tril[:, :given] = mixture.scale_tril
    return Components(log_weight, mean, tril)  # pyright: ignore[reportArgumentType]


@jax.jit
def _posterior(parts: Components) -> Posterior:
    mixture = gaussian_mixture(*parts)
    return without_weights(mixture)


def build(
    setup: Setup,
    *,
    posterior: str = POSTERIORS[0],
    model_sd_s: float = 0.0,
    model_share: float | None = None,
    outlier: float = 0.02,
    second_derivatives: bool = False,
    spacing_km: float = 0.5,
) -> Locator:
    """Geiger's method with first arrivals of the setup's velocity model and a flat prior over its region.

    Args:
        setup: region, stations and velocity model.
        posterior: "likelihood", or "hypoinverse" for its weights and ellipsoid at its defaults, which are normal and
            know none of the next four settings.
        model_sd_s: standard deviation of travel times in s.
        model_share: standard deviation of travel times as a share of them; None: by the velocity model's error
            (`jaxloc.locators.setup.model_share_of`).
        outlier: probability of an outlier.
        second_derivatives: also use those of travel times (Thurber 1985).
        spacing_km: of the nodes of the travel-time table.

    Raises:
        ValueError: where there is no velocity model, or a setting is wrong.
    """
    if posterior not in POSTERIORS:
        raise ValueError(f"posterior must be one of {', '.join(POSTERIORS)}, got {posterior!r}")
    errors = PickErrors("l2", model_sd_s, model_share_of(setup, model_share), outlier)
    times = times_of(setup, "geiger", spacing_km)
    if posterior == "hypoinverse":
        if (model_sd_s, model_share, outlier, second_derivatives) != (0.0, None, 0.02, False):
            raise ValueError(
                "posterior=hypoinverse has its own errors: leave out model_sd_s, model_share, outlier and "
                "second_derivatives"
            )
        if setup.ground is not None:
            raise ValueError("posterior=hypoinverse has no prior, and no ground: leave out the topography")
        return hypoinverse(times, setup.region)
    return geiger(times, setup.region, flat_prior_of(setup), errors, second_derivatives=second_derivatives)
