"""Checks of the uncertainties in a QuakeML or NonLinLoc file: what is wrong, and what would be right.

`jaxloc.io.uncertainty_checks` compares the errors, the ellipse and the ellipsoid of an origin with one another; here
are the checks of what that comparison cannot see, the values that would be right, and the corrected file.
`jaxloc.io.lint_nonlinloc` has those of `.hyp` files.
"""

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from obspy.core.event import Catalog, ConfidenceEllipsoid, Event, Origin, OriginUncertainty, QuantityError

from jaxloc.distributions.ellipsoids import confidence_ellipsoid, horizontal_ellipse, quakeml_rotation_deg
from jaxloc.io.catalogue import km_per_degree
from jaxloc.io.catalogue_quakeml import ONE_SIGMA_PERCENT
from jaxloc.io.formats import sample_of
from jaxloc.io.lint_nonlinloc import is_nonlinloc, lint_nonlinloc
from jaxloc.io.locations_quakeml import covariance_in_comment
from jaxloc.io.missing_values import POSSIBLE
from jaxloc.io.reference_catalogue import names_of, read_catalogue
from jaxloc.io.uncertainty_checks import Finding, check_covariances, check_sizes, hypocentre_uncertainty
from jaxloc.io.uncertainty_readings import AGREE

SHALLOW_M = 100.0  # a catalogue of which every depth is less has them in km
FIXED = ("operator assigned", "constrained by depth phases", "constrained by direct phases", "other")
DESCRIPTIONS = {
    "horizontal uncertainty": "horizontal_uncertainty",
    "uncertainty ellipse": "max_horizontal_uncertainty",
    "confidence ellipsoid": "confidence_ellipsoid",
}


class Report(NamedTuple):
    """Findings of a file, how many origins it has, the corrected file, and the events that this leaves."""

    findings: tuple[Finding, ...]
    origins: int
    corrected: bytes
    left: tuple[str, ...]


def lint(path: str | Path) -> Report:
    """Check a QuakeML or NonLinLoc `.hyp` file, recognised by its content.

    Raises:
        ValueError: where the file is missing, is neither, or cannot be read.
    """
    path = Path(path)
    sample = sample_of(path)
    if is_nonlinloc(sample.text):
        return Report(*lint_nonlinloc(path))
    if not sample.text.lstrip("\ufeff \r\n").startswith("<"):
        raise ValueError(
            f"{path} must be QuakeML or a NonLinLoc hypocentre file (.hyp); `jaxloc convert` makes QuakeML"
        )
    return lint_catalogue(read_catalogue(path))


def lint_catalogue(catalogue: Catalog) -> Report:
    """Check all origins of a catalogue; its origins are corrected in place where it is clear what is right."""
    named = list(_named(catalogue))
    findings = list(_depths_in_km(named))
    left = dict.fromkeys(finding.event for finding in findings)
    for name, origin in named:
        found, covariance = _of_origin(name, origin)
        right = (
            None if covariance is None or any(finding.refused for finding in found) else corrected(origin, covariance)
        )
        if found and right is not None:
            found = [finding._replace(message=f"{finding.message}; right is {_text(right)}") for finding in found]
            _put(origin, right, covariance)
        elif found:
            left[name] = None
        findings += found
    text = io.BytesIO()
    if findings:
        catalogue.write(text, format="QUAKEML")
    return Report(tuple(findings), len(named), text.getvalue(), tuple(left))


def _named(catalogue: Catalog) -> Iterator[tuple[str, Origin]]:
    """Origins that have a place, by the name of their event, and their own where it has several."""
    for event in catalogue:
        origins = [each for each in event.origins if each.latitude is not None and each.longitude is not None]
        for origin in origins:
            yield _name(event, origin, len(origins)), origin


def _name(event: Event, origin: Origin, number: int) -> str:
    own = f", origin {str(origin.resource_id).rsplit('/', 1)[-1]}" if number > 1 else ""
    return f"{names_of(event)[0]}{own}"


def _of_origin(name: str, origin: Origin) -> tuple[list[Finding], Float[np.ndarray, "4 4"] | None]:
    """Findings, and the covariance (NaN: unknown) where every check could be made."""
    found = [finding for check in CHECKS for finding in check(name, origin)]
    if any(finding.refused for finding in found):
        return found, None
    covariance, more = hypocentre_uncertainty(name, origin)
    found += more
    if any(finding.refused for finding in found):
        return [finding for finding in found if finding.kind != "uncertainties differ"], None
    known = np.isfinite(covariance.diagonal())
    found += check_covariances([name], covariance[None][:, known][:, :, known]) if known.any() else []
    sized = check_sizes([name], covariance[None])
    return found + sized, None if sized or not known[:2].all() else covariance


