"""Errors and detection of events against their signal-to-noise ratio, by several methods and on several sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxloc.plots.style import CYCLE, INK, MUTED, dress, figure, legend, log_ticks, save

Row = Mapping[str, Any]
LINES = ("-", (0, (4, 2)), ":")
USABLE_KM = 10.0


def against_ratio(path: Path, rows: Sequence[Row], title: str = "Events buried in their own noise") -> None:
    """The 90th percentile of epicentral errors of detected events, and the share of events that is detected.

    A colour a set, a line a method; thin lines on the right are shares that are detected and less than 10 km off.
    """
    new = figure(9.6, 3.8, title)
    left, right = new.subplots(1, 2)
    across = "median signal-to-noise ratio of P (dB)"
    dress(left, across, "epicentral error, 90th percentile (km)")
    dress(right, across, "share of events")
    left.axhline(USABLE_KM, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    sets, methods = (list(dict.fromkeys(row[name] for row in rows)) for name in ("set", "method"))
    for name in sets:
        for method in methods:
            own = sorted((r for r in rows if (r["set"], r["method"]) == (name, method)), key=lambda r: r["level_db"])
            style = {"color": CYCLE[sets.index(name)], "linestyle": LINES[methods.index(method)]}
            _line(left, own, "p90_km", label=f"{name}, {method}", linewidth=1.6, **style)
            _line(right, own, "detected", linewidth=1.6, **style)
            _line(right, own, "within", linewidth=0.8, **style)
    known = [row["p90_km"] for row in rows if row["p90_km"] == row["p90_km"]]
    left.set_yscale("log")
    log_ticks(left.yaxis, min(known, default=1.0), max(known, default=100.0))
    right.set_ylim(-0.02, 1.02)
    for axes in (left, right):
        axes.set_xticks(sorted({row["level_db"] for row in rows}))
    right.plot([], [], color=MUTED, linewidth=1.6, label="detected")
    right.plot([], [], color=MUTED, linewidth=0.8, label=f"detected, and less than {USABLE_KM:g} km off")
    legend(left, handlelength=4)
    legend(right)
    save(path, new)


def _line(axes: Axes, rows: Sequence[Row], name: str, **style: Any) -> None:
    axes.plot([row["level_db"] for row in rows], [row[name] for row in rows], markersize=3, marker="o", **style)
