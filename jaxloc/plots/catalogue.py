"""Pictures of a catalogue: where and when its events are, their magnitudes, and what became of the picks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from jaxloc.plots.geography import Geography, degrees_on, name_stations, scale_bar
from jaxloc.plots.maps import STATION
from jaxloc.plots.relocations import azimuth_deg, longer_axis, section, span
from jaxloc.plots.style import BLUE, GREEN, INK, MUTED, PAPER, SKY, VERMILION, dress, figure, frame, legend, save

SMALLEST, LARGEST = 4.0, 160.0  # areas of markers, by magnitude
UNKNOWN = 10.0  # of an event without a magnitude
BIN = 0.1  # of magnitudes


def catalogue_map(
    path: str | Path,
    hypocentre_km: Float[np.ndarray, "event 4"],
    magnitude: Float[np.ndarray, " event"],
    station_km: Float[np.ndarray, "station 3"],
    title: str,
    geography: Geography = Geography(),
) -> None:
    """Epicentres coloured by origin time, with stations, and a section along and one across the longer axis.

    Args:
        path: of the picture.
        hypocentre_km: east, north and depth in km, origin time in s from the beginning of the records.
        magnitude: NaN where there is none.
        station_km: east, north and depth of the stations.
        title: of the picture.
        geography: names of stations and the frame.
    """
    new = figure(12.0, 6.4, title)
    panels = new.subplot_mosaic([["map", "along"], ["map", "across"]], width_ratios=(1.35, 1.0))
    axes = panels["map"]
    unit = time_unit(float(hypocentre_km[:, 3].max()))
    time, area = hypocentre_km[:, 3] / unit.seconds, areas(magnitude)
    shown = {"c": time, "cmap": "viridis", "norm": Normalize(*limits(time)), "linewidth": 0.3, "edgecolor": PAPER}
    frame(dress(axes, "east (km)", "north (km)"))
    drawn = axes.scatter(*hypocentre_km[:, :2].T, s=area, **shown, zorder=3)
    axes.scatter(*station_km[:, :2].T, **STATION | {"color": PAPER, "edgecolor": INK, "linewidth": 1.0})
    name_stations(axes, station_km, geography.station_names)
    places = np.concatenate([hypocentre_km[:, :2], station_km[:, :2]])
    axes.set(xlim=span(places[:, 0]), ylim=span(places[:, 1]), aspect="equal")
    degrees_on(axes, geography.frame, places)
    scale_bar(axes, places)
    bar = new.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02)
    bar.set_label(f"{unit.name} from the beginning", fontsize=9, color=INK)
    _sections((panels["along"], panels["across"]), hypocentre_km)
    save(path, new)


def _sections(panels: tuple[Axes, Axes], hypocentre_km: Float[np.ndarray, "event 4"]) -> None:
    """Depths along the direction in which events are spread most, and across it."""
    middle, axis = np.median(hypocentre_km[:, :2], axis=0), longer_axis(hypocentre_km)
    for axes, direction in zip(panels, (axis, axis[::-1] * [1, -1]), strict=True):
        direction = direction if azimuth_deg(direction) >= 0 else -direction
        section(axes, hypocentre_km, middle, direction, BLUE, "depth (km)")
        along = (hypocentre_km[:, :2] - middle) @ direction
        axes.set(xlim=span(along), ylim=span(hypocentre_km[:, 2])[::-1])


class TimeUnit(NamedTuple):
    """A unit of time that suits a span."""

    name: str
    one: str
    seconds: float


def time_unit(span_s: float) -> TimeUnit:
    """Days for more than four of them, hours for more than two, else minutes."""
    if span_s > 4 * 86400:
        return TimeUnit("days", "a day", 86400.0)
    return TimeUnit("hours", "an hour", 3600.0) if span_s > 7200 else TimeUnit("minutes", "a minute", 60.0)


def limits(values: Float[np.ndarray, " value"]) -> tuple[float, float]:
    """The smallest and the largest of finite values, apart by something; 0 and 1 of none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    return float(values.min()), float(max(values.max(), values.min() + 1e-3))


def areas(magnitude: Float[np.ndarray, " event"]) -> Float[np.ndarray, " event"]:
    """Areas of markers, increasing with magnitude."""
    low, high = limits(magnitude)
    scaled = SMALLEST * (LARGEST / SMALLEST) ** ((magnitude - low) / max(high - low, 1.0))
    return np.where(np.isfinite(magnitude), scaled, UNKNOWN)


