"""Descriptions of one hypocentre's uncertainty, compared under the units and conventions that programs write.

QuakeML 1.2 has degrees and metres, and the minor axis of an ellipsoid as the y axis of its rotation. Reading NonLinLoc,
ObsPy leaves the ellipsoid in km and takes a degree of longitude for as long as one of latitude; SeisComP has errors of
latitude and longitude in km, NonLinLoc has a rotation of its own.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.distributions.ellipsoids import (
    Ellipsoid,
    ellipsoid_covariance,
    from_nonlinloc_rotation,
    from_quakeml_rotation,
)

SAME, AGREE, SIMILAR = 1.1, 1.3, 3.0
"""Largest ratios of standard deviations by rounding of angles and digits, of descriptions that agree, of one size."""
PLAUSIBLE_KM = (0.05, 200.0)  # standard deviations of epicentres, to choose between two units
FLOOR_KM = 0.01  # smaller standard deviations are compared as if they were so large
THIN = 0.15  # share of the major axis below which minor axes are not compared: they follow the rounding of angles
SCALES = ((1.0, ""), (1e3, "is in km, not m"), (1e-3, "is a thousand times too large"))
CONVENTIONS = ("QuakeML", "NonLinLoc", "minor axis below the major one at rotation 0")


class Descriptions(NamedTuple):
    """The uncertainty of a hypocentre as an origin describes it, in km by the units of QuakeML; None or NaN: not given.

    `sd_km` are standard deviations east, north and down, `km_per_degree` the lengths taken for degrees east and north;
    the ellipsoid has the rotation as written, and its confidence level.
    """

    sd_km: Float[np.ndarray, "3"]
    km_per_degree: tuple[float, float]
    ellipse: Float[np.ndarray, "2 2"] | None = None
    ellipsoid: tuple[Ellipsoid, float] | None = None


class Reading(NamedTuple):
    """Standard deviations and covariances in km and km^2; `changes` names what is not read as QuakeML defines it."""

    sd_km: Float[np.ndarray, "3"]
    ellipse: Float[np.ndarray, "2 2"] | None = None
    ellipsoid: Float[np.ndarray, "3 3"] | None = None
    changes: tuple[str, ...] = ()


def as_in_quakeml(given: Descriptions) -> Reading:
    """Every description in the units and conventions of QuakeML 1.2."""
    ellipsoid = None
    if given.ellipsoid is not None:
        ellipsoid = ellipsoid_covariance(_turned(given.ellipsoid[0], "QuakeML"), given.ellipsoid[1])
    return Reading(given.sd_km, given.ellipse, ellipsoid)


def best_reading(given: Descriptions) -> tuple[Reading, float]:
    """The reading that makes the descriptions agree with the fewest of them changed, and its `disagreement`.

    Another rotation is taken as well where it agrees four times better. Where no reading agrees within `AGREE`, or two
    do that differ in size: as in QuakeML, without the one of three descriptions that contradicts the other two.
    """
    plain = as_in_quakeml(given)
    ratio = disagreement(plain)
    if ratio <= AGREE:
        turned = [] if ratio <= SAME else [(each, disagreement(each)) for each in _other_rotations(given)]
        return next((pair for pair in turned if pair[1] < 1 + (ratio - 1) / 4), (plain, ratio))
    number = (given.ellipse is not None) + (given.ellipsoid is not None) + bool(np.isfinite(given.sd_km).any())
    tried = [(each, disagreement(each)) for each in _combinations(given) if len(each.changes) < number]
    for changed in (1, 2):
        agreeing = [pair for pair in tried if len(pair[0].changes) == changed and pair[1] <= AGREE]
        agreeing = [pair for pair in agreeing if _is_plausible(pair[0])] or agreeing
        if agreeing:
            best = min(agreeing, key=_cost)
            same = all(1 / SIMILAR < _size_km(each) / _size_km(best[0]) < SIMILAR for each, _ in agreeing)
            return best if same else (plain, ratio)
    return (plain, ratio) if ratio <= SIMILAR else _two_that_agree(plain) or (plain, ratio)


def _size_km(reading: Reading) -> float:
    """Standard deviation of the epicentre."""
    covariance = reading.ellipse if reading.ellipsoid is None else reading.ellipsoid
    return math.sqrt(np.square(reading.sd_km[:2]).sum() if covariance is None else np.trace(covariance[:2, :2]))


def _is_plausible(reading: Reading) -> bool:
    return PLAUSIBLE_KM[0] < _size_km(reading) < PLAUSIBLE_KM[1]


def _cost(pair: tuple[Reading, float]) -> float:
    """Disagreement; an uncommon convention together with an uncommon unit counts as five per cent of it."""
    reading, ratio = pair
    return ratio * 1.05 ** (len(reading.changes) + sum(change.count(" and it ") for change in reading.changes))


def _two_that_agree(plain: Reading) -> tuple[Reading, float] | None:
    """Without the one description of three that differs from the other two."""
    if plain.ellipse is None or plain.ellipsoid is None or not np.isfinite(plain.sd_km[:2]).all():
        return None
    unknown = np.full(3, np.nan)
    without = (
        plain._replace(ellipsoid=None, changes=("the ellipsoid is left out",)),
        plain._replace(ellipse=None, changes=("the ellipse is left out",)),
        plain._replace(sd_km=unknown, changes=("the errors of latitude, longitude and depth are left out",)),
    )
    agreeing = [(each, disagreement(each)) for each in without if disagreement(each) <= AGREE]
    return agreeing[0] if len(agreeing) == 1 else None


def disagreement(reading: Reading) -> float:
    """The largest ratio of standard deviations that two descriptions give to one direction; 1 for full agreement.

    A standard deviation of exactly zero (a fixed depth) is not compared.
    """
    sd_km = np.where(reading.sd_km == 0, np.nan, np.maximum(reading.sd_km, FLOOR_KM))
    ratios = [1.0]
    covariances = [each for each in (reading.ellipse, reading.ellipsoid) if each is not None]
    for covariance in covariances:
        ratios += list(sd_km[: len(covariance)] / np.maximum(np.sqrt(np.diag(covariance)), FLOOR_KM))
    if len(covariances) == 2:
        ratios += list(np.divide(*(_sd_by_azimuth(each) for each in covariances)))
    known = np.array([ratio for ratio in ratios if math.isfinite(ratio)])
    return float(np.maximum(known, 1 / known).max())


def _sd_by_azimuth(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, " azimuth"]:
    """Standard deviations in km towards four azimuths, of nothing thinner than `THIN`."""
    azimuth = np.deg2rad([0.0, 45.0, 90.0, 135.0])
    along = np.stack([np.sin(azimuth), np.cos(azimuth)], -1)
    variance = np.einsum("ai,ij,aj->a", along, covariance[:2, :2], along)
    return np.sqrt(variance + THIN**2 * np.trace(covariance[:2, :2]) + FLOOR_KM**2)


def _turned(ellipsoid: Ellipsoid, convention: str) -> Ellipsoid:
    written, plunge = ellipsoid.rotation_deg, ellipsoid.plunge_deg
    rotations = (from_quakeml_rotation(written), from_nonlinloc_rotation(written, plunge), written)
    return ellipsoid._replace(rotation_deg=rotations[CONVENTIONS.index(convention)])


def _combinations(given: Descriptions) -> list[Reading]:
    """All readings of which one or two descriptions are changed."""
    readings = [
        Reading(sd_km, ellipse, ellipsoid, tuple(change for change in changes if change))
        for (sd_km, *of_errors), (ellipse, *of_ellipse), (ellipsoid, *of_ellipsoid) in itertools.product(
            _readings_of_errors(given), _readings_of_ellipse(given), _readings_of_ellipsoid(given)
        )
        for changes in [(*of_errors, *of_ellipse, *of_ellipsoid)]
    ]
    return [each for each in readings if 0 < len(each.changes) <= 2]


def _readings_of_errors(given: Descriptions) -> list[tuple[np.ndarray, str]]:
    east, north = given.km_per_degree
    scales = (
        ((1.0, 1.0, 1.0), ""),
        ((1 / east, 1 / north, 1.0), "the errors of latitude and longitude are in km, not degrees"),
        ((1e-3 / east, 1e-3 / north, 1.0), "the errors of latitude and longitude are in m, not degrees"),
        ((north / east, 1.0, 1.0), "the error of longitude is in degrees of latitude"),
        ((1.0, 1.0, 1e3), "the error of depth is in km, not m"),
        ((1 / east, 1 / north, 1e3), "the errors of latitude, longitude and depth are in km"),
        ((1.0, 1.0, 1e-3), "the error of depth is a thousand times too large"),
    )
    return [(given.sd_km * np.array(scale), change) for scale, change in scales]


def _readings_of_ellipse(given: Descriptions) -> list[tuple[np.ndarray | None, str]]:
    if given.ellipse is None:
        return [(None, "")]
    return [(given.ellipse * scale**2, change and f"the ellipse {change}") for scale, change in SCALES]


def _other_rotations(given: Descriptions) -> list[Reading]:
    """Readings of which nothing but the rotation of the ellipsoid is changed."""
    turned = [
        (covariance, change) for covariance, change in _readings_of_ellipsoid(given)[: len(CONVENTIONS)] if change
    ]
    return [Reading(given.sd_km, given.ellipse, covariance, (change,)) for covariance, change in turned]


def _readings_of_ellipsoid(given: Descriptions) -> list[tuple[np.ndarray | None, str]]:
    if given.ellipsoid is None:
        return [(None, "")]
    ellipsoid, level = given.ellipsoid
    found = []
    for (scale, unit), convention in itertools.product(SCALES, CONVENTIONS):
        turn = "" if convention == "QuakeML" else f"has the rotation of another convention ({convention})"
        change = " and it ".join(each for each in (unit, turn) if each)
        covariance = ellipsoid_covariance(_turned(ellipsoid, convention), level) * scale**2
        found.append((covariance, change and f"the ellipsoid {change}"))
    return found
