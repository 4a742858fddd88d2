"""Lists of stations and velocity models as formats: tables, StationXML, PyOcto's models with gradients."""

import csv
import io
from pathlib import Path

import numpy as np
from obspy import Inventory
from obspy.core.inventory import Network
from obspy.core.inventory import Station as StationElement

from jaxloc.data.dataset import Station
from jaxloc.io.contents import STATIONS, VELOCITY, Contents, Format, Sample
from jaxloc.io.event_tables import LATITUDES, LONGITUDES, TIMES
from jaxloc.io.pick_files import PHASE
from jaxloc.io.stations import read_stations
from jaxloc.io.tables import as_number, read_table
from jaxloc.io.velocity_model import read_velocity
from jaxloc.physics.gradient import layers_with_gradients
from jaxloc.physics.layered import layered

TABLES = (".csv", ".txt", ".tsv")


def _read_stations(path: Path) -> Contents:
    return Contents(stations=read_stations(path))


def write_station_table(contents: Contents) -> bytes:
    """Code, latitude, longitude, elevation of the sensor in m, and standard deviations of positions where given."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    uncertain = any(station.position_sd_km for station in contents.stations)
    rows.writerow(["code", "latitude", "longitude", "elevation_m", *(["position_sd_km"] if uncertain else [])])
    for s in contents.stations:
        rows.writerow(
            [s.code, s.latitude_deg, s.longitude_deg, s.elevation_m, *([s.position_sd_km] if uncertain else [])]
        )
    return text.getvalue().encode()


def write_stationxml(contents: Contents) -> bytes:
    """StationXML of stations without channels."""
    by_network: dict[str, list[Station]] = {}
    for station in contents.stations:
        by_network.setdefault(station.code.rpartition(".")[0], []).append(station)
    networks = [Network(code, [_element(station) for station in own]) for code, own in by_network.items()]
    text = io.BytesIO()
    Inventory(networks, source="jaxloc").write(text, format="STATIONXML", validate=True)
    return text.getvalue()


def _element(s: Station) -> StationElement:
    return StationElement(s.code.rpartition(".")[2], s.latitude_deg, s.longitude_deg, s.elevation_m)


def _is_station_table(sample: Sample) -> bool:
    there = set(sample.columns)
    named = there.intersection(("station", "code", "sta", "id", "station_code", "station_id"))
    placed = there.intersection(LATITUDES) and there.intersection((*LONGITUDES, "long"))
    return bool(named and placed) and not there.intersection((*TIMES, *PHASE) if "phase" in there else TIMES)


def _is_stationxml(sample: Sample) -> bool:
    return "<FDSNStationXML" in sample.text[:5000]


def _read_velocity(path: Path) -> Contents:
    return Contents(velocity=read_velocity(path))


def write_velocity_table(contents: Contents) -> bytes:
    """Depth of the top in km below sea level, P and S speed in km/s, a row a layer."""
    model = contents.velocity
    assert model is not None, "the caller checks that there is a velocity model"
    rows = zip(model.top_km.tolist(), model.vp_km_s.tolist(), model.vs_km_s.tolist(), strict=True)
    lines = ["depth_km,vp_km_s,vs_km_s", *(",".join(f"{value:.7g}" for value in row) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def read_pyocto_velocity(path: Path) -> Contents:
    """A model of PyOcto's: speeds at depths and their gradients below (km/s a km); thin layers replace the gradients.

    Raises:
        ValueError: where the file is missing, or a value is missing or impossible; names it.
    """
    table = read_table(path, "velocity model")
    names = ("depth", "vp", "vp_grad", "vs", "vs_grad")
    table.require(*names)
    rows = np.array([[row.number(name) for name in names] for row in table.rows]).reshape(-1, 5)
    if not len(rows) or not np.isfinite(rows).all():
        raise ValueError(f"{path} must have {', '.join(names)} in every row, and at least one row")
    layers = layers_with_gradients(rows[:, 0], rows[:, [1, 3]], rows[:, [2, 4]])
    return Contents(velocity=layered(*(values.tolist() for values in layers)))


def _is_pyocto_velocity(sample: Sample) -> bool:
    return set(sample.columns).issuperset(("depth", "vp", "vp_grad", "vs", "vs_grad"))


def _is_velocity_table(sample: Sample) -> bool:
    names = {name.replace("_", "") for name in sample.columns}
    if any(name.startswith("vp") or name in ("alpha", "pvelocity") for name in names):
        return any(name.startswith(("depth", "top", "z", "thickness", "h", "layer")) for name in names)
    rows = [line.replace(",", " ").split() for line in sample.lines[:3]]
    return bool(rows) and all(len(row) == 3 and None not in map(as_number, row) for row in rows)


FORMATS = (
    Format("stationxml", "FDSN StationXML", (STATIONS,), _is_stationxml, _read_stations, write_stationxml, (".xml",)),
    Format(
        "pyocto_velocity", "PyOcto velocity model with gradients", (VELOCITY,),
        _is_pyocto_velocity, read_pyocto_velocity, None, TABLES,
    ),
    Format(
        "velocity_table", "velocity model: depth_km, vp_km_s, vs_km_s; GrowClust vzmodel", (VELOCITY,),
        _is_velocity_table, _read_velocity, write_velocity_table, TABLES,
    ),
    Format(
        "station_table", "stations: code, latitude, longitude, elevation_m; FDSN text, GaMMA", (STATIONS,),
        _is_station_table, _read_stations, write_station_table, TABLES,
    ),
)  # fmt: skip
