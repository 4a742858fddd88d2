"""Origins of QuakeML whose uncertainty is right in each of its three descriptions."""

import numpy as np
from obspy import UTCDateTime
from obspy.core.event import ConfidenceEllipsoid, Origin, OriginUncertainty, QuantityError

from jaxloc.distributions.ellipsoids import chi, confidence_ellipsoid, horizontal_ellipse, quakeml_rotation_deg
from jaxloc.io.catalogue import km_per_degree

LEVEL = 0.9
ROOT = np.array([[4.0, 0.0, 0.0], [1.0, 2.5, 0.0], [1.5, -2.0, 0.9]])
COVARIANCE = ROOT @ ROOT.T
"""East 4 km, north 2.7 km, depth 2.7 km, correlated; axes of 4.9, 2.9 and 0.65 km in general position."""


def origin_of(covariance: np.ndarray = COVARIANCE, level: float = LEVEL, latitude_deg: float = 40.0) -> Origin:
    """The three descriptions of a covariance as QuakeML defines them."""
    north_km, east_km = km_per_degree(latitude_deg)
    east, north, depth = np.sqrt(np.diag(covariance)) * chi(level, 1)
    ellipse, ellipsoid = horizontal_ellipse(covariance, level), confidence_ellipsoid(covariance, level)
    error = lambda value: QuantityError(uncertainty=value, confidence_level=100 * level)
    return Origin(
        time=UTCDateTime(2020, 1, 1), latitude=latitude_deg, longitude=15.0, depth=5000.0,
        longitude_errors=error(east / east_km), latitude_errors=error(north / north_km),
        depth_errors=error(1000 * depth),
        origin_uncertainty=OriginUncertainty(
            max_horizontal_uncertainty=1000 * ellipse.semi_major_km,
            min_horizontal_uncertainty=1000 * ellipse.semi_minor_km,
            azimuth_max_horizontal_uncertainty=ellipse.azimuth_deg,
            confidence_level=100 * level,
            confidence_ellipsoid=ConfidenceEllipsoid(
                semi_major_axis_length=1000 * ellipsoid.semi_major_km,
                semi_intermediate_axis_length=1000 * ellipsoid.semi_intermediate_km,
                semi_minor_axis_length=1000 * ellipsoid.semi_minor_km,
                major_axis_plunge=ellipsoid.plunge_deg,
                major_axis_azimuth=ellipsoid.azimuth_deg,
                major_axis_rotation=quakeml_rotation_deg(ellipsoid),
            ),
        ),
    )  # fmt: skip
