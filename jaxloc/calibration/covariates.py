"""Covariates that the size of an error may depend on: where an event is, and how well it was recorded."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from jaxloc.data.onsets import Onsets
from jaxloc.distributions.gaussian_mixture import mean
from jaxloc.io.catalogue import azimuthal_gap_deg
from jaxloc.types import Observations, Posterior

NAMES = ("nearest_km", "gap_deg", "stations", "onset")
SMALLEST_SCALE = 1e-3  # a covariate that is the same for all events


class Covariates(NamedTuple):
    """Of each event, on scales on which they vary evenly.

    Attributes:
        nearest_km: log(1 + distance in km of the predicted epicentre to the nearest training event).
        gap_deg: azimuthal gap from the predicted epicentre, in units of 180 degrees.
        stations: log of the number of stations with a record.
        onset: median log-ratio of energies at the strongest onset of each station, as a signal-to-noise ratio.
    """

    nearest_km: Float[np.ndarray, " event"]
    gap_deg: Float[np.ndarray, " event"]
    stations: Float[np.ndarray, " event"]
    onset: Float[np.ndarray, " event"]

    @property
    def table(self) -> Float[np.ndarray, "event covariate"]:
        """All of them side by side."""
        return np.stack(self, -1)


class Scaling(NamedTuple):
    """Mean and standard deviation of each covariate over the calibration events."""

    centre: Float[np.ndarray, " covariate"]
    scale: Float[np.ndarray, " covariate"]


def covariates_of(
    posterior: Posterior,
    observations: Observations,
    trained_km: Float[np.ndarray, "train 2"],
    onsets: Onsets | None,
) -> Covariates:
    """Covariates of a batch of events; those that nothing is known of are 0.

    Args:
        posterior: of each event.
        observations: of the same events; waveforms are not needed.
        trained_km: epicentres of the training events.
        onsets: of the records.
    """
    middle = np.asarray(mean(posterior.hypocentre), float)[:, :2]
    finite = np.where(np.isfinite(middle), middle, 0.0)
    far = KDTree(trained_km).query(finite)[0] if len(trained_km) else np.zeros(len(finite))
    places, active = np.asarray(observations.station_km), np.asarray(observations.station_mask)
    gap = [azimuthal_gap_deg(m, p[a]) for m, p, a in zip(finite, places, active, strict=True)]
    strength = np.zeros(len(finite)) if onsets is None else _median(onsets.log_ratio, np.asarray(onsets.active))
    return Covariates(np.log1p(far), np.array(gap) / 180, np.log(np.maximum(active.sum(1), 1.0)), strength)


def _median(
    values: Float[np.ndarray, "event station"], active: Bool[np.ndarray, "event station"]
) -> Float[np.ndarray, " event"]:
    kept = np.where(active, values, np.nan)
    kept[~active.any(1), 0] = 0.0
    return np.nanmedian(kept, 1)


def scaling_of(covariates: Covariates) -> Scaling:
    """The scaling by calibration events."""
    table = covariates.table
    return Scaling(table.mean(0), np.maximum(table.std(0), SMALLEST_SCALE))


def scaled(scaling: Scaling, covariates: Covariates) -> Float[np.ndarray, "event covariate"]:
    """Covariates in standard deviations of the calibration events, within three of them: no further is extrapolated."""
    return np.clip((covariates.table - scaling.centre) / scaling.scale, -3.0, 3.0)
