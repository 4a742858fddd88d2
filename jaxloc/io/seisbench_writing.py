"""Write any data set as a SeisBench folder: metadata.csv and waveforms.hdf5 with buckets of up to 1024 traces.

See `jaxloc.io.seisbench` for the format and its source. The folder is written under a temporary name in the same
directory and renamed at the end, so that an interrupted run leaves no incomplete folder.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.geometry import Frame, to_degrees
from jaxloc.io.station_epochs import SAME_POSITION_KM, apart_km
from jaxloc.types import PHASES, Batch

BUCKET_SIZE = 1024
EVENTS_AT_ONCE = 32
UNKNOWN_START = "1970-01-01T00:00:00.000000Z"


def write_seisbench(
    folder: str | Path,
    dataset: Dataset,
    *,
    split_of: Callable[[Event], str] | None = None,
    unit: str = "mps",
) -> None:
    """Write a data set as a SeisBench folder.

    A trace is written for each active station of each event; a station that is silent in all events gets one trace
    of zeros, so that the folder has all stations. Samples that were not recorded are zero, which `read_seisbench`
    recognises. Onsets go to `trace_{p,s}_arrival_sample`, picks to `trace_pick_{p,s}_arrival_sample` with
    `trace_{p,s}_uncertainty_s`. An event whose origin time is labelled but whose start is unknown is given a start at
    1970-01-01T00:00:00, since the format has absolute times alone.

    Args:
        split_of: names the split of an event; by default the event's own.
        unit: of the waveforms: "mps" for ground velocity in m/s, or "counts".

    Raises:
        ValueError: where the folder exists already and is not empty, or the data set has no events or no
            waveforms.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists already; use a new folder, or empty it first")
    if not len(dataset):
        raise ValueError(f"data set {dataset.name!r} has no events to write; it must have at least one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        partial.chmod(0o755)
        splits = [split_of(event) if split_of else event.split for event in dataset.events]
        with h5py.File(partial / "waveforms.hdf5", "w") as file:
            _write_format(file, dataset.rate_hz, unit)
            table = _write_traces(file, dataset, splits)
        table.to_csv(partial / "metadata.csv", index=False)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_format(file: h5py.File, rate_hz: float, unit: str) -> None:
    values = {
        "dimension_order": "CW",
        "component_order": "ZNE",
        "sampling_rate": rate_hz,
        "measurement": "velocity",
        "unit": unit,
        "instrument_response": "restituted" if unit == "mps" else "not restituted",
    }
    group = file.create_group("data_format")
    for key, value in values.items():
        group.create_dataset(key, data=value)


def _write_traces(file: h5py.File, dataset: Dataset, splits: list[str]) -> pd.DataFrame:
    """Write buckets, none of which mixes splits, and return the metadata of their traces."""
    records: list[dict[str, object]] = []
    silent = np.ones(len(dataset.stations), bool)
    for split in dict.fromkeys(splits):
        chosen = np.flatnonzero([name == split for name in splits])
        pending: list[np.ndarray] = []
        for start in range(0, len(chosen), EVENTS_AT_ONCE):
            index = chosen[start : start + EVENTS_AT_ONCE]
            batch = dataset.take(index)
            waveforms = batch.observations.waveforms
            if waveforms is None:
                raise ValueError(f"data set {dataset.name!r} has no waveforms; a SeisBench folder must have them")
            alive = np.asarray(batch.observations.station_mask, bool)
            silent &= ~alive.any(0)
            for row, station in np.argwhere(alive):
                records.append(_record(split, int(index[row]), int(station), int(row), batch, dataset))
                pending.append(np.asarray(waveforms[row, station], np.float32))
                if len(pending) == BUCKET_SIZE:
                    _write_bucket(file, pending, records)
        _write_bucket(file, pending, records)
    batch = dataset.take(np.array([0]))
    never = np.flatnonzero(silent)
    records += [_record(splits[0], 0, int(station), 0, batch, dataset) for station in never]
    _write_bucket(file, [np.zeros((3, dataset.num_samples), np.float32) for _ in never], records)
    return pd.DataFrame(records)


def _write_bucket(
    file: h5py.File, pending: list[Float[np.ndarray, "3 sample"]], records: list[dict[str, object]]
) -> None:
    """Write the pending traces, which the last records describe, as one bucket; name and empty them."""
    if not pending:
        return
    traces = np.stack(pending)
    bucket = f"bucket{len(file.require_group('data'))}"
    chunks = (min(16, len(traces)), *traces.shape[1:])
    file.create_dataset(f"data/{bucket}", data=traces, chunks=chunks, compression="gzip")
    for i, record in enumerate(records[-len(traces) :]):
        record["trace_name"] = f"{bucket}${i},:3,:{traces.shape[-1]}"
    pending.clear()


def _record(split: str, event: int, station: int, row: int, batch: Batch, dataset: Dataset) -> dict[str, object]:
    return {
        "trace_name": "",
        "trace_component_order": "ZNE",
        "trace_sampling_rate_hz": dataset.rate_hz,
        "trace_npts": dataset.num_samples,
        "split": split,
        **_source(dataset.events[event], row, batch, dataset.frame),
        **_station(_at_position(dataset.stations[station], batch.observations.station_km[row, station], dataset.frame)),
        **_onsets(batch, row, station, dataset.rate_hz),
    }


def _source(event: Event, row: int, batch: Batch, frame: Frame) -> dict[str, object]:
    hypocentre = batch.labels["hypocentre"]
    value, mask = np.asarray(hypocentre.value)[row], np.asarray(hypocentre.mask)[row]
    source: dict[str, object] = {"source_id": event.id}
    start, origin = event.start, event.origin
    if mask[3]:
        start = start or UNKNOWN_START
        origin = origin or _later(start, float(value[3]))
    source |= {"trace_start_time": start, "source_origin_time": origin}
    if mask[0] and mask[1]:
        latitude, longitude = to_degrees(frame, value[0], value[1])
        source |= {"source_latitude_deg": float(latitude), "source_longitude_deg": float(longitude)}
    if mask[2]:
        source["source_depth_km"] = float(value[2])
    magnitude = batch.labels.get("magnitude")
    if magnitude is not None and np.asarray(magnitude.mask)[row]:
        source["source_magnitude"] = float(np.asarray(magnitude.value)[row])
    elif event.magnitude is not None:
        source["source_magnitude"] = event.magnitude
    return source


def _later(start: str, seconds: float) -> str:
    first = np.datetime64(start.removesuffix("Z"), "us")
    return f"{first + np.timedelta64(round(seconds * 1e6), 'us')}Z"


def _at_position(station: Station, station_km: Float[Array, "3"], frame: Frame) -> Station:
    """The station where it was in an event, if that is not where the data set lists it."""
    east_km, north_km, depth_km = np.asarray(station_km, float)
    latitude, longitude = to_degrees(frame, east_km, north_km)
    there = Station(station.code, float(latitude), float(longitude), -1000 * float(depth_km), station.position_sd_km)
    return there if apart_km(station, there) > SAME_POSITION_KM else station


def _station(station: Station) -> dict[str, object]:
    network, dot, code = station.code.partition(".")
    return {
        "station_network_code": network if dot else "",
        "station_code": code if dot else network,
        "station_latitude_deg": station.latitude_deg,
        "station_longitude_deg": station.longitude_deg,
        "station_elevation_m": station.elevation_m,
        "station_position_sd_km": station.position_sd_km,
    }


def _onsets(batch: Batch, row: int, station: int, rate_hz: float) -> dict[str, object]:
    onsets: dict[str, object] = {}
    arrivals, seen = batch.labels.get("arrivals"), batch.observations
    for i, phase in enumerate(name.lower() for name in PHASES):
        at = (row, station, i)
        if arrivals is not None and arrivals.mask[at]:
            onsets[f"trace_{phase}_arrival_sample"] = float(arrivals.value[at]) * rate_hz
        if seen.picks_s is not None and (seen.pick_mask is None or seen.pick_mask[at]):
            onsets[f"trace_pick_{phase}_arrival_sample"] = float(seen.picks_s[at]) * rate_hz
            if seen.pick_sigma_s is not None:
                onsets[f"trace_{phase}_uncertainty_s"] = float(seen.pick_sigma_s[at])
    return onsets
