"""Maps of posteriors and records of waveforms, drawn by the same hand as `jaxloc.plots.style`."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jaxloc.distributions.ellipsoids import credible_ellipsoid
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, components, covariance, marginal, mean
from jaxloc.plots.style import BLUE, INK, MUTED, PAPER, VERMILION, dress, figure, frame, legend, save

DENSITY = LinearSegmentedColormap.from_list("posterior", ["#dcebf5", "#8cc1e3", "#2f86c0", "#0b4f7d"])
# left, bottom, width, height: network, plan, section below, section beside, key
BOXES_IN = (
    (0.7, 0.6, 4.9, 4.9),
    (6.3, 2.3, 3.2, 3.2),
    (6.3, 0.6, 3.2, 1.5),
    (9.7, 2.3, 1.5, 3.2),
    (9.7, 0.45, 1.5, 1.25),
)
DEPTH_SHARE = 1.5 / 3.2
HPD_LEVELS = (0.95, 0.90, 0.68, 0.50)
TRUTH = {"marker": "*", "s": 190, "color": VERMILION, "edgecolor": PAPER, "linewidth": 1.0, "zorder": 6}
STATION = {"marker": "^", "s": 34, "color": INK, "edgecolor": PAPER, "linewidth": 0.6, "zorder": 4}


def event_map(
    path: str | Path,
    mixture: dist.Distribution,
    station_km: Float[Array | np.ndarray, "station 3"],
    station_mask: Bool[Array | np.ndarray, " station"],
    truth: Float[Array | np.ndarray, "4"] | None = None,
    title: str = "",
    num_draws: int = 4000,
) -> None:
    """One event's posterior: in the network, and close by in map view and two depth sections.

    Shades are the smallest regions that hold 50, 68, 90 and 95 % of the marginal posterior of each panel.
    `truth` may hold NaN for what is unknown.
    """
    one = HypocentreMixture(components(mixture))
    draws = np.asarray(_draws(one, num_draws))
    truth = np.full(4, np.nan) if truth is None else np.asarray(truth, float)
    stations = np.asarray(station_km)[np.asarray(station_mask)]
    east, north, depth = _window(draws, truth)

    new = figure(11.5, 6.3, title)
    new.set_layout_engine("none")
    network, plan, below, beside, words = (_box(new, *corner) for corner in BOXES_IN)
    panels = ((plan, (0, 1), (east, north)), (below, (0, 2), (east, depth)), (beside, (2, 1), (depth, north)))
    for axes, dims, spans in panels:
        frame(dress(axes, grid=False))
        _regions(axes, marginal(one, dims), draws[:, dims], spans)
        _points(axes, np.asarray(mean(one))[list(dims)], truth[list(dims)])
        axes.set(xlim=spans[0], ylim=spans[1])
    plan.scatter(stations[:, 0], stations[:, 1], **STATION)
    plan.tick_params(labelbottom=False)
    plan.set_ylabel("north (km)", fontsize=9, color=INK)
    plan.set_title(_summary(one, truth), loc="left", fontsize=9.5, color=INK)
    beside.tick_params(labelleft=False)
    beside.set_xlabel("depth (km)", fontsize=9, color=INK)
    below.set_xlabel("east (km)", fontsize=9, color=INK)
    below.set_ylabel("depth (km)", fontsize=9, color=INK)
    below.invert_yaxis()
    _network_panel(frame(network), stations, draws, truth, (east, north))
    _key(words, bool(np.isfinite(truth[:2]).all()))
    save(path, new)


def _box(new: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes placed in inches, so that kilometres are as long in all panels."""
    wide, high = new.get_size_inches()
    return new.add_axes((left / wide, bottom / high, width / wide, height / high))


