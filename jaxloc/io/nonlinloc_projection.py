"""The map projections of NonLinLoc (TRANS): degrees to x and y in km and back.

y points `rotation_deg` east of north. SIMPLE is a sphere of 40,000 km around; SDC is the short-distance conversion of
Richter (1943, BSSA 33); the others are conformal or equidistant projections of an ellipsoid, by PROJ.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from pyproj import Transformer

KM_PER_DEGREE = 10000.0 / 90.0
GEOCENTRIC, EARTH_KM, FLATTENING = 0.99330647, 6378.163, 0.00335278  # of SDC
ELLIPSOIDS = {  # half axis in m and inverse flattening, those of GMT
    "WGS-84": (6378137.0, 298.257223563),
    "GRS-80": (6378137.0, 298.257222101),
    "WGS-72": (6378135.0, 298.26),
    "Australian": (6378160.0, 298.25),
    "Krasovsky": (6378245.0, 298.3),
    "International": (6378388.0, 297.0),
    "Hayford-1909": (6378388.0, 297.0),
    "Clarke-1880": (6378249.145, 293.465),
    "Clarke-1866": (6378206.4, 294.9786982),
    "Airy": (6377563.396, 299.3249646),
    "Bessel": (6377397.155, 299.1528128),
    "Hayford-1830": (6377276.345, 300.8017),
    "Sphere": (6371008.7714, 0.0),
}
ELLIPSOIDAL = {"LAMBERT": 6, "TRANS_MERC": 5, "AZIMUTHAL_EQUIDIST": 4}  # words after the name, of which the last turns
PLAIN = ("SIMPLE", "SDC")
PARALLELS = ("FirstStdParal", "SecondStdParal")
NAMES = ("RefEllipsoid", "LatOrig", "LongOrig", *PARALLELS, "RotCW", "UseFalseEasting", "FalseEasting", "ScaleFactor")


class Projection(NamedTuple):
    """A TRANS statement: origin and clockwise rotation in degrees; ellipsoid and parallels where it has them."""

    kind: str
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0
    rotation_deg: float = 0.0
    ellipsoid: str = ""
    parallels_deg: tuple[float, ...] = ()


def projection_of(statement: str) -> Projection:
    """A TRANS statement, without the word TRANS, or what NonLinLoc writes of it behind TRANSFORM (`statement_of`).

    Raises:
        ValueError: for a projection that is not known here (GLOBAL and NONE have no km), or one with wrong values.
    """
    kind, *words = (word for word in statement.split() if word not in NAMES)
    try:
        if kind in PLAIN:
            latitude, longitude, rotation = map(float, words[:3])
            return Projection(kind, latitude, longitude, rotation)
        if kind in ELLIPSOIDAL and words[0] in ELLIPSOIDS:
            latitude, longitude, *more = (float(word) for word in words[1 : ELLIPSOIDAL[kind]])
            *parallels, rotation = more if kind != "TRANS_MERC" else (more[0],)
            return Projection(kind, latitude, longitude, rotation, words[0], tuple(parallels))
    except (ValueError, IndexError) as error:
        raise ValueError(f"TRANS {statement} must have numbers after its name: {error}") from error
    raise ValueError(
        f"TRANS {statement}: the projection must be one of {', '.join((*PLAIN, *ELLIPSOIDAL))}, on one of "
        f"{', '.join(ELLIPSOIDS)} where it has an ellipsoid"
    )


def statement_of(projection: Projection) -> str:
    """What NonLinLoc writes behind TRANSFORM."""
    ellipsoid = f" RefEllipsoid {projection.ellipsoid}" if projection.ellipsoid else ""
    parallels = "".join(
        f"  {name} {value:.6f}" for name, value in zip(PARALLELS, projection.parallels_deg, strict=False)
    )
    return (
        f"{projection.kind}{ellipsoid} LatOrig {projection.latitude_deg:.6f}  LongOrig "
        f"{projection.longitude_deg:.6f}{parallels}  RotCW {projection.rotation_deg:.6f}"
    )


def to_xy(
    projection: Projection, latitude_deg: Float[np.ndarray, "*point"], longitude_deg: Float[np.ndarray, "*point"]
) -> tuple[Float[np.ndarray, "*point"], Float[np.ndarray, "*point"]]:
    """Degrees to x and y in km."""
    latitude_deg, longitude_deg = np.asarray(latitude_deg, float), np.asarray(longitude_deg, float)
    if projection.kind in ELLIPSOIDAL:
        east_km, north_km = _proj(projection).transform(longitude_deg, latitude_deg)
    else:
        east_deg = (longitude_deg - projection.longitude_deg + 180) % 360 - 180
        of_latitude, of_longitude = _km_per_degree(projection, latitude_deg)
        east_km, north_km = east_deg * of_longitude, (latitude_deg - projection.latitude_deg) * of_latitude
    cos, sin = _turn(projection)
    return cos * east_km - sin * north_km, cos * north_km + sin * east_km


def to_degrees(
    projection: Projection, x_km: Float[np.ndarray, "*point"], y_km: Float[np.ndarray, "*point"]
) -> tuple[Float[np.ndarray, "*point"], Float[np.ndarray, "*point"]]:
    """x and y in km to latitude and longitude in degrees."""
    x_km, y_km = np.asarray(x_km, float), np.asarray(y_km, float)
    cos, sin = _turn(projection)
    east_km, north_km = cos * x_km + sin * y_km, cos * y_km - sin * x_km
    if projection.kind in ELLIPSOIDAL:
        longitude_deg, latitude_deg = _proj(projection).transform(east_km, north_km, direction="INVERSE")
        return np.asarray(latitude_deg), np.asarray(longitude_deg)
    of_latitude = _km_per_degree(projection, np.asarray(projection.latitude_deg))[0]
    latitude_deg = projection.latitude_deg + north_km / of_latitude
    longitude_deg = projection.longitude_deg + east_km / _km_per_degree(projection, latitude_deg)[1]
    return latitude_deg, (longitude_deg + 180) % 360 - 180


def _turn(projection: Projection) -> tuple[float, float]:
    angle = np.radians(projection.rotation_deg)
    return float(np.cos(angle)), float(np.sin(angle))


def _km_per_degree(
    projection: Projection, latitude_deg: Float[np.ndarray, "*point"]
) -> tuple[float, Float[np.ndarray, "*point"]]:
    """Along a meridian, and along a parallel at a latitude."""
    if projection.kind == "SIMPLE":
        return KM_PER_DEGREE, KM_PER_DEGREE * np.cos(np.radians(latitude_deg))
    geocentric = lambda degrees: np.arctan(GEOCENTRIC * np.tan(np.radians(degrees)))
    here = geocentric(projection.latitude_deg)
    radius_km = EARTH_KM * (1 - np.sin(here) ** 2 * FLATTENING)
    of_latitude = radius_km * (geocentric(projection.latitude_deg + 1) - here)
    along = np.arccos(1 - (1 - np.cos(np.radians(1))) * np.cos(here) ** 2)
    middle = geocentric((latitude_deg + projection.latitude_deg) / 2)
    return float(of_latitude), radius_km * along / np.cos(here) * np.cos(middle)


@lru_cache
def _proj(projection: Projection) -> Transformer:
    axis_m, inverse = ELLIPSOIDS[projection.ellipsoid]
    shape = f"+a={axis_m} +rf={inverse}" if inverse else f"+R={axis_m}"
    name = {"LAMBERT": "lcc", "TRANS_MERC": "tmerc", "AZIMUTHAL_EQUIDIST": "aeqd"}[projection.kind]
    parallels = "".join(f" +lat_{i + 1}={value}" for i, value in enumerate(projection.parallels_deg))
    origin = f"+lat_0={projection.latitude_deg} +lon_0={projection.longitude_deg}{parallels}"
    # Degrees stay those of the projection's own ellipsoid, as NonLinLoc takes them.
    return Transformer.from_pipeline(
        f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj={name} {origin} {shape} +units=m"
        " +step +proj=unitconvert +xy_in=m +xy_out=km"
    )
