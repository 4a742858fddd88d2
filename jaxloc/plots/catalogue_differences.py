"""Two catalogues of one sequence: maps, sections, and the differences of matched events."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxloc.plots.geography import Geography
from jaxloc.plots.relocations import epicentres, longer_axis, section, span
from jaxloc.plots.style import BLUE, INK, MUTED, VERMILION, dress, figure, save
from jaxloc.scores.catalogues import Matched

NO_STATIONS = np.zeros((0, 3))


def catalogue_differences(
    path: str | Path,
    first: Float[np.ndarray, "first 4"],
    second: Float[np.ndarray, "second 4"],
    matched: Matched,
    names: tuple[str, str] = ("first", "second"),
    geography: Geography = Geography(),
) -> Path:
    """Both catalogues in map view and in sections along the second's longer axis, and differences of matched events.

    Events without a counterpart are red. Hypocentres are in km east, north and depth, and in s.
    """
    path = Path(path)
    new = figure(15.5, 8.6, f"{len(matched.first)} events of both {names[0]} and {names[1]}")
    above, below = new.subplots(2, 3, height_ratios=(1.5, 1))
    places = np.concatenate([first[:, :2], second[:, :2]])
    depths = np.concatenate([first[:, 2], second[:, 2]])
    depth_limits = span(depths[np.isfinite(depths)])[::-1] if np.isfinite(depths).any() else (1.0, 0.0)
    axis, middle = longer_axis(second), np.median(second[:, :2], axis=0)
    shown = ((first, matched.only_first, MUTED), (second, matched.only_second, BLUE))
    for column, (points, only, colour) in enumerate(shown):
        alone = points[sorted(only)]
        title = f"{names[column]}: {len(points)} events, {len(alone)} of them in no pair"
        epicentres(above[column], points, NO_STATIONS, places, colour, title, geography)
        section(below[column], points, middle, axis, colour, "" if column else "depth (km)")
        above[column].scatter(*alone[:, :2].T, s=4, color=VERMILION, linewidth=0)
        below[column].scatter((alone[:, :2] - middle) @ axis, alone[:, 2], s=4, color=VERMILION, linewidth=0)
        below[column].set(xlim=span((places - middle) @ axis), ylim=depth_limits)
    apart = second[matched.second] - first[matched.first]
    dress(above[2], "east (km)", "north (km)", f"{names[1]} minus {names[0]}")
    _cloud(above[2], apart[:, 0], apart[:, 1])
    dress(below[2], "depth (km)", "origin time (s)")
    _cloud(below[2], apart[:, 2], apart[:, 3])
    save(path, new)
    return path


def _cloud(axes: Axes, x: Float[np.ndarray, " pair"], y: Float[np.ndarray, " pair"]) -> None:
    """Differences of two quantities and their medians; the 2 % that differ most may lie outside."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.axvline(0, color=MUTED, linewidth=0.7)
    if not len(x):
        return
    axes.scatter(x, y, s=4, color=INK, linewidth=0)
    axes.scatter(np.median(x), np.median(y), marker="+", s=140, color=VERMILION, linewidth=1.8)
    reach = [1.1 * float(np.percentile(np.abs(values), 98)) + 0.01 for values in (x, y)]
    axes.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]))
