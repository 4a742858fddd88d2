"""Checks of a NonLinLoc `.hyp` file: its covariance, and whether ellipse and ellipsoids are those of it.

All lengths are in km and the regions are those of 68.3 % of a normal distribution in two and three dimensions. The
covariance is over x, y and z of the projection, which may be turned (`RotCW`); angles are geographic.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigvalsh

from jaxloc.distributions.ellipsoids import (
    Ellipse,
    Ellipsoid,
    confidence_ellipsoid,
    ellipse_covariance,
    ellipsoid_covariance,
    from_nonlinloc_rotation,
    from_quakeml_rotation,
    horizontal_ellipse,
    quakeml_rotation_deg,
)  # fmt: skip
from jaxloc.io.missing_values import POSSIBLE
from jaxloc.io.tables import decode, read_bytes
from jaxloc.io.uncertainty_checks import Finding, check_covariances

LEVEL = 0.683
LENGTH, TURNED = 0.03, 0.1  # relative differences of lengths and of variances that count as the same
UNKNOWN = -1.0


def is_nonlinloc(text: str) -> bool:
    """Whether a text begins as a NonLinLoc hypocentre file."""
    return re.match(r"\s*NLLOC\s+\"", text) is not None


def lint_nonlinloc(path: Path) -> tuple[tuple[Finding, ...], int, bytes, tuple[str, ...]]:
    """Findings of all events of a file, their number, the corrected file, and the events that it leaves as they are.

    Raises:
        ValueError: where the file is missing or no text.
    """
    text = decode(read_bytes(path, "NonLinLoc hypocentre file"), path)
    *blocks, rest = text.split("\nEND_NLLOC")
    findings: list[Finding] = []
    left: list[str] = []
    for number, block in enumerate(blocks):
        name = _name(block)
        found, right = _of_block(name, block)
        findings += found
        left += [name] if found and right is None else []
        blocks[number] = block if right is None or not found else right
    if is_nonlinloc(rest):
        findings.append(
            Finding(_name(rest), "cut off", "the event has no END_NLLOC: the file must be written again", True)
        )
        left.append(_name(rest))
    return tuple(findings), len(blocks) + is_nonlinloc(rest), "\nEND_NLLOC".join([*blocks, rest]).encode(), tuple(left)


def _name(block: str) -> str:
    return Path(block.split('"')[1]).name if block.count('"') > 1 else "?"


def _lines(block: str) -> dict[str, list[str]]:
    """The words of each line by its first one."""
    split = [line.split() for line in block.splitlines() if line.strip()]
    return {words[0]: words[1:] for words in split}


def _named(words: list[str]) -> dict[str, float]:
    """Numbers by the word before them."""
    return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=False)}


def _of_block(name: str, block: str) -> tuple[list[Finding], str | None]:
    """Findings, and the block with ellipse and ellipsoid of its covariance; None where that is impossible."""
    lines = _lines(block)
    try:
        covariance = _covariance(lines)
        found = [*_status(name, block), *_depth(name, lines)]
        found += check_covariances([name], covariance[None])
        if any(finding.refused for finding in found):
            return found, None
        found += [
            *_ellipse(name, lines, covariance),
            *_axes(name, lines, covariance),
            *_ellipsoid(name, lines, covariance),
        ]
    except (KeyError, ValueError, IndexError) as error:
        message = f"the lines of the hypocentre cannot be read ({error}): the file must be written again"
        return [Finding(name, "not as NonLinLoc writes", message, True)], None
    return found, None if any(finding.refused for finding in found) else _corrected(block, covariance)


def _covariance(lines: dict[str, list[str]]) -> Float[np.ndarray, "3 3"]:
    """Over east, north and depth in km2."""
    words = lines["STATISTICS"]
    covariance = np.zeros((3, 3))
    rows, columns = np.triu_indices(3)
    covariance[rows, columns] = covariance[columns, rows] = [float(value) for value in words[7:18:2]]
    transform = lines.get("TRANSFORM", [])
    angle = np.radians(float(transform[transform.index("RotCW") + 1]) if "RotCW" in transform else 0.0)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return turn @ covariance @ turn.T


def _status(name: str, block: str) -> Iterator[Finding]:
    status = block.split('"')[3]
    if status != "LOCATED":
        message = f"the status is {status}, which readers such as ObsPy's take for a location: leave the event out"
        yield Finding(name, "not located", message, True)


def _depth(name: str, lines: dict[str, list[str]]) -> Iterator[Finding]:
    depth_km = float(lines["GEOGRAPHIC"][lines["GEOGRAPHIC"].index("Depth") + 1])
    low, high = POSSIBLE["depth_km"]
    if not low <= depth_km <= high:
        message = f"depth {depth_km:g} km must be within {low:g} to {high:g} km; is it in m?"
        yield Finding(name, "impossible depth", message, True)
    elif "GRID" in lines and "GLOBAL" not in lines.get("TRANSFORM", []):
        numbers = [float(value) for value in lines["GRID"][:9]]
        top_km, step_km = numbers[5], numbers[8]
        floor_km = top_km + (numbers[2] - 1) * step_km
        if depth_km > floor_km - 0.5 * step_km:
            message = (
                f"depth {depth_km:g} km is at the floor of the search grid, {floor_km:g} km, which cuts the posterior"
            )
            yield Finding(
                name, "depth at or below the floor", f"{message} off: locate it again with a deeper LOCGRID", True
            )


def _same(first: float, second: float) -> bool:
    return abs(first - second) <= LENGTH * max(abs(first), abs(second)) + 1e-3


def _unit(given: list[float], right: list[float]) -> str:
    """What is wrong with lengths that differ."""
    if all(_same(a / 1000, b) for a, b in zip(given, right, strict=True)):
        return "in m where km are due"
    return "not those of the covariance"


def _ellipse(name: str, lines: dict[str, list[str]], covariance: Float[np.ndarray, "3 3"]) -> Iterator[Finding]:
    """The ellipse of `QML_OriginUncertainty`, which has -1 for a radius that NonLinLoc does not compute."""
    right = horizontal_ellipse(covariance, LEVEL)
    text = f"right is {right.semi_major_km:.4g} by {right.semi_minor_km:.4g} km at {right.azimuth_deg:.0f} degrees"
    words = _named(lines["QML_OriginUncertainty"]) if "QML_OriginUncertainty" in lines else {}
    radius, low, high = (words.get(each, UNKNOWN) for each in ("horUnc", "minHorUnc", "maxHorUnc"))
    azimuth = words.get("azMaxHorUnc", UNKNOWN)
    if max(radius, low, high) == UNKNOWN:
        yield Finding(name, "no horizontal uncertainty", f"QML_OriginUncertainty has none; {text}", False)
    elif 0 in (radius, low, high):
        yield Finding(name, "uncertainty of zero", f"an axis of the ellipse is zero; {text}", False)
    elif UNKNOWN in (low, high):
        return
    elif low > high * 1.0001:
        message = f"the ellipse has a minor axis of {low:g} km and a major one of {high:g} km; {text}"
        yield Finding(name, "impossible axes", message, False)
    elif not (_same(high, right.semi_major_km) and _same(low, right.semi_minor_km)):
        unit = _unit([high, low], [right.semi_major_km, right.semi_minor_km])
        yield Finding(name, f"ellipse {unit}", f"semi-axes of {high:g} and {low:g} km; {text}", False)
    elif _differ(ellipse_covariance(Ellipse(high, low, azimuth), LEVEL), covariance[:2, :2]):
        yield Finding(name, "ellipse is turned", f"its azimuth is {azimuth:g} degrees; {text}", False)


def _differ(first: Float[np.ndarray, "d d"], second: Float[np.ndarray, "d d"]) -> bool:
    """Whether variances in some direction differ."""
    ratios = eigvalsh(first, second)
    return bool(ratios.max() > 1 + TURNED or ratios.min() < 1 / (1 + TURNED))


def _axes(name: str, lines: dict[str, list[str]], covariance: Float[np.ndarray, "3 3"]) -> Iterator[Finding]:
    """Lengths of `STATISTICS`, which rise."""
    words = lines["STATISTICS"]
    given = [float(words[words.index(each) + 1]) for each in ("Len1", "Len2", "Len3")]
    axes = confidence_ellipsoid(covariance, LEVEL)
    right = [axes.semi_minor_km, axes.semi_intermediate_km, axes.semi_major_km]
    yield from _lengths(name, "STATISTICS", given, right)


def _lengths(name: str, line: str, given: list[float], right: list[float]) -> Iterator[Finding]:
    values, values_right = (", ".join(f"{each:.4g}" for each in lengths) for lengths in (given, right))
    message = f"semi-axes in {line} are {values} km; right are {values_right} km ({100 * LEVEL:g} %)"
    if min(given) <= 0 or list(given) != sorted(given):
        yield Finding(name, "impossible axes", message, False)
    elif not all(map(_same, given, right)):
        yield Finding(name, f"ellipsoid {_unit(given, right)}", message, False)


def _ellipsoid(name: str, lines: dict[str, list[str]], covariance: Float[np.ndarray, "3 3"]) -> Iterator[Finding]:
    """Lengths and angles of `QML_ConfidenceEllipsoid`."""
    if "QML_ConfidenceEllipsoid" not in lines:
        return
    words = _named(lines["QML_ConfidenceEllipsoid"])
    given = [words[f"semi{axis}AxisLength"] for axis in ("Minor", "Intermediate", "Major")]
    axes = confidence_ellipsoid(covariance, LEVEL)
    wrong = list(_lengths(name, "QML_ConfidenceEllipsoid", given, list(axes[2::-1])))
    yield from wrong
    if wrong:
        return
    plunge, azimuth, rotation = (words[f"majorAxis{angle}"] for angle in ("Plunge", "Azimuth", "Rotation"))
    minor, middle, major = given
    turned = lambda angle: ellipsoid_covariance(Ellipsoid(major, middle, minor, plunge, azimuth, angle), LEVEL)
    if not _differ(turned(from_quakeml_rotation(rotation)), covariance):
        return
    message = f"plunge {plunge:g}, azimuth {azimuth:g}, rotation {rotation:g}; right are {axes.plunge_deg:.1f},"
    message += f" {axes.azimuth_deg:.1f}, {quakeml_rotation_deg(axes):.1f} degrees"
    known = not _differ(turned(from_nonlinloc_rotation(rotation, plunge)), covariance)
    why = " (an error of NonLinLoc's for plunging axes)" if known else ""
    yield Finding(name, f"ellipsoid is turned{why}", message, False)


def _corrected(block: str, covariance: Float[np.ndarray, "3 3"]) -> str:
    """The block with ellipse, ellipsoid and lengths of its covariance."""
    ellipse, axes = horizontal_ellipse(covariance, LEVEL), confidence_ellipsoid(covariance, LEVEL)
    uncertainty = (
        f"QML_OriginUncertainty  horUnc -1  minHorUnc {ellipse.semi_minor_km:.6g}"
        f"  maxHorUnc {ellipse.semi_major_km:.6g}  azMaxHorUnc {ellipse.azimuth_deg:.6g}"
    )
    ellipsoid = (
        f"QML_ConfidenceEllipsoid  semiMajorAxisLength {axes.semi_major_km:.6g}"
        f"  semiMinorAxisLength {axes.semi_minor_km:.6g}"
        f"  semiIntermediateAxisLength {axes.semi_intermediate_km:.6g}  majorAxisPlunge {axes.plunge_deg:.6g}"
        f"  majorAxisAzimuth {axes.azimuth_deg:.6g}  majorAxisRotation {quakeml_rotation_deg(axes):.6g}"
    )
    block = re.sub(r"(?m)^QML_OriginUncertainty .*$", uncertainty, block)
    block = re.sub(r"(?m)^QML_ConfidenceEllipsoid .*$", ellipsoid, block)
    for number, length in enumerate((axes.semi_minor_km, axes.semi_intermediate_km, axes.semi_major_km), 1):
        block = re.sub(rf"\bLen{number}\s+\S+", f"Len{number} {length:.6g}", block)
    return block
