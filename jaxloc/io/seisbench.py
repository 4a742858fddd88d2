"""SeisBench folders as data sets: metadata.csv and waveforms.hdf5, in buckets and chunks.

The format is that of Woollam et al. (2022, SeisBench, Seismol. Res. Lett. 93), read and written here without
SeisBench itself. What it means for a network of stations: rows that share a `source_id` are one event, and a
station that an event has no row for is padded and masked.
"""

# pyright: reportArgumentType=false
# A batch holds NumPy arrays until it reaches the device, and says JAX arrays.

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.dataset import Dataset, Station
from jaxloc.data.preprocessing import check_band, is_dead
from jaxloc.geometry import Frame, to_km
from jaxloc.io.seisbench_metadata import (
    NO_TIME,
    Rows,
    check_events,
    choose_split,
    column,
    first_rows,
    list_stations,
    read_metadata,
    sort_rows,
    times_ns,
)
from jaxloc.io.seisbench_traces import Wanted, component_orders, longest, native_rates, process, read_formats
from jaxloc.io.seisbench_writing import write_seisbench
from jaxloc.io.stations import centre_of, join_stations, station_positions
from jaxloc.types import PHASES, Batch, Label, Labels, Observations

__all__ = ["ARRIVAL_COLUMNS", "read_seisbench", "write_seisbench"]

ARRIVAL_COLUMNS: Mapping[str, str] = MappingProxyType({"P": "trace_p_arrival_sample", "S": "trace_s_arrival_sample"})
DEFAULT_PICK_SIGMA_S = 0.1
POLARITY_COLUMN = "trace_polarity"
UP, DOWN = ("u", "up", "positive", "+"), ("d", "down", "negative", "-")


def read_seisbench(
    folder: str | Path,
    *,
    split: str | None = None,
    rate_hz: float | None = None,
    num_samples: int | None = None,
    stations: tuple[Station, ...] | None = None,
    frame: Frame | None = None,
    bandpass_hz: tuple[float, float] | None = None,
    pick_columns: Mapping[str, str] = ARRIVAL_COLUMNS,
    memory_mb: float = 2048,
    unknown_stations: Literal["keep", "refuse"] = "keep",
    remove_mean: bool = True,
    prefixes: Sequence[str] = (),
    gain_m_s: float = 1.0,
) -> Dataset:
    """Read a SeisBench folder as events at a network of stations.

    Events come in the order in which they first appear. Traces of an event are aligned on the earliest of
    them, cleaned of samples that are not finite and of constant channels, freed of their mean, resampled,
    filtered and cut or zero-padded to `num_samples`. A station without a living trace has its mask False.

    Args:
        split: the events of this split alone; stations are those of the whole folder all the same.
        rate_hz: sampling rate in Hz of what `take` returns; by default the commonest of the events read.
        num_samples: samples a trace; by default those of the longest event read, after resampling.
        stations: the list of a trained network; by default the folder's own, sorted by code.
        frame: the local frame; by default centred on the stations.
        bandpass_hz: corners of a causal Butterworth band-pass of order 4.
        pick_columns: for "P" and "S", the metadata column in samples that `picks_s` is read from.
        memory_mb: processed waveforms of at most this size are kept after the first use; others are read
            from disk at each `take`.
        unknown_stations: what to do with stations that are not in `stations`: "keep" appends them with
            station index -1, "refuse" raises.
        remove_mean: take the mean away from each channel.
        prefixes: of the metadata and waveform files, where the folder holds several and has no list of its chunks.
        gain_m_s: ground velocity in m/s of a count, where the metadata have no trace_gain_z, _n and _e.

    Returns:
        The data set. Labels: "hypocentre" [event, 4] (origin time masked without `trace_start_time`),
        "arrivals" [event, station, 2] in s, "magnitude" [event]; with a column trace_polarity also "polarity"
        [event, station], 1 up and 0 down.

    Raises:
        ValueError: for anything missing, contradictory or impossible in the folder or the arguments.
    """
    folder = Path(folder)
    table, files = read_metadata(folder, prefixes)
    own = list_stations(table)
    everyone, station_index = join_stations(own, stations, unknown_stations)
    _check_pick_columns(list(table), pick_columns)
    rows, events = sort_rows(choose_split(table, split), everyone, gain_m_s)
    formats = read_formats(files)
    native_hz = native_rates(rows, formats)
    if rate_hz is None:
        rates, counts = np.unique(native_hz, return_counts=True)
        rate_hz = float(rates[np.argmax(counts)])
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(f"rate_hz must be a positive number, got {rate_hz}")
    if num_samples is None:
        num_samples = longest(rows, files, formats, native_hz, rate_hz)
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    if bandpass_hz is not None:
        check_band(bandpass_hz, rate_hz)
    orders = component_orders(rows, formats)
    wanted = Wanted(files, formats, native_hz, orders, rate_hz, num_samples, bandpass_hz, remove_mean)
    frame = frame or centre_of(everyone)
    hypocentre, magnitude = _source_labels(rows, [event.id for event in events], everyone, frame)
    take = _take(rows, wanted, everyone, station_index, frame, hypocentre, magnitude, pick_columns, memory_mb)
    return Dataset(folder.name, frame, everyone, events, rate_hz, num_samples, take)


