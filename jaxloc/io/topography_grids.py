"""Elevations of the ground on grids of longitude and latitude: ESRI ASCII (.asc) and NetCDF as GMT's (.grd, .nc).

NetCDF is read in its classic form (by SciPy), also as GMT 3 wrote it, and as netCDF-4 (HDF5). Elevations are in m above
sea level, coordinates in degrees. Files of GEBCO, SRTM, ETOPO and Copernicus are of these kinds, or become so by GDAL
(`gdal_translate`, `gdalwarp -t_srs EPSG:4326`).
"""

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Float
from scipy.interpolate import RegularGridInterpolator
from scipy.io import netcdf_file

from jaxloc.geometry import Frame, check_degrees, to_degrees
from jaxloc.io.tables import decode, read_bytes
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.topography import Ground, ground

LONGITUDES, LATITUDES = ("lon", "longitude", "x"), ("lat", "latitude", "y")
KM_PER_DEGREE = 111.2
MOST_NODES = 500  # along each side of the region
CLASSIC, HDF5 = b"CDF", b"\x89HDF"


class Elevation(NamedTuple):
    """Elevations in m above sea level, NaN where there is none, at increasing longitudes and latitudes in degrees."""

    longitude_deg: Float[np.ndarray, " longitude"]
    latitude_deg: Float[np.ndarray, " latitude"]
    elevation_m: Float[np.ndarray, "longitude latitude"]


def read_topography(path: str | Path) -> Elevation:
    """The elevations of a file; its kind is recognised by its content.

    Raises:
        ValueError: where the file is missing, of no known kind, or its coordinates are not degrees.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such topography: {path}; it must be an ESRI ASCII grid (.asc) or NetCDF (.grd, .nc)")
    with path.open("rb") as file:
        begin = file.read(8)
    if begin.startswith(CLASSIC):
        with netcdf_file(path, mmap=False) as opened:
            longitude, latitude, value = _of_variables(path, _classic(opened))
    elif begin.startswith(HDF5):
        with h5py.File(path) as opened:
            longitude, latitude, value = _of_variables(path, _hdf5(opened))
    else:
        longitude, latitude, value = _of_text(path)
    check_degrees(latitude, np.resize(longitude, latitude.shape), f"{path} (a grid must be in degrees, not in m)")
    check_degrees(np.resize(latitude, longitude.shape), longitude, f"{path} (a grid must be in degrees, not in m)")
    for axis, name in ((0, "longitudes"), (1, "latitudes")):
        along = (longitude, latitude)[axis]
        if (
            len(along) < 2
            or len(along) != value.shape[axis]
            or not ((np.diff(along) > 0).all() or (np.diff(along) < 0).all())
        ):
            raise ValueError(
                f"{path}: {name} must increase or decrease, at least two, one for each of {value.shape[axis]} values"
            )
        if along[0] > along[-1]:
            value = np.flip(value, axis)
    return Elevation(np.sort(longitude), np.sort(latitude), value)


def _of_text(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An ESRI ASCII grid: names and numbers, then rows from north to south."""
    lines = decode(read_bytes(path, "topography"), path).splitlines()
    head: dict[str, float] = {}
    try:
        while lines and lines[0].split()[:1] and lines[0].split()[0][0].isalpha():
            name, number = lines.pop(0).split()[:2]
            head[name.lower()] = float(number)
        columns, rows = int(head["ncols"]), int(head["nrows"])
        step = [head[f"d{axis}"] if f"d{axis}" in head else head["cellsize"] for axis in "xy"]
        first = [_first(head, axis, each) for axis, each in zip("xy", step, strict=True)]
        value = np.array(" ".join(lines).split(), float).reshape(rows, columns)
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"{path} must be an ESRI ASCII grid (ncols, nrows, xllcorner, yllcorner, cellsize, then rows) "
            f"or NetCDF: {error}"
        ) from error
    value[value == head.get("nodata_value", -9999.0)] = np.nan
    return first[0] + step[0] * np.arange(columns), first[1] + step[1] * np.arange(rows), value[::-1].T


def _first(head: dict[str, float], axis: str, step: float) -> float:
    """The middle of the first cell."""
    corner = f"{axis}llcorner"
    return head[corner] + step / 2 if corner in head else head[f"{axis}llcenter"]


Variables = dict[str, tuple[np.ndarray, dict[str, Any]]]


