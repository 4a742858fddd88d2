"""Located events as a plain CSV that can be read back."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from obspy import UTCDateTime

from jaxloc.atomic_write import write_whole
from jaxloc.distributions.ellipsoids import Ellipse, horizontal_ellipse
from jaxloc.io.catalogue import Hypocentre, StationMagnitude, Truth, check_events, errors_km

if TYPE_CHECKING:
    from pandas import DataFrame

PAIRS = [(i, j) for i in range(4) for j in range(i, 4)]
LATER_COLUMNS = {"flag", "status", "magnitude_type", "family"}  # that files of earlier versions lack
AXES = ("east", "north", "depth", "origin")


def _row(h: Hypocentre) -> dict[str, object]:
    ellipse = Ellipse(np.nan, np.nan, np.nan)
    if np.isfinite(h.covariance[:2, :2]).all():
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
        "magnitude_type": h.magnitude_type,
        **dict(zip(("east_sd_km", "north_sd_km", "depth_sd_km", "origin_sd_s"), sd, strict=True)),
        "ellipse_major_km": ellipse.semi_major_km,
        "ellipse_minor_km": ellipse.semi_minor_km,
        "ellipse_azimuth_deg": ellipse.azimuth_deg,
        "confidence_level": h.level,
        "ellipse_drawn_at": h.drawn_at and h.drawn_at[0],
        "ellipsoid_drawn_at": h.drawn_at and h.drawn_at[1],
        "alarm": h.alarm,
        "flag": h.flag,
        "status": h.status,
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
    return row | covariance | {"family": h.family} | dict(h.others)


def _columns() -> list[str]:
    """Those that every file has."""
    return list(_row(Hypocentre("", None, 0.0, 0.0, 0.0, 0.0, np.eye(4))))


def _text(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def to_dataframe(hypocentres: list[Hypocentre]) -> "DataFrame":
    """Located events as a table, one row an event, with the columns of `write_csv`; unknown values are None or NaN.

    Raises:
        ValueError: as `write_csv`.
    """
    from pandas import DataFrame

    check_events(hypocentres)
    others = dict.fromkeys(name for h in hypocentres for name in h.others)
    return DataFrame([_row(h) for h in hypocentres], columns=[*_columns(), *others])


def write_csv(path: str | Path, hypocentres: list[Hypocentre]) -> None:
    """Write one line an event: location, standard errors, ellipse, covariance, errors where truth is known.

    Units are in the column names; a field that is unknown is empty. `origin_time` is empty where the start of
    the record is unknown, `origin_s` never is. Figures of other labels are the last columns.

    Raises:
        ValueError: as `write_quakeml`.
    """
    check_events(hypocentres)
    text = io.StringIO()
    others = dict.fromkeys(name for h in hypocentres for name in h.others)
    writer = csv.DictWriter(text, [*_columns(), *others], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in _row(h).items()} for h in hypocentres)
    write_whole(path, text.getvalue().encode())


def write_picks(path: str | Path, hypocentres: list[Hypocentre]) -> None:
    """Write one line a pick: event, station, phase, time (UTC) and time in s after the start of the event's record.

    `time` is empty where the start is unknown, `probability` where a pick has none. `jaxloc locate --locator` reads it.
    """
    text = io.StringIO()
    names = ("event_id", "station", "phase", "time", "time_s", "sigma_s", "probability")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for h in hypocentres:
        for pick in h.picks:
            time = None if h.start is None else str(UTCDateTime(h.start) + pick.time_s)
            cells = (h.id, pick.station, pick.phase, time, pick.time_s, pick.sigma_s, pick.probability)
            writer.writerow([_text(cell) for cell in cells])
    write_whole(path, text.getvalue().encode())


def write_station_magnitudes(path: str | Path, hypocentres: list[Hypocentre]) -> None:
    """Write one line an event and station: its magnitude, amplitude, distance and signal-to-noise ratio, or why none.

    A field that is unknown is empty, as is the reason of a station that contributes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("event_id", *StationMagnitude._fields))
    for h in hypocentres:
        for each in h.station_magnitudes:
            writer.writerow([_text(cell) for cell in (h.id, *each)])
    write_whole(path, text.getvalue().encode())


def read_csv(path: str | Path) -> list[Hypocentre]:
    """Read what `write_csv` wrote; a covariance that is not given is NaN.

    Raises:
        ValueError: where the file is missing, a column is missing or a value is no number; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such file of events: {path}; the path must name a CSV or QuakeML file")
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = set(_columns()) - set(rows.fieldnames or ()) - LATER_COLUMNS
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(sorted(missing))}; every event must have them")
        return [_from_row(path, row) for row in rows]


def _from_row(path: Path, row: dict[str, str]) -> Hypocentre:
    def number(name: str) -> float | None:
        try:
            return float(row[name]) if row[name] else None
        except ValueError as error:
            raise ValueError(f"{path}: {name} of event {row['id']} must be a number, got {row[name]!r}") from error

    def needed(name: str) -> float:
        value = number(name)
        if value is None:
            raise ValueError(f"{path}: event {row['id']} has no {name}; every event must have one")
        return value

    covariance = np.zeros((4, 4))
    for i, j in PAIRS:
        value = number(f"covariance_{AXES[i]}_{AXES[j]}")
        covariance[i, j] = covariance[j, i] = np.nan if value is None else value
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
        row.get("flag") or "",
        rejected=row.get("status") == "rejected",
        magnitude_type=row.get("magnitude_type") or "",
        family=row.get("family") or "",
    )
