"""Speeds of layers, Vp/Vs, station terms, lateness of picks and hypocentres from the picks of many events together.

The joint inversion of Kissling and others (1994, JGR 99, doi:10.1029/93JB03138) with priors in place of damping:
normal priors of speeds (`jaxloc.physics.model_errors.before_data`), of station terms and of the lateness of picks,
Gauss and Newton's steps, the hypocentres taken out of each step event by event (Pavlis & Booker 1980, JGR 85).
Residuals have Student's t distribution, whose scale is fitted too: that of picks times a factor, a constant, and a
share of the travel time. What comes out has a covariance, so that locations can be integrated over what the events
leave unknown.

Differs from Kissling and others: the information of each event counts by `TEMPERING`, since events near each other
share the errors of their paths and say the same thing repeatedly.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.model_errors import ModelErrors, before_events, factor_of, slopes
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.physics.velocity_error import VelocityError

FREEDOM = 4.0  # degrees of freedom of residuals
ROUNDS = 12
SMALLEST = 1e-10  # variance, where all layers have the same error
TEMPERING = 0.5  # of the information of each event
TERM_SD_S = (0.1, 0.17)  # of station terms of P and S before data
PLACE_SD_KM = (20.0, 20.0, 10.0)  # of a hypocentre about where it starts
LARGEST_STEP_KM = 3.0
SWEEPS = 4  # through the parameters of the scale of residuals


class EventPicks(NamedTuple):
    """Picks of events on the rows of one list of stations, in s, each event on a clock of its own."""

    time_s: Float[np.ndarray, "event station phase"]
    sigma_s: Float[np.ndarray, "event station phase"]
    mask: Bool[np.ndarray, "event station phase"]


class Scale(NamedTuple):
    """Standard deviations of residuals: of picks times `of_picks` (P, S), a constant, a share of the travel time."""

    of_picks: tuple[float, float] = (1.0, 1.0)
    constant_s: float = 0.1
    share: float = 0.02


CHOICES: tuple[tuple[Callable[[Scale, float], Scale], np.ndarray], ...] = (
    (lambda scale, value: scale._replace(of_picks=(value, scale.of_picks[1])), np.geomspace(0.25, 2.0, 13)),
    (lambda scale, value: scale._replace(of_picks=(scale.of_picks[0], value)), np.geomspace(0.25, 2.0, 13)),
    (lambda scale, value: scale._replace(constant_s=value), np.geomspace(0.003, 0.5, 24)),
    (lambda scale, value: scale._replace(share=value), np.concatenate([[0.0], np.geomspace(0.002, 0.08, 16)])),
)
"""How each parameter of the scale is changed, and its values."""


class Inverted(NamedTuple):
    """What the events have told.

    `term_s` are station terms of P and S, `late` how late picks of P and S are in their standard deviations, `errors`
    what is still unknown of all this. `rms_s` is the root mean square of residuals, weighted by their probability of
    being no outliers, before and after.
    """

    model: VelocityModel
    term_s: Float[np.ndarray, "station phase"]
    late: Float[np.ndarray, " phase"]
    errors: ModelErrors
    scale: Scale
    hypocentre_km: Float[np.ndarray, "event 3"]
    rms_s: tuple[float, float]


class _Rays(NamedTuple):
    """Of all picks of all events: travel times in s, and their slopes by place and by logarithms of speeds."""

    time_s: Float[np.ndarray, "event station phase"]
    by_place: Float[np.ndarray, "event station phase 3"]
    by_speed: Float[np.ndarray, "event station phase layer"]


def invert(
    picks: EventPicks,
    start_km: Float[np.ndarray, "event 3"],
    station_km: Float[np.ndarray, "station 3"],
    model: VelocityModel,
    times: TravelTimes,
    region: Region,
    error: VelocityError,
) -> Inverted:
    """The most probable speeds, station terms, lateness and hypocentres, and the covariance of all but the last.

    Args:
        picks: of each event; one with fewer than five tells nothing.
        start_km: hypocentres to start from.
        station_km: of all stations.
        model: layers before data.
        times: first arrivals in them, of a round earth where this matters.
        region: hypocentres stay within its depths.
        error: standard deviations of the model.
    """
    layers, stations = len(model.top_km), len(station_km)
    unknowns = 2 * layers + 2 * stations + 2
    precision = np.linalg.inv(_before(model, error, stations))
    predict, ready = _rays_of(model, station_km), times(jnp.asarray(station_km, jnp.float32))

    def seen_from(state: np.ndarray, place_km: np.ndarray, scale: Scale) -> tuple[_Rays, np.ndarray]:
        """Travel times, those of the given layers plus what changed speeds change, and residuals."""
        rays, given = predict(place_km, _changed(model, state, layers)), predict(place_km, model)
        travel_s = np.asarray(ready(jnp.asarray(place_km, jnp.float32)), float) + rays.time_s - given.time_s
        late_s = state[2 * layers : -2].reshape(stations, 2) + state[-2:] * picks.sigma_s
        residual_s = np.where(picks.mask, picks.time_s - travel_s - late_s, 0.0)
        return rays._replace(time_s=travel_s), residual_s - _origin_s(residual_s, picks, travel_s, scale)

    state, place_km, scale = np.zeros(unknowns), np.asarray(start_km, float), Scale()
    rays, residual_s = seen_from(state, place_km, scale)
    first_s = _rms_s(residual_s, _weight(residual_s, picks, rays.time_s, scale))
    information = precision
    for step in range(ROUNDS):
        weight = _weight(residual_s, picks, rays.time_s, scale)
        of_picks, gradient, back = _normal_equations(
            rays, residual_s, weight, picks.sigma_s, layers, place_km - start_km
        )
        information = of_picks + precision
        moved = np.linalg.solve(information, gradient - precision @ state)
        state, place_km = state + moved, _moved(place_km, back(moved), region)
        rays, residual_s = seen_from(state, place_km, scale)
        if step:
            scale = _fitted(scale, residual_s, picks, rays.time_s, unknowns)
    found = _changed(model, state, layers)
    errors = ModelErrors(found, np.asarray(station_km, float), factor_of(np.linalg.inv(information)))
    last_s = _rms_s(residual_s, _weight(residual_s, picks, rays.time_s, scale))
    term_s = state[2 * layers : -2].reshape(stations, 2)
    return Inverted(found, term_s, state[-2:], errors, scale, place_km, (first_s, last_s))


def _before(model: VelocityModel, error: VelocityError, stations: int) -> Float[np.ndarray, "unknown unknown"]:
    """Covariance of logarithms of speeds, of station terms and of lateness before data."""
    joint = before_events(model, error, np.tile(TERM_SD_S, stations))
    return joint + SMALLEST * np.eye(len(joint))


def _changed(model: VelocityModel, state: Float[np.ndarray, " unknown"], layers: int) -> VelocityModel:
    """The model with the changes of logarithms of speeds."""
    top_km, vp, vs = (np.asarray(x, float) for x in model)
    speeds: Any = (vp * np.exp(state[:layers]), vs * np.exp(state[layers : 2 * layers]))
    return VelocityModel(jnp.asarray(top_km), *speeds)


def _rays_of(
    model: VelocityModel, station_km: Float[np.ndarray, "station 3"]
) -> Callable[[Float[np.ndarray, "event 3"], VelocityModel], _Rays]:
    """A compiled function of hypocentres and a model to rays."""
    at_stations = jnp.asarray(station_km, jnp.float32)

    @jax.jit
    def rays(place_km: Array, vp: Array, vs: Array) -> _Rays:
        now = VelocityModel(jnp.asarray(model.top_km, jnp.float32), vp, vs)
        return _Rays(*jax.lax.map(lambda place: slopes(now, place, at_stations), place_km))

    def predict(place_km: Float[np.ndarray, "event 3"], now: VelocityModel) -> _Rays:
        arrays = (jnp.asarray(x, jnp.float32) for x in (place_km, now.vp_km_s, now.vs_km_s))
        return jax.tree.map(lambda x: np.asarray(x, float), rays(*arrays))

    return predict


def _variance_s2(picks: EventPicks, travel_s: np.ndarray, scale: Scale) -> np.ndarray:
    return (np.array(scale.of_picks) * picks.sigma_s) ** 2 + scale.constant_s**2 + (scale.share * travel_s) ** 2


def _weight(residual_s: np.ndarray, picks: EventPicks, travel_s: np.ndarray, scale: Scale) -> np.ndarray:
    """Of iteratively reweighted least squares with Student's t of unit variance."""
    variance_s2 = _variance_s2(picks, travel_s, scale) * (FREEDOM - 2) / FREEDOM
    of_t = (FREEDOM + 1) / (FREEDOM + residual_s**2 / variance_s2)
    return np.where(picks.mask, of_t / variance_s2, 0.0)


