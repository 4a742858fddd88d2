"""Figures of a study: cost, sharpness, learning curves, and scores under distribution shift."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxloc.plots.scores import coverage_curve
from jaxloc.plots.style import BLUE, CYCLE, INK, MUTED, VERMILION, dress, figure, legend, log_ticks, save

Row = Mapping[str, Any]
NOMINAL = "as trained"
LEVELS = (50, 68, 90, 95)
WIDEST = 6  # networks side by side


def write_pictures(folder: Path, rows: Sequence[Row], levels: Mapping[str, Mapping[str, Mapping]]) -> list[Path]:
    """All pictures of a study into a folder; learning curves and shifts where it has sizes and other conditions.

    Args:
        folder: where to.
        rows: means over seeds (`studies.table.over_seeds`).
        levels: by network and method, "REGION/level" of every event.
    """
    written: list[Path] = []
    for network, methods in levels.items():
        written.append(folder / f"coverage_{network}.png")
        coverage_curve(written[-1], methods, f"{network}: coverage of raw posteriors")
    pictures = {"sharpness": sharpness, "cost": cost}
    if any(row["size"] is not None for row in rows):
        pictures["learning"] = learning_curves
    if len(_names(rows, "condition")) > 1:
        pictures["shifts"] = shifts
    for name, draw in pictures.items():
        written.append(folder / f"{name}.png")
        draw(written[-1], rows)
    return written


def miscoverage(row: Row) -> float:
    """How far coverage of the hypocentre is from nominal, in the mean over 50, 68, 90 and 95 %."""
    return float(np.mean([abs(row[f"hypocentre_{level}"] - level / 100) for level in LEVELS]))


def sharpness(path: Path, rows: Sequence[Row]) -> None:
    """Size of regions against error of their coverage, raw and calibrated: best is lower left."""
    _by_network(
        path,
        "Sharpness against calibration",
        _largest(_select(rows, NOMINAL)),
        [("coverage: mean distance from nominal", miscoverage)],
        ("90 % area, median (km²)", lambda row: row["area90_km2"]),
    )


def cost(path: Path, rows: Sequence[Row]) -> None:
    """Energy score against time of training, and of locating an event."""
    _by_network(
        path,
        "Error against cost",
        [row for row in _largest(_select(rows, NOMINAL)) if row["posterior"] == "raw"],
        [
            ("training (s)", lambda row: row["training_s"]),
            ("locating an event (ms)", lambda row: 1000 * row["locating_s"]),
        ],
        ("energy score of the hypocentre (km)", lambda row: row["energy_km"]),
    )


def learning_curves(path: Path, rows: Sequence[Row]) -> None:
    """Energy score against the number of training events."""
    _lines(
        path,
        "Learning curves",
        [row for row in _select(rows, NOMINAL) if row["posterior"] == "raw" and row["size"] is not None],
        ("training events", lambda row: row["size"]),
        [("energy score of the hypocentre (km)", lambda row: row["energy_km"], None)],
    )


def shifts(path: Path, rows: Sequence[Row]) -> None:
    """Error and coverage where stations are silent, noise is higher, or the network is another."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    _lines(
        path,
        "Shifted events, calibrated on events as trained",
        [row for row in _largest(rows) if row["posterior"] == "calibrated"],
        ("", lambda row: conditions.index(row["condition"])),
        [
            ("energy score of the hypocentre (km)", lambda row: row["energy_km"], None),
            ("coverage of the 90 % region", lambda row: row["hypocentre_90"], 0.9),
        ],
        conditions,
    )


def _select(rows: Sequence[Row], condition: str) -> list[Row]:
    return [row for row in rows if row["condition"] == condition and row["posterior"] != "climatology"]


def _largest(rows: Sequence[Row]) -> list[Row]:
    """Of each network the cells with most training events."""
    most: dict[str, int] = {}
    for row in rows:
        most[row["network"]] = max(most.get(row["network"], 0), row["size"] or 0)
    return [row for row in rows if (row["size"] or 0) == most[row["network"]]]


def _names(rows: Sequence[Row], name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows))


def _positive(axes: Axes, values: Sequence[float], axis: str) -> None:
    """Logarithmic where values differ by more than five times, else from zero."""
    known = [value for value in values if np.isfinite(value) and value > 0]
    if known and max(known) > 5 * min(known):
        getattr(axes, f"set_{axis}scale")("log")
        log_ticks(getattr(axes, f"{axis}axis"), min(known), max(known))
    elif known:
        getattr(axes, f"set_{axis}lim")(0, 1.1 * max(known))


def _by_network(path: Path, title: str, rows: Sequence[Row], panels: Sequence[tuple], up: tuple) -> None:
    """A column a network, a panel each thing that goes across, a dot a method; an open dot is calibrated."""
    methods = _names(rows, "method")
    new, columns = _columns(title, _names(rows, "network"), len(panels))
    for place, (network, column) in enumerate(columns.items()):
        own = [row for row in rows if row["network"] == network]
        for axes, (name, across) in zip(column, panels, strict=True):
            dress(axes, name, up[0] if place % WIDEST == 0 else "", network)
            _dots(axes, own, methods, across, up[1])
    _legend_of_all(list(columns.values()))
    save(path, new)


