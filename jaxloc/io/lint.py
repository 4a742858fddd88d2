"""Checks of the uncertainties in a QuakeML or NonLinLoc file: what is wrong, and what would be right.

`jaxloc.io.uncertainty_checks` compares the errors, the ellipse and the ellipsoid of an origin with one another,
`jaxloc.io.lint_origins` checks what that comparison cannot see, `jaxloc.io.lint_nonlinloc` checks `.hyp` files. Here
are the values that would be right, and the corrected file.
"""

import io
from collections.abc import Iterator
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
from jaxloc.io.lint_origins import CHECKS, depths_in_km
from jaxloc.io.reference_catalogue import names_of, read_catalogue
from jaxloc.io.uncertainty_checks import Finding, check_covariances, check_sizes, hypocentre_uncertainty


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
    findings = list(depths_in_km(named))
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
