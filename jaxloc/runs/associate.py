"""Picks of a file to a catalogue of events: `jaxloc associate`.

`METHODS` is the registry of associators: a name, and a function of picks, stations and what the user asked for.
"""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.data.dataset import Station, positions_km
from jaxloc.data.pick_list import NO_EVENT, Associated, PickList
from jaxloc.geometry import Frame, frame_of, to_degrees, to_km
from jaxloc.io.associated_picks import write_associated_picks
from jaxloc.io.catalogue import Hypocentre, azimuthal_gap_deg
from jaxloc.io.catalogue import Pick as LocatedPick
from jaxloc.io.catalogue_csv import write_csv
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.io.contents import PICKS, all_picks, as_time
from jaxloc.io.formats import recognised_with
from jaxloc.io.pick_files import Pick
from jaxloc.io.stations import read_stations
from jaxloc.io.velocity_model import read_velocity
from jaxloc.physics.adaptive_grid import Region
from jaxloc.types import PHASES

Say = Callable[[str], None]
SIGMA_S = 0.2
"""Standard deviation of picks whose file gives none."""
VELOCITY = "iasp91"
UNKNOWN_STATION = "its station is not in the list of stations"


class Request(NamedTuple):
    """What the user asked for; lengths in km, depths below sea level.

    `region_deg` is south, north, west and east; without it, and without `depth_km`, they follow from the network.
    """

    picks: Path
    stations: Path
    velocity: str | Path | None = None
    velocity_form: str | None = None
    method: str = "bayes"
    region_deg: tuple[float, float, float, float] | None = None
    depth_km: tuple[float, float] | None = None
    sigma_s: float = SIGMA_S
    least_picks: int | None = None
    least_stations: int | None = None
    least_log_odds: float = 0.0


class Opened(NamedTuple):
    """Picks of known stations in the order of their times, and the stations.

    `record` are the picks of the file in that order, `zero_ns` is the zero of `picks.time_s` in ns since 1970, `lost`
    are those whose station is unknown.
    """

    picks: PickList
    record: tuple[Pick, ...]
    stations: tuple[Station, ...]
    frame: Frame
    zero_ns: int
    lost: tuple[Pick, ...]

    @property
    def station_km(self) -> Float[np.ndarray, "station 3"]:
        """East, north and depth of the stations."""
        return positions_km(self.frame, self.stations).astype(float)


def _bayes(opened: Opened, request: Request, say: Say) -> Associated:
    from jaxloc.detection.association import Settings, associate, region_around

    velocity = read_velocity(request.velocity or VELOCITY, request.velocity_form)
    around = region_around(opened.station_km, request.depth_km)
    region = around if request.region_deg is None else _region(opened.frame, request.region_deg, around.depth_km)
    given = {name: getattr(request, name) for name in ("least_picks", "least_stations")}
    settings = Settings(least_log_odds=request.least_log_odds, **{k: v for k, v in given.items() if v is not None})
    return associate(opened.picks, opened.station_km, velocity, region, settings, say)


def _palm(opened: Opened, request: Request, say: Say) -> Associated:
    from jaxloc.runs.pal_association import palm

    return palm(opened, request, say)


METHODS: dict[str, Callable[[Opened, Request, Say], Associated]] = {"bayes": _bayes, "palm": _palm}


def associate_file(request: Request, output: Path, say: Say) -> tuple[Associated, list[Hypocentre]]:
    """Associate the picks of a file and write `events.csv`, `events.xml` and `picks.csv` into a folder.

    Raises:
        ValueError: where a file cannot be read, the method is unknown, or no pick has a known station.
    """
    if request.method not in METHODS:
        raise ValueError(f"--method must be one of {', '.join(METHODS)}, got {request.method!r}")
    if request.velocity is None and request.method == "bayes":
        say(f"no --velocity: travel times are those of {VELOCITY}")
    opened = open_picks(request)
    say(f"{len(opened.record)} picks of {len(opened.stations)} stations")
    if opened.lost:
        codes = Counter(pick.station for pick in opened.lost)
        say(f"{len(opened.lost)} picks have no station in {request.stations}: {', '.join(sorted(codes)[:8])}")
    found = METHODS[request.method](opened, request, say)
    events = hypocentres(opened, found)
    write_csv(output / "events.csv", events)
    write_quakeml(output / "events.xml", events)
    ids = ["" if row == NO_EVENT else events[row].id for row in found.event]
    lost = len(opened.lost)
    write_associated_picks(
        output / "picks.csv", (*opened.record, *opened.lost), (*ids, *[""] * lost),
        (*found.reason, *[UNKNOWN_STATION] * lost),
    )  # fmt: skip
    return found, events


