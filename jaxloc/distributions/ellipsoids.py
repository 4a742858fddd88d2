"""Confidence ellipses and ellipsoids of a Gaussian location, in the terms of QuakeML and IMS 1.0.

Covariances are over (east, north, depth) in km^2, depth positive downwards; more rows and columns behind (the
origin time) are ignored. A region of confidence level q in d dimensions is the set whose squared Mahalanobis
distance is at most the q quantile of chi-square with d degrees of freedom: the ellipse is the region of the
epicentre alone (d = 2), the ellipsoid that of the whole location (d = 3).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats


class Ellipse(NamedTuple):
    """Semi-axes in km and the azimuth of the major one, 0..180 degrees clockwise from north."""

    semi_major_km: float
    semi_minor_km: float
    azimuth_deg: float


class Ellipsoid(NamedTuple):
    """Semi-axes in km and the orientation, in degrees.

    Azimuth (0..360, clockwise from north) and plunge (0..90, downwards) are those of the major axis. At
    rotation 0 the minor axis lies in the vertical plane of the major axis; positive rotation turns it
    clockwise as seen looking down the plunging major axis (0..180). That is the Tait-Bryan heading,
    elevation and bank of QuakeML 1.2 with the axes major, intermediate, minor for x, y, z.
    """

    semi_major_km: float
    semi_intermediate_km: float
    semi_minor_km: float
    plunge_deg: float
    azimuth_deg: float
    rotation_deg: float


def _checked(covariance: Float[np.ndarray, "d d"], size: int, level: float) -> Float[np.ndarray, "size size"]:
    if not 0 < level < 1:
        raise ValueError(f"confidence level must lie between 0 and 1, got {level}; 90 % is 0.9")
    covariance = np.asarray(covariance, float)
    if covariance.ndim != 2 or min(covariance.shape) < size:
        raise ValueError(f"covariance must have at least {size} rows and columns, got shape {covariance.shape}")
    part = covariance[:size, :size]
    if not np.isfinite(part).all():
        raise ValueError(f"covariance must be finite, got {part.tolist()}")
    return (part + part.T) / 2


def _principal(covariance: Float[np.ndarray, "d d"], factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Semi-axes, longest first, and their directions as columns."""
    variances, directions = np.linalg.eigh(covariance)
    if variances[0] < -1e-6 * max(variances[-1], 1e-12):
        raise ValueError(f"covariance must have no negative eigenvalue, got {variances[0]:.3g}")
    return factor * np.sqrt(np.maximum(variances[::-1], 0)), directions[:, ::-1]


def chi(level: float, dimensions: int) -> float:
    """Mahalanobis radius that holds a share `level` of a Gaussian in some dimensions; 1-D 0.683 gives 1."""
    return float(np.sqrt(stats.chi2.ppf(level, dimensions)))


def horizontal_ellipse(covariance: Float[np.ndarray, "d d"], level: float = 0.9) -> Ellipse:
    """The confidence ellipse of the epicentre.

    Raises:
        ValueError: where the level is outside 0..1 or the covariance is no finite positive matrix.
    """
    lengths, directions = _principal(_checked(covariance, 2, level), chi(level, 2))
    east, north = directions[:, 0]
    azimuth_deg = np.rad2deg(np.arctan2(east, north)) % 180
    return Ellipse(float(lengths[0]), float(lengths[1]), float(azimuth_deg))


def confidence_ellipsoid(covariance: Float[np.ndarray, "d d"], level: float = 0.9) -> Ellipsoid:
    """The confidence ellipsoid of the location.

    Raises:
        ValueError: where the level is outside 0..1 or the covariance is no finite positive matrix.
    """
    lengths, directions = _principal(_checked(covariance, 3, level), chi(level, 3))
    major, minor = directions[:, 0], directions[:, 2]
    major = -major if major[2] < 0 else major
    plunge = np.arctan2(major[2], np.hypot(major[0], major[1]))
    azimuth = np.arctan2(major[0], major[1])
    _, right, below = _frame(azimuth, plunge)
    rotation = np.arctan2(-minor @ right, minor @ below)
    angles_deg = np.rad2deg([plunge, azimuth % (2 * np.pi), rotation % np.pi])
    return Ellipsoid(*map(float, lengths), *map(float, angles_deg))


def _frame(azimuth: float, plunge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (east, north, down) along the major axis, horizontally right of it, and below it."""
    sin_a, cos_a, sin_p, cos_p = np.sin(azimuth), np.cos(azimuth), np.sin(plunge), np.cos(plunge)
    return (
        np.array([cos_p * sin_a, cos_p * cos_a, sin_p]),
        np.array([cos_a, -sin_a, 0.0]),
        np.array([-sin_p * sin_a, -sin_p * cos_a, cos_p]),
    )


def ellipsoid_axes(ellipsoid: Ellipsoid) -> Float[np.ndarray, "3 3"]:
    """Directions of the major, intermediate and minor axis as columns (east, north, down)."""
    plunge, azimuth, rotation = np.deg2rad(ellipsoid[3:])
    along, right, below = _frame(azimuth, plunge)
    sin_r, cos_r = np.sin(rotation), np.cos(rotation)
    return np.stack([along, cos_r * right + sin_r * below, cos_r * below - sin_r * right], -1)


def ellipsoid_covariance(ellipsoid: Ellipsoid, level: float = 0.9) -> Float[np.ndarray, "3 3"]:
    """The covariance in km^2 of (east, north, depth) that an ellipsoid of a confidence level stands for."""
    axes = ellipsoid_axes(ellipsoid)
    variances = (np.array(ellipsoid[:3]) / chi(level, 3)) ** 2
    return axes * variances @ axes.T
