"""A simulated day written to a folder as a user would have it, with its truth beside it."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Key

from jaxloc.atomic_write import write_whole
from jaxloc.geometry import Frame, to_degrees
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.catalogue_csv import write_csv, write_picks
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.io.contents import Contents
from jaxloc.io.day_archive import add_seconds, join_sds, write_chunk, write_responses
from jaxloc.io.station_formats import write_station_table, write_velocity_table
from jaxloc.simulation.day import DAY_START, Day, FaultSettings, NetworkSettings, clock_error_s, draw_day, inside
from jaxloc.simulation.day_disturbances import NAMES, Disturbance, draw_disturbances
from jaxloc.simulation.day_records import RecordSettings, check_records, day_records, num_chunks
from jaxloc.simulation.day_seismograms import COUNTS_PER_M_S, sensor_poles
from jaxloc.simulation.seismicity import SOURCE_KINDS, SeismicitySettings

DETECTABLE_DB = 6.0  # of the mean power of a second: a pulse of a tenth of it stands out by a factor of six
LISTED_DB = 0.0  # arrivals below are not listed at all
NEEDED_STATIONS = 4


TELESEISMS = {"teleseismic_body_wave": 0.15, "teleseismic_surface_wave": 0.1}  # an hour


class DayRequest(NamedTuple):
    """All settings of a day; `disturbances` are mean numbers an hour by kind (`day_disturbances.NAMES`)."""

    seismicity: SeismicitySettings = SeismicitySettings()
    network: NetworkSettings = NetworkSettings()
    faults: FaultSettings = FaultSettings()
    records: RecordSettings = RecordSettings()
    disturbances: Mapping[str, float] = MappingProxyType(TELESEISMS)


def write_day(
    folder: str | Path,
    key: Key[Array, ""],
    request: DayRequest = DayRequest(),
    sds: bool = False,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> Day:
    """Make a day and write it; what is there already stays, so that a run which was stopped goes on.

    The folder gets `waveforms/` (miniSEED, a file a channel and chunk) or, with `sds`, `archive/`; stations.csv and
    stations.xml (with responses); velocity.csv (assumed) and velocity_true.csv; truth.csv, truth.xml and
    truth_picks.csv (earthquakes and blasts and their arrivals that can be detected; blasts are not counted among the
    events that the network can locate); truth_arrivals.csv (all arrivals of 0 dB or more with signal-to-noise ratios);
    other_sources.csv (blasts and disturbances); faults.csv; settings.json.

    Raises:
        ValueError: for settings out of range, or where the folder has a day of other settings.
    """
    check_records(request.records)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_settings(folder / "settings.json", key, request)
    day_key, record_key, disturbance_key = random.split(key, 3)
    day = draw_day(day_key, request.seismicity, request.network, request.faults)
    settings = request.records._replace(path=request.network.path, faults=request.faults)
    disturbances = draw_disturbances(disturbance_key, request.disturbances, day.station_km, day.length_s)
    whole = num_chunks(day, settings)
    markers = [folder / "chunks" / f"{number:04d}.json" for number in range(whole)]
    markers[0].parent.mkdir(exist_ok=True)
    left = [number for number, path in enumerate(markers) if not path.is_file()]
    codes = [station.code for station in day.stations]
    for chunk in day_records(record_key, day, settings, disturbances, left) if left else ():
        start = add_seconds(DAY_START, chunk.first / settings.rate_hz)
        write_chunk(folder / "waveforms", codes, chunk.counts, chunk.mask, start, settings.rate_hz)
        snr_db = {str(event): np.round(value, 2).tolist() for event, value in chunk.snr_db.items()}
        write_whole(markers[chunk.number], json.dumps(snr_db).encode())
        progress(chunk.number + 1, whole)
    if sds and (folder / "waveforms").is_dir():
        join_sds(folder / "waveforms", folder / "archive")
    _write_network(folder, day, settings)
    _write_truth(folder, day, _signal_to_noise(markers, day))
    write_whole(folder / "other_sources.csv", _others(day, disturbances))
    write_whole(folder / "faults.csv", _faults(day))
    return day


def _write_settings(path: Path, key: Key[Array, ""], request: DayRequest) -> None:
    """Settings as JSON; refuse a folder that has others."""

    def plain(value: Any) -> Any:
        fields = value._asdict() if hasattr(value, "_asdict") else value
        return {name: plain(each) for name, each in fields.items()} if isinstance(fields, Mapping) else value

    settings: dict[str, Any] = {"key": np.asarray(random.key_data(key)).tolist(), **plain(request)}
    text = json.dumps(settings, indent=1)
    if path.is_file() and json.loads(path.read_text()) != json.loads(text):
        raise ValueError(f"{path.parent} has a day of other settings ({path.name}); name another folder or remove it")
    write_whole(path, text.encode())


def _signal_to_noise(markers: list[Path], day: Day) -> Float[np.ndarray, "event station phase"]:
    found = np.full(day.travel_s.shape, -np.inf)
    for path in markers:
        for event, value in json.loads(path.read_text()).items():
            found[int(event)] = value
    return found


def _write_network(folder: Path, day: Day, settings: RecordSettings) -> None:
    write_whole(folder / "stations.csv", write_station_table(Contents(stations=day.stations)))
    given = (settings.rate_hz, sensor_poles(), 2, COUNTS_PER_M_S, add_seconds(DAY_START, -86400.0))
    write_responses(folder / "stations.xml", day.stations, *given)
    for name, model in (("velocity", day.assumed), ("velocity_true", day.actual)):
        write_whole(folder / f"{name}.csv", write_velocity_table(Contents(velocity=model)))


def detectable(
    day: Day, snr_db: Float[np.ndarray, "event station phase"], least_db: float = DETECTABLE_DB
) -> Bool[np.ndarray, "event station phase"]:
    """Arrivals that stand out of the noise, at stations that record them, within the day."""
    station = np.broadcast_to(np.arange(len(day.stations))[:, None], day.arrival_s.shape)
    off = inside((*day.faults.outages, *day.faults.gaps), station, day.arrival_s)
    return (snr_db >= least_db) & ~off & (day.arrival_s < day.length_s)


def locatable(seen: Bool[np.ndarray, "event station phase"]) -> Bool[np.ndarray, " event"]:
    """The rule of completeness: events with P detectable at `NEEDED_STATIONS` stations or more."""
    return seen[..., 0].sum(-1) >= NEEDED_STATIONS


def _arrivals(day: Day, snr_db: Float[np.ndarray, "event station phase"]) -> bytes:
    """Arrivals by the stations' clocks, which may be wrong."""
    station = np.arange(len(day.stations))[:, None]
    recorded_s = day.arrival_s + clock_error_s(day.faults.clocks, station, day.arrival_s)
    rows: list[list[object]] = []
    for event, code, phase in np.argwhere(detectable(day, snr_db, LISTED_DB)):
        time = add_seconds(DAY_START, float(recorded_s[event, code, phase]))
        rows.append(
            [_name(day, int(event)), day.stations[code].code, "PS"[phase], time, f"{snr_db[event, code, phase]:.2f}"]
        )
    return _rows(["event_id", "station", "phase", "time", "snr_db"], rows)


