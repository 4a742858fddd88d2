"""Maps in local kilometres with degrees on their axes, a scale bar and the names of stations."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from jaxloc.geometry import Frame, to_degrees, to_km
from jaxloc.plots.style import INK, PAPER

MAX_NAMES = 40  # stations whose names fit on a map
POLAR_DEG = 80.0  # beyond it meridians are no straight lines on a map


class Geography(NamedTuple):
    """The local frame of a map, and the names of stations in their order; None and empty where unknown."""

    frame: Frame | None = None
    station_names: tuple[str, ...] = ()


def degrees_on(axes: Axes, frame: Frame | None, points_km: Float[np.ndarray, "point 2"]) -> None:
    """Degrees in place of kilometres on the axes of a map whose limits are set, and a scale bar.

    Meridians and parallels are taken through the middle of the map. Without a frame, and close to a pole, the
    kilometres stay. The bar keeps clear of `points_km`, where a corner does.
    """
    scale_bar(axes, points_km)
    if frame is None or abs(frame.latitude_deg) > POLAR_DEG:
        return
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    middle = np.array([(west + east) / 2, (south + north) / 2])
    middle_deg = np.array(to_degrees(frame, *middle))
    longitude = _around(frame, to_degrees(frame, np.array([west, east]), middle[[1, 1]])[1])
    latitude = to_degrees(frame, middle[[0, 0]], np.array([south, north]))[0]
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])
    east_deg, north_deg = (np.asarray(ticks.tick_values(*ends)) for ends in (longitude, latitude))
    east_km = to_km(frame, np.full(len(east_deg), middle_deg[0]), east_deg)[0]
    north_km = to_km(frame, north_deg, np.full(len(north_deg), middle_deg[1]))[1]
    for axis, at_km, at_deg, letters in (
        (axes.xaxis, east_km, east_deg, "EW"),
        (axes.yaxis, north_km, north_deg, "NS"),
    ):
        axis.set_major_locator(FixedLocator(list(at_km)))
        axis.set_major_formatter(FuncFormatter(_labels(at_km, at_deg, letters)))
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set(xlabel="", ylabel="")


def _around(frame: Frame, longitude_deg: Float[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
    """Longitudes within half a turn of the frame's origin, beyond 180 degrees where need be."""
    return (longitude_deg - frame.longitude_deg + 180) % 360 - 180 + frame.longitude_deg


def _labels(
    at_km: Float[np.ndarray, " tick"], at_deg: Float[np.ndarray, " tick"], letters: str
) -> Callable[[float, int | None], str]:
    step = float(np.diff(at_deg).min()) if len(at_deg) > 1 else 1.0
    digits = next((n for n in range(6) if abs(round(step, n) - step) < 1e-9), 5)

    def label(km: float, _: int | None) -> str:
        degrees = float(at_deg[np.abs(at_km - km).argmin()])
        degrees = (degrees + 180) % 360 - 180 if letters == "EW" else degrees
        return f"{abs(degrees):.{digits}f}° {letters[int(-180 < degrees < 0)]}"

    return label


def scale_bar(axes: Axes, points_km: Float[np.ndarray, "point 2"]) -> None:
    """A bar of 1, 2 or 5 times a power of ten km, in the corner of a map in km that has the fewest points."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    wide, high = east - west, north - south
    power = 10.0 ** np.floor(np.log10(wide / 4))
    length = float(max(n * power for n in (1, 2, 5) if n * power <= wide / 4))
    levels, lefts = (south + 0.03 * high, north - 0.08 * high), (east - 0.04 * wide - length, west + 0.04 * wide)
    corners = [(left, level) for level in levels for left in lefts]
    left, level = min(corners, key=lambda c: _near(points_km, c, (length, 0.07 * high), 0.03 * wide))
    for width, colour in ((5.0, PAPER), (2.2, INK)):
        ends = ([left, left + length], [level, level])
        axes.plot(*ends, color=colour, linewidth=width, solid_capstyle="butt", zorder=7)
    text = f"{length:g} km" if length >= 1 else f"{1000 * length:g} m"
    axes.text(left + length / 2, level + 0.012 * high, text, ha="center", fontsize=7.5, color=INK, zorder=7)


def _near(
    points_km: Float[np.ndarray, "point 2"], corner: tuple[float, float], size: tuple[float, float], room: float
) -> int:
    """How many points lie in a box, or so close to it that symbol and name reach it."""
    apart = points_km - np.array(corner)
    return int(((apart > -room) & (apart < np.array(size) + room)).all(-1).sum())


def name_stations(axes: Axes, station_km: Float[np.ndarray, "station 3"], names: Sequence[str]) -> None:
    """Codes of stations above their symbols, where there are not too many; the network's code is left out."""
    if len(names) != len(station_km) or not 0 < len(names) <= MAX_NAMES:
        return
    for place, name in zip(station_km, names, strict=True):
        code = name.split(".")[1] if "." in name else name
        axes.annotate(
            code, place[:2], (0, 5), textcoords="offset points", ha="center", fontsize=6.5, color=INK,
            annotation_clip=True, zorder=5,
        )  # fmt: skip
