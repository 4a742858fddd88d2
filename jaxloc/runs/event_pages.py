"""One page for each event: record section, map and section, residuals of its picks; linked from the report."""

import html
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.atomic_write import write_whole
from jaxloc.data.chunk import SECOND_NS, Interval
from jaxloc.data.dataset import positions_km
from jaxloc.data.preprocessing import bandpass
from jaxloc.geometry import to_km
from jaxloc.io.archive import Archive
from jaxloc.io.archive_chunks import read_chunk
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import timed
from jaxloc.io.station_checks import centre_of
from jaxloc.runs.catalogue_report import STYLE, image, pairs_table, rows_table
from jaxloc.runs.magnitudes import travel_times
from jaxloc.types import PHASES

FOLDER = "events"
MOST_STATIONS = 20  # in the record section, the nearest ones
BEFORE_S, AFTER_S, PAD_S = 5.0, 10.0, 5.0
CAPTION = (
    "Lines are picks, dotted lines arrivals that the given velocity model predicts; regions are those of 90 % of a "
    "normal distribution of the event's covariance."
)
RATE_HZ, BAND_HZ = 50.0, (2.0, 15.0)
Table = Sequence[Mapping[str, Any]]


class Arrivals(NamedTuple):
    """Stations of an event in the order of their distances, with what was predicted there, in s after the origin."""

    rows: np.ndarray
    station_km: Float[np.ndarray, "station 3"]
    place_km: Float[np.ndarray, "3"]
    distance_km: Float[np.ndarray, " station"]
    predicted_s: Float[np.ndarray, "station 2"]


def page_name(event: Hypocentre) -> str:
    """The name of an event's page, from the folder of the report."""
    return f"{FOLDER}/{re.sub(r'[^A-Za-z0-9.-]', '_', event.id)}.html"


def write_pages(folder: Path, archive: Archive, velocity: Mapping[str, Any], events: Sequence[Hypocentre]) -> list[str]:
    """Write the pages of some events; their names.

    Args:
        folder: of the report.
        archive: whose records are shown.
        velocity: settings of the velocity model, for predicted arrivals.
        events: located, with picks.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    found = _arrivals(archive, velocity, events)
    for event, own in zip(events, found, strict=True):
        write_whole(folder / page_name(event), _page(archive, event, own).encode())
    return [page_name(event) for event in events]


def _arrivals(archive: Archive, velocity: Mapping[str, Any], events: Sequence[Hypocentre]) -> list[Arrivals]:
    frame = centre_of(archive.stations)
    station_km = positions_km(frame, archive.stations)
    degrees = np.array([(event.latitude_deg, event.longitude_deg) for event in events]).reshape(-1, 2)
    depth_km = np.array([event.depth_km for event in events])
    place_km = np.stack([*to_km(frame, degrees[:, 0], degrees[:, 1]), depth_km], -1)
    predicted_s = travel_times(velocity, np.tile(station_km, (len(events), 1, 1)), place_km)
    out = []
    for own_km, own_s in zip(place_km, predicted_s, strict=True):
        distance_km = np.linalg.norm(station_km[:, :2] - own_km[:2], axis=-1)
        order = np.argsort(distance_km)
        out.append(Arrivals(order, station_km[order], own_km, distance_km[order], own_s[order]))
    return out


def residuals(archive: Archive, event: Hypocentre, own: Arrivals) -> list[dict[str, str]]:
    """A row for each pick: what was observed less what was predicted, and its part of the pick's standard deviation."""
    place = {archive.stations[row].code: at for at, row in enumerate(own.rows)}
    table = []
    for pick in sorted(event.picks, key=lambda pick: pick.time_s):
        if (at := place.get(pick.station)) is None:
            continue
        late_s = pick.time_s - event.origin_s - own.predicted_s[at, PHASES.index(pick.phase)]
        known = pick.sigma_s is not None and pick.sigma_s > 0
        apart_km = own.station_km[at] - own.place_km
        table.append(
            {
                "station": pick.station,
                "phase": pick.phase,
                "distance (km)": f"{own.distance_km[at]:.1f}",
                "azimuth (deg)": f"{np.rad2deg(np.arctan2(apart_km[0], apart_km[1])) % 360:.0f}",
                "pick after origin (s)": f"{pick.time_s - event.origin_s:.3f}",
                "sd (s)": f"{pick.sigma_s:.3f}" if known else "-",
                "residual (s)": f"{late_s:+.3f}",
                "residual / sd": f"{late_s / pick.sigma_s:+.1f}" if known and pick.sigma_s else "-",
                "probability": "-" if pick.probability is None else f"{pick.probability:.2f}",
            }
        )
    return table


