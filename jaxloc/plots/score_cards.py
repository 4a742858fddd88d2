"""Figures of score cards: several locators, or one at several data sets, side by side."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxloc.plots.style import CENTRED, CYCLE, INK, MUTED, PAPER, dress, figure, log_ticks, save
from jaxloc.types import LEVELS

APART = 0.006  # of the points of one level, for their intervals not to lie on each other

COMPARED = (
    ("epicentre", ("error", "mean"), "Epicentre error, mean (km)", None),
    ("depth", ("error", "mae"), "Depth error, mean absolute (km)", None),
    ("origin", ("error", "mae"), "Origin time error, mean absolute (s)", None),
    ("hypocentre", ("energy", "mean"), "Energy score, hypocentre (km)", None),
    ("hypocentre", ("nll", "mean"), "NLL, hypocentre (nats)", None),
    ("epicentre", ("coverage", "90"), "Coverage of 90 % region, epicentre", 0.9),
    ("depth", ("coverage", "90"), "Coverage of 90 % region, depth", 0.9),
    ("epicentre", ("width90", "median"), "Area of 90 % region, median (km²)", None),
    ("epicentre", ("rank_correlation",), "Predicted sd and error, rank correlation", None),
)


def compare_cards(path: str | Path, cards: Mapping[str, Mapping], title: str = "Score cards") -> None:
    """Score cards side by side: a panel for each score, a dot for each locator with its 95 % interval."""
    new = figure(10.2, 1.2 + 3 * (0.55 + 0.24 * len(cards)), title)
    rows = np.arange(len(cards))[::-1]
    for panel, (axes, compared) in enumerate(zip(new.subplots(3, 3).flat, COMPARED, strict=True)):
        region, names, label, target = compared
        dress(axes, title=label)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        values = np.array([_estimate(card, region, names) for card in cards.values()])
        for row, (value, low, high), colour in zip(rows, values, CYCLE * 4, strict=False):
            axes.plot([low, high], [row, row], color=colour, linewidth=2.2, alpha=0.5, solid_capstyle="round")
            axes.plot(value, row, "o", color=colour, markersize=5, markeredgewidth=0)
            if np.isnan(value):
                axes.text(0.5, row, "undefined", transform=axes.get_yaxis_transform(), color=MUTED, **CENTRED)
        _span(axes, values[np.isfinite(values)], target, names)
        axes.set_ylim(-0.6, len(cards) - 0.4)
        axes.set_yticks(rows, list(cards) if panel % 3 == 0 else [""] * len(cards))
        axes.tick_params(axis="y", length=0)
    save(path, new)


def reliability_diagram(path: str | Path, cards: Mapping[str, Mapping], title: str = "Reliability") -> None:
    """Coverage of regions over their probability with 95 % intervals, for each card; calibrated ones on the diagonal.

    Above it posteriors are underconfident, below it overconfident.
    """
    new = figure(10.2, 4.1, title)
    for axes, region in zip(new.subplots(1, 3, sharey=True), ("epicentre", "depth", "hypocentre"), strict=True):
        dress(axes, "probability of the region", title=region.capitalize())
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1)
        for row, ((name, card), colour) in enumerate(zip(cards.items(), CYCLE * 4, strict=False)):
            levels = [f"{round(100 * level)}" for level in LEVELS]
            value, low, high = np.array([_estimate(card, region, ("coverage", level)) for level in levels]).T
            known, at = np.isfinite(value), np.array(LEVELS) + APART * (row - (len(cards) - 1) / 2)
            if known.any():
                errors = np.maximum([value - low, high - value], 0)[:, known]
                style = {
                    "color": colour,
                    "markeredgecolor": PAPER,
                    "markersize": 5,
                    "elinewidth": 1.1,
                    "linewidth": 1.4,
                }
                axes.errorbar(at[known], value[known], yerr=errors, fmt="o-", label=name, **style)
        axes.set(xlim=(0.4, 1), ylim=(0, 1.01))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
    new.axes[0].set_ylabel("coverage", fontsize=9, color=INK)
    handles, labels = new.axes[0].get_legend_handles_labels()
    if handles:
        new.legend(handles, labels, loc="outside lower left", ncols=4, fontsize=8, frameon=False, labelcolor=INK)
    save(path, new)


def _estimate(card: Mapping, region: str, names: tuple[str, ...]) -> list[float]:
    """Value, low and high of an estimate; NaN where there is none."""
    found = card.get(region, {})
    for name in names:
        found = found.get(name, {})
    numbers = [found.get(name) for name in ("value", "low", "high")]
    return [np.nan if number is None else float(number) for number in numbers]


def _span(axes: Axes, values: Float[np.ndarray, " bar"], target: float | None, names: tuple[str, ...]) -> None:
    """From zero for errors and shares, by logarithm where they differ by more than ten times."""
    if target is not None:
        axes.axvline(target, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xlim(0, 1.02)
    elif names == ("rank_correlation",):
        axes.set_xlim(min(-0.1, *values, 0) - 0.02, 1.02)
    elif names[0] != "nll" and len(values) and values.min() > 0:
        if values.max() > 10 * values.min():
            axes.set_xscale("log")
            axes.set_xlim(values.min() / 1.4, values.max() * 1.4)
            log_ticks(axes.xaxis, values.min() / 1.4, values.max() * 1.4)
        else:
            axes.set_xlim(0, 1.08 * values.max())
