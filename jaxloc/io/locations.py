"""Locations of other programs with their uncertainties and the true hypocentres, for scoring; here from a CSV.

`jaxloc.io.locations_quakeml` and `jaxloc.io.locations_nonlinloc` read them from other files, with true hypocentres from
`jaxloc.io.reference_catalogue`.

Required columns: `id`, `latitude_deg`, `longitude_deg`, `truth_latitude_deg`, `truth_longitude_deg`, and the error of
the epicentre: `east_sd_km` and `north_sd_km`, or `epicentre_sd_km` (the root of their summed squares).
Optional columns: `depth_km`, `depth_sd_km`, `truth_depth_km` (to score depth), `origin_s`, `origin_sd_s`,
`truth_origin_s` (to score origin time, all in seconds from the same moment), and `covariance_east_east` and so on as
`jaxloc run` writes them, which take precedence over standard deviations. An empty cell is unknown.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.geometry import check_degrees, great_circle_km
from jaxloc.io.catalogue import WGS84, Truth
from jaxloc.io.catalogue_csv import AXES, PAIRS
from jaxloc.io.missing_values import POSSIBLE, Quantity, is_missing_code, is_null_island
from jaxloc.io.tables import Row, as_number, read_table
from jaxloc.io.uncertainty_checks import Finding, check_covariances, check_sizes, refuse

NEEDED = ("id", "latitude_deg", "longitude_deg", "truth_latitude_deg", "truth_longitude_deg")
SD = ("east_sd_km", "north_sd_km", "depth_sd_km", "origin_sd_s")
LEAST_SD = (0.01, 0.01, 0.01, 0.001)  # km and s: a reported uncertainty of zero is no density
FAR_KM = 500.0  # from the true epicentres: too far for errors of location
LONGEST_S = 86400.0  # an origin time further from the true one counts from another moment


class Predictions(NamedTuple):
    """Located events and their true hypocentres: east and north in km from the true epicentre, depth in km, time in s.

    What is unknown of the estimate, of its uncertainty or of the truth is False in `known`. `sharpened` is the number
    of events with a reported uncertainty below 10 m (1 ms), which count as 10 m (1 ms). `scatter_km` are samples of the
    posterior of position, where they were given. `without_truth` names located events without a true hypocentre: they
    are not scored. `findings` are doubts about the uncertainties (`jaxloc.io.uncertainty_checks`).
    """

    id: list[str]
    estimate: Float[np.ndarray, "event 4"]
    covariance: Float[np.ndarray, "event 4 4"]
    truth: Float[np.ndarray, "event 4"]
    known: Bool[np.ndarray, "event 4"]
    sharpened: int
    scatter_km: Float[np.ndarray, "event sample 3"] | None = None
    without_truth: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class Located(NamedTuple):
    """A located event as its file has it; NaN is unknown, also on the covariance's diagonal.

    `origin_s` counts from 1970, `scatter_km` are samples about the place, east, north and downwards.
    """

    names: tuple[str, ...]
    latitude_deg: float
    longitude_deg: float
    depth_km: float
    origin_s: float
    covariance: Float[np.ndarray, "4 4"]
    scatter_km: Float[np.ndarray, "sample 3"] | None = None
    findings: tuple[Finding, ...] = ()


def read_predictions(path: str | Path) -> Predictions:
    """Read a CSV of predictions; its columns are in the module's docstring.

    Raises:
        ValueError: where the file is missing or empty, a column is missing, a value is no number or impossible, a
            covariance is not positive definite, or an event is there twice; names it.
    """
    path = Path(path)
    table = read_table(path, "file of predictions")
    missing = [name for name in NEEDED if table.find(name) is None]
    if not ({"east_sd_km", "north_sd_km"} <= set(table.columns) or "epicentre_sd_km" in table.columns):
        missing.append("east_sd_km and north_sd_km (or epicentre_sd_km)")
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}; locations must have them")
    if not table.rows:
        raise ValueError(f"{path} has only a header; it must have at least one event")
    check_once(path, [row.cells["id"] for row in table.rows])
    events = [_event(path, row) for row in table.rows]
    return _predictions(path, [located for located, _ in events], [true for _, true in events])


def check_once(path: Path, names: Sequence[str]) -> None:
    """Refuse an event that is there twice, or has no name.

    Raises:
        ValueError: names it.
    """
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise ValueError(f"{path}: event {number} has no id; each event must have one of its own")
        if name in seen:
            raise ValueError(f"{path} has event {name!r} twice; each event must occur once")
        seen.add(name)


def cell_number(path: Path, row: Row, name: str, quantity: Quantity = "time_s") -> float:
    """A number of an event; NaN where the cell is empty, not there, or has a code for an unknown value.

    Raises:
        ValueError: where the cell is no number; names file, event and value.
    """
    text = row.text(name)
    value = as_number(text, row.decimal_comma) if text else math.nan
    if value is None or math.isinf(value):
        raise ValueError(f"{path}: {name} of event {row.cells['id']} must be a number, got {text!r}")
    return math.nan if is_missing_code(value, quantity) else value


def _event(path: Path, row: Row) -> tuple[Located, Truth]:
    """A located event and its true hypocentre."""
    places = [
        cell_number(path, row, name, "latitude_deg" if "latitude" in name else "longitude_deg") for name in NEEDED[1:]
    ]
    if not np.isfinite(places).all():
        raise ValueError(f"{path}: event {row.cells['id']} must have {', '.join(NEEDED[1:])}")
    depth_km, truth_depth_km = (cell_number(path, row, name, "depth_km") for name in ("depth_km", "truth_depth_km"))
    origin_s, truth_origin_s = (cell_number(path, row, name) for name in ("origin_s", "truth_origin_s"))
    located = Located((row.cells["id"],), places[0], places[1], depth_km, origin_s, _covariance(path, row))
    return located, Truth(places[2], places[3], truth_depth_km, truth_origin_s)


def _covariance(path: Path, row: Row) -> Float[np.ndarray, "4 4"]:
    """The reported covariance, else that of the standard deviations; NaN on the diagonal where neither is given."""
    reported = np.full((4, 4), math.nan)
    for i, j in PAIRS:
        reported[i, j] = reported[j, i] = cell_number(path, row, f"covariance_{AXES[i]}_{AXES[j]}")
    if np.isfinite(reported).all():
        return reported
    sd = np.array([cell_number(path, row, name, "sd") for name in (*SD, "epicentre_sd_km")])
    if (sd < 0).any():
        raise ValueError(
            f"{path}: event {row.cells['id']} has a negative standard error, {np.nanmin(sd)}; it must be positive"
        )
    sd[:2] = np.where(np.isfinite(sd[:2]), sd[:2], sd[4] / math.sqrt(2))
    return np.diag(sd[:4] ** 2)


def _about(path: Path, given: Located, true: Truth) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, covariance, truth and what is known, in km from the true epicentre."""
    name = given.names[0]
    for what, place in (("place", given[1:4]), ("true place", true[:3])):
        check_degrees(np.array(place[0]), np.array(place[1]), f"{path}: the {what} of event {name}")
        _check_depth(f"{path}: the depth of the {what} of event {name}", place[2])
        if is_null_island(*place[:2]):
            raise ValueError(
                f"{path}: the {what} of event {name} is 0 N 0 E, which stands for an unknown position; it must be "
                "corrected, or the event left out"
            )
    azimuth, _, distance_m = WGS84.inv(true.longitude_deg, true.latitude_deg, given.longitude_deg, given.latitude_deg)
    offset_km = distance_m / 1000 * np.array([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
    estimate = np.array([*offset_km, given.depth_km, given.origin_s])
    truth = np.array([0.0, 0.0, true.depth_km, math.nan if true.origin_s is None else true.origin_s])
    if abs(estimate[3] - truth[3]) > LONGEST_S:
        raise ValueError(
            f"{path}: the origin time of event {name} is {estimate[3] - truth[3]:.6g} s after the true one; both must "
            "be of the same event and count from the same moment"
        )
    known = np.isfinite(estimate) & np.isfinite(truth) & np.isfinite(np.diag(given.covariance))
    if not known[:2].all():
        also = " (a QuakeML ellipse or radius counts with its confidence level)" if path.suffix == ".xml" else ""
        raise ValueError(
            f"{path}: event {name} has no standard error of its epicentre; it must have one to be scored{also}"
        )
    covariance = np.where(np.outer(known, known), given.covariance, 0.0)
    covariance[~known, ~known] = 1.0
    return np.where(known, estimate, 0.0), covariance, np.where(known, truth, 0.0), known


def _check_depth(what: str, depth_km: float) -> None:
    low, high = POSSIBLE["depth_km"]
    if depth_km < low or depth_km > high:
        raise ValueError(f"{what} must be within {low:g} to {high:g} km, got {depth_km:g}; is it in m?")


def against(path: Path, located: list[Located], truths: list[Truth | None]) -> Predictions:
    """Located events with the true hypocentres that were found for them; the others are named in `without_truth`.

    Origin times count from the true one. Scatter is used where every event has it.

    Raises:
        ValueError: where no event has a true hypocentre, places or uncertainties are impossible or unknown, or some
            events alone have scatter; names them.
    """
    pairs = [(one, true) for one, true in zip(located, truths, strict=True) if true is not None]
    without = tuple(one.names[0] for one, true in zip(located, truths, strict=True) if true is None)
    if not pairs:
        raise ValueError(
            f"no event of {path} has a truth: {', '.join(without[:5])} ... match none; "
            "they must have the same id or origin time"
        )
    found, true = [one for one, _ in pairs], [real for _, real in pairs]
    bare = [one.names[0] for one in found if one.scatter_km is None]
    if 0 < len(bare) < len(pairs):
        raise ValueError(
            f"{path}: events {', '.join(bare[:5])} lack the scatter that others have; all events must have one, or none"
        )
    refuse(path, [finding for one in found for finding in one.findings])
    _check_depth_unit(path, found, true)
    moved = [
        one._replace(origin_s=one.origin_s - (math.nan if real.origin_s is None else real.origin_s))
        for one, real in pairs
    ]
    predictions = _predictions(path, moved, [real._replace(origin_s=0.0) for real in true])
    scatter_km = None
    if not bare:
        scatter_km = np.stack([np.asarray(one.scatter_km) for one in found]) + predictions.estimate[:, None, :3]
    return predictions._replace(scatter_km=scatter_km, without_truth=without)


def _predictions(path: Path, located: Sequence[Located], true: Sequence[Truth]) -> Predictions:
    parts = [_about(path, *pair) for pair in zip(located, true, strict=True)]
    _check_exchanged(path, located, true)
    _check_depth_sign(path, located, true)
    estimate, covariance, truth, known = (np.stack(part) for part in zip(*parts, strict=True))
    names = [one.names[0] for one in located]
    refuse(path, check_covariances(names, covariance))
    covariance, narrow = _widened(covariance)
    findings = (*(finding for one in located for finding in one.findings), *check_sizes(names, covariance))
    return Predictions(names, estimate, covariance, truth, known, int(narrow.sum()), findings=findings)


def _check_exchanged(path: Path, located: Sequence[Located], true: Sequence[Truth]) -> None:
    """Refuse places that are far from the true ones, and near them with latitude and longitude exchanged."""
    first, second = np.array([one[1:3] for one in located]).T
    latitude, longitude = np.array([real[:2] for real in true]).T
    apart_km = float(np.median(great_circle_km(first, second, latitude, longitude)))
    if apart_km < FAR_KM or np.abs(second).max() > 90:
        return
    exchanged_km = float(np.median(great_circle_km(second, first, latitude, longitude)))
    if exchanged_km < apart_km / 10:
        raise ValueError(
            f"{path}: places are {apart_km:.0f} km from the true ones: are latitude and longitude exchanged? they "
            f"would then be {exchanged_km:.0f} km away; the columns must be corrected"
        )


def _check_depth_sign(path: Path, located: Sequence[Located], true: Sequence[Truth]) -> None:
    """Refuse depths that count upwards: all negative, and like the true ones with the other sign."""
    depths = np.array([(one.depth_km, real.depth_km) for one, real in zip(located, true, strict=True)])
    given, real = depths[np.isfinite(depths).all(1)].T
    if len(given) and given.max() < 0 < real.min() and np.abs(given + real).max() < 0.5 * np.abs(given - real).min():
        raise ValueError(
            f"{path}: depths about {np.median(given):.3g} km, the true ones are about {np.median(real):.3g} km; depths "
            "count downwards from sea level, their sign must be changed"
        )


def _check_depth_unit(path: Path, located: Sequence[Located], true: Sequence[Truth]) -> None:
    depths = np.array([(one.depth_km, real.depth_km) for one, real in zip(located, true, strict=True)])
    depths = depths[np.isfinite(depths).all(1)]
    if len(depths) and np.abs(depths[:, 0]).max() < POSSIBLE["depth_km"][1] / 1000:
        median, true_median = np.median(depths, axis=0)
        if true_median > 1 and 300 < true_median / max(median, 1e-9) < 3000:
            raise ValueError(
                f"{path}: depths of {1000 * median:.3g} m, the true ones are {true_median:.3g} km; QuakeML has m, "
                "multiply by 1000 where the file has km"
            )


def _widened(covariance: Float[np.ndarray, "event 4 4"]) -> tuple[np.ndarray, np.ndarray]:
    """Covariances without uncertainties below `LEAST_SD`, and which events had them."""
    least = np.square(LEAST_SD)
    short = np.maximum(least - np.diagonal(covariance, axis1=1, axis2=2), 0.0)
    return covariance + short[:, :, None] * np.eye(4), np.asarray((short > 0).any(-1))
