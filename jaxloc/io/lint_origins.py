"""Checks of what single origins of QuakeML have, and of the depths of a whole file.

`CHECKS` look at what the comparison of an origin's descriptions (`jaxloc.io.uncertainty_checks`) cannot see.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

from obspy.core.event import Origin, OriginUncertainty, QuantityError

from jaxloc.io.locations_quakeml import covariance_in_comment
from jaxloc.io.missing_values import POSSIBLE
from jaxloc.io.uncertainty_checks import Finding, check_covariances
from jaxloc.io.uncertainty_readings import AGREE

SHALLOW_M = 100.0  # a catalogue of which every depth is less has them in km
FIXED = ("operator assigned", "constrained by depth phases", "constrained by direct phases", "other")
DESCRIPTIONS = {
    "horizontal uncertainty": "horizontal_uncertainty",
    "uncertainty ellipse": "max_horizontal_uncertainty",
    "confidence ellipsoid": "confidence_ellipsoid",
}


def _impossible_depth(name: str, origin: Origin) -> Iterator[Finding]:
    low, high = POSSIBLE["depth_km"]
    depth_km = 0.0 if origin.depth is None else origin.depth / 1000
    if not math.isfinite(depth_km) or not low <= depth_km <= high:
        message = f"depth {depth_km * 1000:g} m is outside of {low * 1000:g} to {high * 1000:g} m"
        thousand = f"; {depth_km:g} m would be possible" if low <= depth_km / 1000 <= high else ""
        yield Finding(
            name, "impossible depth", f"{message}, from the highest ground to the deepest earthquake{thousand}", True
        )


def depths_in_km(named: list[tuple[str, Origin]]) -> Iterator[Finding]:
    """A finding for each origin of a catalogue whose depths are all shallower than `SHALLOW_M`, but not all zero."""
    depths = [(name, origin.depth) for name, origin in named if origin.depth]
    if not depths or max(abs(depth) for _, depth in depths) >= SHALLOW_M:
        return
    for name, depth in depths:
        message = (
            f"depth {depth:g} m, and no depth of the file is as much as {SHALLOW_M:g} m: if km are meant, right is"
        )
        yield Finding(name, "depth in km where m are due", f"{message} {depth * 1000:g} m", False)


def _missing(name: str, origin: Origin) -> Iterator[Finding]:
    regions = _described(origin.origin_uncertainty)
    sides = [_width(error) for error in (origin.latitude_errors, origin.longitude_errors)]
    if None in sides and not regions:
        message = (
            "there are no errors of latitude and longitude, no ellipse and no ellipsoid; right are at least errors"
        )
        yield Finding(name, "no horizontal uncertainty", f"{message} of latitude and longitude in degrees", True)
    depth_known = _width(origin.depth_errors) is not None or "confidence ellipsoid" in regions
    if origin.depth is not None and not depth_known and origin.depth_type not in FIXED:
        message = "there is a depth without an error; right is an error in m, or depthType operator assigned if fixed"
        yield Finding(name, "no uncertainty of depth", message, True)


def _described(region: OriginUncertainty | None) -> list[str]:
    """Which of the descriptions an origin uncertainty has; -1 is NonLinLoc's unknown value."""
    if region is None:
        return []
    there = [what for what, name in DESCRIPTIONS.items() if region[name] not in (None, -1)]
    ellipsoid = region.confidence_ellipsoid
    empty = ellipsoid is not None and ellipsoid.semi_major_axis_length is None  # ObsPy's for one that is not there
    return [what for what in there if what != "confidence ellipsoid" or not empty]


def _width(error: QuantityError | None) -> float | None:
    if error is None:
        return None
    if error.uncertainty is not None:
        return error.uncertainty
    low, high = error.lower_uncertainty, error.upper_uncertainty
    return None if low is None or high is None else (low + high) / 2


def _zero(name: str, origin: Origin) -> Iterator[Finding]:
    region = origin.origin_uncertainty
    given = {
        "latitude": _width(origin.latitude_errors),
        "longitude": _width(origin.longitude_errors),
        "epicentre (horizontalUncertainty)": None if region is None else region.horizontal_uncertainty,
        "epicentre (maxHorizontalUncertainty)": None if region is None else region.max_horizontal_uncertainty,
    }
    if zero := [what for what, value in given.items() if value == 0]:
        message = f"the error of {' and '.join(zero)} is zero, which no measurement has; right is its value, or none"
        yield Finding(name, "uncertainty of zero", message, True)


def _without_level(name: str, origin: Origin) -> Iterator[Finding]:
    region = origin.origin_uncertainty
    if region is not None and not region.confidence_level and _described(region):
        message = (
            "the ellipse or ellipsoid has no confidenceLevel and stands for nothing; right is its level in per cent"
        )
        yield Finding(name, "no confidence level", message, True)


def _preferred(name: str, origin: Origin) -> Iterator[Finding]:
    there = _described(origin.origin_uncertainty)
    preferred = None if origin.origin_uncertainty is None else origin.origin_uncertainty.preferred_description
    if preferred in DESCRIPTIONS and preferred not in there:
        message = f"preferredDescription is {preferred}, which is not given; right is {' or '.join(there) or 'none'}"
        yield Finding(name, "preferred description missing", message, True)


def _circle(name: str, origin: Origin) -> Iterator[Finding]:
    """A radius must lie between the semi-axes of the ellipse of its level, or be that of both together."""
    region = origin.origin_uncertainty
    if region is None:
        return
    radius, low, high = (
        region.horizontal_uncertainty,
        region.min_horizontal_uncertainty,
        region.max_horizontal_uncertainty,
    )
    if None in (radius, low, high) or min(radius, low, high) <= 0:
        return
    if not low / AGREE <= radius <= math.hypot(low, high) * AGREE:
        message = (
            f"horizontalUncertainty {radius:g} m, ellipse {high:g} by {low:g} m: right is a radius from {low:g} m to"
        )
        message = f"{message} {math.hypot(low, high):.4g} m"
        yield Finding(name, "circle against ellipse", message, True)


def _angles(name: str, origin: Origin) -> Iterator[Finding]:
    ellipsoid = None if origin.origin_uncertainty is None else origin.origin_uncertainty.confidence_ellipsoid
    if ellipsoid is None:
        return
    ranges = {"major_axis_plunge": 90.0, "major_axis_azimuth": 360.0, "major_axis_rotation": 360.0}
    for what, most in ranges.items():
        value = ellipsoid[what]
        if value is not None and not -most <= value <= most:
            words = what.replace("_", " ")
            message = f"{words} {value:g} is impossible: right is an angle in degrees up to {most:g}"
            yield Finding(name, "impossible axes", message, True)


def _comment(name: str, origin: Origin) -> Iterator[Finding]:
    """A covariance that jaxloc wrote."""
    try:
        covariance = covariance_in_comment(Path("the file"), name, origin)
    except ValueError as error:
        yield Finding(name, "impossible covariance", str(error), True)
        return
    if covariance is not None:
        yield from check_covariances([name], covariance[None])


CHECKS: tuple[Callable[[str, Origin], Iterator[Finding]], ...] = (
    _impossible_depth, _missing, _zero, _without_level, _preferred, _circle, _angles, _comment,
)  # fmt: skip