def _origin_s(
    residual_s: np.ndarray, picks: EventPicks, travel_s: np.ndarray, scale: Scale
) -> Float[np.ndarray, "event 1 1"]:
    """The origin time of each event: from the median of residuals, a few steps of reweighted means."""
    seen = np.where(picks.mask, residual_s, np.nan)
    origin_s = np.nanmedian(seen, axis=(1, 2), keepdims=True)
    for _ in range(5):
        weight = _weight(residual_s - origin_s, picks, travel_s, scale)
        origin_s = (weight * residual_s).sum((1, 2), keepdims=True) / weight.sum((1, 2), keepdims=True)
    return origin_s


def _fitted(scale: Scale, residual_s: np.ndarray, picks: EventPicks, travel_s: np.ndarray, unknowns: int) -> Scale:
    """The scale of largest likelihood, parameter by parameter; residuals are widened by what was fitted to them."""
    seen = picks.mask
    left = seen.sum() - min(4 * len(seen) + unknowns, seen.sum() // 2)
    squared = residual_s[seen] ** 2 * seen.sum() / left

    def log_likelihood(scale: Scale) -> float:
        variance = _variance_s2(picks, travel_s, scale)[seen]
        each = -0.5 * np.log(variance) - (FREEDOM + 1) / 2 * np.log1p(squared / variance / (FREEDOM - 2))
        return float(each.sum())

    for _ in range(SWEEPS):
        for changed, values in CHOICES:
            scale = max((changed(scale, float(value)) for value in values), key=log_likelihood)
    return scale


def _normal_equations(
    rays: _Rays,
    residual_s: Float[np.ndarray, "event station phase"],
    weight: Float[np.ndarray, "event station phase"],
    sigma_s: Float[np.ndarray, "event station phase"],
    layers: int,
    away_km: Float[np.ndarray, "event 3"],
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Information and gradient of all but hypocentres, which are taken out, and the way back to hypocentres."""
    events, stations = residual_s.shape[:2]
    size = 2 * layers + 2 * stations + 2
    information, gradient, parts = np.zeros((size, size)), np.zeros(size), []
    prior = np.diag([0.0, *1 / np.square(PLACE_SD_KM)])
    column = np.arange(2 * stations) + 2 * layers
    for event in range(events):
        seen = np.flatnonzero(weight[event].ravel() > 0)
        w, r = TEMPERING * weight[event].ravel()[seen], residual_s[event].ravel()[seen]
        of_place = np.column_stack([np.ones(len(seen)), rays.by_place[event].reshape(-1, 3)[seen]])
        of_model = np.zeros((len(seen), size))
        by_speed = rays.by_speed[event].reshape(-1, layers)[seen]
        phase = seen % 2
        for which in (0, 1):
            of_model[phase == which, which * layers : (which + 1) * layers] = by_speed[phase == which]
        of_model[np.arange(len(seen)), column[seen]] = 1.0
        of_model[np.arange(len(seen)), size - 2 + phase] = sigma_s[event].ravel()[seen]
        own = np.linalg.inv(of_place.T @ (w[:, None] * of_place) + prior + 1e-9 * np.eye(4))
        cross = of_place.T @ (w[:, None] * of_model)
        pull = of_place.T @ (w * r) - prior @ np.append(0.0, away_km[event])
        information += of_model.T @ (w[:, None] * of_model) - cross.T @ own @ cross
        gradient += of_model.T @ (w * r) - cross.T @ own @ pull
        parts.append((own, cross, pull))

    def back(moved: Float[np.ndarray, " unknown"]) -> Float[np.ndarray, "event 3"]:
        return np.array([(own @ (pull - cross @ moved))[1:] for own, cross, pull in parts])

    return information, gradient, back


def _moved(place_km: np.ndarray, step_km: np.ndarray, region: Region) -> Float[np.ndarray, "event 3"]:
    length = np.linalg.norm(step_km, axis=1, keepdims=True)
    place_km = place_km + step_km * np.minimum(1.0, LARGEST_STEP_KM / np.maximum(length, 1e-9))
    low, high = np.array(region[:3], float).T
    return np.clip(place_km, low, high)


def _rms_s(residual_s: np.ndarray, weight: np.ndarray) -> float:
    return float(np.sqrt((weight * residual_s**2).sum() / weight.sum()))