def events_over_time(
    path: str | Path, origin_s: Float[np.ndarray, " event"], magnitude: Float[np.ndarray, " event"], title: str
) -> None:
    """Magnitudes over time where there are any, and the rate of events with their running sum."""
    known, unit = np.isfinite(magnitude), time_unit(float(origin_s.max()))
    time = origin_s / unit.seconds
    new = figure(11.2, 5.6 if known.any() else 3.2, title)
    panels = new.subplots(1 + bool(known.any()), 1, sharex=True, squeeze=False)[:, 0]
    if known.any():
        dress(panels[0], "", "magnitude")
        panels[0].vlines(time[known], magnitude[known].min() - 0.2, magnitude[known], color=SKY, linewidth=0.6)
        panels[0].scatter(time[known], magnitude[known], s=9, color=BLUE, linewidth=0)
    axes = dress(panels[-1], f"{unit.name} from the beginning of the records", f"events {unit.one}")
    first, last = limits(time)
    edges = np.linspace(first, last, max(int(np.ceil(last - first)), 12) + 1)
    count, _ = np.histogram(time, edges)
    axes.stairs(count / np.diff(edges), edges, fill=True, color=SKY)
    running = dress(axes.twinx(), grid=False)
    running.spines["left"].set_visible(False)
    running.plot(np.sort(time), np.arange(1, len(time) + 1), color=VERMILION, linewidth=1.2)
    running.set_ylabel("events so far", fontsize=9, color=VERMILION)
    running.tick_params(labelsize=8, colors=VERMILION)
    save(path, new)


def magnitude_frequency(
    path: str | Path,
    magnitude: Float[np.ndarray, " event"],
    completeness: float,
    b_value: float,
    b_sd: float,
    title: str,
) -> None:
    """Numbers of events by magnitude, and of those as large or larger, with the line of Gutenberg and Richter (1944).

    Args:
        path: of the picture.
        magnitude: finite ones.
        completeness: the smallest magnitude that the line describes; NaN where it is not known.
        b_value: of the line, with its standard deviation `b_sd`.
        title: of the picture.
    """
    new = figure(6.4, 4.6, title)
    axes = dress(new.subplots(), "magnitude", "number of events")
    edges = np.arange(np.floor(magnitude.min() / BIN) - 0.5, np.ceil(magnitude.max() / BIN) + 1) * BIN
    count, _ = np.histogram(magnitude, edges)
    middle = (edges[1:] + edges[:-1]) / 2
    axes.plot(middle, np.maximum(count, 0.5), "o", color=SKY, markersize=3.5, label="of a tenth of magnitude")
    above = count[::-1].cumsum()[::-1]
    axes.plot(middle, above, "s", color=BLUE, markersize=3.5, label="as large or larger")
    if np.isfinite([completeness, b_value]).all():
        line = np.array([completeness, magnitude.max() + BIN])
        number = (magnitude >= completeness - BIN / 2).sum()
        axes.plot(line, number * 10 ** (-b_value * (line - completeness)), color=VERMILION, linewidth=1.3)
        axes.axvline(completeness, color=MUTED, linewidth=0.8, linestyle="--")
        text = f"b = {b_value:.2f} ± {b_sd:.2f} above {completeness:.1f}"
        axes.text(0.97, 0.72, text, transform=axes.transAxes, ha="right", fontsize=9, color=VERMILION)
    axes.set_yscale("log")
    axes.set_ylim(0.7, None)
    legend(axes)
    save(path, new)


def station_recall(
    path: str | Path, names: Sequence[str], share: Float[np.ndarray, "station phase"], title: str
) -> None:
    """Shares of the events at which each station has a P and an S pick."""
    new = figure(max(6.0, 0.32 * len(names) + 2), 3.6, title)
    axes = dress(new.subplots(), "", "share of events with a pick")
    place = np.arange(len(names))
    for phase, (name, colour) in enumerate((("P", BLUE), ("S", GREEN))):
        axes.bar(place + 0.4 * phase - 0.2, share[:, phase], 0.4, color=colour, label=name)
    axes.set_xticks(place, names, rotation=90, fontsize=7.5)
    axes.set_ylim(0, 1)
    legend(axes)
    save(path, new)


def pick_fates(path: str | Path, number: Mapping[str, int], title: str) -> None:
    """How many picks have an event, and for which reasons the others have none."""
    names = sorted(number, key=lambda name: number[name])
    new = figure(9.0, 0.34 * len(names) + 1.3, title)
    axes: Axes = dress(new.subplots(), "picks", "")
    axes.barh(range(len(names)), [number[name] for name in names], color=SKY)
    for row, name in enumerate(names):
        axes.text(number[name], row, f" {number[name]:,}", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.margins(x=0.12)
    save(path, new)
