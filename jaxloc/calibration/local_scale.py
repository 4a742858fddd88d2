"""Recalibration by a temperature that depends on the event: its covariances times exp(a + b . covariates).

Few parameters, by maximum posterior: the likelihood of the calibration truths and a normal prior of the slopes b about
zero, which is one temperature for all events. Heteroscedastic scaling as in Laves and others (2020, MIDL) and Kuppers
and others (2022, ECCV), with covariates in place of a network's features.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Bool, Float, Key
from scipy.interpolate import CubicSpline

from jaxloc.calibration.conformal import fold_of
from jaxloc.calibration.recalibration import LOG_TEMPERATURES, MAPS
from jaxloc.types import COORDINATES, Label, Posterior

SLOPE_SD = 0.5  # prior standard deviation of the slopes: log-temperature a standard deviation of a covariate
LogLikelihood = Callable[[Float[np.ndarray, " event"]], tuple[np.ndarray, np.ndarray]]


def fit_local_scale(
    posterior: Posterior,
    truth: Label,
    covariates: Float[np.ndarray, "event covariate"],
    use: Bool[np.ndarray, " event"] | None = None,
) -> Float[np.ndarray, " covariate+1"]:
    """Intercept and slopes of the log-temperature, by the events of `use` (all, if None) whose truth is known.

    Args:
        posterior: of a batch of events.
        truth: "hypocentre" labels, [event, 4].
        covariates: standardised (`jaxloc.calibration.covariates.scaled`).
        use: mask of the events to fit to.

    Raises:
        ValueError: where no event has a known epicentre.
    """
    tables = MAPS["temperature"].statistics_of(posterior, truth)
    return _fitted(tables, truth, covariates, np.ones(len(covariates), bool) if use is None else np.asarray(use))


def _fitted(
    tables: dict[tuple[int, ...], Float[np.ndarray, "temperature event"]],
    truth: Label,
    covariates: Float[np.ndarray, "event covariate"],
    use: Bool[np.ndarray, " event"],
) -> Float[np.ndarray, " covariate+1"]:
    ((dims, table),) = tables.items()
    kept = np.asarray(truth.mask)[:, list(dims)].all(-1) & use & np.isfinite(table).all(0)
    if not kept.any():
        raise ValueError("no event with a known epicentre to calibrate with; use events whose truth is known")
    design = _design(covariates[kept])
    spline = CubicSpline(LOG_TEMPERATURES, table[:, kept])
    place, low, step = np.arange(len(design)), LOG_TEMPERATURES[0], LOG_TEMPERATURES[1] - LOG_TEMPERATURES[0]

    def loss(values: Float[np.ndarray, " covariate+1"]) -> tuple[float, Float[np.ndarray, " covariate+1"]]:
        log_temperature = np.clip(design @ values, *LOG_TEMPERATURES[[0, -1]])
        at = np.clip(((log_temperature - low) / step).astype(int), 0, len(LOG_TEMPERATURES) - 2)
        cubic, square, slope, constant = spline.c[:, at, place]
        x = log_temperature - LOG_TEMPERATURES[at]
        total = (((cubic * x + square) * x + slope) * x + constant).sum()
        gradient = ((3 * cubic * x + 2 * square) * x + slope) @ design
        prior = np.append(0.0, values[1:]) / SLOPE_SD**2
        return float(0.5 * prior @ values - total), prior - gradient

    start = np.zeros(design.shape[1])
    start[0] = LOG_TEMPERATURES[table[:, kept].sum(1).argmax()]
    return scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x


def _design(covariates: Float[np.ndarray, "event covariate"]) -> Float[np.ndarray, "event covariate+1"]:
    return np.concatenate([np.ones((len(covariates), 1)), covariates], 1)


def temperatures(
    values: Float[np.ndarray, " covariate+1"], covariates: Float[np.ndarray, "event covariate"]
) -> Float[np.ndarray, " event"]:
    """The temperature of each event, within the range that temperatures are fitted in."""
    return np.exp(np.clip(_design(covariates) @ values, *LOG_TEMPERATURES[[0, -1]]))


def scaled_locally(
    key: Key[Array, ""],
    values: Float[np.ndarray, " covariate+1"],
    covariates: Float[np.ndarray, "event covariate"],
    posterior: Posterior,
) -> Posterior:
    """The posteriors of a batch of events, each scaled about its mean by the root of its own temperature."""
    return _scaled(key, temperatures(values, covariates), posterior)


def _scaled(key: Key[Array, ""], temperature: Float[np.ndarray, " event"], posterior: Posterior) -> Posterior:
    each = jnp.asarray(np.repeat(temperature[:, None], len(COORDINATES), 1), jnp.float32)
    return MAPS["temperature"].apply(key, each, posterior)


def cross_fitted_locally(
    key: Key[Array, ""],
    posterior: Posterior,
    truth: Label,
    covariates: Float[np.ndarray, "event covariate"],
    *,
    folds: int = 5,
    seed: int = 0,
) -> Posterior:
    """Posteriors of events, each scaled by values that were fitted to the events of the other folds alone.

    Raises:
        ValueError: where there are fewer events than folds, or fewer than two folds.
    """
    fold, tables = fold_of(len(truth.mask), folds, seed), MAPS["temperature"].statistics_of(posterior, truth)
    found = np.ones(len(fold))
    for own in range(folds):
        found[fold == own] = temperatures(_fitted(tables, truth, covariates, fold != own), covariates[fold == own])
    return _scaled(key, found, posterior)