def _impossible_depth(name: str, origin: Origin) -> Iterator[Finding]:
    low, high = POSSIBLE["depth_km"]
    depth_km = 0.0 if origin.depth is None else origin.depth / 1000
    if not math.isfinite(depth_km) or not low <= depth_km <= high:
        message = f"depth {depth_km * 1000:g} m is outside of {low * 1000:g} to {high * 1000:g} m"
        thousand = f"; {depth_km:g} m would be possible" if low <= depth_km / 1000 <= high else ""
        yield Finding(
            name, "impossible depth", f"{message}, from the highest ground to the deepest earthquake{thousand}", True
        )


def _depths_in_km(named: list[tuple[str, Origin]]) -> Iterator[Finding]:
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


def corrected(origin: Origin, covariance: Float[np.ndarray, "4 4"]) -> OriginUncertainty:
    """Ellipse and, where the depth's error is known, ellipsoid of a covariance, at the origin's level or 68.27 %."""
    given = origin.origin_uncertainty
    percent = ONE_SIGMA_PERCENT if given is None or not given.confidence_level else given.confidence_level
    level = percent if percent < 1 else percent / 100
    ellipse = horizontal_ellipse(covariance, level)
    region = OriginUncertainty(
        max_horizontal_uncertainty=round(1000 * ellipse.semi_major_km, 3),
        min_horizontal_uncertainty=round(1000 * ellipse.semi_minor_km, 3),
        azimuth_max_horizontal_uncertainty=round(ellipse.azimuth_deg, 3),
        preferred_description="uncertainty ellipse",
        confidence_level=100 * level,
    )
    if not np.isfinite(covariance[:3, :3]).all() or covariance[2, 2] == 0:
        return region
    axes = confidence_ellipsoid(covariance, level)
    region.preferred_description = "confidence ellipsoid"
    region.confidence_ellipsoid = ConfidenceEllipsoid(
        semi_major_axis_length=round(1000 * axes.semi_major_km, 3),
        semi_intermediate_axis_length=round(1000 * axes.semi_intermediate_km, 3),
        semi_minor_axis_length=round(1000 * axes.semi_minor_km, 3),
        major_axis_plunge=round(axes.plunge_deg, 3),
        major_axis_azimuth=round(axes.azimuth_deg, 3),
        major_axis_rotation=round(quakeml_rotation_deg(axes), 3),
    )
    return region


def _text(region: OriginUncertainty) -> str:
    """The values of a corrected origin uncertainty."""
    high, low = region.max_horizontal_uncertainty, region.min_horizontal_uncertainty
    text = f"an ellipse of {high:.4g} by {low:.4g} m at {region.azimuth_max_horizontal_uncertainty:.0f} degrees"
    axes = region.confidence_ellipsoid
    if axes is not None:
        lengths = (axes.semi_major_axis_length, axes.semi_intermediate_axis_length, axes.semi_minor_axis_length)
        text += f", an ellipsoid of {', '.join(f'{length:.4g}' for length in lengths)} m with plunge"
        angles = (axes.major_axis_plunge, axes.major_axis_azimuth, axes.major_axis_rotation)
        text += f" {angles[0]:.0f}, azimuth {angles[1]:.0f}, rotation {angles[2]:.0f} degrees"
    return f"{text} ({region.confidence_level:.4g} %)"


def _put(origin: Origin, region: OriginUncertainty, covariance: Float[np.ndarray, "4 4"] | None) -> None:
    """Put the corrected errors, ellipse and ellipsoid into an origin."""
    assert covariance is not None, "only a known covariance is corrected"
    sd = np.sqrt(covariance.diagonal())
    north_km, east_km = km_per_degree(origin.latitude)
    error = lambda value: QuantityError(uncertainty=float(value), confidence_level=ONE_SIGMA_PERCENT)
    origin.origin_uncertainty = region
    origin.longitude_errors, origin.latitude_errors = error(sd[0] / east_km), error(sd[1] / north_km)
    if np.isfinite(sd[2]):
        origin.depth_errors = error(sd[2] * 1000)
