"""The picture of one event: record section with picks and predicted arrivals, map and section with its region."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from PIL import Image

from jaxloc.atomic_write import write_whole
from jaxloc.plots.maps import STATION
from jaxloc.plots.style import BLUE, FAINT, INK, MUTED, PAPER, VERMILION, dress, figure, legend, save
from jaxloc.types import PHASES

NUM_COLOURS = 24  # of the file, which is a quarter of the size of one of all colours
COLOURS = (BLUE, VERMILION)  # of P and S
LEVEL_CHI = 2.146  # of 90 % in two dimensions, in standard deviations
HEIGHT = 0.9  # of a trace, of the distance between two


class EventPicture(NamedTuple):
    """What the picture of an event shows; times in s after its origin time.

    Attributes:
        hypocentre_km: east, north, depth.
        covariance: of these, km².
        station_km: east, north, depth of the stations, the nearest first.
        names: of the stations.
        records: vertical components, in any unit; NaN where nothing was recorded.
        begin_s: time of the first sample.
        rate_hz: sampling rate.
        predicted_s: arrivals of P and S.
        pick_station, pick_phase, pick_s: of each pick.
    """

    hypocentre_km: Float[np.ndarray, "3"]
    covariance: Float[np.ndarray, "3 3"]
    station_km: Float[np.ndarray, "station 3"]
    names: tuple[str, ...]
    records: Float[np.ndarray, "station sample"]
    begin_s: float
    rate_hz: float
    predicted_s: Float[np.ndarray, "station 2"]
    pick_station: Int[np.ndarray, " pick"]
    pick_phase: Int[np.ndarray, " pick"]
    pick_s: Float[np.ndarray, " pick"]


def event_picture(path: Path, shown: EventPicture) -> None:
    """Draw an event: the record section on the left, the map above the section from west to east on the right."""
    new = figure(11.0, 6.4)
    parts: Any = new.subfigures(1, 2, width_ratios=(1.5, 1.0))
    _records(parts[0].subplots(), shown)
    above, below = parts[1].subplots(2, 1, height_ratios=(1.5, 1.0))
    dress(above, "east (km)", "north (km)")
    dress(below, "east (km)", "depth (km)")
    above.scatter(*shown.station_km[:, :2].T, **STATION | {"color": PAPER, "edgecolor": INK, "linewidth": 1.0})
    for axes, rows in ((above, (0, 1)), (below, (0, 2))):
        _region(axes, shown, rows)
    above.set_aspect("equal", adjustable="datalim")
    below.set_xlim(above.get_xlim())
    below.invert_yaxis()
    save(path, new)
    picture = io.BytesIO()
    Image.open(path).convert("RGB").quantize(NUM_COLOURS).save(picture, "PNG", optimize=True)
    write_whole(path, picture.getvalue())


def _records(axes: Axes, shown: EventPicture) -> None:
    dress(axes, "s after the origin time", "", "vertical records, nearest station below", grid=False)
    time_s = shown.begin_s + np.arange(shown.records.shape[1]) / shown.rate_hz
    for row, record in enumerate(shown.records):
        size = np.nanmax(np.abs(record)) if np.isfinite(record).any() else 0.0
        if size > 0:
            axes.plot(time_s, row + HEIGHT / 2 * record / size, color=MUTED, linewidth=0.5)
        for phase, time in enumerate(shown.predicted_s[row]):
            axes.plot([time] * 2, [row - 0.4, row + 0.4], color=COLOURS[phase], linewidth=0.8, linestyle=":")
    for phase, name in enumerate(PHASES):
        own = shown.pick_phase == phase
        rows = shown.pick_station[own]
        axes.vlines(
            shown.pick_s[own], rows - 0.4, rows + 0.4, color=COLOURS[phase], linewidth=1.8, label=f"{name} pick"
        )
    axes.plot([], [], color=INK, linewidth=0.8, linestyle=":", label="predicted")
    axes.set_yticks(range(len(shown.names)), shown.names)
    axes.set(xlim=(time_s[0], time_s[-1]), ylim=(-0.7, len(shown.names) - 0.3))
    legend(axes, loc="lower right")


def _region(axes: Axes, shown: EventPicture, rows: tuple[int, int]) -> None:
    """The hypocentre and the 90 % region of its covariance in two of its coordinates."""
    at = shown.hypocentre_km[list(rows)]
    covariance = shown.covariance[np.ix_(rows, rows)]
    axes.plot(*at, marker="*", markersize=11, color=VERMILION, markeredgecolor=PAPER, linestyle="none", zorder=4)
    if not np.isfinite(covariance).all():
        return
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, 90)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    edge = at[:, None] + LEVEL_CHI * vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)
    axes.fill(*edge, facecolor=FAINT, edgecolor=VERMILION, linewidth=1.0, zorder=3)
