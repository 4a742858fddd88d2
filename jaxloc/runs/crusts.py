"""The crust of a place that nothing is known of, by where its stations are: on land, or at the floor of an ocean."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxloc.data.dataset import Station
from jaxloc.physics.reference_models import rows_of

REFERENCE, DEEPEST_KM = "ak135", 210.0
OCEAN_M = -1500.0  # median elevation of the stations below which the crust is oceanic: deeper than shelves are
OCEANIC_KM = ((1.75, 5.05, 1.85), (4.75, 6.75, 1.80))
"""Thickness, P speed in km/s and Vp/Vs of the second and third layer of the oceanic crust: means of the ranges that
Tanimoto (1995, Crustal structure of the earth, AGU Reference Shelf 1, p. 214) gives. Vp/Vs of basalt and gabbro are
choices."""


class Crust(NamedTuple):
    """A velocity model by default: its name, and settings as of a configuration, with their uncertainty."""

    name: str
    settings: dict[str, Any]


def crust_at(stations: Sequence[Station]) -> Crust:
    """The crust under stations, by their median elevation."""
    floor_m = float(np.median([station.elevation_m for station in stations]))
    return continental() if floor_m > OCEAN_M else oceanic(-floor_m / 1000)


def continental() -> Crust:
    """That of ak135 (Kennett and others 1995), with speeds uncertain by 5 % and Vp/Vs by 0.05.

    Layers of constant speed: in the crust it has no others, and in the mantle its gradients are small.
    """
    rows = [row for row in _layers() if row[0] <= DEEPEST_KM]
    return Crust("continental crust of ak135, speeds uncertain by 5 %", _settings(rows, 0.05, 0.05))


def oceanic(floor_km: float) -> Crust:
    """Two layers below a sea floor at a depth, then the mantle of ak135; speeds uncertain by 8 % and Vp/Vs by 0.08.

    Above the sea floor, where no ray is, the speeds are those of the upper layer.
    """
    rows, top_km = [], 0.0
    for thickness_km, vp_km_s, vp_vs in OCEANIC_KM:
        rows.append((top_km, vp_km_s, vp_km_s / vp_vs))
        top_km = (top_km or floor_km) + thickness_km
    mantle = [row for row in _layers() if row[1] > 7.5 and row[0] <= DEEPEST_KM]
    rows += [(top_km, *mantle[0][1:]), *(row for row in mantle[1:] if row[0] > top_km)]
    name = f"oceanic crust below {floor_km:.1f} km of water, speeds uncertain by 8 %"
    return Crust(name, _settings(rows, 0.08, 0.08))


def _layers() -> list[tuple[float, float, float]]:
    """Tops in km with the speeds below them."""
    depth_km, vp_km_s, vs_km_s = (np.asarray(each) for each in rows_of(REFERENCE))
    top_km, first = np.unique(depth_km, return_index=True)
    below = np.append(first[1:], len(depth_km)) - 1  # of two rows at a step, the one below
    return [(float(t), float(vp_km_s[i]), float(vs_km_s[i])) for t, i in zip(top_km, below, strict=True)]


def _settings(rows: Sequence[tuple[float, float, float]], speed_sd: float, vp_vs_sd: float) -> dict[str, Any]:
    columns = dict(zip(("top_km", "vp_km_s", "vs_km_s"), (list(each) for each in zip(*rows, strict=True)), strict=True))
    return columns | {"speed_sd": speed_sd, "vp_vs_sd": vp_vs_sd}
