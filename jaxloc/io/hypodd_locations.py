"""Locations of hypoDD: hypoDD.loc (before) and hypoDD.reloc (after relocation), with errors as the files have them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxloc.io.hypodd import calendar, lines_of, time_of, wrong

NO_RMS = -9.0  # of a kind of data that an event has none of


class Locations(NamedTuple):
    """Locations, one a row: position, m from the centroid of the cluster, errors in m, and what it was located by.

    `error_m` are hypoDD's, which say two standard deviations (1.96) after an SVD and none in the statistical sense
    after LSQR. `links` counts P and S times of cross-correlation and of the catalogue, `rms_s` are the rms residuals
    of both kinds, NaN without data; hypoDD.loc has neither (zeros and NaN).
    """

    id: Int[np.ndarray, " event"]
    latitude_deg: Float[np.ndarray, " event"]
    longitude_deg: Float[np.ndarray, " event"]
    depth_km: Float[np.ndarray, " event"]
    from_centroid_m: Float[np.ndarray, "event 3"]
    error_m: Float[np.ndarray, "event 3"]
    origin: np.ndarray  # datetime64[us]
    magnitude: Float[np.ndarray, " event"]
    links: Int[np.ndarray, "event 4"]
    rms_s: Float[np.ndarray, "event 2"]
    cluster: Int[np.ndarray, " event"]


def read_locations(path: str | Path) -> Locations:
    """hypoDD.reloc (24 columns) or hypoDD.loc (18).

    Raises:
        ValueError: where a line is neither; names it.
    """
    rows = []
    for number, words in lines_of(path):
        try:
            values = [float(word) for word in words]
            if len(values) not in (18, 24):
                raise ValueError(f"{len(values)} columns")
            links = [int(v) for v in values[17:21]] if len(values) == 24 else [0] * 4
            rms = [v if v > NO_RMS else np.nan for v in values[21:23]] if len(values) == 24 else [np.nan] * 2
            year, month, day, hour, minute = (int(v) for v in values[10:15])
            origin = time_of(year, month, day, hour, minute, values[15])
            position, centroid, error = values[1:4], values[4:7], values[7:10]
            rows.append((int(words[0]), *position, centroid, error, origin, values[16], links, rms, int(values[-1])))
        except ValueError as error:
            raise wrong(path, number, words, "location of hypoDD.reloc (24 columns) or hypoDD.loc (18)") from error
    if not rows:
        raise ValueError(f"{path} holds no location")
    return Locations(*(np.array(column) for column in zip(*rows, strict=True)))


def write_relocations(path: str | Path, locations: Locations) -> None:
    """hypoDD.reloc; origin times to 0.001 s."""
    lines = []
    for row in range(len(locations.id)):
        rms = [NO_RMS if np.isnan(value) else value for value in locations.rms_s[row]]
        counts = " ".join(f"{count:5d}" for count in locations.links[row])
        lines.append(
            f"{_position(locations, row)} {_time(locations.origin[row], 3)} {locations.magnitude[row]:5.2f} {counts} "
            f"{rms[0]:6.3f} {rms[1]:6.3f} {locations.cluster[row]:3d}"
        )
    Path(path).write_text("\n".join(lines) + "\n")


def write_locations(path: str | Path, locations: Locations) -> None:
    """hypoDD.loc; origin times to 0.01 s."""
    lines = [
        f"{_position(locations, row)} {_time(locations.origin[row], 2)} {locations.magnitude[row]:5.2f} "
        f"{locations.cluster[row]:3d}"
        for row in range(len(locations.id))
    ]
    Path(path).write_text("\n".join(lines) + "\n")


def _position(locations: Locations, row: int) -> str:
    centroid = " ".join(f"{value:10.1f}" for value in locations.from_centroid_m[row])
    error = " ".join(f"{value:8.1f}" for value in locations.error_m[row])
    return (
        f"{locations.id[row]:9d} {locations.latitude_deg[row]:10.6f} {locations.longitude_deg[row]:11.6f} "
        f"{locations.depth_km[row]:9.3f} {centroid} {error}"
    )


def _time(time: np.datetime64, digits: int) -> str:
    step = 10 ** (6 - digits)
    count = int(time.astype("datetime64[us]").astype(np.int64))
    year, month, day, hour, minute, second = calendar(np.datetime64((count + step // 2) // step * step, "us"))
    return f"{year:4d} {month:2d} {day:2d} {hour:2d} {minute:2d} {second:{3 + digits}.{digits}f}"
