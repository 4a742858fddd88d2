"""Located events as files: QuakeML 1.2 with full uncertainties, and a plain CSV that can be read back."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from obspy import UTCDateTime
from obspy.core.event import (
    Catalog,
    Comment,
    ConfidenceEllipsoid,
    CreationInfo,
    Event,
    EventDescription,
    Magnitude,
    Origin,
    OriginQuality,
    OriginUncertainty,
    QuantityError,
    ResourceIdentifier,
)
from pyproj import Geod

from jaxloc import __version__
from jaxloc.data.ellipsoids import confidence_ellipsoid, horizontal_ellipse
from jaxloc.data.files import write_whole
from jaxloc.geometry import check_degrees
from jaxloc.types import COORDINATES

EPOCH = "1970-01-01T00:00:00Z"
ONE_SIGMA_PERCENT = 68.27
WGS84 = Geod(ellps="WGS84")


class Truth(NamedTuple):
    """What a catalogue says of the same event; an origin time that is unknown is None."""

    latitude_deg: float
    longitude_deg: float
    depth_km: float
    origin_s: float | None = None


class Hypocentre(NamedTuple):
    """A located event with its uncertainty.

    `start` is the UTC time of sample zero (ISO 8601, None where unknown), `origin_s` counts from it.
    `covariance` is over (east_km, north_km, depth_km, origin_s), `level` the confidence level of ellipse and
    ellipsoid, `epistemic_share` the part of the total variance of the position that is epistemic (0..1).
    `drawn_at` are the levels at which a normal distribution's ellipse and ellipsoid are taken so that they hold a
    share `level` of truths, where that was calibrated. `alarm` says why the errors may not hold ("": no reason seen).
    `others` are figures of other labels with their uncertainties, by name and unit (`is_event_probability`, ...).
    """

    id: str
    start: str | None
    latitude_deg: float
    longitude_deg: float
    depth_km: float
    origin_s: float
    covariance: Float[np.ndarray, "4 4"]
    level: float = 0.9
    epistemic_share: float | None = None
    num_stations: int | None = None
    gap_deg: float | None = None
    magnitude: float | None = None
    magnitude_sd: float | None = None
    truth: Truth | None = None
    drawn_at: tuple[float, float] | None = None
    alarm: str | None = None
    others: Mapping[str, float] = {}  # never written to


def azimuthal_gap_deg(epicentre_km: Float[np.ndarray, "2"], station_km: Float[np.ndarray, "station 3"]) -> float:
    """The largest angle in degrees between neighbouring stations as seen from an epicentre; 360 for one."""
    azimuth = np.arctan2(station_km[:, 0] - epicentre_km[0], station_km[:, 1] - epicentre_km[1])
    azimuth = np.sort(np.rad2deg(azimuth) % 360)
    return float(np.diff(azimuth, append=azimuth[:1] + 360).max(initial=0)) if len(azimuth) else 360.0


def _check(hypocentres: list[Hypocentre]) -> None:
    again = [name for name, count in Counter(h.id for h in hypocentres).items() if count > 1]
    if again:
        raise ValueError(f"event id {again[0]!r} occurs more than once; ids must be unique")
    for h in hypocentres:
        check_degrees(np.array(h.latitude_deg), np.array(h.longitude_deg), f"event {h.id}")
        if not np.isfinite([h.depth_km, h.origin_s]).all():
            raise ValueError(f"event {h.id}: depth_km and origin_s must be finite, got {h.depth_km}, {h.origin_s}")
        if np.shape(h.covariance) != (4, 4):
            raise ValueError(f"event {h.id}: covariance must be [4, 4], got shape {np.shape(h.covariance)}")


def km_per_degree(latitude_deg: float) -> tuple[float, float]:
    """Length in km of a degree of latitude and of longitude on WGS 84, from its radii of curvature."""
    squared = 1 - WGS84.es * np.sin(np.deg2rad(latitude_deg)) ** 2
    meridian_km = WGS84.a * (1 - WGS84.es) / squared**1.5 / 1000
    parallel_km = WGS84.a / np.sqrt(squared) * np.cos(np.deg2rad(latitude_deg)) / 1000
    # At a pole a degree of longitude has no length; a metre keeps the error finite.
    return float(np.deg2rad(meridian_km)), float(max(np.deg2rad(parallel_km), 1e-3))


def write_quakeml(path: str | Path, hypocentres: list[Hypocentre]) -> None:
    """Write QuakeML 1.2, validated against its schema.

    All lengths are in m, errors of latitude and longitude in degrees. Single errors are standard deviations
    (confidence level 68.27 %); ellipse and ellipsoid are at the level of the event
    (`jaxloc.data.ellipsoids`). Comments hold the covariance, the epistemic share and, where known, the
    distance from the catalogue's location. Where the start is unknown, the origin time counts from
    1970-01-01T00:00:00 and a comment says so.

    Raises:
        ValueError: where an id occurs twice, a value is not finite or outside its range, or the folder is missing.
    """
    _check(hypocentres)
    catalog = Catalog([_event(i, h) for i, h in enumerate(hypocentres)])
    catalog.resource_id = ResourceIdentifier("smi:local/jaxloc/catalogue")
    catalog.creation_info = _author()
    text = io.BytesIO()
    catalog.write(text, format="QUAKEML", validate=True)
    write_whole(path, text.getvalue())


def _author() -> CreationInfo:
    return CreationInfo(author="jaxloc", version=__version__)


def _event(number: int, h: Hypocentre) -> Event:
    # The number keeps ids apart that differ only in characters which resource ids cannot hold.
    name = f"{number}-{re.sub(r'[^A-Za-z0-9.-]', '_', h.id)}"
    origin = _origin(name, h)
    event = Event(
        resource_id=ResourceIdentifier(f"smi:local/jaxloc/event/{name}"),
        event_type="earthquake",
        event_type_certainty="suspected",
        event_descriptions=[EventDescription(text=h.id, type="earthquake name")],
        origins=[origin],
        creation_info=_author(),
    )
    event.preferred_origin_id = origin.resource_id
    if h.magnitude is not None:
        magnitude = Magnitude(
            resource_id=ResourceIdentifier(f"smi:local/jaxloc/magnitude/{name}"),
            mag=h.magnitude,
            mag_errors=_error(h.magnitude_sd),
            origin_id=origin.resource_id,
        )
        event.magnitudes, event.preferred_magnitude_id = [magnitude], magnitude.resource_id
    return event


def _error(standard_deviation: float | None) -> QuantityError:
    if standard_deviation is None:
        return QuantityError()
    return QuantityError(uncertainty=float(standard_deviation), confidence_level=ONE_SIGMA_PERCENT)


def _origin(name: str, h: Hypocentre) -> Origin:
    east_km, north_km, depth_km, origin_s = np.sqrt(np.diag(h.covariance))
    north_degree_km, east_degree_km = km_per_degree(h.latitude_deg)
    return Origin(
        resource_id=ResourceIdentifier(f"smi:local/jaxloc/origin/{name}"),
        time=UTCDateTime(h.start or EPOCH) + h.origin_s,
        time_errors=_error(origin_s),
        latitude=h.latitude_deg,
        latitude_errors=_error(north_km / north_degree_km),
        longitude=(h.longitude_deg + 180) % 360 - 180,
        longitude_errors=_error(east_km / east_degree_km),
        depth=h.depth_km * 1000,
        depth_errors=_error(depth_km * 1000),
        depth_type="from location",
        origin_uncertainty=_uncertainty(h),
        quality=OriginQuality(used_station_count=h.num_stations, azimuthal_gap=h.gap_deg),
        evaluation_mode="automatic",
        method_id=ResourceIdentifier("smi:local/jaxloc/posterior"),
        comments=[
            Comment(text=text, resource_id=ResourceIdentifier(f"smi:local/jaxloc/comment/{name}/{i}"))
            for i, text in enumerate(_comments(h))
        ],
        creation_info=_author(),
    )


def _uncertainty(h: Hypocentre) -> OriginUncertainty:
    of_ellipse, of_ellipsoid = h.drawn_at or (h.level, h.level)
    ellipse = horizontal_ellipse(h.covariance, of_ellipse)
    ellipsoid = confidence_ellipsoid(h.covariance, of_ellipsoid)
    return OriginUncertainty(
        max_horizontal_uncertainty=ellipse.semi_major_km * 1000,
        min_horizontal_uncertainty=ellipse.semi_minor_km * 1000,
        azimuth_max_horizontal_uncertainty=ellipse.azimuth_deg,
        confidence_ellipsoid=ConfidenceEllipsoid(
            semi_major_axis_length=ellipsoid.semi_major_km * 1000,
            semi_intermediate_axis_length=ellipsoid.semi_intermediate_km * 1000,
            semi_minor_axis_length=ellipsoid.semi_minor_km * 1000,
            major_axis_plunge=ellipsoid.plunge_deg,
            major_axis_azimuth=ellipsoid.azimuth_deg,
            major_axis_rotation=ellipsoid.rotation_deg,
        ),
        preferred_description="confidence ellipsoid",
        confidence_level=h.level * 100,
    )


def _comments(h: Hypocentre) -> list[str]:
    comments = [f"covariance over {', '.join(COORDINATES)}: {json.dumps(np.asarray(h.covariance).tolist())}"]
    if h.start is None:
        comments.append("start of the record unknown: the origin time counts from 1970-01-01T00:00:00")
    if h.epistemic_share is not None:
        epistemic = 100 * h.epistemic_share
        comments.append(f"variance of the position: epistemic {epistemic:.1f} %, aleatoric {100 - epistemic:.1f} %")
    if h.drawn_at is not None:
        normal = " and ".join(f"{100 * level:.1f} %" for level in h.drawn_at)
        comments.append(f"ellipse and ellipsoid calibrated: those of a normal distribution at {normal}")
    comments += [f"{name}: {value:.6g}" for name, value in h.others.items()]
    if h.alarm:
        comments.append(f"stated errors may not hold: {h.alarm}")
    if h.truth is not None:
        epicentre_km, depth_km, _ = errors_km(h)
        comments.append(f"distance from the catalogue: epicentre {epicentre_km:.3f} km, depth {depth_km:+.3f} km")
    return comments


def errors_km(h: Hypocentre) -> tuple[float, float, float]:
    """Epicentral distance (km) from the truth, depth (km) and origin time (s) less the true; else NaN."""
    if h.truth is None:
        return np.nan, np.nan, np.nan
    _, _, metres = WGS84.inv(h.longitude_deg, h.latitude_deg, h.truth.longitude_deg, h.truth.latitude_deg)
    origin_s = np.nan if h.truth.origin_s is None else h.origin_s - h.truth.origin_s
    return metres / 1000, h.depth_km - h.truth.depth_km, origin_s


PAIRS = [(i, j) for i in range(4) for j in range(i, 4)]
AXES = ("east", "north", "depth", "origin")


def _row(h: Hypocentre) -> dict[str, object]:
    ellipse = horizontal_ellipse(h.covariance, h.drawn_at[0] if h.drawn_at else h.level)
    sd = np.sqrt(np.diag(h.covariance))
    epicentre_km, depth_km, origin_s = errors_km(h)
    row: dict[str, object] = {
        "id": h.id,
        "origin_time": None if h.start is None else str(UTCDateTime(h.start) + h.origin_s),
        "latitude_deg": h.latitude_deg,
        "longitude_deg": h.longitude_deg,
        "depth_km": h.depth_km,
        "magnitude": h.magnitude,
        "magnitude_sd": h.magnitude_sd,
        **dict(zip(("east_sd_km", "north_sd_km", "depth_sd_km", "origin_sd_s"), sd, strict=True)),
        "ellipse_major_km": ellipse.semi_major_km,
        "ellipse_minor_km": ellipse.semi_minor_km,
        "ellipse_azimuth_deg": ellipse.azimuth_deg,
        "confidence_level": h.level,
        "ellipse_drawn_at": h.drawn_at and h.drawn_at[0],
        "ellipsoid_drawn_at": h.drawn_at and h.drawn_at[1],
        "alarm": h.alarm,
        "gap_deg": h.gap_deg,
        "stations": h.num_stations,
        "epistemic_share": h.epistemic_share,
        "start": h.start,
        "origin_s": h.origin_s,
        **{f"truth_{name}": getattr(h.truth, name, None) for name in Truth._fields},
        "epicentre_error_km": epicentre_km,
        "depth_error_km": depth_km,
        "origin_error_s": origin_s,
    }
    covariance = {f"covariance_{AXES[i]}_{AXES[j]}": np.asarray(h.covariance)[i, j] for i, j in PAIRS}
    return row | covariance | dict(h.others)


def _columns() -> list[str]:
    """Those that every file has."""
    return list(_row(Hypocentre("", None, 0.0, 0.0, 0.0, 0.0, np.eye(4))))


def _text(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def write_csv(path: str | Path, hypocentres: list[Hypocentre]) -> None:
    """Write one line an event: location, standard errors, ellipse, covariance, errors where truth is known.

    Units are in the column names; a field that is unknown is empty. `origin_time` is empty where the start of
    the record is unknown, `origin_s` never is. Figures of other labels are the last columns.

    Raises:
        ValueError: as `write_quakeml`.
    """
    _check(hypocentres)
    text = io.StringIO()
    others = dict.fromkeys(name for h in hypocentres for name in h.others)
    writer = csv.DictWriter(text, [*_columns(), *others], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in _row(h).items()} for h in hypocentres)
    write_whole(path, text.getvalue().encode())


def read_csv(path: str | Path) -> list[Hypocentre]:
    """Read what `write_csv` wrote.

    Raises:
        ValueError: where the file is missing, a column is missing or a value is no number; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such file of events: {path}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = set(_columns()) - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        return [_from_row(path, row) for row in rows]


