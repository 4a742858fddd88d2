"""Pictures of a study: cost, sharpness, learning curves, and what happens where events are not those of training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from jaxloc.plots import BLUE, CYCLE, INK, MUTED, VERMILION, coverage_curve, dress, figure, legend, log_ticks, save

Row = Mapping[str, Any]
ORDINARY = "as trained"
LEVELS = (50, 68, 90, 95)


def write_pictures(folder: Path, rows: Sequence[Row], levels: Mapping[str, Mapping[str, Mapping]]) -> list[Path]:
    """All pictures of a study into a folder.

    Args:
        folder: where to.
        rows: means over seeds (`studies.table.over_seeds`).
        levels: by network and method, "REGION/level" of every event judged.
    """
    written = []
    for network, methods in levels.items():
        written.append(folder / f"coverage_{network}.png")
        coverage_curve(written[-1], methods, f"{network}: coverage as stated")
    pictures = {"sharpness": sharpness, "cost": cost, "learning": learning_curves, "shifts": shifts}
    for name, draw in pictures.items():
        written.append(folder / f"{name}.png")
        draw(written[-1], rows)
    return written


def miscoverage(row: Row) -> float:
    """How far coverage of the hypocentre is from nominal, in the mean over 50, 68, 90 and 95 %."""
    return float(np.mean([abs(row[f"hypocentre_{level}"] - level / 100) for level in LEVELS]))


def sharpness(path: Path, rows: Sequence[Row]) -> None:
    """Size of regions against error of their coverage, stated and calibrated: best is lower left."""
    _by_network(
        path,
        "Sharpness against calibration",
        _largest(_select(rows, ORDINARY)),
        [("coverage: mean distance from nominal", miscoverage)],
        ("90 % area, median (km²)", lambda row: row["area90_km2"]),
    )


def cost(path: Path, rows: Sequence[Row]) -> None:
    """Energy score against time of training, and of locating an event."""
    _by_network(
        path,
        "Error against cost",
        [row for row in _largest(_select(rows, ORDINARY)) if row["as"] == "stated"],
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
        [row for row in _select(rows, ORDINARY) if row["as"] == "stated" and row["size"] is not None],
        ("training events", lambda row: row["size"]),
        [("energy score of the hypocentre (km)", lambda row: row["energy_km"], None)],
    )


def shifts(path: Path, rows: Sequence[Row]) -> None:
    """Error and coverage where stations are silent, noise is higher, or the network is another."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    _lines(
        path,
        "Events unlike those of training, as calibrated on ordinary ones",
        [row for row in _largest(rows) if row["as"] == "calibrated"],
        ("", lambda row: conditions.index(row["condition"])),
        [
            ("energy score of the hypocentre (km)", lambda row: row["energy_km"], None),
            ("truths in the 90 % region", lambda row: row["hypocentre_90"], 0.9),
        ],
        conditions,
    )


def _select(rows: Sequence[Row], condition: str) -> list[Row]:
    return [row for row in rows if row["condition"] == condition and row["as"] != "catalogue"]


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
    networks, methods = _names(rows, "network"), _names(rows, "method")
    wide = max(1, len(networks))
    new = figure(3.6 * wide, 0.6 + 3.1 * len(panels), title)
    grid = new.subplots(len(panels), wide, squeeze=False)
    for column, network in enumerate(networks):
        own = [row for row in rows if row["network"] == network]
        for axes, (name, across) in zip(grid[:, column], panels, strict=True):
            dress(axes, name, up[0] if column == 0 else "", network)
            _dots(axes, own, methods, across, up[1])
    if networks:
        _legend_of_all(grid[0])
    save(path, new)


