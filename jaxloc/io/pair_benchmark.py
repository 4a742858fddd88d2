"""A benchmark of relative locations: the files of Yu, Ellsworth & Beroza (2024) and what other programs made of them.

A folder holds phase.csv, station.csv, vel.csv, relative.csv (true separations of pairs of near events) and reference
results ref_*. Event k occurred 60 k seconds after a common zero, so that every time here is on a clock of its event.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from jaxloc.geometry import Frame, frame_of, to_km
from jaxloc.types import PHASES

ZERO = "2000-12-13T15:00:01"
MINUTE_S = 60.0
HYPODD_M, HYPODD_95 = 1e-3, 2.7955  # metres in km; its errors are of 95 % in three dimensions (hypoDD 2.1b, LSQR)
HYPOSVI_90 = 1.645  # half-widths of its ellipsoid are of 90 %


class Pairs(NamedTuple):
    """Rows of events of each pair, and their true horizontal and vertical separation in km."""

    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]
    horizontal_km: Float[np.ndarray, " pair"]
    vertical_km: Float[np.ndarray, " pair"]


class Benchmark(NamedTuple):
    """Picks on the clocks of their events (true origin time is zero), stations, velocity model rows and true pairs."""

    frame: Frame
    picks_s: Float[np.ndarray, "event station phase"]
    mask: Bool[np.ndarray, "event station phase"]
    station_km: Float[np.ndarray, "station 3"]
    depth_km: Float[np.ndarray, " row"]
    vp_km_s: Float[np.ndarray, " row"]
    vs_km_s: Float[np.ndarray, " row"]
    pairs: Pairs


class Reference(NamedTuple):
    """Another program's hypocentres, NaN where it has none, and the covariance of each that it states."""

    place_km: Float[np.ndarray, "event 3"]
    covariance_km2: Float[np.ndarray, "event 3 3"]


def read_benchmark(folder: Path) -> Benchmark:
    """The picks, stations, velocities and true pairs of a folder.

    Raises:
        ValueError: where a file is missing or a pick is of an unknown station or phase; names it.
    """
    phases, stations, velocity, pairs = (
        _read(folder / f"{name}.csv") for name in ("phase", "station", "vel", "relative")
    )
    frame = frame_of(stations.latitude.to_numpy(), stations.longitude.to_numpy())
    east_km, north_km = to_km(frame, stations.latitude.to_numpy(), stations.longitude.to_numpy())
    rows = {name: row for row, name in enumerate(stations.station)}
    station = phases.station.map(rows).to_numpy()
    phase = phases.phase.map({name: i for i, name in enumerate(PHASES)}).to_numpy()
    if unknown := sorted(set(phases.station[np.isnan(station.astype(float))])):
        raise ValueError(f"{folder / 'phase.csv'}: no such station: {', '.join(unknown)}; add it to station.csv")
    if np.isnan(phase.astype(float)).any():
        raise ValueError(f"{folder / 'phase.csv'}: phases must be of {', '.join(PHASES)}")
    event = phases.evid.to_numpy() - 1
    shape = (int(event.max()) + 1, len(stations), len(PHASES))
    picks_s, mask = np.zeros(shape), np.zeros(shape, bool)
    picks_s[event, station.astype(int), phase.astype(int)] = _since(phases.time, phases.evid)
    mask[event, station.astype(int), phase.astype(int)] = True
    station_km = np.stack([east_km, north_km, -stations.elevation.to_numpy()], -1)
    of_pairs = Pairs(*(pairs[name].to_numpy() for name in ("idx1", "idx2", "hori", "vert")))
    depth_km, vp_km_s, vs_km_s = (velocity[name].to_numpy() for name in ("depth", "vp", "vs"))
    return Benchmark(frame, picks_s, mask, station_km, depth_km, vp_km_s, vs_km_s, of_pairs)


def read_references(folder: Path, frame: Frame, events: int) -> dict[str, Reference]:
    """Results of other programs by name, those whose files are there."""
    readers = {
        "start": ("pre_cat.csv", _start),
        "HypoDD": ("ref_hypoDD.reloc", _hypodd),
        "GrowClust": ("ref_growclust_cat.txt", _growclust),
        "HYPOINVERSE": ("ref_hypoinverse.sum", _hypoinverse),
        "HypoSVI": ("ref_hyposvi_from_history.csv", _hyposvi),
        "NonLinLoc": ("ref_nonlinloc_rerun.csv", _nonlinloc),
    }
    found = {}
    for name, (file, read) in readers.items():
        if (folder / file).exists():
            event, latitude, longitude, depth, covariance = read(folder / file)
            place, stated = np.full((events, 3), np.nan), np.full((events, 3, 3), np.nan)
            place[event] = np.stack([*to_km(frame, latitude, longitude), depth], -1)
            stated[event] = covariance
            found[name] = Reference(place, stated)
    return found


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise ValueError(f"{path} does not exist; a benchmark needs phase.csv, station.csv, vel.csv and relative.csv")
    table = pd.read_csv(path, skipinitialspace=True)
    for name in ("phase", "station"):
        if name in table:
            table[name] = table[name].str.strip()
    return table


def _since(time: pd.Series, evid: pd.Series) -> np.ndarray:
    return (pd.to_datetime(time) - pd.Timestamp(ZERO)).dt.total_seconds().to_numpy() - MINUTE_S * evid.to_numpy()


def _diagonal(*sd_km: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ij->nij", np.stack(sd_km, -1) ** 2, np.eye(3))


def _start(path: Path) -> tuple:
    return *_places(pd.read_csv(path)), np.nan


def _hypodd(path: Path) -> tuple:
    rows = np.loadtxt(path)
    sd_km = rows[:, 7:10].T * HYPODD_M / HYPODD_95
    return rows[:, 0].astype(int) - 1, rows[:, 1], rows[:, 2], rows[:, 3], _diagonal(*sd_km)


def _growclust(path: Path) -> tuple:
    rows = np.loadtxt(path)
    across, down = rows[:, 19], rows[:, 20]
    return rows[:, 6].astype(int) - 1, rows[:, 7], rows[:, 8], rows[:, 9], _diagonal(across, across, down)


def _hypoinverse(path: Path) -> tuple:
    """Events are in order, their magnitudes blank."""
    rows = [line.split() for line in path.read_text().splitlines()[1:] if line.strip()]
    values = np.array([[float(x) for x in row[2:12]] for row in rows])
    across, down = values[:, 8], values[:, 9]
    return np.arange(len(values)), values[:, 1], values[:, 2], values[:, 3], _diagonal(across, across, down)


def _hyposvi(path: Path) -> tuple:
    table = pd.read_csv(path)
    across, down = table.unc_h_max.to_numpy() / HYPOSVI_90, table.unc_z.to_numpy() / HYPOSVI_90
    return *_places(table), _diagonal(across, across, down)


def _nonlinloc(path: Path) -> tuple:
    table = pd.read_csv(path).rename(columns={"lat": "latitude", "lon": "longitude", "depth_km": "depth"})
    rows = [[table[f"cov_{min(a, b)}{max(a, b)}"].to_numpy() for b in "xyz"] for a in "xyz"]
    return *_places(table), np.moveaxis(np.array(rows), -1, 0)


def _places(table: pd.DataFrame) -> tuple[np.ndarray, ...]:
    return table.evid.to_numpy() - 1, *(table[name].to_numpy() for name in ("latitude", "longitude", "depth"))
