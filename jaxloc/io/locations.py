"""Other people's locations with their stated errors and the truth, to be scored as one's own are; here from a CSV.

`jaxloc.io.locations_quakeml` and `jaxloc.io.locations_nonlinloc` read them from other files, with truths from
`jaxloc.io.reference_catalogue`.

Columns that must be there: `id`, `latitude_deg`, `longitude_deg`, `truth_latitude_deg`, `truth_longitude_deg`, and the
error of the epicentre: `east_sd_km` and `north_sd_km`, or `epicentre_sd_km` (the root of their summed squares).
Columns that may be: `depth_km`, `depth_sd_km`, `truth_depth_km` (score depth), `origin_s`, `origin_sd_s`,
`truth_origin_s` (score origin time, all in seconds from the same moment), and `covariance_east_east` and so on as
`jaxloc run` writes them, which count before the standard errors. An empty cell is unknown.
"""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.geometry import check_degrees
from jaxloc.io.catalogue import WGS84, Truth
from jaxloc.io.catalogue_csv import AXES, PAIRS

NEEDED = ("id", "latitude_deg", "longitude_deg", "truth_latitude_deg", "truth_longitude_deg")
LEAST_SD = (0.01, 0.01, 0.01, 0.001)  # km and s: a stated error of zero is no density


class Predictions(NamedTuple):
    """Located events about their truths: east and north in km from the true epicentre, depth in km, origin time in s.

    What is unknown of the estimate, of its error or of the truth is not in `known`. `sharpened` events stated an error
    of nearly zero; it is 10 m (1 ms) here. `scatter_km` are samples of the place's posterior, where they were given.
    `without_truth` names located events that no truth was found for: they are not scored.
    """

    id: list[str]
    estimate: Float[np.ndarray, "event 4"]
    covariance: Float[np.ndarray, "event 4 4"]
    truth: Float[np.ndarray, "event 4"]
    known: Bool[np.ndarray, "event 4"]
    sharpened: int
    scatter_km: Float[np.ndarray, "event sample 3"] | None = None
    without_truth: tuple[str, ...] = ()


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


def read_predictions(path: str | Path) -> Predictions:
    """Read a CSV of predictions; its columns are in the module's docstring.

    Raises:
        ValueError: where the file is missing or empty, a column is missing, or a value is no number or out of range;
            an event is there twice; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such file of predictions: {path}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or ())
        missing = [name for name in NEEDED if name not in columns]
        if not ({"east_sd_km", "north_sd_km"} <= columns or "epicentre_sd_km" in columns):
            missing.append("east_sd_km and north_sd_km (or epicentre_sd_km)")
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
        events: dict[str, tuple[np.ndarray, ...]] = {}
        for row in rows:
            if row["id"] in events:
                raise ValueError(f"{path} holds event {row['id']!r} twice; an event is scored once")
            events[row["id"]] = _event(path, row)
    if not events:
        raise ValueError(f"{path} holds no event, only a header")
    estimate, covariance, truth, known = (np.stack(each) for each in zip(*events.values(), strict=True))
    covariance, narrow = _widened(covariance)
    return Predictions(list(events), estimate, covariance, truth, known, int(narrow.sum()))


def _number(path: Path, row: dict[str, str], name: str) -> float:
    """NaN where the cell is empty or not there."""
    text = (row.get(name) or "").strip()
    try:
        return float(text) if text else math.nan
    except ValueError as error:
        raise ValueError(f"{path}: {name} of event {row['id']} is {text!r}, which is no number") from error


def _event(path: Path, row: dict[str, str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, covariance, truth and what is known of one event."""

    def number(name: str) -> float:
        return _number(path, row, name)

    places = [number(name) for name in NEEDED[1:]]
    if not np.isfinite(places).all():
        raise ValueError(f"{path}: event {row['id']} lacks one of {', '.join(NEEDED[1:])}")
    depth_km, origin_s = number("depth_km"), number("origin_s")
    given = Located((row["id"],), places[0], places[1], depth_km, origin_s, _covariance(path, row))
    return _about(path, given, Truth(places[2], places[3], number("truth_depth_km"), number("truth_origin_s")))


