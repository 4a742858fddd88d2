"""HYPOINVERSE's stations (.sta, format 2 with five-letter codes), layered crust (.crh) and station delays (.del)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.io.fixed_columns import Record, read_fields, written_fields
from jaxloc.io.hypoinverse import position_deg
from jaxloc.io.hypoinverse_columns import DELAY, STATION
from jaxloc.io.tables import decode, read_bytes
from jaxloc.physics.layered import VelocityModel, check_layers

MAX_LINES = 20  # layers of a crust, as many as HYPOINVERSE takes


class Site(NamedTuple):
    """Where the channels of one site of a network are."""

    latitude_deg: float
    longitude_deg: float
    elevation_m: float


Code = tuple[str, str]
"""Network and site."""


def read_station_lines(path: Path) -> list[Record]:
    """The lines of a station file, a record a channel; columns that have no bearing on location are left out.

    Raises:
        ValueError: where a position is missing or no number; names the line.
    """
    found = []
    for i, line in enumerate(decode(read_bytes(path, "file of HYPOINVERSE"), path).splitlines(), 1):
        if line.strip():
            record = read_fields(line, STATION, f"{path}, line {i}")
            if None in (record["latitude_degree"], record["longitude_degree"]):
                raise ValueError(f"{path}, line {i}: columns 16-37 must hold latitude and longitude, got {line!r}")
            found.append(record)
    return found


def write_station_lines(path: Path, records: Iterable[Record]) -> None:
    """Write a station file as `read_station_lines` reads it.

    Raises:
        ValueError: where a value does not fit into its columns; names it.
    """
    write_whole(path, ("".join(written_fields(record, STATION) + "\n" for record in records)).encode("ascii"))


def sites_of(records: Iterable[Record]) -> dict[Code, Site]:
    """One place a site: that of its first channel in the file."""
    sites: dict[Code, Site] = {}
    for record in records:
        code = (str(record["network"] or ""), str(record["site"] or ""))
        sites.setdefault(code, Site(*position_deg(record), float(record["elevation_m"] or 0)))
    return sites


def read_crust(path: Path, vp_vs: float) -> VelocityModel:
    """Homogeneous layers (.crh): a name, then P speed in km/s and depth of the top in km by line; S by `vp_vs`.

    HYPOINVERSE counts depth in these models from the elevation of the stations nearby: all stations are at depth 0.

    Raises:
        ValueError: where a line holds no layer, or a layer is none that rock has; names it.
    """
    layers = []
    for i, line in enumerate(decode(read_bytes(path, "file of HYPOINVERSE"), path).splitlines()[1:], 2):
        if not line.strip():
            break
        try:
            layers.append((float(line[:5]), float(line[5:10])))
        except ValueError:
            raise ValueError(
                f"{path}, line {i}: must hold speed (columns 1-5) and depth (6-10), got {line!r}"
            ) from None
    if not 1 <= len(layers) <= MAX_LINES:
        raise ValueError(f"{path}: must have 1 to {MAX_LINES} layers below its name, got {len(layers)}")
    vp, top = np.array(layers).T
    check_layers(top, vp, vp / vp_vs, [f"{path}, layer {i + 1}" for i in range(len(top))])
    return VelocityModel(top, vp, vp / vp_vs)  # pyright: ignore[reportArgumentType]


def write_crust(path: Path, name: str, model: VelocityModel) -> None:
    """Write the P speeds of a layered model (.crh); S follows from HYPOINVERSE's command POS."""
    layers = [
        f"{vp:5.2f}{top:5.2f}" for vp, top in zip(np.asarray(model.vp_km_s), np.asarray(model.top_km), strict=True)
    ]
    if any(len(layer) != 10 for layer in layers):
        raise ValueError(f"speeds and depths must fit into five columns with two decimals, got {layers}")
    write_whole(path, ("\n".join([name[:30], *layers]) + "\n").encode("ascii"))


def read_delays(path: Path) -> dict[Code, float]:
    """P delays in s by network and site (.del); the delay of S is that of P times Vp/Vs.

    Raises:
        ValueError: where a delay is no number; names the line.
    """
    found: dict[Code, float] = {}
    for i, line in enumerate(decode(read_bytes(path, "file of HYPOINVERSE"), path).splitlines(), 1):
        if line.strip():
            record = read_fields(line, DELAY, f"{path}, line {i}")
            found[str(record["network"] or ""), str(record["site"] or "")] = float(record["p_delay_s"] or 0)
    return found


def write_delays(path: Path, delays: Mapping[Code, float]) -> None:
    """Write P delays in s as `read_delays` reads them.

    Raises:
        ValueError: where a value does not fit into its columns; names it.
    """
    rows = [{"network": network, "site": site, "p_delay_s": value} for (network, site), value in delays.items()]
    write_whole(path, ("".join(written_fields(row, DELAY) + "\n" for row in rows)).encode("ascii"))
