"""Stations, and grids of NonLinLoc with exact travel times, for tests of gridded travel times."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame, to_degrees
from jaxloc.io.nonlinloc_grids import Grid, write_grid
from jaxloc.io.nonlinloc_projection import projection_of, statement_of, to_xy
from jaxloc.physics.layered import layered, travel_time_s

FRAME = Frame(36.0, -117.5)
STATIONS_KM = np.array([[-20, -14, -0.3], [17, -9, 0.0], [4, 21, -1.2], [-11, 13, -0.8], [12, 11, -0.5], [1, -3, -0.1]])
MODEL = layered([0.0, 4.0, 15.0], [4.5, 5.8, 6.6], [2.6, 3.35, 3.8])
PROJECTION = projection_of("LAMBERT WGS-84 36.1 -117.4 35.5 36.5 8.0")


def stations(places_km=STATIONS_KM):
    latitude, longitude = to_degrees(FRAME, places_km[:, 0], places_km[:, 1])
    return tuple(
        Station(f"XX.S{i}", float(a), float(o), -1000.0 * depth)
        for i, (a, o, depth) in enumerate(zip(latitude, longitude, places_km[:, 2], strict=True))
    )


def layered_s(apart_km, depth_km, station_depth_km, model=MODEL):
    """Exact first arrivals of P and S; shapes broadcast."""
    x, z, r = np.broadcast_arrays(apart_km, depth_km, station_depth_km)
    each = jax.jit(jax.vmap(travel_time_s, (None, None, 0, 0, 0)))
    flat = [jnp.asarray(a.ravel(), jnp.float32) for a in (x, z, r)]
    tops, speeds = jnp.asarray(model.top_km), (jnp.asarray(v) for v in model[1:])
    return np.stack([np.asarray(each(tops, v, *flat)).reshape(x.shape) for v in speeds], -1)


def write_flat_grids(folder, places_km=STATIONS_KM, spacing_km=0.5, reach_km=70.0, depth_km=(-2.0, 30.0), phases="PS"):
    """Grids of distance and depth."""
    distance = np.arange(0, reach_km + spacing_km / 2, spacing_km)
    depth = np.arange(depth_km[0], depth_km[1] + spacing_km / 2, spacing_km)
    folder.mkdir(exist_ok=True)
    for i, place in enumerate(places_km):
        time_s = layered_s(distance[:, None], depth, place[2])
        for k, phase in enumerate(phases):
            grid = Grid(
                time_s[None, ..., k].astype("f4"),
                (0.0, 0.0, depth_km[0]),
                (spacing_km,) * 3,
                "TIME2D",
                f"XX_S{i}_--",
                tuple(map(float, place)),
                statement_of(PROJECTION),
            )
            write_grid(folder / f"layer.{phase}.XX_S{i}_--.time", grid)


def write_solid_grids(folder, place_s, low_km, high_km, spacing_km, listed=None):
    """Grids of three dimensions in a rotated projection; `place_s` has times from x, y, depth to a station."""
    axes = [np.arange(a, b + spacing_km / 2, spacing_km) for a, b in zip(low_km, high_km, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    folder.mkdir(exist_ok=True)
    for i, station in enumerate(stations() if listed is None else listed):
        x, y = to_xy(PROJECTION, np.asarray(station.latitude_deg), np.asarray(station.longitude_deg))
        at = (float(x), float(y), -station.elevation_m / 1000)
        for k, phase in enumerate("PS"):
            value = place_s(nodes, np.array(at))[..., k].astype("f4")
            where = (tuple(map(float, low_km)), (spacing_km,) * 3, "TIME", f"S{i}", at, statement_of(PROJECTION))
            write_grid(folder / f"layer.{phase}.S{i}.time", Grid(value, *where))
