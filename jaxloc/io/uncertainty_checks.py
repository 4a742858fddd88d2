"""Uncertainties in the QuakeML of other programs: units, confidence levels and orientations checked before they count.

An origin can describe the error of its hypocentre three times: errors of latitude, longitude (degrees) and depth (m),
a horizontal ellipse (m) and a confidence ellipsoid (m), each at its confidence level in per cent. Programs write km
for m or degrees, fractions for per cent, and rotations of other conventions. `hypocentre_uncertainty` compares the
descriptions with one another and gives one covariance. A reading that differs from the standard is taken where it
alone makes the descriptions agree, and is named by a `Finding`; what cannot be settled is a finding that is `refused`.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from obspy.core.event import Catalog, Origin, QuantityError

from jaxloc.distributions.ellipsoids import Ellipse, Ellipsoid, chi, ellipse_covariance
from jaxloc.io.catalogue import km_per_degree
from jaxloc.io.reference_catalogue import names_of, origin_of
from jaxloc.io.uncertainty_readings import SAME, SIMILAR, Descriptions, Reading, as_in_quakeml, best_reading

LEAST_LEVEL, MOST_SIGMAS = 0.3, 10.0  # a smaller fraction, or so few per cent, is no confidence level of an error
SMALLEST_KM, LARGEST_KM = 0.01, 100.0  # standard deviation of an epicentre that a single description is believed
FURTHEST_KM, DEEPEST_KM = 2000.0, 700.0  # standard deviations that no location in km has
FLATTEST, THINNEST = 20.0, 30.0  # ratios of epicentre to depth error, where the smaller is that of another unit


class Finding(NamedTuple):
    """What is wrong with the uncertainty of an event: `kind` in a few words, `message` with values and remedy."""

    event: str
    kind: str
    message: str
    refused: bool


def check_catalogue(catalogue: Catalog) -> list[Finding]:
    """Findings of all events of a catalogue, in its order; what is wrong with their covariances."""
    return [
        finding
        for event in catalogue
        for finding in hypocentre_uncertainty(names_of(event)[0], origin_of("the catalogue", event))[1]
    ]


def hypocentre_uncertainty(name: str, origin: Origin) -> tuple[Float[np.ndarray, "4 4"], list[Finding]]:
    """Covariance over (east_km, north_km, depth_km, origin_s), NaN on the diagonal where nothing is known; findings.

    Args:
        name: of the event, for the findings.
        origin: with latitude and longitude.
    """
    findings: list[Finding] = []
    given = _descriptions(name, origin, findings)
    whole = np.zeros((4, 4))
    whole[3, 3] = _sd(name, "origin time", origin.time_errors, findings) ** 2
    whole[:3, :3] = _settled(name, given, findings)
    return whole, findings


def refuse(path: object, findings: Iterable[Finding]) -> None:
    """Refuse a file with refused findings.

    Raises:
        ValueError: that names kinds, events and values, the refused ones first.
    """
    ordered = sorted(findings, key=lambda each: not each.refused)
    if ordered and ordered[0].refused:
        raise ValueError(f"{path}: {'; '.join(summary(ordered))}")


def summary(findings: Iterable[Finding], number: int = 5) -> list[str]:
    """A line for each kind of finding: the message of the first event, and how many others there are."""
    kinds: dict[str, list[Finding]] = {}
    for each in findings:
        kinds.setdefault(each.kind, []).append(each)
    lines = []
    for kind, found in kinds.items():
        others = [event for event in dict.fromkeys(each.event for each in found) if event != found[0].event]
        more = f"; likewise {', '.join(others[:number])}" if others else ""
        more += f" and {len(others) - number} others" if len(others) > number else ""
        lines.append(f"{kind}: event {found[0].event}: {found[0].message}{more}")
    return lines


def _level(name: str, what: str, percent: float | None, findings: list[Finding]) -> float | None:
    """A confidence level as a fraction; None where it is not given."""
    if percent is None or percent == 0:
        return None
    if LEAST_LEVEL <= percent < 1:
        message = f"confidence level {percent:g} of the {what} is read as {100 * percent:g} %; QuakeML has per cent"
        findings.append(Finding(name, "confidence level as a fraction", message, False))
        return percent
    if MOST_SIGMAS < percent < 100:
        return percent / 100
    remedy = "no finite error has it" if percent >= 100 else "give per cent, as 68 or 90"
    message = f"confidence level {percent:g} % of the {what} is impossible: {remedy}"
    findings.append(Finding(name, "impossible confidence level", message, True))
    return None


def _sd(name: str, what: str, error: QuantityError | None, findings: list[Finding]) -> float:
    """Standard deviation that an error of some confidence level (68.27 % where none is given) stands for, or NaN."""
    if error is None:  # ObsPy has no errors of a quantity that the file lacks
        return math.nan
    sides = [value for value in (error.lower_uncertainty, error.upper_uncertainty) if value is not None]
    width = error.uncertainty
    if width is None and len(sides) == 2:
        width = sum(sides) / 2
    if width is None:
        return math.nan
    if wrong := [value for value in (width, *sides) if not 0 <= value < math.inf]:
        message = f"the uncertainty {wrong[0]:g} of the {what} must be finite and not negative"
        findings.append(Finding(name, "impossible error", message, True))
        return math.nan
    level = _level(name, what, error.confidence_level, findings)
    return width if level is None else width / chi(level, 1)


def _descriptions(name: str, origin: Origin, findings: list[Finding]) -> Descriptions:
    north_km, east_km = km_per_degree(origin.latitude)
    quantities = (("longitude", origin.longitude_errors), ("latitude", origin.latitude_errors))
    east, north = (_sd(name, what, error, findings) for what, error in quantities)
    depth = _sd(name, "depth", origin.depth_errors, findings) / 1000
    region: Any = origin.origin_uncertainty
    level = None if region is None else _level(name, "origin uncertainty", region.confidence_level, findings)
    sd_km = np.array([east * east_km, north * north_km, depth])
    if region is None or level is None:
        return Descriptions(sd_km, (east_km, north_km), None, None)
    return Descriptions(
        sd_km, (east_km, north_km), _ellipse(name, region, level, findings), _ellipsoid(name, region, level, findings)
    )


def _ellipse(name: str, region: Any, level: float, findings: list[Finding]) -> Float[np.ndarray, "2 2"] | None:
    """East and north in km2, from the ellipse or else from the circle."""
    circle = region.horizontal_uncertainty
    major, minor = region.max_horizontal_uncertainty, region.min_horizontal_uncertainty
    azimuth = region.azimuth_max_horizontal_uncertainty
    if None in (major, minor, azimuth):
        major, minor, azimuth = circle, circle, 0.0
    if major is None or minor is None or -1 in (major, minor):  # -1: what NonLinLoc writes for unknown
        return None
    if not (0 <= minor < math.inf and 0 <= major < math.inf and math.isfinite(azimuth)):
        message = f"semi-axes {major:g} and {minor:g} m of the ellipse must be finite and not negative"
    elif minor > major * (1 + 1e-6):
        message = f"the ellipse has a minor axis of {minor:g} m and a major axis of {major:g} m; exchange them"
    else:
        return None if major == 0 else ellipse_covariance(Ellipse(major / 1000, minor / 1000, azimuth), level)
    findings.append(Finding(name, "impossible error", message, True))
    return None


def _ellipsoid(name: str, region: Any, level: float, findings: list[Finding]) -> tuple[Ellipsoid, float] | None:
    given = region.confidence_ellipsoid
    if given is None:
        return None
    lengths_m = (given.semi_major_axis_length, given.semi_intermediate_axis_length, given.semi_minor_axis_length)
    angles_deg = (given.major_axis_plunge, given.major_axis_azimuth, given.major_axis_rotation)
    if None in (*lengths_m, *angles_deg):
        return None
    text = ", ".join(f"{length:g}" for length in lengths_m)
    if not np.isfinite([*lengths_m, *angles_deg]).all() or min(lengths_m) <= 0:
        message = f"the ellipsoid with semi-axes of {text} m is left out: they must be positive"
        findings.append(Finding(name, "ellipsoid without size", message, False))
        return None
    if not lengths_m[2] <= lengths_m[1] * (1 + 1e-6) <= lengths_m[0] * (1 + 2e-6):
        message = f"the major, intermediate and minor axis of the ellipsoid are {text} m: taken as they are named"
        findings.append(Finding(name, "axes that do not fall in length", message, False))
    major, intermediate, minor = (length / 1000 for length in lengths_m)
    plunge, azimuth, rotation = angles_deg
    return Ellipsoid(major, intermediate, minor, plunge, azimuth, rotation), level


def _settled(name: str, given: Descriptions, findings: list[Finding]) -> Float[np.ndarray, "3 3"]:
    """The covariance that the descriptions agree on, or agree on best."""
    reading, ratio = best_reading(given)
    if ratio > SIMILAR:
        message = f"{_words(reading)} differ {ratio:.3g} times; find out which is right and leave out the others"
        findings.append(Finding(name, "uncertainties contradict each other", message, True))
    for change in reading.changes:
        message = f"{_words(as_in_quakeml(given))} agree where {change}"
        findings.append(Finding(name, f"not as in QuakeML, {change}", message, False))
    if not reading.changes:
        _doubt(name, given, reading, findings)
    return _joined(name, reading, ratio, findings)


def _joined(name: str, reading: Reading, ratio: float, findings: list[Finding]) -> Float[np.ndarray, "3 3"]:
    """Correlations of the ellipsoid, or else of the ellipse, with standard deviations of the single errors.

    Single errors have more digits than angles in whole degrees; where they are the same to `SAME` or unknown, the
    ellipsoid or ellipse counts as it is.
    """
    whole = np.diag(reading.sd_km**2)
    best = reading.ellipse if reading.ellipsoid is None else reading.ellipsoid
    if best is None:
        return whole
    size, sd_km = len(best), np.sqrt(np.diag(best))
    single = reading.sd_km[:size] > 0
    if ratio > SAME:
        counts = "the errors of latitude, longitude and depth count" if single.any() else "the ellipsoid counts"
        message = f"{_words(reading)} differ up to {ratio:.2f} times; {counts}"
        findings.append(Finding(name, "uncertainties differ", message, False))
    wanted = np.where(single & (ratio > SAME), reading.sd_km[:size], sd_km)
    scale = wanted / np.maximum(sd_km, 1e-9)
    whole[:size, :size] = scale[:, None] * best * scale
    return whole


def _doubt(name: str, given: Descriptions, plain: Reading, findings: list[Finding]) -> None:
    """Refuse what is hardly possible in the units of QuakeML and what no other description confirms."""
    regions = [math.sqrt(np.trace(each[:2, :2])) for each in (plain.ellipse, plain.ellipsoid) if each is not None]
    alone = len(regions) + bool(np.isfinite(plain.sd_km[:2]).all()) == 1
    epicentre_km = regions[0] if regions else float(np.hypot(*plain.sd_km[:2]))
    depth_km = float(plain.sd_km[2])
    in_km = math.hypot(*(plain.sd_km[:2] / given.km_per_degree))
    if regions:
        tiny = epicentre_km < SMALLEST_KM or FLATTEST * epicentre_km < min(depth_km, 2.0)
        doubtful, unit = epicentre_km > LARGEST_KM or (epicentre_km > 0 and tiny), "m"
    else:
        flat = epicentre_km > FLATTEST * depth_km > 0 and 0.2 < in_km / depth_km < 5
        doubtful, unit = epicentre_km > LARGEST_KM or flat, "degrees"
    thin = 0 < THINNEST * depth_km < epicentre_km and depth_km < 0.05
    if alone and doubtful:
        message = f"{_words(plain)}: hardly possible in {unit}, the unit of QuakeML; are they in km?"
    elif thin:
        message = f"{_words(plain)}: the error of depth is hardly possible in m, the unit of QuakeML; is it in km?"
    else:
        return
    message += " Correct the file, or give the errors in a CSV (east_sd_km, north_sd_km, depth_sd_km)"
    findings.append(Finding(name, "implausible uncertainty", message, True))


def _words(reading: Reading) -> str:
    """The descriptions with their values, for messages."""
    errors = (("errors of longitude/latitude/depth", reading.sd_km),)
    regions = (("ellipse", reading.ellipse), ("ellipsoid", reading.ellipsoid))
    described = [*errors, *((what, np.sqrt(np.diag(each))) for what, each in regions if each is not None)]
    parts = []
    for what, sd_km in described:
        if np.isfinite(sd_km).any():
            values = "/".join("?" if np.isnan(value) else f"{value:.3g}" for value in sd_km)
            parts.append(f"{what} (sd {values} km)")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def check_covariances(names: Sequence[str], covariance: Float[np.ndarray, "event d d"]) -> list[Finding]:
    """Findings of covariances that are not positive semi-definite, or not finite."""
    findings = []
    for name, each in zip(names, covariance, strict=True):
        values = np.linalg.eigvalsh((each + each.T) / 2) if np.isfinite(each).all() else np.array([np.nan])
        if not values[0] >= -1e-6 * max(values[-1], 1e-12) or not np.allclose(each, each.T, rtol=1e-6):
            message = f"covariance {each.tolist()} must be finite, symmetric and positive definite"
            findings.append(Finding(name, "impossible covariance", message, True))
    return findings


def check_sizes(names: Sequence[str], covariance: Float[np.ndarray, "event 4 4"]) -> list[Finding]:
    """Findings, not refused, of standard deviations that are larger than the Earth allows: metres read as km."""
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    sizes = (("epicentre", np.hypot(sd[:, 0], sd[:, 1]), FURTHEST_KM), ("depth", sd[:, 2], DEEPEST_KM))
    return [
        Finding(name, "implausible uncertainty", f"standard deviation of the {what} {km:.4g} km; is it in m?", False)
        for what, values, most in sizes
        for name, km in zip(names, values, strict=True)
        if km > most
    ]
