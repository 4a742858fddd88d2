"""Conformal levels from calibration events that are similar to each event, in covariates of place and record."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.calibration.conformal import localised_level, similarity
from jaxloc.calibration.covariates import Covariates, Scaling, covariates_of, scaled, scaling_of
from jaxloc.data.onsets import Onsets
from jaxloc.types import Observations, Posterior

LOCAL = "local"  # name of this recalibration and of these levels
WIDTH = 1.0  # of the kernel of similarity, in standard deviations of the covariates


class Local(NamedTuple):
    """What depends on covariates: epicentres of training, their scaling, and the calibration events.

    `levels` are, by region, of the truth of each calibration event, NaN where it is unknown; empty where one level
    serves all events.
    """

    trained_km: Float[np.ndarray, "train 2"]
    scaling: Scaling
    covariates: Float[np.ndarray, "event covariate"]
    levels: dict[str, Float[np.ndarray, " event"]]


def local_of(covariates: Covariates, trained_km: Float[np.ndarray, "train 2"]) -> Local:
    """Covariates of the calibration events, without levels yet."""
    scaling = scaling_of(covariates)
    return Local(trained_km, scaling, scaled(scaling, covariates), {})


def covariates_for(
    local: Local, posterior: Posterior, observations: Observations, onsets: Onsets | None
) -> Float[np.ndarray, "event covariate"]:
    """Standardised covariates of a batch of events, as those of the calibration events."""
    return scaled(local.scaling, covariates_of(posterior, observations, local.trained_km, onsets))


def local_levels(
    local: Local, covariates: Float[np.ndarray, "event covariate"], level: float
) -> dict[str, Float[np.ndarray, " event"]]:
    """By region: the conformal level of each event for a coverage of `level`, from the events similar to it.

    Coverage is nominal over all exchangeable events, not for each kind of event (`conformal.localised_level`).
    """
    wanted, found = np.array([level]), {}
    for region, values in local.levels.items():
        known = np.isfinite(values)
        own = similarity(local.covariates[known], local.covariates[known], WIDTH)
        new = similarity(covariates, local.covariates[known], WIDTH)
        found[region] = np.array([localised_level(values[known], own, each, wanted)[0] for each in new])
    return found
