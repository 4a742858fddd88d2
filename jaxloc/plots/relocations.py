"""Events before and after a relocation, in map view and in a section."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxloc.plots.geography import Geography, degrees_on
from jaxloc.plots.maps import STATION
from jaxloc.plots.style import BLUE, INK, MUTED, PAPER, dress, figure, frame, save


def relocation_map(
    path: str | Path,
    before: Float[np.ndarray, "event 4"],
    after: Float[np.ndarray, "event 4"],
    station_km: Float[np.ndarray, "station 3"],
    geography: Geography = Geography(),
) -> Path:
    """Epicentres before and after side by side on one scale, and below them sections along the events' longer axis."""
    path = Path(path)
    new = figure(11.2, 8.2, f"{len(after)} events before and after relocation")
    above, below = new.subplots(2, 2, height_ratios=(1.6, 1))
    places = np.concatenate([before[:, :2], after[:, :2]])
    axis, middle = longer_axis(after), np.median(after[:, :2], axis=0)
    for maps, sections, points, colour, name in (
        (above[0], below[0], before, MUTED, "before"),
        (above[1], below[1], after, BLUE, "after"),
    ):
        epicentres(maps, points, station_km, places, colour, name, geography)
        section(sections, points, middle, axis, colour, "depth (km)" if name == "before" else "")
        sections.set(xlim=span((places - middle) @ axis), ylim=span([*before[:, 2], *after[:, 2]])[::-1])
    save(path, new)
    return path


def section(
    axes: Axes,
    points: Float[np.ndarray, "event 4"],
    middle: Float[np.ndarray, " 2"],
    axis: Float[np.ndarray, " 2"],
    colour: str,
    ylabel: str,
) -> None:
    """Depths along a horizontal direction, from a middle."""
    dress(axes, f"km towards N {azimuth_deg(axis):.0f}° E", ylabel)
    axes.scatter((points[:, :2] - middle) @ axis, points[:, 2], s=4, color=colour, linewidth=0)


def epicentres(
    axes: Axes,
    points: Float[np.ndarray, "event 4"],
    station_km: Float[np.ndarray, "station 3"],
    places: Float[np.ndarray, "place 2"],
    colour: str,
    name: str,
    geography: Geography,
) -> None:
    """A map of events and stations that shows `places`."""
    frame(dress(axes, "east (km)", "north (km)", name))
    axes.scatter(*points[:, :2].T, s=4, color=colour, linewidth=0)
    limits = [span(values) for values in places.T]
    inside = [(low <= x) & (x <= high) for x, (low, high) in zip(station_km[:, :2].T, limits, strict=True)]
    axes.scatter(*station_km[inside[0] & inside[1], :2].T, **STATION | {"color": PAPER, "edgecolor": INK})
    axes.set(xlim=limits[0], ylim=limits[1], aspect="equal")
    degrees_on(axes, geography.frame, places)


def longer_axis(points: Float[np.ndarray, "event 4"]) -> Float[np.ndarray, " 2"]:
    """The horizontal direction in which events are spread most, towards the east."""
    axis = np.linalg.svd(points[:, :2] - points[:, :2].mean(0), full_matrices=False)[2][0]
    return axis if axis[0] >= 0 else -axis


def azimuth_deg(axis: Float[np.ndarray, " 2"]) -> float:
    """Clockwise from north."""
    return float(np.rad2deg(np.arctan2(axis[0], axis[1])))


def span(values: Float[np.ndarray, " value"] | list[float]) -> tuple[float, float]:
    """From the 1st to the 99th percentile, and a tenth beyond: a few events far off would hide the others."""
    low, high = np.percentile(values, [1, 99])
    room = 0.1 * (high - low) + 0.2
    return float(low - room), float(high + room)