def _check_pick_columns(columns: Collection[str], pick_columns: Mapping[str, str]) -> None:
    wrong = [phase for phase in pick_columns if phase not in PHASES]
    if wrong:
        raise ValueError(f"pick_columns has phase {wrong[0]!r}; the phases are {', '.join(PHASES)}")
    # The default columns may be absent: a folder without picks is a good folder.
    missing = [c for c in pick_columns.values() if c not in columns and c not in ARRIVAL_COLUMNS.values()]
    if missing:
        raise ValueError(f"the metadata lack the pick columns {', '.join(missing)}")


def _source_labels(rows: Rows, names: list[str], stations: tuple[Station, ...], frame: Frame) -> tuple[Label, Label]:
    first = first_rows(rows.event, len(names))
    table = rows.table.iloc[first]
    latitude, longitude = column(table, "source_latitude_deg"), column(table, "source_longitude_deg")
    check_events(names, latitude, longitude, stations)
    known = np.isfinite(latitude) & np.isfinite(longitude)
    east, north = to_km(frame, np.where(known, latitude, 0), np.where(known, longitude, 0))
    origin_ns = times_ns(table, "source_origin_time")
    start_ns = times_ns(rows.table, "trace_start_time")
    sample_zero = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(sample_zero, rows.event, np.where(start_ns == NO_TIME, np.iinfo(np.int64).max, start_ns))
    timed = (origin_ns != NO_TIME) & (sample_zero != np.iinfo(np.int64).max)
    origin_s = np.where(timed, origin_ns - sample_zero, 0) * 1e-9
    depth = column(table, "source_depth_km")
    value = np.stack([east, north, depth, origin_s], -1)
    mask = np.stack([known, known, np.isfinite(depth), timed], -1)
    magnitude = column(table, "source_magnitude")
    return (
        Label(np.where(mask, value, 0).astype(np.float32), mask),
        Label(np.nan_to_num(magnitude).astype(np.float32), np.isfinite(magnitude)),
    )


def _pick_seconds(rows: Rows, columns: Mapping[str, str], native_hz: np.ndarray) -> Float[np.ndarray, "row 2"]:
    """Onsets of each row in s after the event's sample zero, NaN where there is none."""
    nothing = np.full(len(rows.event), np.nan)
    samples = [column(rows.table, columns[phase]) if phase in columns else nothing for phase in PHASES]
    return np.stack(samples, -1) / native_hz[:, None] + rows.delay_s[:, None]


def _pick_sigmas(rows: Rows) -> Float[np.ndarray, "row 2"]:
    sigma = np.stack([column(rows.table, f"trace_{phase.lower()}_uncertainty_s") for phase in PHASES], -1)
    return np.where(np.isfinite(sigma) & (sigma > 0), sigma, DEFAULT_PICK_SIGMA_S)


