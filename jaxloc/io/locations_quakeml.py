"""Locations with uncertainties from QuakeML of any program; true hypocentres come from a file of their own.

The covariance is that in a comment, where jaxloc wrote one, else what errors of latitude, longitude and depth, ellipse
and ellipsoid agree on (`jaxloc.io.uncertainty_checks`). Ellipses and ellipsoids are regions of the confidence level of
a normal distribution in two and three dimensions; without a level they are not used.
"""

import json
import math
from pathlib import Path

import numpy as np
from obspy.core.event import Origin

from jaxloc.io.locations import Located, Predictions, against
from jaxloc.io.reference_catalogue import by_name, names_of, origin_of, read_catalogue, read_truths, seconds
from jaxloc.io.uncertainty_checks import hypocentre_uncertainty

COVARIANCE, NO_START = "covariance over east_km, north_km, depth_km, origin_s: ", "start of the record unknown"


def read_quakeml(path: str | Path, truth: str | Path) -> Predictions:
    """Read QuakeML and the true hypocentres of its events, matched by id (description or resource id of an event).

    Raises:
        ValueError: where a file is missing, empty or cannot be read, an event has no origin or no uncertainty of its
            epicentre, uncertainties contradict each other, places are impossible, or no event has a true hypocentre;
            names it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such file of predictions: {path}; the path must name a CSV, QuakeML or NonLinLoc file")
    catalogue = read_catalogue(path)
    if not len(catalogue):
        raise ValueError(f"{path} has no event; it must have at least one")
    found = [located(path, names_of(event), origin_of(path, event)) for event in catalogue]
    return against(path, found, by_name([one.names for one in found], read_truths(truth)))


def located(path: Path, names: tuple[str, ...], origin: Origin) -> Located:
    """An origin with one covariance, and findings on how that was come by.

    Raises:
        ValueError: where a covariance in a comment of jaxloc's cannot be read.
    """
    depth_km = math.nan if origin.depth is None else origin.depth / 1000
    # An origin time counted from an unknown start has the date of 1970.
    timeless = any(NO_START in (comment.text or "") for comment in origin.comments)
    origin_s = math.nan if timeless else seconds(origin.time)
    covariance, findings = covariance_in_comment(path, names[0], origin), []
    if covariance is None:
        covariance, findings = hypocentre_uncertainty(names[0], origin)
    return Located(names, origin.latitude, origin.longitude, depth_km, origin_s, covariance, findings=tuple(findings))


def covariance_in_comment(path: Path, name: str, origin: Origin) -> np.ndarray | None:
    """The covariance over east, north, depth and origin time in km and s that jaxloc wrote; None without one.

    Raises:
        ValueError: where it cannot be read or has another shape; names the event.
    """
    text = next((text for comment in origin.comments if (text := comment.text or "").startswith(COVARIANCE)), None)
    if text is None:
        return None
    try:
        covariance = np.array(json.loads(text[len(COVARIANCE) :]), float)
    except ValueError as error:
        raise ValueError(f"{path}: the covariance in a comment on event {name} cannot be read: {error}") from error
    if covariance.shape != (4, 4):
        raise ValueError(
            f"{path}: the covariance in a comment on event {name} must have shape (4, 4), got {covariance.shape}"
        )
    return covariance
