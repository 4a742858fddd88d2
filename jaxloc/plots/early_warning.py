"""Figures of early warning: scores against time since the first arrival."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxloc.plots.style import BLUE, CYCLE, INK, VERMILION, dress, figure, legend, save

Row = Mapping[str, Any]
QUANTITIES = {
    "epicentre": ("epicentre_energy_km", "epicentre_energy_km_climatology", "epicentre_90"),
    "depth": ("crps_depth_km", "crps_depth_km_climatology", "depth_90"),
    "magnitude": ("magnitude_crps", "magnitude_crps_climatology", "magnitude_90"),
    "rupture length": ("rupture_log10_km_crps", "rupture_log10_km_crps_climatology", "rupture_log10_km_90"),
}
"""By quantity the columns of its score, of the climatology's score, and of the coverage of its 90 % region."""


def over_time(path: Path, rows: Sequence[Row], title: str, since: str = "first P") -> None:
    """Errors, scores relative to the climatology, and coverage, against time since the first P or trigger.

    Bands are 95 % intervals. Times are evenly spaced on the axis; an infinite one, of whole records, is labelled "all".
    """
    new, across = figure(10.2, 3.9, title), f"s after the {since}"
    left, middle, right, last = new.subplots(1, 4)
    _line(dress(left, across, "mean error (km)", "Epicentre"), rows, "epicentre_mean_km", BLUE)
    _line(dress(middle, across, "mean absolute error", "Magnitude"), rows, "magnitude_mae", VERMILION)
    dress(right, across, "score / climatology's score", "CRPS and energy score")
    dress(last, across, "coverage of 90 % regions", "Coverage")
    for (name, (score, climatology, coverage)), colour in zip(QUANTITIES.items(), CYCLE, strict=False):
        if score in rows[0]:
            relative = [{**row, "relative": row[score] / row[climatology]} for row in rows]
            _line(right, relative, "relative", colour, name)
            _line(last, rows, coverage, colour, name)
    last.axhline(0.9, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for axes in (left, middle, right, last):
        axes.set_xticks(range(len(rows)), [_tick(row["elapsed_s"]) for row in rows])
        axes.set_ylim(bottom=0)
    last.set_ylim(0.5, 1.02)
    legend(last, loc="lower right")
    save(path, new)


def _tick(time_s: float) -> str:
    return f"{time_s:g}" if np.isfinite(time_s) else "all"


def _line(axes: Axes, rows: Sequence[Row], name: str, colour: str, label: str | None = None) -> None:
    """A line with a band of its 95 % interval, where the rows have them."""
    if name not in rows[0]:
        return
    places = range(len(rows))
    axes.plot(places, [row[name] for row in rows], "o-", color=colour, linewidth=1.5, markersize=4, label=label)
    if f"{name}_low" in rows[0]:
        low, high = ([row[f"{name}_{end}"] for row in rows] for end in ("low", "high"))
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
