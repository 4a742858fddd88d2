"""Figures of the scores of events: error against predicted error, PIT, coverage; and of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.stats
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxloc.plots.style import (
    BLUE,
    CYCLE,
    FAINT,
    INK,
    MUTED,
    PAPER,
    VERMILION,
    Scores,
    dress,
    figure,
    legend,
    log_ticks,
    save,
)


def error_against_predicted_sd(path: str | Path, scores: Scores, title: str = "Error against predicted sd") -> None:
    """Absolute error over the posterior's standard deviation, for epicentre, depth and origin time.

    Dots are events. Large dots are root mean squares of groups of equal number with similar predicted standard
    deviation, with 95 % intervals; those of a calibrated locator lie on the line.
    """
    new = figure(10.2, 3.9, title)
    panels = (("epicentre", "km", "Epicentre"), ("depth", "km", "Depth"), ("origin", "s", "Origin time"))
    for axes, (region, unit, name) in zip(new.subplots(1, 3), panels, strict=True):
        error, predicted = (np.abs(scores[f"{region}/{score}"]) for score in ("error", "stated"))
        use = np.isfinite(error) & np.isfinite(predicted) & (predicted > 0)
        dress(axes, f"predicted sd ({unit})", f"error ({unit})", f"{name}, {use.sum()} events")
        if use.any():
            _error_panel(axes, error[use], predicted[use])
        else:
            axes.text(0.5, 0.5, "truth unknown", transform=axes.transAxes, ha="center", color=MUTED)
    handles, labels = new.axes[0].get_legend_handles_labels()
    if handles:
        new.legend(handles, labels, loc="outside lower left", ncols=4, fontsize=8, frameon=False, labelcolor=INK)
    save(path, new)


def _error_panel(axes: Axes, error: Float[np.ndarray, " event"], predicted: Float[np.ndarray, " event"]) -> None:
    floor = np.quantile(predicted, 0.02) / 30
    axes.scatter(predicted, np.maximum(error, floor), s=9, color=BLUE, alpha=0.35, linewidth=0, label="event")
    low, high = predicted.min() * 0.7, predicted.max() * 1.4
    line = np.array([low, high])
    axes.fill_between(line, line / 2, line * 2, color=FAINT, linewidth=0, zorder=0, label="within a factor of 2")
    axes.plot(line, line, color=INK, linewidth=1, label="error = predicted sd")
    order = np.argsort(predicted)
    groups = [g for g in np.array_split(order, min(8, max(1, len(order) // 12))) if len(g)]
    middle = [np.sqrt(np.mean(predicted[g] ** 2)) for g in groups]
    rms = np.array([np.sqrt(np.mean(error[g] ** 2)) for g in groups])
    # standard error of a root mean square, from that of the mean square
    half = [
        1.96 * np.std(error[g] ** 2) / np.sqrt(len(g)) / max(2 * r, 1e-30) for g, r in zip(groups, rms, strict=True)
    ]
    below = np.minimum(half, 0.9 * rms)
    axes.errorbar(
        middle,
        rms,
        yerr=[below, half],
        fmt="o",
        color=VERMILION,
        markeredgecolor=PAPER,
        markersize=7,
        elinewidth=1.2,
        label="root mean square of a group",
    )
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    log_ticks(axes.xaxis, low, high)
    log_ticks(axes.yaxis, *axes.get_ylim())


def pit_histograms(path: str | Path, scores: Scores, num_bins: int = 10, title: str = "Calibration") -> None:
    """Probability integral transform of each coordinate; flat within the 95 % band where calibrated."""
    new, top = figure(10.2, 3.1, title), 2.0
    panels = new.subplots(1, 4, sharey=True)
    for axes, region in zip(panels, ("east", "north", "depth", "origin"), strict=True):
        values = scores[f"{region}/pit"]
        values = values[np.isfinite(values)]
        name = "Origin time" if region == "origin" else region.capitalize()
        dress(axes, title=f"{name}, {len(values)} events")
        axes.set_xlim(0, 1)
        if len(values) == 0:
            axes.text(0.5, 0.5, "truth unknown", transform=axes.transAxes, ha="center", color=MUTED)
            continue
        share, edges = np.histogram(values, num_bins, (0, 1))
        scale = num_bins / len(values)
        low, high = scale * np.array(scipy.stats.binom.interval(0.95, len(values), 1 / num_bins))
        outside = (share * scale < low) | (share * scale > high)
        colours = np.where(outside, VERMILION, BLUE)
        axes.bar(edges[:-1], share * scale, 1 / num_bins, align="edge", color=colours, edgecolor=PAPER)
        axes.axhspan(low, high, color=MUTED, alpha=0.22, linewidth=0, zorder=0)
        axes.hlines([low, high], 0, 1, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axhline(1, color=INK, linewidth=1)
        top = max(top, 1.1 * share.max() * scale)
    new.axes[0].set_ylim(0, top)
    new.axes[0].set_ylabel("density of events", fontsize=9, color=INK)
    new.supxlabel("share of the posterior below the truth", fontsize=9, color=INK)
    save(path, new)


def coverage_curve(path: str | Path, scores: Mapping[str, Scores], title: str = "Coverage") -> None:
    """Empirical coverage of highest-density regions of each probability, by locator; 95 % band about the diagonal.

    Above the diagonal posteriors are underconfident, below it overconfident.
    """
    new = figure(10.2, 3.8, title)
    nominal = np.linspace(0, 1, 101)
    panels = ("epicentre", "depth", "hypocentre")
    shown: list[str] = []
    for axes, region in zip(new.subplots(1, 3, sharey=True), panels, strict=True):
        dress(axes, "probability of the region", title=region.capitalize())
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1)
        levels = {name: own[f"{region}/level"] for name, own in scores.items()}
        levels = {name: values[np.isfinite(values)] for name, values in levels.items()}
        fewest = min((len(values) for values in levels.values() if len(values)), default=0)
        if fewest:
            low, high = scipy.stats.binom.interval(0.95, fewest, nominal)
            axes.fill_between(nominal, low / fewest, high / fewest, color=MUTED, alpha=0.2, linewidth=0)
        for (name, values), colour in zip(levels.items(), CYCLE * 4, strict=False):
            if len(values):
                inside = (values[:, None] <= nominal).mean(0)
                axes.plot(nominal, inside, color=colour, linewidth=1.8, label=f"{name}, {len(values):,} events")
                marks = [50, 68, 90, 95]
                axes.plot(nominal[marks], inside[marks], "o", color=colour, markersize=4, markeredgecolor=PAPER)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
        named = axes.get_legend_handles_labels()[1]
        if named and named != shown:  # not the legend of the panel before once more
            legend(axes, loc="lower right")
        shown = named
    new.axes[0].set_ylabel("coverage", fontsize=9, color=INK)
    save(path, new)


def training_curve(path: str | Path, log: Sequence[Mapping[str, float]], title: str = "Training") -> None:
    """Losses over steps in one panel, and each logged quantity whose name starts with "dev" in its own.

    Raises:
        ValueError: where no row of the log has a "step".
    """
    rows = [row for row in log if "step" in row]
    if not rows:
        raise ValueError(f'the training log has {len(log)} rows, but at least one must have a "step"')
    names = [name for name in dict.fromkeys(n for row in rows for n in row) if name != "step"]
    losses = [name for name in names if not name.startswith("dev")]
    scores = [name for name in names if name.startswith("dev")]
    panels = [losses] * bool(losses) + [[name] for name in scores]
    new = figure(max(5.0, 3.7 * len(panels)), 3.4, title)
    for axes, plotted in zip(np.atleast_1d(new.subplots(1, len(panels))), panels, strict=True):
        dress(axes, "step", "loss (nats an event)" if plotted is losses else plotted[0].replace("_", " "))
        for name, colour in zip(plotted, CYCLE * 4, strict=False):
            points = np.array([(row["step"], row[name]) for row in rows if name in row], float)
            _curve(axes, points[np.isfinite(points[:, 1])], name.replace("_", " "), colour)
        axes.margins(x=0.02)
        if len(plotted) > 1:
            legend(axes, loc="upper right")
    save(path, new)


def _curve(axes: Axes, points: Float[np.ndarray, "point 2"], name: str, colour: str) -> None:
    """A line; a long one faint, with its running mean over a fortieth of it."""
    if len(points) < 80:
        axes.plot(*points.T, color=colour, linewidth=1.6, marker="o", markersize=3, label=name)
        return
    width = len(points) // 40
    smooth = np.lib.stride_tricks.sliding_window_view(points, width, axis=0).mean(-1)
    axes.plot(*points.T, color=colour, linewidth=0.5, alpha=0.3, scaley=False)
    axes.plot(*smooth.T, color=colour, linewidth=1.8, label=name)