def open_picks(request: Request) -> Opened:
    """Read picks and stations.

    Raises:
        ValueError: where the file has no picks, an uncertainty is not positive, or no pick has a station of the list.
    """
    if not request.sigma_s > 0:
        raise ValueError(f"--sigma must be positive, got {request.sigma_s:g} s")
    stations = read_stations(request.stations)
    read = recognised_with(request.picks, PICKS, ())
    if read is None:
        raise ValueError(f"{request.picks} is no file of picks; see `jaxloc convert --list` for those that are")
    picks = [pick for _, pick in all_picks(read[0])]
    row = _rows(stations)
    known = sorted((pick for pick in picks if pick.station in row), key=lambda pick: pick.time_ns)
    if not known:
        raise ValueError(
            f"no pick of {request.picks} has a station of {request.stations}; picks have {picks[0].station}, the list "
            f"{stations[0].code}"
        )
    frame = frame_of(np.array([s.latitude_deg for s in stations]), np.array([s.longitude_deg for s in stations]))
    zero_ns = known[0].time_ns
    sigma_s = np.array([request.sigma_s if math.isnan(pick.sigma_s) else pick.sigma_s for pick in known])
    number = lambda value, missing: missing if value is None else value
    listed = PickList(
        np.array([row[pick.station] for pick in known]),
        np.array([PHASES.index(pick.phase) for pick in known]),
        np.array([(pick.time_ns - zero_ns) * 1e-9 for pick in known]),
        sigma_s,
        np.array([number(pick.probability, 1.0) for pick in known], float),
        np.array([number(pick.amplitude, np.nan) for pick in known], float),
    )
    record = tuple(pick._replace(sigma_s=float(sigma)) for pick, sigma in zip(known, sigma_s, strict=True))
    lost = tuple(pick for pick in picks if pick.station not in row)
    return Opened(listed, record, stations, frame, zero_ns, lost)


def _rows(stations: tuple[Station, ...]) -> dict[str, int]:
    """Rows by NET.STA, and by STA where one station alone has it."""
    alone = Counter(station.code.rpartition(".")[2] for station in stations)
    rows = {s.code.rpartition(".")[2]: i for i, s in enumerate(stations) if alone[s.code.rpartition(".")[2]] == 1}
    return rows | {station.code: i for i, station in enumerate(stations)}


def _region(frame: Frame, degrees: tuple[float, float, float, float], depth_km: tuple[float, float]) -> Region:
    south, north, west, east = degrees
    if not (south < north and west < east):
        raise ValueError(f"--region must be south, north, west, east in increasing order, got {degrees}")
    corners = np.meshgrid([south, north], [west, east])
    east_km, north_km = to_km(frame, corners[0].ravel(), corners[1].ravel())
    return Region(
        (float(east_km.min()), float(east_km.max())), (float(north_km.min()), float(north_km.max())), depth_km, (0, 0)
    )


def hypocentres(opened: Opened, found: Associated) -> list[Hypocentre]:
    """The events with their picks, and the logarithm of the odds that each is real as `log_odds`."""
    latitude_deg, longitude_deg = to_degrees(opened.frame, found.hypocentre[:, 0], found.hypocentre[:, 1])
    order = np.argsort(found.event, kind="stable")
    first = np.searchsorted(found.event[order], np.arange(len(found.hypocentre) + 1))
    station_km = opened.station_km
    events = []
    for i, (x_km, y_km, depth_km, origin_s) in enumerate(found.hypocentre):
        rows = np.sort(order[first[i] : first[i + 1]])
        start_s = math.floor(origin_s)
        stations = np.unique(opened.picks.station[rows])
        events.append(
            Hypocentre(
                f"{i + 1:06d}",
                as_time(opened.zero_ns + start_s * 10**9),
                float(latitude_deg[i]),
                float(longitude_deg[i]),
                float(depth_km),
                float(origin_s - start_s),
                found.covariance[i],
                num_stations=len(stations),
                gap_deg=azimuthal_gap_deg(np.array([x_km, y_km]), station_km[stations]),
                others={} if np.isnan(found.log_odds[i]) else {"log_odds": float(found.log_odds[i])},
                picks=tuple(_located(opened, int(row), start_s) for row in rows),
            )
        )
    return events


def _located(opened: Opened, row: int, start_s: int) -> LocatedPick:
    pick = opened.record[row]
    time_s = float(opened.picks.time_s[row]) - start_s
    return LocatedPick(pick.station, pick.phase, time_s, pick.sigma_s, pick.probability)


def lines_of(found: Associated, output: Path) -> list[str]:
    """What was found, for the screen."""
    why = Counter(reason for reason in found.reason if reason)
    lines = [f"{len(found.hypocentre)} events with {int((found.event != NO_EVENT).sum())} of {len(found.event)} picks"]
    if np.isfinite(found.log_odds).any():
        unsure = int((found.log_odds < np.log(9.0)).sum())
        lines.append(f"{unsure} of them are real with a probability below 90 %")
    lines += [f"{number} picks without event: {reason}" for reason, number in why.most_common()]
    return [*lines, f"catalogue: {output / 'events.csv'}, events.xml, picks.csv"]