def _name(day: Day, row: int) -> str:
    return f"{'blast' if day.sources.kind[row] else 'sim'}{row:05d}"


def _write_truth(folder: Path, day: Day, snr_db: Float[np.ndarray, "event station phase"]) -> None:
    write_whole(folder / "truth_arrivals.csv", _arrivals(day, snr_db))
    seen = detectable(day, snr_db)
    events = [_event(day, seen, row) for row in range(len(day.sources.kind))]
    write_csv(folder / "truth.csv", events)
    write_picks(folder / "truth_picks.csv", events)
    write_quakeml(folder / "truth.xml", events)


def _event(day: Day, seen: Bool[np.ndarray, "event station phase"], row: int) -> Hypocentre:
    sources = day.sources
    latitude, longitude = (float(x[0]) for x in to_degrees(day.frame, *sources.hypocentre[row : row + 1, :2].T))
    number = np.arange(len(day.stations))[:, None]
    recorded_s = day.arrival_s[row] + clock_error_s(day.faults.clocks, number, day.arrival_s[row])
    picks = tuple(
        Pick(day.stations[station].code, "PS"[phase], float(recorded_s[station, phase]))
        for station, phase in np.argwhere(seen[row])
    )
    others = {
        "stations_with_p": float(seen[row, :, 0].sum()),
        "stations_with_s": float(seen[row, :, 1].sum()),
        "locatable": float(locatable(seen[row : row + 1])[0] and sources.kind[row] == 0),
        "quarry_blast": float(sources.kind[row]),
        "family": float(sources.family[row]),
    }
    return Hypocentre(
        _name(day, row), DAY_START, latitude, longitude, float(sources.hypocentre[row, 2]),
        float(sources.hypocentre[row, 3]), np.full((4, 4), np.nan), magnitude=float(sources.magnitude[row]),
        others=others, picks=picks,
    )  # fmt: skip


def _rows(header: list[str], rows: list[list[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def _others(day: Day, disturbances: tuple[Disturbance, ...]) -> bytes:
    """Sources that are no earthquakes of the catalogue: blasts with place and magnitude, disturbances with neither."""
    rows: list[list[object]] = []
    for row in np.flatnonzero(day.sources.kind > 0):
        east, north, depth, origin_s = day.sources.hypocentre[row]
        size = [round(depth, 3), round(day.sources.magnitude[row], 2)]
        name = SOURCE_KINDS[day.sources.kind[row]]
        rows.append([name, add_seconds(DAY_START, origin_s), *_degrees(day.frame, east, north), *size])
    rows.extend([NAMES[each.kind], add_seconds(DAY_START, each.time_s), *[""] * 4] for each in disturbances)
    header = ["kind", "time", "latitude_deg", "longitude_deg", "depth_km", "magnitude"]
    return _rows(header, sorted(rows, key=lambda row: str(row[1])))


def _degrees(frame: Frame, east_km: float, north_km: float) -> tuple[float, float]:
    latitude, longitude = to_degrees(frame, np.array([east_km]), np.array([north_km]))
    return round(float(latitude[0]), 5), round(float(longitude[0]), 5)


def _faults(day: Day) -> bytes:
    """Outages, gaps, constant runs, and wrong clocks with their errors in s (positive: the clock is fast)."""
    rows: list[list[object]] = []
    for kind, intervals in day.faults._asdict().items():
        for each in intervals:
            times = [add_seconds(DAY_START, t) for t in (each.start_s, each.end_s)]
            row: list[object] = [kind, day.stations[each.station].code, *times, each.value or ""]
            rows.append(row)
    return _rows(["kind", "station", "start", "end", "clock_error_s"], sorted(rows, key=lambda r: str(r[2])))
