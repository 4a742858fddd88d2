"""The map of all events of a data set, with estimated over true depths."""

from pathlib import Path

import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxloc.distributions.ellipsoids import credible_ellipsoid
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.plots.geography import Geography, degrees_on, name_stations
from jaxloc.plots.maps import STATION, surface_km
from jaxloc.plots.style import BLUE, INK, MUTED, PAPER, VERMILION, dress, figure, frame, legend, save


def overview_map(
    path: str | Path,
    mixtures: dist.Distribution,
    truth: Float[Array | np.ndarray, "event 4"],
    known: Bool[Array | np.ndarray, "event 4"],
    station_km: Float[Array | np.ndarray, "station 3"],
    title: str = "Test events",
    geography: Geography = Geography(),
) -> None:
    """All test events: lines from truth to estimate, 90 % ellipses of mean and covariance, estimated over true depth.

    Bars of depth end at the ground, which is the highest station or sea level.
    """
    estimate, spread = np.asarray(mean(mixtures)), np.asarray(covariance(mixtures))
    truth, known, stations = np.asarray(truth), np.asarray(known), np.asarray(station_km)
    use = known[:, :2].all(-1)
    new = figure(11.2, 6.4, title)
    left, right = new.subplots(1, 2, width_ratios=(1.5, 1))
    frame(dress(left, "east (km)", "north (km)"))
    lengths, directions = map(np.asarray, credible_ellipsoid(spread[:, :2, :2].astype(float), 0.9))
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
    name_stations(left, stations, geography.station_names)
    _frame_all(left, np.concatenate([truth[use, :2], stations[:, :2]]), estimate[:, :2])
    left.scatter(*estimate[~use, :2].T, s=10, color=BLUE, linewidth=0, zorder=4)
    degrees_on(left, geography.frame, np.concatenate([stations[:, :2], truth[use, :2], estimate[:, :2]]))
    text = _summary((estimate - truth)[use, :2], lengths[use], directions[use])
    left.set_title(text, loc="left", fontsize=9.5, color=INK)
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=3, linestyle="", label="truth"),
        Line2D([], [], color=VERMILION, label="truth to estimate"),
        Patch(facecolor=(BLUE, 0.10), edgecolor=BLUE, label="90 % ellipse of mean and covariance"),
        Line2D([], [], color=PAPER, marker="^", markeredgecolor=INK, linestyle="", label="station"),
    ]
    legend(left, handles=handles, loc="upper left", bbox_to_anchor=(0, -0.075), ncols=4)
    _depth_panel(right, estimate[:, 2], np.sqrt(spread[:, 2, 2]), truth[:, 2], known[:, 2], surface_km(stations))
    save(path, new)


def _overlap(lengths: Float[np.ndarray, "event 2"], places: Float[np.ndarray, "place 2"]) -> float:
    """How many ellipses overlap where events are, in threes, at least one: by it they become paler."""
    areas, events_km2 = np.pi * lengths[:, 0] * lengths[:, 1], np.ptp(places, axis=0).prod()
    return max(1.0, np.minimum(areas / max(events_km2, 1e-9), 1.0).sum() / 3)


def _summary(
    apart: Float[np.ndarray, "event 2"],
    lengths: Float[np.ndarray, "event 2"],
    directions: Float[np.ndarray, "event 2 2"],
) -> str:
    if not len(apart):
        return "truth unknown"
    turned = np.einsum("ni,nij->nj", apart, directions) / np.maximum(lengths, 1e-9)
    inside, middle = ((turned**2).sum(-1) < 1).mean(), np.median(np.linalg.norm(apart, axis=-1))
    share = f"{100 * inside:.0f} % of truths inside the 90 % ellipse of mean and covariance"
    return f"{len(apart)} events, median error {middle:.2f} km\n{share} (the score card has highest-density regions)"


def _frame_all(axes: Axes, fixed: Float[np.ndarray, "place 2"], estimates: Float[np.ndarray, "event 2"]) -> None:
    """Limits with truths and stations inside, and estimates up to half as far again."""
    low, high = fixed.min(0), fixed.max(0)
    room = 0.5 * (high - low).max()
    low = np.maximum(np.minimum(low, estimates.min(0)), low - room)
    high = np.minimum(np.maximum(high, estimates.max(0)), high + room)
    pad = 0.05 * (high - low).max()
    axes.set(xlim=(low[0] - pad, high[0] + pad), ylim=(low[1] - pad, high[1] + pad), aspect="equal")


def _depth_panel(
    axes: Axes,
    estimate: Float[np.ndarray, " event"],
    sd: Float[np.ndarray, " event"],
    truth: Float[np.ndarray, " event"],
    known: Bool[np.ndarray, " event"],
    top_km: float,
) -> None:
    dress(axes, "true depth (km)", "estimated depth (km)", f"Depth, {known.sum()} events, bars of 90 %")
    if not known.any():
        axes.text(0.5, 0.5, "truth unknown", transform=axes.transAxes, ha="center", color=MUTED)
        return
    estimate, sd, truth = estimate[known], sd[known], truth[known]
    above, below = np.clip(np.minimum(1.645 * sd, estimate - top_km), 0.0, None), 1.645 * sd
    both = np.concatenate([truth, estimate - above, estimate + below])
    span = np.array([both.min(), both.max()]) + 0.05 * np.ptp(both) * np.array([-1, 1])
    axes.plot(span, span, color=INK, linewidth=1, zorder=1)
    axes.errorbar(truth, estimate, [above, below], fmt="none", ecolor=BLUE, alpha=0.3, elinewidth=0.8)
    axes.scatter(truth, estimate, s=14, color=BLUE, edgecolor=PAPER, linewidth=0.4, zorder=3)
    axes.set(xlim=span, ylim=span, aspect="equal")
