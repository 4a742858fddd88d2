"""Maps of the posterior of one event, with depth sections."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, Key
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jaxloc.distributions.any_distribution import marginal_of, plain, smoothed
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.geometry import format_degrees
from jaxloc.plots.geography import Geography, degrees_on, name_stations
from jaxloc.plots.style import BLUE, INK, MUTED, PAPER, VERMILION, dress, figure, frame, save

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
    key: Key[Array, ""],
    path: str | Path,
    posterior: dist.Distribution,
    station_km: Float[Array | np.ndarray, "station 3"],
    station_mask: Bool[Array | np.ndarray, " station"],
    truth: Float[Array | np.ndarray, "4"] | None = None,
    title: str = "",
    num_draws: int = 4000,
    geography: Geography = Geography(),
) -> None:
    """One event's posterior, from samples of `key`: in the network, and close by in map view and two depth sections.

    Shades are regions of highest density of 50, 68, 90 and 95 % of the marginal posterior of each panel. Sections begin
    at the ground, the highest station or sea level. `truth` is NaN where it is unknown.
    """
    one = plain(posterior)
    draws = np.asarray(_draws(key, one, num_draws))
    truth = np.full(4, np.nan) if truth is None else np.asarray(truth, float)
    stations = np.asarray(station_km)[np.asarray(station_mask)]
    names = tuple(n for n, use in zip(geography.station_names, np.asarray(station_mask), strict=False) if use)
    top_km = surface_km(stations)
    east, north, depth = _window(draws, truth, top_km)
    zero = "" if geography.frame is None else f" of {format_degrees(*geography.frame, digits=2)}"

    new = figure(11.5, 6.3, title)
    new.set_layout_engine("none")
    network, plan, below, right, words = (_box(new, *corner) for corner in BOXES_IN)
    panels = ((plan, (0, 1), (east, north)), (below, (0, 2), (east, depth)), (right, (2, 1), (depth, north)))
    for axes, dims, spans in panels:
        frame(dress(axes, grid=False))
        _regions(axes, marginal_of(one, dims) or smoothed(jnp.asarray(draws[:, dims])), draws[:, dims], spans)
        _points(axes, np.asarray(mean(one))[list(dims)], truth[list(dims)])
        axes.set(xlim=spans[0], ylim=spans[1])
    plan.scatter(stations[:, 0], stations[:, 1], **STATION)
    plan.tick_params(labelbottom=False)
    plan.set_ylabel(f"north{zero} (km)", fontsize=9, color=INK)
    plan.set_title(_summary(one, truth, float((draws[:, 2] < top_km).mean())), loc="left", fontsize=9.5, color=INK)
    right.tick_params(labelleft=False)
    right.set_xlabel("depth (km)", fontsize=9, color=INK)
    below.set_xlabel(f"east{zero} (km)", fontsize=9, color=INK)
    below.set_ylabel("depth (km)", fontsize=9, color=INK)
    below.invert_yaxis()
    _network_panel(frame(network), stations, draws, truth, (east, north))
    name_stations(network, stations, names)
    degrees_on(network, geography.frame, np.concatenate([stations[:, :2], draws[::50, :2]]))
    _key(words, bool(np.isfinite(truth[:2]).all()))
    save(path, new)


def _box(new: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes placed in inches, so that kilometres are as long in all panels."""
    wide, high = new.get_size_inches()
    return new.add_axes((left / wide, bottom / high, width / wide, height / high))


def surface_km(station_km: Float[np.ndarray, "station 3"]) -> float:
    """Depth of the ground: that of the highest station, or sea level where all lie below it."""
    return float(min(0.0, station_km[:, 2].min(initial=0.0)))


def _window(
    draws: Float[np.ndarray, "draw 4"], truth: Float[np.ndarray, " 4"], top_km: float
) -> tuple[tuple[float, float], ...]:
    """Limits in km around nearly all samples and the truth, in depth from the ground.

    East, north and depth are to one scale, unless depth would need more than twice the room.
    """
    low, high = np.quantile(draws[:, :3], [0.002, 0.998], axis=0)
    low, high = np.fmin(low, truth[:3]), np.fmax(high, truth[:3])
    low[2] = max(low[2], top_km)
    high[2] = max(high[2], top_km)
    half, middle = 0.58 * np.maximum(high - low, 0.2), (low + high) / 2
    half[:2] = half[:2].max()
    if half[2] / DEPTH_SHARE < 2 * half[0]:
        half[:2] = max(half[0], half[2] / DEPTH_SHARE)
        half[2] = half[0] * DEPTH_SHARE
    middle[2] = max(middle[2], top_km + half[2])
    return tuple((float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True))


@partial(jax.jit, static_argnames="number")
def _draws(key: Key[Array, ""], mixture: dist.Distribution, number: int) -> Float[Array, "draw 4"]:
    return jnp.asarray(mixture.sample(key, (number,)))


@jax.jit
def _log_density(part: dist.Distribution, points: Float[Array, "point 2"]) -> Float[Array, " point"]:
    return jnp.asarray(part.log_prob(points))


def _regions(
    axes: Axes,
    part: dist.Distribution,
    draws: Float[np.ndarray, "draw 2"],
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
    # Some samples beneath: they show tails, and a posterior too thin for the grid.
    axes.scatter(*draws[::8].T, s=3, color=BLUE, alpha=0.2, linewidth=0, zorder=1)
    axes.contourf(x, y, density, [*steps, max(density.max(), steps[-1]) + 1.0], colors=colours, zorder=2)
    axes.contour(x, y, density, steps, colors=PAPER, linewidths=0.6, linestyles="solid", zorder=3)


def _points(axes: Axes, middle: Float[np.ndarray, " 2"], truth: Float[np.ndarray, " 2"]) -> None:
    axes.plot(*middle, "+", color=PAPER, markersize=11, markeredgewidth=3.0, zorder=5)
    axes.plot(*middle, "+", color=INK, markersize=10, markeredgewidth=1.5, zorder=5)
    if np.isfinite(truth).all():
        axes.scatter(*truth, **TRUTH)


def _network_panel(
    axes: Axes,
    stations: Float[np.ndarray, "station 3"],
    draws: Float[np.ndarray, "draw 4"],
    truth: Float[np.ndarray, " 4"],
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
    handles: list = [Patch(color=c, label=f"{100 * p:.0f} % highest density") for c, p in shades]
    handles.append(Line2D([], [], linestyle="", marker="+", color=INK, markersize=9, label="posterior mean"))
    if with_truth:
        handles.append(Line2D([], [], linestyle="", marker="*", color=VERMILION, markersize=10, label="truth"))
    handles.append(Line2D([], [], linestyle="", marker="^", color=INK, markersize=5, label="station"))
    axes.legend(handles=handles, loc="upper left", fontsize=7.5, frameon=False, labelcolor=INK, borderaxespad=0)


def _summary(one: dist.Distribution, truth: Float[np.ndarray, " 4"], share_above_surface: float) -> str:
    middle, sd = np.asarray(mean(one)), np.sqrt(np.diagonal(np.asarray(covariance(one))))
    text = f"predicted sd {np.hypot(sd[0], sd[1]):.2f} km of the epicentre, {sd[2]:.2f} km in depth"
    if np.isfinite(truth[:2]).all():
        text += f"\nerror {np.hypot(*(middle - truth)[:2]):.2f} km"
        text += f" and {abs(middle[2] - truth[2]):.2f} km" if np.isfinite(truth[2]) else " of the epicentre"
    if share_above_surface > 0.01:
        text += f"; {100 * share_above_surface:.0f} % of the posterior is above the ground"
    return text
