"""Record sections of waveforms with arrivals, picks and their densities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxloc.plots.style import BLUE, INK, VERMILION, dress, figure, legend, save


def waveform_section(
    path: str | Path,
    waveforms: Float[np.ndarray, "station component sample"],
    rate_hz: float,
    distance_km: Float[np.ndarray, " station"],
    station_mask: Bool[np.ndarray, " station"],
    arrival_s: Float[np.ndarray, "station phase"] | None = None,
    predicted_s: Float[np.ndarray, "station phase"] | None = None,
    probability: Float[np.ndarray, "station phase sample"] | None = None,
    component: int = 0,
    title: str = "",
    max_stations: int = 40,
    station_names: Sequence[str] = (),
    pick_s: Float[np.ndarray, "station phase"] | None = None,
) -> None:
    """A record section: one component over distance, each trace by its own peak, with arrivals of P and S.

    Bars are labelled arrivals, short dashed bars picks, dashed lines along stations predicted arrivals, filled curves
    the network's density of each; what is not known is NaN. Of more than
    `max_stations` every n-th by distance is shown.
    """
    order = np.flatnonzero(np.asarray(station_mask))
    order = order[np.argsort(np.asarray(distance_km)[order])]
    order = order[:: -(-len(order) // max_stations) or 1]
    traces, distance = np.asarray(waveforms)[order, component], np.asarray(distance_km)[order]
    second = np.arange(traces.shape[-1]) / rate_hz
    new = figure(9.6, 1.6 + 0.24 * max(len(order), 12), title)
    axes = dress(new.subplots(), "time from the first sample (s)", "distance (km)", grid=False)
    row = np.arange(len(order))
    peak = np.abs(traces).max(-1, keepdims=True, initial=0)
    scaled = 0.62 * traces / np.where(peak > 0, peak, 1)
    lines = np.stack([np.broadcast_to(second, scaled.shape), row[:, None] - scaled], -1)
    axes.add_collection(LineCollection(list(lines), colors=INK, linewidth=0.45, alpha=0.85, zorder=3))
    handles = []
    for phase, (name, colour) in enumerate((("P", BLUE), ("S", VERMILION))):
        if probability is not None:
            share = np.asarray(probability)[order, phase]
            for y, curve in zip(row, share / np.maximum(share.max(), 1e-12), strict=True):
                axes.fill_between(second, y, y - 0.9 * curve, color=colour, alpha=0.55, linewidth=0, zorder=2)
            handles.append(Patch(color=colour, alpha=0.55, label=f"density of {name}"))
        if arrival_s is not None:
            at = np.asarray(arrival_s)[order, phase]
            axes.vlines(at, row - 0.45, row + 0.45, color=colour, linewidth=1.8, zorder=4)
            handles.append(Line2D([], [], color=colour, linewidth=1.8, label=f"labelled {name}"))
        if pick_s is not None:
            at = np.asarray(pick_s)[order, phase]
            axes.vlines(at, row - 0.5, row + 0.5, color=colour, linewidth=1.3, linestyle=(0, (2, 1)), zorder=5)
            handles.append(Line2D([], [], color=colour, linewidth=1.3, linestyle=(0, (2, 1)), label=f"{name} pick"))
        if predicted_s is not None:
            at = np.asarray(predicted_s)[order, phase]
            axes.plot(at, row, color=colour, linewidth=1.1, linestyle=(0, (4, 2)), zorder=5, alpha=0.9)
            handles.append(Line2D([], [], color=colour, linestyle=(0, (4, 2)), label=f"predicted {name}"))
    every = max(1, len(order) // 20)
    axes.set_yticks(row[::every], [f"{d:.0f}" if d >= 10 else f"{d:.1f}" for d in distance[::every]])
    if station_names:
        _names(axes, [station_names[int(i)] for i in order[::every]], row[::every])
    axes.set(xlim=_time_span(second, arrival_s, predicted_s, pick_s), ylim=(len(order) - 0.2, -1.2))
    if handles:
        legend(axes, handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles))
    save(path, new)


def _names(axes: Axes, names: Sequence[str], row: Int[np.ndarray, " station"]) -> None:
    """Codes of stations at the right end of their traces."""
    for name, y in zip(names, row, strict=True):
        across = axes.get_yaxis_transform()
        axes.text(1.005, y, name, transform=across, fontsize=6.5, va="center", ha="left", color=INK)


def _time_span(second: Float[np.ndarray, " sample"], *times_s: Float[np.ndarray, "..."] | None) -> tuple[float, float]:
    """The part of the record about all known times, or all of it."""
    known = np.concatenate([np.ravel(t) for t in times_s if t is not None] or [np.zeros(0)])
    known = known[np.isfinite(known)]
    if not len(known):
        return second[0], second[-1]
    room = 0.35 * np.ptp(known) + 2
    return max(second[0], known.min() - room), min(second[-1], known.max() + 1.5 * room)
