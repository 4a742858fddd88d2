"""Distance corrections of local magnitude: published ones by name, and a user's own.

A local magnitude is log10 A + a log10(R / r) + b (R - r) + c exp(-d R) + m + S: A is the amplitude in mm of a
Wood-Anderson seismograph of gain 2080, R the hypocentral distance in km, r a reference distance at which an amplitude
of 1 mm has the magnitude m, and S the correction of the station. Curves published for ground displacement in nm (a
Wood-Anderson seismograph of gain 1) have m raised by log10(1e6 / 2080).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.physics.wood_anderson import GAIN

NM_OF_GAIN_1 = math.log10(1e6 / GAIN)
"""What a curve for mm of a Wood-Anderson seismograph has more than one for nm of gain 1."""
NEAREST_KM = 0.1  # closer hypocentres have the correction of this distance


class MagnitudeCurve(NamedTuple):
    """A distance correction (see the module).

    Attributes:
        name: of the registry, or of the user's file.
        reference: authors and year, or file.
        log_distance: a.
        distance: b, per km.
        reference_km: r.
        at_reference: m.
        near: c.
        near_per_km: d.
        farthest_km: stations farther away are not used.
        station: corrections by station code; 0 for the others.
    """

    name: str
    reference: str
    log_distance: float
    distance: float
    reference_km: float = 100.0
    at_reference: float = 3.0
    near: float = 0.0
    near_per_km: float = 0.0
    farthest_km: float = 1000.0
    station: Mapping[str, float] = {}  # never written to


CURVES: Mapping[str, MagnitudeCurve] = {
    curve.name: curve
    for curve in (
        MagnitudeCurve("hutton_boore", "Hutton & Boore (1987), southern California", 1.11, 0.00189, farthest_km=700.0),
        MagnitudeCurve("iaspei", "IASPEI (2013), standard formula", 1.11, 0.00189, 1.0, NM_OF_GAIN_1 - 2.09 + 0.00189),
        MagnitudeCurve("bakun_joyner", "Bakun & Joyner (1984), central California", 1.0, 0.00301, farthest_km=400.0),
        MagnitudeCurve("keir", "Keir et al. (2006), Ethiopian rift", 1.197, 0.00107, 17.0, 2.0),
        MagnitudeCurve(
            "uk",
            "Luckett et al. (2018), United Kingdom",
            1.11,
            0.00189,
            1.0,
            NM_OF_GAIN_1 - 2.09 + 0.00189,
            near=-1.16,
            near_per_km=0.2,
        ),
        MagnitudeCurve("langston", "Langston et al. (1998), Tanzania", 0.776, 0.0009, 17.0, 2.0),
        MagnitudeCurve("askja", "Greenfield et al. (2018), Askja, Iceland", 1.4406, 0.003, 17.0, 2.0),
        MagnitudeCurve("bardarbunga", "Greenfield et al. (2018), Bardarbunga, Iceland", 1.2534, 0.0032, 17.0, 2.0),
        MagnitudeCurve("danakil", "Illsley-Kemp et al. (2017), Danakil", 1.2743, -0.0003, 17.0, 2.0),
    )
}
"""Published curves by name."""

PARAMETERS = tuple(name for name, kind in MagnitudeCurve.__annotations__.items() if kind is float)
"""Those of a curve that a file may give."""


def curve_named(name: str) -> MagnitudeCurve:
    """A published curve.

    Raises:
        ValueError: for a name that is not in `CURVES`; lists those that are.
    """
    if name not in CURVES:
        raise ValueError(f"no such magnitude curve: {name!r}; use a CSV of your own or one of {', '.join(CURVES)}")
    return CURVES[name]


def curve_from(name: str, values: Mapping[str, float], station: Mapping[str, float]) -> MagnitudeCurve:
    """A user's curve, of a file's parameters and station corrections.

    Raises:
        ValueError: where `log_distance` or `distance` is missing, a name is none of `PARAMETERS`, or a value is not
            finite or impossible; names it.
    """
    if unknown := sorted(set(values) - set(PARAMETERS)):
        raise ValueError(f"{name}: no such parameter of a magnitude curve: {unknown[0]!r}; use {', '.join(PARAMETERS)}")
    if missing := [each for each in ("log_distance", "distance") if each not in values]:
        raise ValueError(f"{name}: a magnitude curve must have {missing[0]}; add a row for it")
    for key, value in {**values, **station}.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}: {key} must be finite, got {value}")
    curve = MagnitudeCurve(name, f"coefficients of {name}", **values, station=dict(station))
    for key in ("reference_km", "farthest_km"):
        if getattr(curve, key) <= 0:
            raise ValueError(f"{name}: {key} must be positive, got {getattr(curve, key):g}")
    return curve


def correction(curve: MagnitudeCurve, distance_km: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """What is added to log10 of an amplitude in mm at a hypocentral distance in km."""
    far = np.maximum(distance_km, NEAREST_KM)
    straight = curve.log_distance * np.log10(far / curve.reference_km) + curve.distance * (far - curve.reference_km)
    return straight + curve.near * np.exp(-curve.near_per_km * far) + curve.at_reference


def station_corrections(curve: MagnitudeCurve, codes: tuple[str, ...]) -> Float[np.ndarray, " station"]:
    """The corrections S of stations, 0 where a curve has none."""
    return np.array([curve.station.get(code, 0.0) for code in codes], float)
