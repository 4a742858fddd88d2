"""Locations with stated errors from QuakeML, of any program; truths come from a file of their own.

An origin states the error of its place in one of several ways. Taken is the first that is there: the covariance in a
comment, as jaxloc writes it; the confidence ellipsoid; the horizontal ellipse, or circle; the errors of latitude and
longitude. Depth and origin time have their own errors, where the first two do not hold them. Ellipses and ellipsoids
are regions of the confidence level of a normal distribution in two and three dimensions; without a level they say
nothing.
"""

import json
import math
from pathlib import Path

import numpy as np
from jaxtyping import Float
from obspy.core.event import Origin, OriginUncertainty, QuantityError

from jaxloc.distributions.ellipsoids import Ellipsoid, chi, ellipsoid_covariance
from jaxloc.io.catalogue import km_per_degree
from jaxloc.io.locations import Located, Predictions, against
from jaxloc.io.reference_catalogue import by_name, names_of, origin_of, read_catalogue, read_truths, seconds

COVARIANCE, NO_START = "covariance over east_km, north_km, depth_km, origin_s: ", "start of the record unknown"


def read_quakeml(path: str | Path, truth: str | Path) -> Predictions:
    """Read QuakeML and the truths of its events, matched by id (an event's description, or its resource id).

    Raises:
        ValueError: where a file is missing, empty or cannot be read, an event has no origin or states no error of its
            epicentre, places are impossible, or no event has a truth; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such file of predictions: {path}")
    catalogue = read_catalogue(path)
    if not len(catalogue):
        raise ValueError(f"{path} holds no event")
    located = [_located(names_of(event), origin_of(path, event)) for event in catalogue]
    return against(path, located, by_name([one.names for one in located], read_truths(truth)))


def _located(names: tuple[str, ...], origin: Origin) -> Located:
    depth_km = math.nan if origin.depth is None else origin.depth / 1000
    # Origin times from an unknown start count from 1970 and mean nothing.
    timeless = any(NO_START in (comment.text or "") for comment in origin.comments)
    origin_s = math.nan if timeless else seconds(origin.time)
    return Located(names, origin.latitude, origin.longitude, depth_km, origin_s, _covariance(origin))


def _covariance(origin: Origin) -> Float[np.ndarray, "4 4"]:
    """East, north, depth and origin time in km and s; NaN on the diagonal where nothing is stated."""
    for comment in origin.comments:
        if (comment.text or "").startswith(COVARIANCE):
            return np.array(json.loads(comment.text[len(COVARIANCE) :]), float)
    whole = np.zeros((4, 4))
    whole[2, 2] = (_sd(origin.depth_errors) / 1000) ** 2
    whole[3, 3] = _sd(origin.time_errors) ** 2
    stated = origin.origin_uncertainty
    level = None if stated is None or not stated.confidence_level else stated.confidence_level / 100
    ellipsoid = None if stated is None or level is None else _ellipsoid(stated, level)
    if ellipsoid is not None:
        whole[:3, :3] = ellipsoid
        return whole
    ellipse = None if stated is None or level is None else _ellipse(stated, level)
    north_km, east_km = km_per_degree(origin.latitude)
    errors = np.diag([(_sd(origin.longitude_errors) * east_km) ** 2, (_sd(origin.latitude_errors) * north_km) ** 2])
    whole[:2, :2] = errors if ellipse is None else ellipse
    return whole


def _sd(error: QuantityError) -> float:
    """Standard deviation that an error of some confidence level (68.27 % if unsaid) stands for; NaN without one."""
    width = error.uncertainty
    if width is None and error.lower_uncertainty is not None and error.upper_uncertainty is not None:
        width = (error.lower_uncertainty + error.upper_uncertainty) / 2
    if width is None:
        return math.nan
    return width / chi(error.confidence_level / 100, 1) if error.confidence_level else width


def _ellipsoid(stated: OriginUncertainty, level: float) -> Float[np.ndarray, "3 3"] | None:
    given = stated.confidence_ellipsoid
    if given is None:
        return None
    lengths_m = (given.semi_major_axis_length, given.semi_intermediate_axis_length, given.semi_minor_axis_length)
    angles_deg = (given.major_axis_plunge, given.major_axis_azimuth, given.major_axis_rotation)
    if None in (*lengths_m, *angles_deg) or min(lengths_m) <= 0:
        return None
    major, intermediate, minor = (length / 1000 for length in lengths_m)
    plunge, azimuth, rotation = angles_deg
    return ellipsoid_covariance(Ellipsoid(major, intermediate, minor, plunge, azimuth, rotation), level)


def _ellipse(stated: OriginUncertainty, level: float) -> Float[np.ndarray, "2 2"] | None:
    """East and north in km2, from the ellipse or else from the circle."""
    circle = stated.horizontal_uncertainty
    major, minor = stated.max_horizontal_uncertainty, stated.min_horizontal_uncertainty
    azimuth = stated.azimuth_max_horizontal_uncertainty
    if major is None or minor is None or azimuth is None:
        return None if circle is None else np.eye(2) * (circle / 1000 / chi(level, 2)) ** 2
    along = np.array([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
    axes = np.stack([along, [-along[1], along[0]]], -1)
    return axes * (np.array([major, minor]) / 1000 / chi(level, 2)) ** 2 @ axes.T
