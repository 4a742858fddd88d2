"""Pictures of early warning: what is known by the time since the first P."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxloc.plots.style import BLUE, CYCLE, INK, VERMILION, dress, figure, legend, save

Row = Mapping[str, Any]


def elapsed(path: Path, rows: Sequence[Row], title: str) -> None:
    """What an early warning is worth by the time since the first P; the last row has whole records.

    Solid lines are the network's scores; dashed ones those of who knows the catalogue alone, or the nominal coverage.
    """
    ticks = [f"{row['elapsed_s']:g}" if np.isfinite(row["elapsed_s"]) else "all" for row in rows]
    panels = {
        "hypocentre: energy score (km)": {"energy_km": "catalogue_energy_km"},
        "magnitude: CRPS": {"magnitude_crps": "magnitude_crps_climatology"},
        "truths in the 90 % region": {"hypocentre_90": 0.9, "depth_90": 0.9, "magnitude_90": 0.9},
    }
    new = figure(10.2, 3.5, title)
    for axes, (name, lines) in zip(new.subplots(1, len(panels)), panels.items(), strict=True):
        dress(axes, "seconds since the first P", "", name)
        for (score, other), colour in zip(lines.items(), CYCLE, strict=False):
            dashed = [other if isinstance(other, float) else row[other] for row in rows]
            axes.plot([row[score] for row in rows], "o-", color=colour, markersize=4, label=score.split("_")[0])
            axes.plot(dashed, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_ylim(0, 1.02 if len(lines) > 1 else None)
    legend(new.axes[-1], loc="lower right")
    save(path, new)


def against_time(path: Path, rows: Sequence[Row], title: str) -> None:
    """Errors, scores over those of the catalogue, and coverage, against time since the first trigger."""
    new = figure(10.2, 3.9, title)
    left, middle, right, last = new.subplots(1, 4)
    _over_time(dress(left, "s after the first trigger", "mean error (km)", "Epicentre"), rows, "epicentre_km", BLUE)
    _over_time(dress(middle, "s after the first trigger", "mean error", "Magnitude"), rows, "magnitude_mae", VERMILION)
    dress(right, "s after the first trigger", "score over the catalogue's", "CRPS and energy score")
    dress(last, "s after the first trigger", "truths in the 90 % region", "Coverage")
    parts = {
        "epicentre": ("energy_epicentre_km", "energy_epicentre_km_catalogue", "coverage90_epicentre"),
        "depth": ("crps_depth_km", "crps_depth_km_catalogue", "coverage90_depth"),
        "magnitude": ("magnitude_crps", "magnitude_crps_climatology", "magnitude_coverage90"),
        "rupture length": ("rupture_log10_km_crps", "rupture_log10_km_crps_climatology", "rupture_log10_km_coverage90"),
    }
    for (name, (score, against, coverage)), colour in zip(parts.items(), CYCLE, strict=False):
        if score in rows[0]:
            relative = [{**row, "share": row[score] / row[against]} for row in rows]
            _over_time(right, relative, "share", colour, name)
            _over_time(last, rows, coverage, colour, name)
    last.axhline(0.9, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for axes in (left, middle, right):
        axes.set_ylim(bottom=0)
    last.set_ylim(0.5, 1.02)
    legend(last, loc="lower right")
    save(path, new)


def _over_time(axes: Axes, rows: Sequence[Row], name: str, colour: str, label: str | None = None) -> None:
    """A line with a band of its 95 % interval, where it has one."""
    if name not in rows[0]:
        return
    time_s = [row["elapsed_s"] for row in rows]
    axes.plot(time_s, [row[name] for row in rows], "o-", color=colour, linewidth=1.5, markersize=4, label=label)
    if f"{name}_low" in rows[0]:
        low, high = ([row[f"{name}_{end}"] for row in rows] for end in ("low", "high"))
        axes.fill_between(time_s, low, high, color=colour, alpha=0.15, linewidth=0)