def _from_row(path: Path, row: dict[str, str]) -> Hypocentre:
    def number(name: str) -> float | None:
        try:
            return float(row[name]) if row[name] else None
        except ValueError as error:
            raise ValueError(f"{path}: {name} of event {row['id']} is {row[name]!r}, which is no number") from error

    def needed(name: str) -> float:
        value = number(name)
        if value is None:
            raise ValueError(f"{path}: event {row['id']} has no {name}")
        return value

    covariance = np.zeros((4, 4))
    for i, j in PAIRS:
        covariance[i, j] = covariance[j, i] = needed(f"covariance_{AXES[i]}_{AXES[j]}")
    truth = None
    if row["truth_latitude_deg"]:
        latitude_deg, longitude_deg, depth_km = (needed(f"truth_{name}") for name in Truth._fields[:3])
        truth = Truth(latitude_deg, longitude_deg, depth_km, number("truth_origin_s"))
    others = {name: needed(name) for name in set(row) - set(_columns()) if row[name]}
    stations, drawn_at = number("stations"), (number("ellipse_drawn_at"), number("ellipsoid_drawn_at"))
    return Hypocentre(
        row["id"],
        row["start"] or None,
        needed("latitude_deg"),
        needed("longitude_deg"),
        needed("depth_km"),
        needed("origin_s"),
        covariance,
        needed("confidence_level"),
        number("epistemic_share"),
        None if stations is None else int(stations),
        number("gap_deg"),
        number("magnitude"),
        number("magnitude_sd"),
        truth,
        None if drawn_at[0] is None or drawn_at[1] is None else (drawn_at[0], drawn_at[1]),
        row["alarm"] or None,
        others,
    )
