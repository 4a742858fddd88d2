"""NonLinLoc's files in the registry of formats, and how they are recognised (`jaxloc.io.nonlinloc_observations`, ...).

Of a hypocentre file the expected place and its covariance count, in the axes of the projection as if these were east
and north. Labels of stations NET_STA_LOC are read as NET.STA. Grids (.hdr, .buf) are no format here:
`jaxloc.io.nonlinloc_grids` reads them.
"""

import math
import re
from pathlib import Path

import numpy as np
from obspy import UTCDateTime

from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import (
    EVENTS,
    PICKS,
    STATIONS,
    VELOCITY,
    Contents,
    Format,
    Sample,
    absolute,
    hypocentre,
    picked_events,
    timed,
    written_to_file,
)  # fmt: skip
from jaxloc.io.locations_nonlinloc import read_hypocentres as located_in
from jaxloc.io.nonlinloc_control import read_layers, read_stations_and_layers, write_stations_and_layers
from jaxloc.io.nonlinloc_observations import FIELDS, ID, pick_of, read_observations, write_observations
from jaxloc.io.nonlinloc_projection import Projection, to_xy
from jaxloc.io.nonlinloc_writing import LocatedEvent, write_hypocentres
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile
from jaxloc.io.station_codes import code_of_label
from jaxloc.io.tables import as_number, decode, read_bytes

UNKNOWN_SD_S = 0.1  # written for picks without an uncertainty, which NonLinLoc must have
STATEMENTS = {"LAYER": 5, "GTSRCE": 6, "LOCSRCE": 6}
"""Statements that are read, and how many words follow at least."""
LAYER_VP_VS = (1.4, 2.6)


def _read_picks(path: Path) -> Contents:
    file = read_observations(path)
    events = (event._replace(picks=tuple(map(_coded, event.picks))) for event in file.events)
    return Contents(
        file._replace(events=tuple(events)), notes=("instruments, first motions and amplitudes are not read",)
    )


def _coded(pick: Pick) -> Pick:
    return pick._replace(station=code_of_label(pick.station))


def write_picks(contents: Contents) -> bytes:
    """An observation file; picks without an uncertainty have 0.1 s.

    Raises:
        ValueError: where no pick belongs to an event, or times are not UTC.
    """
    absolute(contents)
    events = tuple(event for event in picked_events(contents) if event.picks)
    if not events:
        raise ValueError("NonLinLoc's picks must belong to events: associate them first")
    return written_to_file(lambda path: write_observations(path, PickFile(events), UNKNOWN_SD_S))


def read_hypocentres(path: Path) -> Contents:
    """A hypocentre file with its picks.

    Raises:
        ValueError: as `jaxloc.io.locations_nonlinloc.read_nonlinloc`, and where a line of a phase is wrong.
    """
    events = []
    for one in located_in(path):
        event = hypocentre(one.names[0], UTCDateTime(one.origin_s), one.latitude_deg, one.longitude_deg, one.depth_km)
        events.append(event._replace(covariance=one.covariance))
    blocks = decode(read_bytes(path, "NonLinLoc hypocentre file"), path).split("\nEND_NLLOC")[:-1]
    picked = (_picked(path, event.id, block) for event, block in zip(events, blocks, strict=True))
    notes = ("residuals, weights and the most probable place (the expected one counts) are not read",)
    return Contents(PickFile(tuple(one for one in picked if one.picks)), tuple(events), notes=notes)


def _picked(path: Path, id: str, block: str) -> PickedEvent:
    """The lines between PHASE and END_PHASE, which begin as those of an observation file."""
    lines = block.partition("\nPHASE ")[2].partition("\nEND_PHASE")[0].splitlines()[1:]
    try:
        found = [pick_of(line.split()) for line in lines if line.strip()]
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(f"{path}: a phase of event {id} is no NonLinLoc pick: {error}") from error
    picks = tuple(_coded(one) for one in found if isinstance(one, Pick))
    return PickedEvent(id, picks, tuple(one for one in found if isinstance(one, str)))


