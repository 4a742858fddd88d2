"""The stations of a SeisBench folder, and where each stood when a row was recorded."""

# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# Pandas' own annotations leave open whether an operation gives a frame, a column or a number.

import warnings

import numpy as np
import pandas as pd
from jaxtyping import Float
from pandas.api.typing import DataFrameGroupBy

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame, check_degrees, great_circle_km
from jaxloc.io.missing_values import is_null_island
from jaxloc.io.seisbench_metadata import Rows, column, known_numbers, station_codes
from jaxloc.io.station_checks import checked, station_positions
from jaxloc.io.station_epochs import SAME_POSITION_KM, named

PLACE = ("station_latitude_deg", "station_longitude_deg")
DEPTHS = ("station_sensor_depth_m", "station_local_depth_m", "station_burial_depth_m", "station_depth_m")
"""Columns for the depth of the sensor below the ground, of which SeisBench has no standard one."""
FARTHEST_DEG = 0.045  # 5 km in degrees of a meridian


def list_stations(table: pd.DataFrame) -> tuple[Station, ...]:
    """The stations of all rows, sorted by code; positions are medians over a station's rows.

    An elevation is that of the sensor: of `station_elevation_m` less its depth, where there is a column of `DEPTHS`.
    An unknown one is replaced by the median of the other stations, with a warning.

    Raises:
        ValueError: where a station has no coordinates, is at 0 N 0 E or at none on Earth, or has rows that put it more
            than 5 km apart.
    """
    numbers = pd.DataFrame(dict(zip(PLACE, (column(table, name) for name in PLACE), strict=True)))
    numbers = numbers.assign(
        elevation_m=sensor_elevations(table), sd_km=column(table, "station_position_sd_km"), code=station_codes(table)
    )
    bare = numbers[list(PLACE)].isna().any(axis=1)
    if bare.any():
        raise ValueError(
            f"station {numbers['code'][bare].iloc[0]} lacks latitude or longitude in the metadata; it must have both"
        )
    latitude, longitude = (numbers[name].to_numpy() for name in PLACE)
    check_degrees(latitude, longitude, "a station in the metadata")
    nowhere = [is_null_island(*place) for place in zip(latitude, longitude, strict=True)]
    if any(nowhere):
        raise ValueError(
            f"station {numbers['code'][nowhere].iloc[0]} in the metadata is at 0 N 0 E, which stands for an unknown "
            "position; it must be corrected, or its rows left out"
        )
    groups = numbers.groupby("code", sort=True)
    median = groups.median()
    _check_spread(groups, median)
    stations = [
        Station(str(code), float(row[0]), float(row[1]), float(row[2]), float(np.nan_to_num(row[3])))
        for code, row in zip(median.index, median.to_numpy(), strict=True)
    ]
    return checked(stations, "the metadata")


def sensor_elevations(table: pd.DataFrame) -> Float[np.ndarray, " row"]:
    """Elevation of each row's sensor in m, NaN where unknown."""
    elevation_m = known_numbers(table, "station_elevation_m", "elevation_m")
    depth = next((name for name in DEPTHS if name in table), None)
    return elevation_m if depth is None else elevation_m - np.nan_to_num(known_numbers(table, depth, "depth_m"))


def _check_spread(groups: DataFrameGroupBy, median: pd.DataFrame) -> None:
    north, east = (groups.max() - groups.min()).iloc[:, :2].to_numpy().T
    east = np.minimum(east, 360 - east) * np.cos(np.deg2rad(median.iloc[:, 0].to_numpy()))
    moved = np.hypot(north, east) > FARTHEST_DEG
    if moved.any():
        code = median.index[int(np.argmax(moved))]
        raise ValueError(f"station {code} has positions more than 5 km apart; each place must have its own code")


def positions_of_rows(rows: Rows, stations: tuple[Station, ...], frame: Frame) -> Float[np.ndarray, "row 3"]:
    """Where the station of each row stood: at the position of the list, or that of the row if it differs by 50 m.

    A warning names stations that moved.
    """
    latitude, longitude = (column(rows.table, name) for name in PLACE)
    listed = np.array([station[1:4] for station in stations])[rows.station]
    with warnings.catch_warnings():  # those of the whole table have been given
        warnings.simplefilter("ignore")
        elevation_m = sensor_elevations(rows.table)
    elevation_m = np.where(np.isnan(elevation_m), listed[:, 2], elevation_m)
    horizontal_km = great_circle_km(latitude, longitude, listed[:, 0], listed[:, 1])
    apart_km = np.hypot(horizontal_km, (elevation_m - listed[:, 2]) / 1000)
    station_km = station_positions(stations, frame)[rows.station]
    moved = apart_km > SAME_POSITION_KM
    if moved.any():
        own = zip(latitude[moved], longitude[moved], elevation_m[moved], strict=True)
        station_km[moved] = station_positions(tuple(Station("", *map(float, place)) for place in own), frame)
        names = named({stations[i].code for i in rows.station[moved]})
        far_km = float(apart_km.max())
        warnings.warn(
            f"positions differ from event to event, by up to {far_km:.2f} km from the median; those of each event are "
            f"used: {names}",
            stacklevel=3,
        )
    return station_km
