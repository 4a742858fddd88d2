"""Networks side by side in one figure: energy scores of each and of baselines, and coverage of its regions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from jaxloc.plots.style import CYCLE, FAINT, INK, MUTED, dress, figure, legend, log_ticks, save

MARKS = ("|", "x", "+", "1")
Interval = tuple[float, float, float]
"""A value with the ends of its 95 % interval."""


class Standing(NamedTuple):
    """Energy scores (km) of one run and of its baselines, and coverage of its raw and conformal 90 % regions."""

    network: str
    method: str
    energy_km: Interval
    baseline_km: Mapping[str, float]
    coverage: float
    conformal_coverage: float


def standings(path: Path, found: Sequence[Standing], title: str = "Energy score and coverage by network") -> None:
    """A line a network: energy scores on a logarithmic axis, and coverage of 90 % regions; 85 to 95 % is shaded."""
    networks = list(dict.fromkeys(each.network for each in found))
    methods = list(dict.fromkeys(each.method for each in found))
    trivial = list(dict.fromkeys(name for each in found for name in each.baseline_km))
    new = figure(10.2, 1.5 + 0.3 * len(networks), title)
    left, right = new.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    dress(left, "energy score of the hypocentre (km), with its 95 % interval")
    dress(right, "coverage of 90 % regions")
    right.axvspan(0.85, 0.95, color=FAINT, linewidth=0)
    right.axvline(0.9, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for each in found:
        place = networks.index(each.network) + 0.25 * (methods.index(each.method) - (len(methods) - 1) / 2)
        colour = CYCLE[methods.index(each.method) % len(CYCLE)]
        _energies(left, each, place, colour, trivial)
        right.plot(each.coverage, place, "o", color=colour, markerfacecolor="none", markersize=5)
        right.plot(each.conformal_coverage, place, "o", color=colour, markersize=5)
    left.set_xscale("log")
    known = [value for each in found for value in (each.energy_km[0], *each.baseline_km.values()) if np.isfinite(value)]
    log_ticks(left.xaxis, min(known), max(known))
    left.set_yticks(range(len(networks)), networks)
    left.set_ylim(len(networks) - 0.5, -0.5)
    right.plot([], [], "o", color=MUTED, markerfacecolor="none", markersize=5, label="raw")
    right.plot([], [], "o", color=MUTED, markersize=5, label="conformal")
    for axes in (left, right):
        legend(axes, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5)
    save(path, new)


def _energies(axes: Axes, each: Standing, place: float, colour: str, trivial: Sequence[str]) -> None:
    value, low, high = each.energy_km
    axes.plot([low, high], [place, place], color=colour, linewidth=1.5)
    axes.plot(value, place, "o", color=colour, markersize=5, label=_once(axes, each.method))
    for name, energy in each.baseline_km.items():
        mark = MARKS[trivial.index(name) % len(MARKS)]
        axes.plot(energy, place, mark, color=MUTED, markersize=7, label=_once(axes, name))


def _once(axes: Axes, name: str) -> str | None:
    """The label, unless the legend has it already."""
    return None if name in axes.get_legend_handles_labels()[1] else name