def _polarities(rows: Rows) -> Float[np.ndarray, " row"] | None:
    """First motions, up or down as `UP` and `DOWN` write them, NaN for any other."""
    if POLARITY_COLUMN not in rows.table:
        return None
    letter = rows.table[POLARITY_COLUMN].fillna("").astype(str).str.strip().str.lower()
    up, down = letter.isin(UP), letter.isin(DOWN)
    return np.where(up, 1.0, np.where(down, 0.0, np.nan))


def _scatter(
    values: Float[np.ndarray, "row *each"], at: np.ndarray, place: tuple, mask: Bool[np.ndarray, "event station"]
) -> tuple[np.ndarray, np.ndarray]:
    """Values of rows into [event, station, ...], zero and masked where there is none or the station is dead."""
    out = np.full((*mask.shape, *values.shape[1:]), np.nan, np.float32)
    out[place] = values[at]
    known = np.isfinite(out) & mask.reshape(*mask.shape, *[1] * (values.ndim - 1))
    return np.where(known, out, 0).astype(np.float32), known


def _take(
    rows: Rows,
    wanted: Wanted,
    stations: tuple[Station, ...],
    station_index: Int[np.ndarray, " station"],
    frame: Frame,
    hypocentre: Label,
    magnitude: Label,
    pick_columns: Mapping[str, str],
    memory_mb: float,
) -> Callable[[Int[np.ndarray, " event"]], Batch]:
    """Build `take`: rows of the events asked for, from memory or from disk, put in their places."""
    num_events, num_stations = len(hypocentre.value), len(stations)
    begins = np.searchsorted(rows.event, np.arange(num_events + 1))
    station_km = station_positions(stations, frame)
    arrivals_s = _pick_seconds(rows, ARRIVAL_COLUMNS, wanted.native_hz)
    picks_s = _pick_seconds(rows, pick_columns, wanted.native_hz)
    sigmas_s = _pick_sigmas(rows)
    polarities = _polarities(rows)
    has_picks = any(name in rows.table for name in pick_columns.values())
    in_memory = len(rows.event) * 3 * wanted.num_samples * 4 <= memory_mb * 1e6
    kept: list[np.ndarray] = []

    def traces(at: Int[np.ndarray, " row"]) -> Float[np.ndarray, "row 3 num_samples"]:
        if not in_memory:
            return process(rows, wanted, at)
        if not kept:
            kept.append(process(rows, wanted, np.arange(len(rows.event))))
        return kept[0][at]

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        index = _check_index(index, num_events)
        sizes = begins[index + 1] - begins[index]
        event = np.repeat(np.arange(len(index)), sizes)
        at = np.arange(sizes.sum()) + np.repeat(begins[index] - (np.cumsum(sizes) - sizes), sizes)
        place = (event, rows.station[at])
        waveforms = np.zeros((len(index), num_stations, 3, wanted.num_samples), np.float32)
        waveforms[place] = traces(at)
        mask = ~is_dead(waveforms)
        arrivals = Label(*_scatter(arrivals_s, at, place, mask))
        picks, pick_mask = _scatter(picks_s, at, place, mask)
        sigma = np.where(pick_mask, _scatter(sigmas_s, at, place, mask)[0], DEFAULT_PICK_SIGMA_S)
        observations = Observations(
            waveforms,
            np.broadcast_to(station_km, (len(index), num_stations, 3)),
            mask,
            np.broadcast_to(station_index, mask.shape),
            np.full(len(index), wanted.rate_hz, np.float32),
            picks if has_picks else None,
            sigma.astype(np.float32) if has_picks else None,
            pick_mask if has_picks else None,
        )
        labels: Labels = {
            "hypocentre": Label(hypocentre.value[index], hypocentre.mask[index]),
            "arrivals": arrivals,
            "magnitude": Label(magnitude.value[index], magnitude.mask[index]),
        }
        if polarities is not None:
            labels["polarity"] = Label(*_scatter(polarities, at, place, mask))
        return Batch(observations, labels)

    return take


def _check_index(index: Int[np.ndarray, " event"], num_events: int) -> Int[np.ndarray, " event"]:
    index = np.atleast_1d(np.asarray(index, int))
    if index.size and not (index.min() >= 0 and index.max() < num_events):
        raise ValueError(f"event index must lie in 0..{num_events - 1}, got {index.min()}..{index.max()}")
    return index