def _legend_of_all(panels: Sequence[Axes]) -> None:
    """In the first panel, of what any of them shows: networks may have methods that others have not."""
    first, *_ = panels
    shown = [pair for axes in panels for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    by_name = {name: handle for handle, name in shown}
    legend(first, handles=list(by_name.values()), labels=list(by_name))


def _dots(axes: Axes, rows: Sequence[Row], methods: Sequence[str], across: Callable, up: Callable) -> None:
    for row in rows:
        colour, filled = CYCLE[methods.index(row["method"]) % len(CYCLE)], row["as"] == "stated"
        look = {"color": colour, "markersize": 7, "markerfacecolor": colour if filled else "none"}
        axes.plot(across(row), up(row), "o", label=row["method"] if filled else None, **look)
    _positive(axes, [across(row) for row in rows], "x")
    _positive(axes, [up(row) for row in rows], "y")


def _lines(
    path: Path, title: str, rows: Sequence[Row], across: tuple, panels: Sequence[tuple], ticks: Sequence[str] = ()
) -> None:
    """A column of panels a network, a line a method."""
    networks, methods = _names(rows, "network"), _names(rows, "method")
    size = (3.6 * max(1, len(networks)), 0.6 + 3.1 * len(panels))
    new = figure(*size, title)
    grid = new.subplots(len(panels), max(1, len(networks)), squeeze=False)
    for column, network in enumerate(networks):
        for axes, (label, value, target) in zip(grid[:, column], panels, strict=True):
            dress(axes, across[0], label if column == 0 else "", network)
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
    if networks:
        _legend_of_all(grid[0])
    save(path, new)


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


class Sight(NamedTuple):
    """An event's posterior over two coordinates: a density on a mesh, draws of another posterior, and the truth."""

    names: tuple[str, str]
    axes: tuple[np.ndarray, np.ndarray]
    density: np.ndarray
    draws: np.ndarray
    truth: np.ndarray


def amortised(path: Path, sights: Sequence[Sight], ranks: Mapping[str, np.ndarray], title: str) -> None:
    """A posterior that a network draws over the exact density, and ranks of truths, [event, coordinate] by locator."""
    new = figure(9.6, 6.6, title)
    above, below = np.asarray(new.subfigures(2, 1, height_ratios=(1.5, 1)))
    for axes, sight in zip(np.atleast_1d(above.subplots(1, len(sights))), sights, strict=True):
        _sight(dress(axes, *sight.names, "50, 90 and 99 % of the exact mass", grid=False), sight)
    legend(above.axes[0], loc="upper left", bbox_to_anchor=(1.0, 1.0))
    names = ("east", "north", "depth", "origin time")
    for i, (axes, name) in enumerate(zip(below.subplots(1, len(names), sharey=True), names, strict=True)):
        dress(axes, "rank of the truth", "events" if i == 0 else "", name)
        _ranks(axes, {locator: rank[:, i] for locator, rank in ranks.items()})
    legend(below.axes[0], loc="lower center")
    save(path, new)


def _sight(axes: Axes, sight: Sight) -> None:
    """Filled contours hold 99, 90 and 50 per cent of the exact mass."""
    ordered = np.sort(sight.density.ravel())[::-1]
    mass = np.cumsum(ordered) / ordered.sum()
    edges = [ordered[np.searchsorted(mass, level)] for level in (0.99, 0.9, 0.5)]
    axes.contourf(*sight.axes, sight.density.T, [*edges, ordered[0] * 1.01], colors=["#dbe9f4", "#a9cbe6", "#6ba6d3"])
    axes.plot(*sight.draws.T, ".", color=VERMILION, markersize=2.5, alpha=0.6, label="draws of the network")
    axes.plot(*sight.truth, "*", color=INK, markersize=11, label="truth")
    axes.set_aspect("equal")
    if sight.names[1].startswith("depth"):
        axes.invert_yaxis()


def _ranks(axes: Axes, ranks: Mapping[str, np.ndarray], bins: int = 20) -> None:
    """Histograms; the band holds 95 per cent of a uniform one's bars."""
    number = len(next(iter(ranks.values())))
    expected, sd = number / bins, np.sqrt(number * (1 / bins) * (1 - 1 / bins))
    axes.axhspan(expected - 1.96 * sd, expected + 1.96 * sd, color=MUTED, alpha=0.2, linewidth=0)
    for (name, rank), colour in zip(ranks.items(), (VERMILION, BLUE), strict=False):
        axes.hist(rank, bins=bins, range=(0.0, 1.0), histtype="step", color=colour, linewidth=1.3, label=name)
    axes.set_ylim(0, 1.6 * expected)


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
