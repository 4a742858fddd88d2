"""Pictures of forecasts: are probabilities right, and where do they differ from the rate map?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from jaxloc.plots.style import BLUE, INK, MUTED, VERMILION, dress, figure, frame, legend, save

LOWEST = 1e-4  # probability that maps tell apart from none


def reliability(path: str | Path, cases: Sequence[Mapping[str, Any]], title: str = "Reliability") -> None:
    """How often it happened where it was said to be so probable, a panel for each target; logarithmic."""
    new = figure(3.4 * len(cases), 3.7, title)
    for axes, case in zip(np.atleast_1d(new.subplots(1, len(cases))), cases, strict=True):
        dress(axes, "stated probability", "share that happened", case["target"])
        points = [(r["predicted"], r["happened"]) for n in ("network", "recent") for r in case[n]["reliability"]]
        known = np.array([x for x in np.ravel(points) if x > 0])
        ends = [known.min() / 2, min(1.0, known.max() * 2)]
        axes.plot(ends, ends, color=INK, linewidth=1)
        for name, colour, label in (("network", BLUE, "network"), ("recent", VERMILION, "recent rates")):
            line = np.array([(r["predicted"], r["happened"]) for r in case[name]["reliability"]])
            line[line[:, 1] == 0, 1] = np.nan
            axes.plot(*line.T, "o-", color=colour, markersize=4, linewidth=1.2, label=label)
        axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        legend(axes, loc="upper left")
    save(path, new)


def probability_maps(
    path: str | Path,
    maps: Mapping[str, Float[np.ndarray, "row column"]],
    extent: Sequence[float],
    occurred: Float[np.ndarray, "cell 2"],
    title: str,
    axes_names: tuple[str, str],
) -> None:
    """Maps of probability side by side, on one logarithmic scale; crosses where it happened.

    Args:
        path: of the PNG.
        maps: by name, rows from the south, columns from the west.
        extent: west, east, south, north.
        happened: middles of cells where it came true, in the units of `extent`.
        title: of the picture.
        axes_names: of east and north.
    """
    new = figure(4.1 * len(maps) + 0.6, 4.4, title)
    highest = max(float(x.max()) for x in maps.values())
    norm = LogNorm(max(LOWEST, highest / 1000), highest)
    image, panels = None, np.atleast_1d(new.subplots(1, len(maps), sharey=True))
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        image = _map(axes, values, extent, norm, name, axes_names)
        axes.plot(*np.reshape(occurred, (-1, 2)).T, "+", color=VERMILION, markersize=6, markeredgewidth=1.2)
    if image is not None:
        bar = new.colorbar(image, ax=list(panels), shrink=0.8, pad=0.01)
        bar.set_label("probability", fontsize=9, color=INK)
        bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=8)
    save(path, new)


def _map(
    axes: Axes,
    values: Float[np.ndarray, "row column"],
    extent: Sequence[float],
    norm: LogNorm,
    name: str,
    axes_names: tuple[str, str],
) -> Any:
    west, east, south, north = extent
    frame(dress(axes, axes_names[0], axes_names[1], name, grid=False))
    return axes.imshow(
        np.maximum(values, norm.vmin or LOWEST),
        origin="lower",
        extent=(west, east, south, north),
        norm=norm,
        cmap="cividis",
        aspect="equal" if east - west > 100 else "auto",
    )
