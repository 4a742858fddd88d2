"""The report of a catalogue: one HTML file with its pictures inside, to read in any browser and to send on."""

import base64
import html
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxloc.atomic_write import write_whole
from jaxloc.plots.geography import Geography

STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:1080px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid #e4e8ec}img{max-width:100%}
table{border-collapse:collapse;font-size:13px}td,th{padding:.25em .8em .25em 0;text-align:left;vertical-align:top}
th{border-bottom:1px solid #6b7785}tr:nth-child(even) td{background:#f6f8fa}.muted{color:#6b7785}"""
WITH_EVENT = "in an event"
MOST_ROWS = 50  # of events in the table; all are in events.csv


class Reported(NamedTuple):
    """What a report shows.

    Attributes:
        title: of the page.
        about: lines of the table at its head: what was searched, how, with which result.
        hypocentre_km: east, north, depth in km, origin time in s from the beginning of the records.
        magnitude: NaN where there is none.
        rows: of the table of events, the largest or the surest first.
        station_km: east, north and depth of the stations.
        geography: their names, and the frame.
        recall: share of events with a P and an S pick, by station.
        fates: reason of each pick without an event, "" where it has one.
        frequency: completeness, b-value and its standard deviation; NaN where not known.
        notes: what the user should know.
    """

    title: str
    about: Mapping[str, str]
    hypocentre_km: Float[np.ndarray, "event 4"]
    magnitude: Float[np.ndarray, " event"]
    rows: Sequence[Mapping[str, Any]]
    station_km: Float[np.ndarray, "station 3"]
    geography: Geography
    recall: Float[np.ndarray, "station phase"]
    fates: Sequence[str]
    frequency: tuple[float, float, float]
    notes: Sequence[str] = ()


def recall_of(
    event: Int[np.ndarray, " pick"],
    station: Int[np.ndarray, " pick"],
    phase: Int[np.ndarray, " pick"],
    shape: tuple[int, int],
    events: int,
) -> Float[np.ndarray, "station phase"]:
    """Share of the events that have a pick, by station and phase; `event` is negative for picks of none."""
    count = np.zeros(shape)
    used = event >= 0
    np.add.at(count, (station[used], phase[used]), 1.0)
    return count / max(events, 1)


def write_report(path: Path, reported: Reported) -> Path:
    """Write the page, whole or not at all."""
    parts = [f"<h1>{html.escape(reported.title)}</h1>", pairs_table(reported.about)]
    with tempfile.TemporaryDirectory() as folder:
        for heading, text, draw in _pictures(reported):
            picture = Path(folder) / "picture.png"
            draw(picture)
            parts += [
                f"<h2>{html.escape(heading)}</h2>",
                f"<p>{html.escape(text)}</p>" if text else "",
                image(picture),
            ]
    if reported.rows:
        shown = f"{min(MOST_ROWS, len(reported.rows))} of {len(reported.rows)}; all are in events.csv"
        parts += ["<h2>Events</h2>", f'<p class="muted">{shown}</p>', rows_table(reported.rows[:MOST_ROWS])]
    if reported.notes:
        parts += ["<h2>Notes</h2>", "<ul>", *(f"<li>{html.escape(note)}</li>" for note in reported.notes), "</ul>"]
    head = f'<meta charset="utf-8"><title>{html.escape(reported.title)}</title><style>{STYLE}</style>'
    page = f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(parts)}</body></html>"
    write_whole(path, page.encode())
    return path


def _pictures(reported: Reported) -> list[tuple[str, str, Callable[[Path], None]]]:
    """Headings, texts and what draws the pictures; those without anything to show are left out."""
    from jaxloc.plots import catalogue as plots

    hypocentre_km, magnitude = reported.hypocentre_km, reported.magnitude
    names, known = reported.geography.station_names, np.isfinite(magnitude)
    found: list[tuple[str, str, Callable[[Path], None]]] = []
    if len(hypocentre_km):
        arguments = hypocentre_km, magnitude, reported.station_km, "", reported.geography
        found.append(("Map and sections", "", lambda path: plots.catalogue_map(path, *arguments)))
        origin_s = hypocentre_km[:, 3]
        found.append(("Over time", "", lambda path: plots.events_over_time(path, origin_s, magnitude, "")))
    if known.sum() > 1:
        of_magnitudes = lambda path: plots.magnitude_frequency(path, magnitude[known], *reported.frequency, "")
        found.append(("Magnitudes", f"{int(known.sum())} of {len(magnitude)} events have one.", of_magnitudes))
    if len(hypocentre_km):
        recall = lambda path: plots.station_recall(path, names, reported.recall, "")
        found.append(("Stations", "Share of the events with a pick at each station.", recall))
    fates = Counter(fate or WITH_EVENT for fate in reported.fates)
    if fates:
        found.append(("What became of the picks", "", lambda path: plots.pick_fates(path, fates, "")))
    return found


class Link(NamedTuple):
    """A text that leads to a page."""

    text: str
    page: str


def image(path: Path) -> str:
    """A picture within the page."""
    return f'<img src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" alt="">'


def pairs_table(about: Mapping[str, str]) -> str:
    """A table of names and texts."""
    cells = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in about.items())
    return f"<table>{''.join(cells)}</table>"


def rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows, of texts and links."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    line = lambda row: "".join(f"<td>{_cell(value)}</td>" for value in row.values())
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line(row)}</tr>' for row in rows)}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, Link):
        return f'<a href="{html.escape(value.page)}">{html.escape(value.text)}</a>'
    return html.escape(str(value))