def write_located(contents: Contents) -> bytes:
    """A hypocentre file of the locations without picks, in an equidistant projection about their middle.

    Raises:
        ValueError: where an event has no origin time or no whole covariance of its position.
    """
    middle = [float(np.mean([getattr(e, name) for e in contents.events])) for name in ("latitude_deg", "longitude_deg")]
    projection = Projection("AZIMUTHAL_EQUIDIST", *middle, ellipsoid="WGS-84")
    events = [_located(event, projection) for event in contents.events]
    return written_to_file(lambda path: write_hypocentres(path, events, projection))


def _located(event: Hypocentre, projection: Projection) -> LocatedEvent:
    covariance = event.covariance[:3, :3]
    if not np.isfinite(covariance).all():
        raise ValueError(f"event {event.id} has no uncertainty of its position, which NonLinLoc's files must have")
    x_km, y_km = to_xy(projection, np.asarray(event.latitude_deg), np.asarray(event.longitude_deg))
    place = np.array([float(x_km), float(y_km), event.depth_km])
    gap = -1.0 if event.gap_deg is None or math.isnan(event.gap_deg) else event.gap_deg
    return LocatedEvent(event.id, timed(event).ns, place, place, covariance, gap_deg=gap)


def _read_control(path: Path) -> Contents:
    stations, velocity = read_stations_and_layers(path)
    stations = tuple(station._replace(code=code_of_label(station.code)) for station in stations)
    return Contents(stations=stations, velocity=velocity)


def _write_control(contents: Contents) -> bytes:
    return written_to_file(lambda path: write_stations_and_layers(path, contents.stations, contents.velocity))


def _read_layers(path: Path) -> Contents:
    return Contents(velocity=read_layers(path), notes=("densities are not read",))


def is_picks(sample: Sample) -> bool:
    """The first line of a pick has date, minute, second and the type of its error where they must be."""
    rows = [line.split("#")[0].split() for line in sample.lines[:20]]
    row = next((row for row in rows if row and row[0] != ID), [])
    if len(row) < FIELDS or not re.fullmatch(r"\d{8}", row[6]) or not re.fullmatch(r"\d{2,4}", row[7]):
        return False
    return as_number(row[8]) is not None and row[9] in ("GAU", "BOX", "FIX", "NONE", "QUAL")


def is_hypocentres(sample: Sample) -> bool:
    """NLLOC and the name of a file."""
    return bool(sample.lines) and sample.lines[0].startswith('NLLOC "')


def is_control(sample: Sample) -> bool:
    """A statement of a station or of a layer, or a projection and a file that is included."""
    rows = [line.split("#")[0].split() for line in sample.lines]
    names = {row[0] for row in rows if row}
    read = any(row and len(row) > STATEMENTS.get(row[0], len(row)) for row in rows)
    return read or {"TRANS", "INCLUDE"} <= names


def is_layers(sample: Sample) -> bool:
    """Rows of five or seven numbers: tops that increase, and P and S speeds of rock."""
    rows = [[as_number(word) for word in line.split("#")[0].split()] for line in sample.lines]
    rows = [row for row in rows if row]
    if not rows or any(len(row) not in (5, 7) or None in row for row in rows):
        return False
    values = np.array([row[:5] for row in rows], float)
    least, most = LAYER_VP_VS
    ratio = values[:, 1] / np.where(values[:, 3] > 0, values[:, 3], np.nan)
    return bool((np.diff(values[:, 0]) > 0).all() and ((ratio >= least) & (ratio <= most)).all())


FORMATS = (
    Format(
        "nonlinloc_picks", "NonLinLoc observations of events (.obs)", (PICKS,),
        is_picks, _read_picks, write_picks, (".obs",),
    ),
    Format(
        "nonlinloc_hypocentres", "NonLinLoc hypocentres (.hyp), written without picks", (EVENTS, PICKS),
        is_hypocentres, read_hypocentres, write_located, (".hyp",),
    ),
    Format(
        "nonlinloc_control", "NonLinLoc control file: layers and stations (LAYER, GTSRCE)", (STATIONS, VELOCITY),
        is_control, _read_control, _write_control, (".in",),
    ),
    Format(
        "nonlinloc_layers", "layers as in LAYER, without the word", (VELOCITY,),
        is_layers, _read_layers, None, (".txt",),
    ),
)  # fmt: skip
