"""The magnitude of an event from those of its stations: a median with an error, over the location's uncertainty."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

BETWEEN_STATIONS_SD = 0.25
EXPECTED_STATIONS = 4.0
"""Standard deviation between stations that is expected before data, and how many more stations it counts as."""
OUTLIER_SD = 3.0
MAD_OF_NORMAL = 1.4826
MEDIAN_VARIANCE = np.pi / 2  # variance of a median over that of a mean, of many normal numbers


class Median(NamedTuple):
    """A magnitude and its standard deviation, which draws it has over the location's uncertainty, and which stations.

    Attributes:
        magnitude: mean over locations of the median over stations.
        sd: of the magnitude, of scatter between stations and location together.
        draws: the medians, each with a normal error of the scatter between stations.
        used: stations that are no outliers.
    """

    magnitude: float
    sd: float
    draws: Float[np.ndarray, " draw"]
    used: Bool[np.ndarray, " station"]


def median_of_stations(
    magnitudes: Float[np.ndarray, "draw station"],
    normal: Float[np.ndarray, " draw"],
    between_stations_sd: float = BETWEEN_STATIONS_SD,
) -> Median:
    """The median over stations for each hypocentre of a location's posterior, and its error.

    Stations farther than three standard deviations from the median are left out (never more than half of them). The
    variance of one station is that of the scatter (1.4826 MAD, squared) of n stations, averaged with the expected one
    as if that came from four more; the error of the median is its root over n, times the root of pi / 2 for three or
    more.

    Args:
        magnitudes: of each hypocentre and station; NaN for a station that has none.
        normal: standard normal numbers, one a hypocentre.
        between_stations_sd: what stations are expected to scatter by.
    """
    known = np.asarray(np.isfinite(magnitudes).all(0))
    if not known.any():
        return Median(np.nan, np.nan, np.full(len(magnitudes), np.nan), known)
    middle = np.median(magnitudes, 0)
    used = known & ~outliers(np.where(known, middle, np.nan), between_stations_sd)
    number = int(used.sum())
    variance = station_variance(middle[used], between_stations_sd)
    error = np.sqrt(variance * (MEDIAN_VARIANCE if number > 2 else 1.0) / number)
    medians = np.median(magnitudes[:, used], 1)
    sd = float(np.hypot(medians.std(), error))
    return Median(float(medians.mean()), sd, medians + error * normal, used)


def outliers(values: Float[np.ndarray, " station"], between_stations_sd: float) -> Bool[np.ndarray, " station"]:
    """Which finite values are farther from the median than `OUTLIER_SD` standard deviations of the scatter."""
    known = np.isfinite(values)
    if known.sum() < 3:
        return np.zeros(len(values), bool)
    sd = np.sqrt(station_variance(values[known], between_stations_sd))
    away = np.abs(values - np.median(values[known]))
    return known & (away > OUTLIER_SD * sd)


def station_variance(values: Float[np.ndarray, " station"], expected_sd: float) -> float:
    """Variance of one station: of the values' scatter, averaged with the expected one."""
    number = len(values)
    scatter = (MAD_OF_NORMAL * np.median(np.abs(values - np.median(values)))) ** 2 if number > 1 else 0.0
    # The median absolute deviation of few values is too small; n - 1 of them are independent.
    return float((EXPECTED_STATIONS * expected_sd**2 + (number - 1) * scatter) / (EXPECTED_STATIONS + number - 1))