def _window(draws: np.ndarray, truth: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Limits in km that hold nearly all draws and the truth.

    East, north and depth are to one scale, unless depth would need more than twice the room.
    """
    low, high = np.quantile(draws[:, :3], [0.002, 0.998], axis=0)
    low, high = np.fmin(low, truth[:3]), np.fmax(high, truth[:3])
    half, middle = 0.58 * np.maximum(high - low, 0.2), (low + high) / 2
    half[:2] = half[:2].max()
    if half[2] / DEPTH_SHARE < 2 * half[0]:
        half[:2] = max(half[0], half[2] / DEPTH_SHARE)
        half[2] = half[0] * DEPTH_SHARE
    return tuple((float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True))


@partial(jax.jit, static_argnames="number")
def _draws(mixture: HypocentreMixture, number: int) -> Float[Array, "draw 4"]:
    return mixture.sample(jax.random.key(0), (number,))


@jax.jit
def _log_density(mixture: HypocentreMixture, points: Float[Array, "point 2"]) -> Float[Array, " point"]:
    return mixture.log_prob(points)


def _regions(
    axes: Axes,
    part: HypocentreMixture,
    draws: np.ndarray,
    spans: tuple[tuple[float, float], ...],
    size: int = 160,
) -> None:
    threshold = np.quantile(_log_density(part, jnp.asarray(draws)), 1 - np.array(HPD_LEVELS))
    x, y = (np.linspace(*span, size) for span in spans)
    grid = jnp.asarray(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2), jnp.float32)
    density = np.asarray(_log_density(part, grid)).reshape(size, size)
    # A flat density has equal thresholds, contours need increasing ones.
    steps = np.maximum.accumulate(threshold + 1e-6 * np.arange(len(threshold)))
    colours = DENSITY(np.linspace(0, 1, len(steps)))
    # Some draws beneath: they show tails, and a posterior too thin for the grid.
    axes.scatter(*draws[::8].T, s=3, color=BLUE, alpha=0.2, linewidth=0, zorder=1)
    axes.contourf(x, y, density, [*steps, max(density.max(), steps[-1]) + 1.0], colors=colours, zorder=2)
    axes.contour(x, y, density, steps, colors=PAPER, linewidths=0.6, linestyles="solid", zorder=3)


def _points(axes: Axes, middle: np.ndarray, truth: np.ndarray) -> None:
    axes.plot(*middle, "+", color=PAPER, markersize=11, markeredgewidth=3.0, zorder=5)
    axes.plot(*middle, "+", color=INK, markersize=10, markeredgewidth=1.5, zorder=5)
    if np.isfinite(truth).all():
        axes.scatter(*truth, **TRUTH)


def _network_panel(
    axes: Axes,
    stations: np.ndarray,
    draws: np.ndarray,
    truth: np.ndarray,
    spans: tuple[tuple[float, float], ...],
) -> None:
    dress(axes, "east (km)", "north (km)", f"Network, {len(stations)} station" + "s" * (len(stations) != 1))
    (east, north) = spans
    axes.scatter(draws[:600, 0], draws[:600, 1], s=5, color=BLUE, alpha=0.25, linewidth=0, zorder=3)
    axes.scatter(stations[:, 0], stations[:, 1], **STATION)
    if np.isfinite(truth[:2]).all():
        axes.scatter(*truth[:2], **TRUTH)
    axes.add_patch(
        Rectangle((east[0], north[0]), np.ptp(east), np.ptp(north), fill=False, edgecolor=MUTED, linewidth=1)
    )
    corners = np.concatenate([stations[:, :2], np.array([[east[0], north[0]], [east[1], north[1]]])])
    low, high = corners.min(0), corners.max(0)
    half, middle = 0.56 * (high - low).max(), (low + high) / 2
    axes.set(xlim=middle[0] + half * np.array([-1, 1]), ylim=middle[1] + half * np.array([-1, 1]), aspect="equal")


def _key(axes: Axes, with_truth: bool) -> None:
    axes.axis("off")
    shades = zip(DENSITY(np.linspace(0, 1, 4)), HPD_LEVELS, strict=True)
    handles: list = [Patch(color=c, label=f"{100 * p:.0f} % of the posterior") for c, p in shades]
    handles.append(Line2D([], [], linestyle="", marker="+", color=INK, markersize=9, label="posterior mean"))
    if with_truth:
        handles.append(Line2D([], [], linestyle="", marker="*", color=VERMILION, markersize=10, label="truth"))
    handles.append(Line2D([], [], linestyle="", marker="^", color=INK, markersize=5, label="station"))
    axes.legend(handles=handles, loc="upper left", fontsize=7.5, frameon=False, labelcolor=INK, borderaxespad=0)


def _summary(one: HypocentreMixture, truth: np.ndarray) -> str:
    middle, sd = np.asarray(mean(one)), np.sqrt(np.asarray(one.variance))
    text = f"Stated error {np.hypot(sd[0], sd[1]):.2f} km across, {sd[2]:.2f} km in depth"
    if np.isfinite(truth[:2]).all():
        text += f"; real {np.hypot(*(middle - truth)[:2]):.2f}"
        text += f" and {abs(middle[2] - truth[2]):.2f} km" if np.isfinite(truth[2]) else " km across"
    return text


def overview_map(
    path: str | Path,
    mixtures: dist.Distribution,
    truth: Float[Array | np.ndarray, "event 4"],
    known: Bool[Array | np.ndarray, "event 4"],
    station_km: Float[Array | np.ndarray, "station 3"],
    title: str = "Test events",
) -> None:
    """All test events: lines from truth to estimate, 90 % ellipses, and estimated over true depth."""
    estimate, spread = np.asarray(mean(mixtures)), np.asarray(covariance(mixtures))
    truth, known, stations = np.asarray(truth), np.asarray(known), np.asarray(station_km)
    use = known[:, :2].all(-1)
    new = figure(11.2, 6.4, title)
    left, right = new.subplots(1, 2, width_ratios=(1.5, 1))
    frame(dress(left, "east (km)", "north (km)"))
    axes_km = credible_ellipsoid(jnp.asarray(spread[:, :2, :2]), 0.9)
    lengths, directions = (np.asarray(a) for a in axes_km)
    angle = np.rad2deg(np.arctan2(directions[:, 1, 0], directions[:, 0, 0]))
    deep = _overlap(lengths, np.concatenate([truth[use, :2], estimate[:, :2]]))
    left.add_collection(
        EllipseCollection(
            2 * lengths[:, 0],
            2 * lengths[:, 1],
            angle,
            units="xy",
            offsets=estimate[:, :2],
            transOffset=left.transData,
            facecolor=(BLUE, 0.10 / deep),
            edgecolor=(BLUE, max(0.45 / deep, 0.12)),
            linewidth=0.7,
        )
    )
    left.add_collection(
        LineCollection(
            list(np.stack([truth[use, :2], estimate[use, :2]], 1)), colors=VERMILION, linewidth=1.1, zorder=3
        )
    )
    left.scatter(*truth[use, :2].T, s=10, color=INK, linewidth=0, zorder=4)
    left.scatter(stations[:, 0], stations[:, 1], **STATION | {"color": PAPER, "edgecolor": INK, "linewidth": 1.0})
    _frame_all(left, np.concatenate([truth[use, :2], stations[:, :2]]), estimate[:, :2])
    left.scatter(*estimate[~use, :2].T, s=10, color=BLUE, linewidth=0, zorder=4)
    text = _held((estimate - truth)[use, :2], lengths[use], directions[use])
    left.set_title(text, loc="left", fontsize=9.5, color=INK)
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=3, linestyle="", label="truth"),
        Line2D([], [], color=VERMILION, label="truth to estimate"),
        Patch(facecolor=(BLUE, 0.10), edgecolor=BLUE, label="90 % ellipse"),
        Line2D([], [], color=PAPER, marker="^", markeredgecolor=INK, linestyle="", label="station"),
    ]
    legend(left, handles=handles, loc="upper left", bbox_to_anchor=(0, -0.075), ncols=4)
    _depth_panel(right, estimate[:, 2], np.sqrt(spread[:, 2, 2]), truth[:, 2], known[:, 2])
    save(path, new)


def _overlap(lengths: np.ndarray, places: np.ndarray) -> float:
    """How many ellipses lie on each other where events are, in threes; one if fewer: they would hide all else."""
    areas, events_km2 = np.pi * lengths[:, 0] * lengths[:, 1], np.ptp(places, axis=0).prod()
    return max(1.0, np.minimum(areas / max(events_km2, 1e-9), 1.0).sum() / 3)


def _held(apart: np.ndarray, lengths: np.ndarray, directions: np.ndarray) -> str:
    if not len(apart):
        return "truth unknown"
    turned = np.einsum("ni,nij->nj", apart, directions) / np.maximum(lengths, 1e-9)
    inside, middle = ((turned**2).sum(-1) < 1).mean(), np.median(np.linalg.norm(apart, axis=-1))
    share = f"{100 * inside:.0f} % of truths in their 90 % ellipse"
    return f"{len(apart)} events, median error {middle:.2f} km, {share}"


def _frame_all(axes: Axes, fixed: np.ndarray, estimates: np.ndarray) -> None:
    """Limits that hold truths and stations, and estimates up to half as far again."""
    low, high = fixed.min(0), fixed.max(0)
    room = 0.5 * (high - low).max()
    low = np.maximum(np.minimum(low, estimates.min(0)), low - room)
    high = np.minimum(np.maximum(high, estimates.max(0)), high + room)
    pad = 0.05 * (high - low).max()
    axes.set(xlim=(low[0] - pad, high[0] + pad), ylim=(low[1] - pad, high[1] + pad), aspect="equal")


def _depth_panel(axes: Axes, estimate: np.ndarray, sd: np.ndarray, truth: np.ndarray, known: np.ndarray) -> None:
    dress(axes, "true depth (km)", "estimated depth (km)", f"Depth, {known.sum()} events, bars of 90 %")
    if not known.any():
        axes.text(0.5, 0.5, "truth unknown", transform=axes.transAxes, ha="center", color=MUTED)
        return
    estimate, sd, truth = estimate[known], sd[known], truth[known]
    half = 1.645 * sd
    both = np.concatenate([truth, estimate - half, estimate + half])
    span = np.array([both.min(), both.max()]) + 0.05 * np.ptp(both) * np.array([-1, 1])
    axes.plot(span, span, color=INK, linewidth=1, zorder=1)
    axes.errorbar(truth, estimate, half, fmt="none", ecolor=BLUE, alpha=0.3, elinewidth=0.8)
    axes.scatter(truth, estimate, s=14, color=BLUE, edgecolor=PAPER, linewidth=0.4, zorder=3)
    axes.set(xlim=span, ylim=span, aspect="equal")


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
) -> None:
    """A record section: one component over distance, each trace by its own peak, with arrivals of P and S.

    Bars are labelled arrivals, dashed lines predicted ones, filled curves the network's probability of each;
    what is not known is NaN. Of more than `max_stations` every n-th by distance is drawn.
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
            handles.append(Patch(color=colour, alpha=0.55, label=f"probability of {name}"))
        if arrival_s is not None:
            at = np.asarray(arrival_s)[order, phase]
            axes.vlines(at, row - 0.45, row + 0.45, color=colour, linewidth=1.8, zorder=4)
            handles.append(Line2D([], [], color=colour, linewidth=1.8, label=f"labelled {name}"))
        if predicted_s is not None:
            at = np.asarray(predicted_s)[order, phase]
            axes.plot(at, row, color=colour, linewidth=1.1, linestyle=(0, (4, 2)), zorder=5, alpha=0.9)
            handles.append(Line2D([], [], color=colour, linestyle=(0, (4, 2)), label=f"predicted {name}"))
    every = max(1, len(order) // 20)
    axes.set_yticks(row[::every], [f"{d:.0f}" if d >= 10 else f"{d:.1f}" for d in distance[::every]])
    axes.set(xlim=_time_span(second, arrival_s, predicted_s), ylim=(len(order) - 0.2, -1.2))
    if handles:
        legend(axes, handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles))
    save(path, new)


def _time_span(second: np.ndarray, *times_s: np.ndarray | None) -> tuple[float, float]:
    """The part of the record about all known times, or all of it."""
    known = np.concatenate([np.ravel(t) for t in times_s if t is not None] or [np.zeros(0)])
    known = known[np.isfinite(known)]
    if not len(known):
        return second[0], second[-1]
    room = 0.35 * np.ptp(known) + 2
    return max(second[0], known.min() - room), min(second[-1], known.max() + 1.5 * room)