def _columns(title: str, networks: Sequence[str], panels: int) -> tuple[Figure, dict[str, Sequence[Axes]]]:
    """A figure with a column of panels for each network, `WIDEST` of them side by side, the others below."""
    wide, blocks = min(WIDEST, len(networks)), -(-len(networks) // WIDEST)
    new = figure(3.6 * wide, 0.6 + 3.1 * panels * blocks, title)
    grid = new.subplots(panels * blocks, wide, squeeze=False)
    columns = np.concatenate(np.split(grid, blocks), 1)
    for axes in columns[:, len(networks) :].flat:
        axes.remove()
    return new, {network: list(columns[:, i]) for i, network in enumerate(networks)}


def _legend_of_all(columns: Sequence[Sequence[Axes]]) -> None:
    """In the first panel, of what any of them shows: networks may have methods that others have not."""
    shown = [pair for first, *_ in columns for pair in zip(*first.get_legend_handles_labels(), strict=True)]
    by_name = {name: handle for handle, name in shown}
    legend(columns[0][0], handles=list(by_name.values()), labels=list(by_name))


def _dots(axes: Axes, rows: Sequence[Row], methods: Sequence[str], across: Callable, up: Callable) -> None:
    for row in rows:
        colour, filled = CYCLE[methods.index(row["method"]) % len(CYCLE)], row["posterior"] == "raw"
        style = {"color": colour, "markersize": 7, "markerfacecolor": colour if filled else "none"}
        axes.plot(across(row), up(row), "o", label=row["method"] if filled else None, **style)
    _positive(axes, [across(row) for row in rows], "x")
    _positive(axes, [up(row) for row in rows], "y")


def _lines(
    path: Path, title: str, rows: Sequence[Row], across: tuple, panels: Sequence[tuple], ticks: Sequence[str] = ()
) -> None:
    """A column of panels a network, a line a method."""
    methods = _names(rows, "method")
    new, columns = _columns(title, _names(rows, "network"), len(panels))
    for place, (network, column) in enumerate(columns.items()):
        for axes, (label, value, target) in zip(column, panels, strict=True):
            dress(axes, across[0], label if place % WIDEST == 0 else "", network)
            for method in methods:
                own = [row for row in rows if (row["network"], row["method"]) == (network, method)]
                points = sorted((across[1](row), value(row)) for row in own)
                colour = CYCLE[methods.index(method) % len(CYCLE)]
                axes.plot(
                    *zip(*points, strict=True), "o-", color=colour, linewidth=1.5, markersize=4, label=method
                ) if points else None
            if target is not None:
                axes.axhline(target, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
                axes.set_ylim(0, 1.02)
            if ticks:
                axes.set_xticks(range(len(ticks)), ticks, rotation=35, ha="right", fontsize=7, color=MUTED)
    _legend_of_all(list(columns.values()))
    save(path, new)


class DensityPanel(NamedTuple):
    """An event's posterior over two coordinates: a density on a mesh, draws of another posterior, and the truth."""

    names: tuple[str, str]
    axes: tuple[np.ndarray, np.ndarray]
    density: np.ndarray
    draws: np.ndarray
    truth: np.ndarray


def amortised(
    path: Path, panels: Sequence[DensityPanel], ranks: Mapping[str, Float[np.ndarray, "event 4"]], title: str
) -> None:
    """A posterior that a network draws over the exact density, and ranks of truths, [event, coordinate] by locator."""
    new = figure(9.6, 6.6, title)
    above, below = np.asarray(new.subfigures(2, 1, height_ratios=(1.5, 1)))
    for axes, panel in zip(np.atleast_1d(above.subplots(1, len(panels))), panels, strict=True):
        _density_panel(dress(axes, *panel.names, "50, 90 and 99 % of the exact mass", grid=False), panel)
    legend(above.axes[0], loc="upper left", bbox_to_anchor=(1.0, 1.0))
    names = ("east", "north", "depth", "origin time")
    for i, (axes, name) in enumerate(zip(below.subplots(1, len(names), sharey=True), names, strict=True)):
        dress(axes, "rank of the truth", "events" if i == 0 else "", name)
        _ranks(axes, {locator: rank[:, i] for locator, rank in ranks.items()})
    legend(below.axes[0], loc="lower center")
    save(path, new)


def _density_panel(axes: Axes, panel: DensityPanel) -> None:
    """Filled contours hold 99, 90 and 50 per cent of the exact mass."""
    ordered = np.sort(panel.density.ravel())[::-1]
    mass = np.cumsum(ordered) / ordered.sum()
    edges = [ordered[np.searchsorted(mass, level)] for level in (0.99, 0.9, 0.5)]
    axes.contourf(*panel.axes, panel.density.T, [*edges, ordered[0] * 1.01], colors=["#dbe9f4", "#a9cbe6", "#6ba6d3"])
    axes.plot(*panel.draws.T, ".", color=VERMILION, markersize=2.5, alpha=0.6, label="draws of the network")
    axes.plot(*panel.truth, "*", color=INK, markersize=11, label="truth")
    axes.set_aspect("equal")
    if panel.names[1].startswith("depth"):
        axes.invert_yaxis()


def _ranks(axes: Axes, ranks: Mapping[str, Float[np.ndarray, " event"]], bins: int = 20) -> None:
    """Histograms; the band holds 95 per cent of a uniform one's bars."""
    number = len(next(iter(ranks.values())))
    expected, sd = number / bins, np.sqrt(number * (1 / bins) * (1 - 1 / bins))
    axes.axhspan(expected - 1.96 * sd, expected + 1.96 * sd, color=MUTED, alpha=0.2, linewidth=0)
    for (name, rank), colour in zip(ranks.items(), (VERMILION, BLUE), strict=False):
        axes.hist(rank, bins=bins, range=(0.0, 1.0), histtype="step", color=colour, linewidth=1.3, label=name)
    axes.set_ylim(0, 1.6 * expected)
