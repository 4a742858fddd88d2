"""Errors of a layered velocity model, of station terms and of all picks, as errors that an event's arrivals share.

Logarithms of the speeds of layers and station terms err jointly. To first order they add to an arrival time its slopes
by them, so that errors of all arrivals of an event are correlated: a speed too low makes all distant stations early,
and an error of the uppermost layer looks like another depth (Pavlis 1986, BSSA 76, on errors of earth models).

Picks of a phase have a lateness in common, a share of their standard deviations. Where an onset is not clear a picker
reads it late or early by habit, which other records than those it learnt from show: it is late where first motions are
weaker, and early where they are sharper.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.linalg import block_diag

from jaxloc.geometry import distance_km
from jaxloc.physics.known_stations import at_stations
from jaxloc.physics.layered import VelocityModel, mean_vp_vs, travel_time_s
from jaxloc.physics.velocity_error import VelocityError

COMMON_SHARE = 0.5  # of the variance of a layer's speed, that of all layers together
NEARBY_KM = 5.0  # difference of depth where the rest of their correlation has fallen to exp(-1/2)
SHARES = (1.0, 0.3, 0.1, 0.03, 0.0, 0.0, 0.0)  # of the variance of shared errors in the width of residuals, by round
FREEDOM = 4.0  # of Student's t
LATE_SD = 0.5  # of the lateness of picks before data, in their standard deviations
LEAST_SHARE = 1e-6  # of the variance of the largest mode: smaller ones are left out


class ModelErrors(NamedTuple):
    """Covariance of errors as `factor` @ `factor`.T.

    Its rows are natural logarithms of the P speeds of the layers of `model`, then of their S speeds, then the terms of
    the stations at `station_km` in s, P and S of each, then the lateness of P and of S picks in standard deviations.
    """

    model: VelocityModel
    station_km: Float[np.ndarray, "known 3"]
    factor: Float[np.ndarray, "error mode"]


def before_data(model: VelocityModel, error: VelocityError) -> Float[np.ndarray, "speed speed"]:
    """Prior covariance of the logarithms of P speeds and of S speeds of all layers.

    Half of the variance of the speed is of all layers together, half is alike in layers of similar depths; of Vp/Vs
    too.
    """
    top_km = np.asarray(model.top_km, float)
    middle_km = np.append((top_km[:-1] + top_km[1:]) / 2, top_km[-1] + NEARBY_KM)
    near = np.exp(-0.5 * ((middle_km[:, None] - middle_km) / NEARBY_KM) ** 2)
    alike = COMMON_SHARE + (1 - COMMON_SHARE) * near
    of_speed, of_ratio = error.speed**2 * alike, (error.vp_vs / mean_vp_vs(model)) ** 2 * alike
    return np.block([[of_speed, of_speed], [of_speed, of_speed + of_ratio]])


def factor_of(covariance: Float[np.ndarray, "error error"]) -> Float[np.ndarray, "error mode"]:
    """A factor of a covariance, without modes of hardly any variance."""
    variance, vector = np.linalg.eigh(covariance)
    keep = variance > LEAST_SHARE * max(variance.max(initial=0.0), 1e-12)
    return vector[:, keep] * np.sqrt(variance[keep])


def before_events(
    model: VelocityModel, error: VelocityError, term_sd_s: Float[np.ndarray, " term"]
) -> Float[np.ndarray, "unknown unknown"]:
    """Covariance of logarithms of speeds, of station terms and of lateness that no event has told of."""
    parts = before_data(model, error), np.diag(np.square(term_sd_s)), LATE_SD**2 * np.eye(2)
    return np.asarray(block_diag(*parts))


def of_velocity(model: VelocityModel, error: VelocityError) -> ModelErrors:
    """The errors of a velocity model and of picks that no event has told of; stations have no terms."""
    return ModelErrors(model, np.zeros((0, 3)), factor_of(before_events(model, error, np.zeros(0))))


def shared_errors_s(
    errors: ModelErrors,
    place_km: Float[Array, " 3"],
    station_km: Float[Array, "station 3"],
    sigma_s: Float[Array, "station phase"],
) -> Float[Array, "station phase mode"]:
    """What each mode adds to the picks of an event at a place, whose stated standard deviations are `sigma_s`."""
    layers = len(errors.model.top_km)
    _, _, by_speed = slopes(errors.model, place_km, station_km)
    factor = jnp.asarray(errors.factor, jnp.float32)
    of_speeds = jnp.stack([by_speed[:, 0] @ factor[:layers], by_speed[:, 1] @ factor[layers : 2 * layers]], 1)
    found = of_speeds + sigma_s[..., None] * factor[-2:]
    if not len(errors.station_km):
        return found
    terms = factor[2 * layers : -2].reshape(len(errors.station_km), 2, -1)
    return found + at_stations(errors.station_km, terms, station_km)


def widened_s(
    residual_s: Float[Array, " pick"],
    sd_s: Float[Array, " pick"],
    mask: Bool[Array, " pick"],
    shared_s: Float[Array, "pick mode"],
) -> Float[Array, " pick"]:
    """Standard deviations of picks, larger for those that origin time and shared errors do not explain.

    Whitening spreads the residual of a wrong pick over all others, as far as errors are shared. Reweighted least
    squares of Student's t finds wrong picks first, while the part of shared errors in the width of residuals falls.
    """
    variance_s2, of_shared_s2 = sd_s**2, (shared_s**2).sum(-1)
    column_s = jnp.concatenate([jnp.ones((len(sd_s), 1)), shared_s], -1)
    prior = jnp.diag(jnp.ones(column_s.shape[1]).at[0].set(1e-6))
    left_s = residual_s - jnp.nanmedian(jnp.where(mask, residual_s, jnp.nan))
    kept = jnp.ones(len(sd_s))
    for share in SHARES:
        kept = jnp.minimum((FREEDOM + 1) / (FREEDOM + left_s**2 / (variance_s2 + share * of_shared_s2)), 1.0)
        weight = jnp.where(mask, kept / variance_s2, 0.0)
        found = jnp.linalg.solve((column_s.T * weight) @ column_s + prior, (column_s.T * weight) @ residual_s)
        left_s = residual_s - column_s @ found
    return sd_s / jnp.sqrt(kept)


def slopes(
    model: VelocityModel, place_km: Float[Array, " 3"], station_km: Float[Array, "station 3"]
) -> tuple[Float[Array, "station phase"], Float[Array, "station phase 3"], Float[Array, "station phase layer"]]:
    """First arrivals in s over a flat earth, their slopes in s/km by place, and in s by the logarithms of speeds."""
    top_km = jnp.asarray(model.top_km, jnp.float32)
    log_speed = jnp.log(jnp.stack([jnp.asarray(x, jnp.float32) for x in (model.vp_km_s, model.vs_km_s)]))

    def time_s(place: Array, log_of_phase: Array, station: Array) -> Array:
        return travel_time_s(top_km, jnp.exp(log_of_phase), distance_km(place, station), place[2], station[2])

    both = jax.value_and_grad(time_s, (0, 1))
    of_phases = jax.vmap(both, (None, 0, None))
    time, (by_place, by_speed) = jax.vmap(of_phases, (None, None, 0))(place_km, log_speed, station_km)
    return time, by_place, by_speed