def _about(path: Path, given: Located, true: Truth) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, covariance, truth and what is known, in km from the true epicentre."""
    name = given.names[0]
    for what, place in (("place", given[1:3]), ("true place", true[:2])):
        check_degrees(np.array(place[0]), np.array(place[1]), f"{path}: the {what} of event {name}")
    azimuth, _, distance_m = WGS84.inv(true.longitude_deg, true.latitude_deg, given.longitude_deg, given.latitude_deg)
    offset_km = distance_m / 1000 * np.array([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
    estimate = np.array([*offset_km, given.depth_km, given.origin_s])
    truth = np.array([0.0, 0.0, true.depth_km, math.nan if true.origin_s is None else true.origin_s])
    known = np.isfinite(estimate) & np.isfinite(truth) & np.isfinite(np.diag(given.covariance))
    if not known[:2].all():
        raise ValueError(f"{path}: event {name} states no error of its epicentre")
    covariance = np.where(np.outer(known, known), given.covariance, 0.0)
    covariance[~known, ~known] = 1.0
    return np.where(known, estimate, 0.0), covariance, np.where(known, truth, 0.0), known


def against(path: Path, located: list[Located], truths: list[Truth | None]) -> Predictions:
    """Located events about the truths that were found for them; the others are named in `without_truth`.

    Origin times count from the true one. Scatter is taken where every event has it.

    Raises:
        ValueError: where no event has a truth, places are impossible, errors are not stated, or some events alone have
            scatter; names them.
    """
    pairs = [(one, true) for one, true in zip(located, truths, strict=True) if true is not None]
    without = tuple(one.names[0] for one, true in zip(located, truths, strict=True) if true is None)
    if not pairs:
        raise ValueError(
            f"no event of {path} has a truth: {', '.join(without[:5])} ... match none by id or origin time"
        )
    bare = [one.names[0] for one, _ in pairs if one.scatter_km is None]
    if 0 < len(bare) < len(pairs):
        raise ValueError(f"{path}: events {', '.join(bare[:5])} lack the scatter that others have; give all or none")
    # Seconds since 1970 have no milliseconds in single precision: count from the true origin time.
    moved = [
        (
            one._replace(origin_s=one.origin_s - (math.nan if true.origin_s is None else true.origin_s)),
            true._replace(origin_s=0.0),
        )
        for one, true in pairs
    ]
    estimate, covariance, truth, known = (
        np.stack(x) for x in zip(*(_about(path, *pair) for pair in moved), strict=True)
    )
    covariance, narrow = _widened(covariance)
    scatter_km = None
    if not bare:
        scatter_km = np.stack([np.asarray(one.scatter_km) for one, _ in pairs]) + estimate[:, None, :3]
    names = [one.names[0] for one, _ in pairs]
    return Predictions(names, estimate, covariance, truth, known, int(narrow.sum()), scatter_km, without)


def _covariance(path: Path, row: dict[str, str]) -> np.ndarray:
    """The stated covariance, else that of the standard errors; NaN on the diagonal where nothing is stated."""
    stated = np.full((4, 4), math.nan)
    for i, j in PAIRS:
        stated[i, j] = stated[j, i] = _number(path, row, f"covariance_{AXES[i]}_{AXES[j]}")
    if np.isfinite(stated).all():
        return stated
    across = _number(path, row, "epicentre_sd_km") / math.sqrt(2)
    names = ("east_sd_km", "north_sd_km", "depth_sd_km", "origin_sd_s")
    sd = np.array([_number(path, row, name) for name in names])
    sd[:2] = np.where(np.isfinite(sd[:2]), sd[:2], across)
    if (sd < 0).any():
        raise ValueError(f"{path}: event {row['id']} states a negative standard error, {np.nanmin(sd)}")
    return np.diag(sd**2)


def _widened(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariances without stated errors of nearly zero, and which events had them."""
    least = np.square(LEAST_SD)
    short = np.maximum(least - np.diagonal(covariance, axis1=1, axis2=2), 0.0)
    return covariance + short[:, :, None] * np.eye(4), np.asarray((short > 0).any(-1))
