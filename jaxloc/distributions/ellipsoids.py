"""Confidence ellipses and ellipsoids of a Gaussian location, in the terms of QuakeML and IMS 1.0.

Covariances are over (east, north, depth) in km^2, depth positive downwards; further rows and columns (the
origin time) are ignored. A region of confidence level q in d dimensions is the set whose squared Mahalanobis
distance is at most the q quantile of chi-square with d degrees of freedom: the ellipse is the region of the
epicentre alone (d = 2), the ellipsoid that of the hypocentre (d = 3).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from scipy import stats


class PrincipalAxes(NamedTuple):
    """Semi-axes, longest first, and unit vectors along them as columns."""

    semi_axes: Float[Array | np.ndarray, "*event axis"]
    directions: Float[Array | np.ndarray, "*event coordinate axis"]


class Ellipse(NamedTuple):
    """Semi-axes in km and the azimuth of the major one, 0..180 degrees clockwise from north."""

    semi_major_km: float
    semi_minor_km: float
    azimuth_deg: float


class Ellipsoid(NamedTuple):
    """Semi-axes in km and the orientation, in degrees.

    Azimuth (0..360, clockwise from north) and plunge (0..90, downwards) are those of the major axis. At
    rotation 0 the minor axis lies in the vertical plane of the major axis; positive rotation turns it
    clockwise as seen looking down the plunging major axis (0..180). QuakeML counts the rotation from another axis:
    `quakeml_rotation_deg`.
    """

    semi_major_km: float
    semi_intermediate_km: float
    semi_minor_km: float
    plunge_deg: float
    azimuth_deg: float
    rotation_deg: float


def chi(level: float, dimensions: int) -> float:
    """Mahalanobis radius of the region of probability `level` of a Gaussian in some dimensions; 1-D 0.683 gives 1.

    Raises:
        ValueError: where the level is not within 0-1.
    """
    if not 0 < level < 1:
        raise ValueError(f"confidence level must be within 0-1, got {level}; 90 % is 0.9")
    return float(np.sqrt(stats.chi2.ppf(level, dimensions)))


def credible_ellipsoid(covariance: Float[Array | np.ndarray, "*event d d"], level: float) -> PrincipalAxes:
    """The region of probability `level` of a Gaussian, NumPy or JAX as the covariance is.

    Raises:
        ValueError: where the level is not within 0-1.
    """
    xp: Any = covariance.__array_namespace__()
    variances, directions = xp.linalg.eigh(covariance)
    semi_axes = chi(level, covariance.shape[-1]) * xp.sqrt(xp.maximum(variances, 0))
    return PrincipalAxes(semi_axes[..., ::-1], directions[..., ::-1])


def _checked(covariance: Float[np.ndarray, "d d"], size: int) -> Float[np.ndarray, "size size"]:
    covariance = np.asarray(covariance, float)
    if covariance.ndim != 2 or min(covariance.shape) < size:
        raise ValueError(f"covariance must have at least {size} rows and columns, got shape {covariance.shape}")
    part = covariance[:size, :size]
    if not np.isfinite(part).all():
        raise ValueError(f"covariance must be finite, got {part.tolist()}")
    part = (part + part.T) / 2
    variances = np.linalg.eigvalsh(part)
    if variances[0] < -1e-6 * max(variances[-1], 1e-12):
        raise ValueError(f"covariance must have no negative eigenvalue, got {variances[0]:.3g}")
    return part


def horizontal_ellipse(covariance: Float[np.ndarray, "d d"], level: float = 0.9) -> Ellipse:
    """The confidence ellipse of the epicentre.

    Raises:
        ValueError: where the level is not within 0-1 or the covariance is no finite positive semi-definite matrix.
    """
    lengths, directions = credible_ellipsoid(_checked(covariance, 2), level)
    east, north = directions[:, 0]
    azimuth_deg = np.rad2deg(np.arctan2(east, north)) % 180
    return Ellipse(float(lengths[0]), float(lengths[1]), float(azimuth_deg))


def confidence_ellipsoid(covariance: Float[np.ndarray, "d d"], level: float = 0.9) -> Ellipsoid:
    """The confidence ellipsoid of the hypocentre.

    Raises:
        ValueError: where the level is not within 0-1 or the covariance is no finite positive semi-definite matrix.
    """
    lengths, directions = credible_ellipsoid(_checked(covariance, 3), level)
    major, minor = directions[:, 0], directions[:, 2]
    major = -major if major[2] < 0 else major
    plunge = np.arctan2(major[2], np.hypot(major[0], major[1]))
    azimuth = np.arctan2(major[0], major[1])
    _, right, below = _frame(float(azimuth), float(plunge))
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


def ellipse_covariance(ellipse: Ellipse, level: float = 0.9) -> Float[np.ndarray, "2 2"]:
    """The covariance in km^2 of (east, north) that an ellipse of a confidence level stands for."""
    azimuth = np.deg2rad(ellipse.azimuth_deg)
    along = np.array([np.sin(azimuth), np.cos(azimuth)])
    axes = np.stack([along, [-along[1], along[0]]], -1)
    return axes * (np.array(ellipse[:2]) / chi(level, 2)) ** 2 @ axes.T


def quakeml_rotation_deg(ellipsoid: Ellipsoid) -> float:
    """The rotation as QuakeML 1.2 defines it (section 3.3.9), 0..180 degrees: `majorAxisRotation`.

    Tait-Bryan angles heading, elevation and bank turn north, east and down into the major, the minor and the
    intermediate axis: at rotation 0 the minor axis is horizontal, at 90 it lies below the major axis.
    """
    return (ellipsoid.rotation_deg + 90) % 180


def from_quakeml_rotation(rotation_deg: float) -> float:
    """`Ellipsoid.rotation_deg` of a rotation as QuakeML 1.2 defines it."""
    return rotation_deg - 90


def from_nonlinloc_rotation(rotation_deg: float, plunge_deg: float) -> float:
    """`Ellipsoid.rotation_deg` of the rotation that NonLinLoc writes.

    NonLinLoc 7 turns back the plunge by a matrix with a wrong sign (`nllEllipsiod2QMLConfidenceEllipsoid`), so that
    tan(rotation written) = tan(rotation) / cos(2 plunge): right for a level major axis, a mirror image for a steep one.
    """
    rotation = np.deg2rad(rotation_deg)
    right = np.arctan2(np.sin(rotation) * np.cos(2 * np.deg2rad(plunge_deg)), np.cos(rotation))
    return from_quakeml_rotation(float(np.rad2deg(right)))