def _classic(opened: Any) -> Variables:
    return {name: (np.array(each.data), dict(each._attributes)) for name, each in opened.variables.items()}


def _hdf5(opened: Any) -> Variables:
    return {name: (each[...], dict(each.attrs)) for name, each in opened.items() if isinstance(each, h5py.Dataset)}


def _of_variables(path: Path, variables: Variables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates and the one variable of two dimensions, [latitude, longitude]."""
    if {"x_range", "y_range", "dimension", "z"} <= set(variables):
        return _of_gmt3(variables)
    find = lambda names: next((variables[name][0] for name in variables if name.lower() in names), None)
    longitude, latitude = find(LONGITUDES), find(LATITUDES)
    flat = [name for name, (value, _) in variables.items() if value.ndim == 2]
    if longitude is None or latitude is None or len(flat) != 1:
        raise ValueError(
            f"{path} must have variables lon and lat (or x and y) and one of elevations, [lat, lon]; it has "
            f"{', '.join(variables) or 'none'}"
        )
    return np.asarray(longitude, float), np.asarray(latitude, float), _unpacked(*variables[flat[0]]).T


def _of_gmt3(variables: Variables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """GMT 3: ranges, and values from the north-west."""
    columns, rows = (int(n) for n in variables["dimension"][0])
    value, about = variables["z"]
    shift = 0.5 if int(np.ravel(about.get("node_offset", 0))[0]) else 0.0
    axes = []
    for name, number in (("x_range", columns), ("y_range", rows)):
        low, high = (float(x) for x in variables[name][0])
        step = (high - low) / (number if shift else number - 1)
        axes.append(low + step * (shift + np.arange(number)))
    return axes[0], axes[1], _unpacked(value, about).reshape(rows, columns)[::-1].T


def _unpacked(value: np.ndarray, about: dict[str, Any]) -> Float[np.ndarray, "*axis"]:
    """Values with their scale and offset; unknown ones are NaN."""
    number = lambda name, default: float(np.ravel(about.get(name, default))[0])
    found = np.asarray(value, float)
    unknown = found == number("_FillValue", np.nan)
    found = found * number("scale_factor", 1.0) + number("add_offset", 0.0)
    return np.where(unknown | (found == number("missing_value", np.nan)), np.nan, found)


def ground_of(elevation: Elevation, frame: Frame, region: Region) -> Ground:
    """The ground's surface over a region, on nodes of the local frame as dense as those of the file.

    Raises:
        ValueError: where the file does not cover the region, or has no elevation somewhere in it.
    """
    degree_km = KM_PER_DEGREE * np.array([np.cos(np.radians(frame.latitude_deg)), 1.0])
    steps_deg = [float(np.median(np.diff(axis))) for axis in elevation[:2]]
    sides = []
    for (low, high), step_km in zip(region[:2], degree_km * steps_deg, strict=True):
        sides.append(np.linspace(low, high, int(np.clip(np.ceil((high - low) / step_km) + 1, 2, MOST_NODES))))
    east, north = np.meshgrid(*sides, indexing="ij")
    latitude, longitude = to_degrees(frame, east.ravel(), north.ravel())
    middle = (elevation.longitude_deg[0] + elevation.longitude_deg[-1]) / 2
    longitude = middle + (longitude - middle + 180) % 360 - 180  # across the date line
    between = RegularGridInterpolator(
        (elevation.longitude_deg, elevation.latitude_deg), elevation.elevation_m, bounds_error=False, fill_value=np.inf
    )
    found_m = between(np.column_stack([longitude, latitude]))
    if np.isinf(found_m).any():
        given = [f"{axis[0]:.3f} to {axis[-1]:.3f}" for axis in elevation[:2]]
        wanted = [f"{axis.min():.3f} to {axis.max():.3f}" for axis in (longitude, latitude)]
        raise ValueError(
            f"topography has longitudes {given[0]} and latitudes {given[1]}, the search region reaches over "
            f"{wanted[0]} and {wanted[1]}; use a larger grid, or a smaller --region"
        )
    if np.isnan(found_m).any():
        at = int(np.argmax(np.isnan(found_m)))
        raise ValueError(
            f"topography has no elevation at {latitude[at]:.4f}, {longitude[at]:.4f} in the search region; fill it "
            "(the sea with its depth or 0), or use a smaller --region"
        )
    return ground(sides[0], sides[1], found_m.reshape(east.shape) / 1000)