def _page(archive: Archive, event: Hypocentre, own: Arrivals) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        _draw(path, archive, event, own)
        picture = image(path)
    table = residuals(archive, event, own)
    title = f"Event {event.id}"
    origins = [event, *event.earlier]
    parts = [
        '<p><a href="../report.html">report</a></p>',
        f"<h1>{html.escape(title)}</h1>",
        pairs_table(_about(event)),
        picture,
        f'<p class="muted">{CAPTION}</p>',
        "<h2>Residuals</h2>",
        rows_table(table) if table else "<p>It has no picks.</p>",
        *(["<h2>Origins</h2>", rows_table([_origin_row(each) for each in origins])] if event.origin_about else []),
    ]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(parts)}</body></html>"


def _about(event: Hypocentre) -> dict[str, str]:
    sd_km = np.sqrt(np.diag(np.asarray(event.covariance, float)))
    size = "none" if event.magnitude is None else f"{event.magnitude_type or 'M'} {event.magnitude:.2f}"
    error = "" if event.magnitude_sd is None else f" ± {event.magnitude_sd:.2f}"
    about = {
        "origin time (UTC)": f"{str(timed(event))[:23].replace('T', ' ')} ± {sd_km[3]:.2f} s",
        "place": f"{event.latitude_deg:.4f}, {event.longitude_deg:.4f} ± {np.hypot(*sd_km[:2]):.2f} km",
        "depth": f"{event.depth_km:.2f} ± {sd_km[2]:.2f} km",
        "magnitude": size + error,
        **{name: f"{value:.4g}" for name, value in event.others.items()},
    }
    more = {"flags": event.flag, "family of": event.family}
    return about | {name: text for name, text in more.items() if text}


def _origin_row(event: Hypocentre) -> dict[str, str]:
    sd_km = np.sqrt(np.diag(np.asarray(event.covariance, float)))
    return {
        "how": event.origin_about or "at its template's place",
        "origin time (UTC)": str(timed(event))[:23].replace("T", " "),
        "latitude": f"{event.latitude_deg:.4f}",
        "longitude": f"{event.longitude_deg:.4f}",
        "± km": f"{np.hypot(*sd_km[:2]):.2f}",
        "depth (km)": f"{event.depth_km:.2f} ± {sd_km[2]:.2f}",
    }


def _draw(path: Path, archive: Archive, event: Hypocentre, own: Arrivals) -> None:
    """The picture of an event, of the records of its nearest stations."""
    from jaxloc.plots.event_page import EventPicture, event_picture

    near = slice(0, MOST_STATIONS)
    rows, origin_ns = own.rows[near], timed(event).ns
    last_s = float(own.predicted_s[near].max()) + AFTER_S
    interval = Interval(origin_ns - round(BEFORE_S * SECOND_NS), origin_ns + round(last_s * SECOND_NS))
    chunk = read_chunk(archive, interval, RATE_HZ, PAD_S, rows.tolist())
    there = chunk.usable[:, 0]
    vertical = np.where(
        there, bandpass(np.asarray(chunk.records[:, 0], float), RATE_HZ, BAND_HZ, zero_phase=True), np.nan
    )
    inside = slice(round(PAD_S * RATE_HZ), vertical.shape[1] - round(PAD_S * RATE_HZ))
    place = {archive.stations[row].code: at for at, row in enumerate(rows)}
    picks = [pick for pick in event.picks if pick.station in place]
    shown = EventPicture(
        own.place_km,
        np.asarray(event.covariance, float)[:3, :3],
        own.station_km[near],
        tuple(archive.stations[row].code for row in rows),
        vertical[:, inside],
        (chunk.start_ns - origin_ns) / SECOND_NS + PAD_S,
        RATE_HZ,
        own.predicted_s[near],
        np.array([place[pick.station] for pick in picks], int),
        np.array([PHASES.index(pick.phase) for pick in picks], int),
        np.array([pick.time_s - event.origin_s for pick in picks], float),
    )
    event_picture(path, shown)
