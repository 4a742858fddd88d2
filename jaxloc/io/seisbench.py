"""SeisBench folders as data sets: metadata.csv and waveforms.hdf5, in buckets and chunks.

The format is that of Woollam et al. (2022, SeisBench, Seismol. Res. Lett. 93), read and written here without
SeisBench itself. For a network of stations, rows that share a `source_id` are one event, and a station without a row
in an event is padded and masked.
"""

# pyright: reportArgumentType=false
# A batch has NumPy arrays until it reaches the device, and its fields are annotated as JAX arrays.

import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.data.gaps import is_silent
from jaxloc.data.preprocessing import check_band
from jaxloc.geometry import Frame, to_km
from jaxloc.io.contributions import Contribution, contribution, some
from jaxloc.io.seisbench_choice import choose_rows, only_rows
from jaxloc.io.seisbench_metadata import (
    NO_TIME,
    Rows,
    choose_events,
    choose_split,
    column,
    epicentres,
    first_rows,
    known_numbers,
    read_metadata,
    sort_rows,
    times_ns,
)
from jaxloc.io.seisbench_onsets import (
    ARRIVAL_COLUMNS,
    DEFAULT_PICK_SIGMA_S,
    POLARITY_COLUMN,
    Onsets,
    merged,
    read_onsets,
)
from jaxloc.io.seisbench_stations import list_stations, positions_of_rows
from jaxloc.io.seisbench_traces import (
    Pieces,
    Records,
    Wanted,
    component_orders,
    longest,
    native_rates,
    process,
    read_formats,
    row_lengths,
)
from jaxloc.io.seisbench_writing import write_seisbench
from jaxloc.io.station_checks import centre_of, check_events, station_positions
from jaxloc.io.stations import join_stations
from jaxloc.types import PHASES, Batch, Label, Labels, Observations

__all__ = ["ARRIVAL_COLUMNS", "read_seisbench", "write_seisbench"]


def read_seisbench(
    folder: str | Path,
    *,
    split: str | None = None,
    events: Sequence[str] = (),
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
    them (interpolated, where they start between its samples), freed of the mean of their recorded samples, resampled,
    filtered and cut or padded to `num_samples`. Samples that were not recorded (not finite, padding, constant runs) are
    zero, with `sample_mask` False; a station without a signal has its `station_mask` False, and a warning names it.
    Of several rows of an event and station the best is used (`jaxloc.io.instruments`), with the onsets of all.
    Impossible onsets are left out, with a warning (`jaxloc.io.seisbench_onsets`).

    Args:
        split: the events of this split alone; stations are those of the whole folder all the same.
        events: these events alone, by their ids, and their stations; all without any.
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
        remove_mean: subtract the mean of each channel.
        prefixes: of the metadata and waveform files, where the folder has several and has no list of its chunks.
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
    table = choose_events(table, events)
    own = list_stations(table)
    everyone, station_index = join_stations(own, stations, unknown_stations)
    _check_pick_columns(list(table), pick_columns)
    rows, found = sort_rows(choose_split(table, split), everyone, gain_m_s)
    formats = read_formats(files)
    native_hz = native_rates(rows, formats)
    if rate_hz is None:
        rates, counts = np.unique(native_hz, return_counts=True)
        rate_hz = float(rates[np.argmax(counts)])
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(f"rate_hz must be a positive number, got {rate_hz}")
    lengths = row_lengths(rows, files, formats)
    if num_samples is None:
        num_samples = longest(rows, lengths, native_hz, rate_hz)
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    if bandpass_hz is not None:
        check_band(bandpass_hz, rate_hz)
    orders = component_orders(rows, formats)
    wanted = Wanted(files, formats, native_hz, orders, rate_hz, num_samples, bandpass_hz, remove_mean)
    frame = frame or centre_of(everyone)
    labels = [f"{found[e].id} {everyone[s].code}" for e, s in zip(rows.event, rows.station, strict=True)]
    lengths = np.minimum(lengths, column(rows.table, "trace_npts", np.inf)).astype(int)
    onsets = read_onsets(rows, pick_columns, native_hz, lengths, labels)
    group, chosen, joined = choose_rows(rows, wanted, labels)
    if len(chosen) < len(rows.event):
        pieces = Pieces(rows, native_hz, orders, joined)
        onsets, rows = merged(onsets, group, chosen, labels), only_rows(rows, chosen)
        wanted = wanted._replace(native_hz=native_hz[chosen], orders=[orders[row] for row in chosen], pieces=pieces)
    hypocentre, magnitude = _source_labels(rows, [event.id for event in found], everyone, frame)
    has_picks = any(name in rows.table for name in pick_columns.values())
    station_km = station_positions(everyone, frame)
    catalogue = _Catalogue(found, everyone, station_index, station_km, hypocentre, magnitude, has_picks)
    take = _Take(rows, wanted, onsets, catalogue, positions_of_rows(rows, everyone, frame), memory_mb)
    return Dataset(folder.name, frame, everyone, found, rate_hz, num_samples, take)


def _check_pick_columns(columns: Collection[str], pick_columns: Mapping[str, str]) -> None:
    wrong = [phase for phase in pick_columns if phase not in PHASES]
    if wrong:
        raise ValueError(f"pick_columns has phase {wrong[0]!r}; use {' or '.join(PHASES)}")
    # The default columns may be absent: a folder without picks is a good folder.
    missing = [c for c in pick_columns.values() if c not in columns and c not in ARRIVAL_COLUMNS.values()]
    if missing:
        raise ValueError(
            f"the metadata lack the pick columns {', '.join(missing)}; pick_columns must name columns of the metadata"
        )


def _source_labels(rows: Rows, names: list[str], stations: tuple[Station, ...], frame: Frame) -> tuple[Label, Label]:
    first = first_rows(rows.event, len(names))
    table = rows.table.iloc[first]
    latitude, longitude = epicentres(table)
    check_events(names, latitude, longitude, stations)
    known = np.isfinite(latitude) & np.isfinite(longitude)
    east, north = to_km(frame, np.where(known, latitude, 0), np.where(known, longitude, 0))
    origin_ns = times_ns(table, "source_origin_time")
    start_ns = times_ns(rows.table, "trace_start_time")
    sample_zero = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(sample_zero, rows.event, np.where(start_ns == NO_TIME, np.iinfo(np.int64).max, start_ns))
    timed = (origin_ns != NO_TIME) & (sample_zero != np.iinfo(np.int64).max)
    origin_s = np.where(timed, origin_ns - sample_zero, 0) * 1e-9
    depth = known_numbers(table, "source_depth_km", "depth_km")
    value = np.stack([east, north, depth, origin_s], -1)
    mask = np.stack([known, known, np.isfinite(depth), timed], -1)
    magnitude = column(table, "source_magnitude")
    return (
        Label(np.where(mask, value, 0).astype(np.float32), mask),
        Label(np.nan_to_num(magnitude).astype(np.float32), np.isfinite(magnitude)),
    )


def _scatter(
    values: Float[np.ndarray, "row *each"],
    at: Int[np.ndarray, " record"],
    place: tuple,
    mask: Bool[np.ndarray, "event station"],
) -> tuple[np.ndarray, np.ndarray]:
    """Values of rows into [event, station, ...], zero and masked where there is none or the station is silent."""
    out = np.full((*mask.shape, *values.shape[1:]), np.nan, np.float32)
    out[place] = values[at]
    known = np.isfinite(out) & mask.reshape(*mask.shape, *[1] * (values.ndim - 1))
    return np.where(known, out, 0).astype(np.float32), known


class _Catalogue(NamedTuple):
    """Events, stations, and the labels of events that do not depend on waveforms."""

    events: tuple[Event, ...]
    stations: tuple[Station, ...]
    station_index: Int[np.ndarray, " station"]
    station_km: Float[np.ndarray, "station 3"]
    hypocentre: Label
    magnitude: Label
    has_picks: bool


class _Take:
    """Takes events by index: their rows, from memory or from disk, put in the places of their stations."""

    def __init__(
        self,
        rows: Rows,
        wanted: Wanted,
        onsets: Onsets,
        catalogue: _Catalogue,
        row_km: Float[np.ndarray, "row 3"],
        memory_mb: float,
    ) -> None:
        self.rows, self.wanted, self.onsets, self.catalogue, self.row_km = rows, wanted, onsets, catalogue, row_km
        self.num_events = len(catalogue.hypocentre.value)
        self.begins = np.searchsorted(rows.event, np.arange(self.num_events + 1))
        self.in_memory = len(rows.event) * 3 * wanted.num_samples * 4 <= memory_mb * 1e6
        self.kept: list[Records] = []

    def _records(self, at: Int[np.ndarray, " row"]) -> Records:
        if not self.in_memory:
            return self._read(at)
        if not self.kept:
            self.kept.append(self._read(np.arange(len(self.rows.event))))
        return Records(*(part[at] for part in self.kept[0]))

    def _read(self, at: Int[np.ndarray, " row"]) -> Records:
        records = process(self.rows, self.wanted, at)
        if (records.silent != "").all(-1).any():
            warnings.warn(self._silent_line(at, records.silent), stacklevel=3)
        return records

    def _silent_line(self, at: Int[np.ndarray, " row"], silent: Shaped[np.ndarray, "row component"]) -> str:
        """One line that counts rows without a signal by reason, and names them."""
        gone = np.flatnonzero((silent != "").all(-1))
        reasons = Counter(_why_silent(silent[i]) for i in gone)
        counts = ", ".join(f"{number} {why}" for why, number in reasons.most_common())
        names = [f"{self.catalogue.events[self.rows.event[at[i]]].id} {self._code(at[i])}" for i in gone]
        return f"{len(gone)} of {len(at)} rows have no signal ({counts}): {some(names)}"

    def _code(self, row: int) -> str:
        return self.catalogue.stations[self.rows.station[row]].code

    def _rows_of(self, index: Int[np.ndarray, " event"]) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Rows of some events, and their places [event, station] in a batch."""
        sizes = self.begins[index + 1] - self.begins[index]
        event = np.repeat(np.arange(len(index)), sizes)
        at = np.arange(sizes.sum()) + np.repeat(self.begins[index] - (np.cumsum(sizes) - sizes), sizes)
        return at, (event, self.rows.station[at])

    def __call__(self, index: Int[np.ndarray, " event"]) -> Batch:
        index = _check_index(index, self.num_events)
        at, place = self._rows_of(index)
        fixed, num_samples = self.catalogue, self.wanted.num_samples
        shape = (len(index), len(fixed.stations))
        waveforms = np.zeros((*shape, 3, num_samples), np.float32)
        recorded = np.zeros((*shape, num_samples), bool)
        records = self._records(at)
        waveforms[place], recorded[place] = records.waveforms, records.recorded
        station_km = np.tile(fixed.station_km, (len(index), 1, 1))
        station_km[place] = self.row_km[at]
        mask = ~is_silent(waveforms)
        observations = Observations(
            waveforms,
            station_km,
            mask,
            np.broadcast_to(fixed.station_index, shape),
            np.full(len(index), self.wanted.rate_hz, np.float32),
            sample_mask=recorded & mask[..., None],
        )
        if fixed.has_picks:
            picks, pick_mask = _scatter(self.onsets.picks_s, at, place, mask)
            sigma = np.where(pick_mask, _scatter(self.onsets.sigmas_s, at, place, mask)[0], DEFAULT_PICK_SIGMA_S)
            observations = observations._replace(
                picks_s=picks, pick_sigma_s=sigma.astype(np.float32), pick_mask=pick_mask
            )
        labels: Labels = {
            "hypocentre": Label(fixed.hypocentre.value[index], fixed.hypocentre.mask[index]),
            "arrivals": Label(*_scatter(self.onsets.arrivals_s, at, place, mask)),
            "magnitude": Label(fixed.magnitude.value[index], fixed.magnitude.mask[index]),
        }
        if POLARITY_COLUMN in self.rows.table:
            labels["polarity"] = Label(*_scatter(self.onsets.polarity, at, place, mask))
        return Batch(observations, labels)

    def contributions(self, event: int) -> tuple[Contribution, ...]:
        """What each station contributes to an event, and why not."""
        at, (_, station) = self._rows_of(_check_index(event, self.num_events))
        records = self._records(at)
        row_of = dict(zip(station.tolist(), range(len(at)), strict=True))
        found = []
        for i, one in enumerate(self.catalogue.stations):
            if i not in row_of:
                found.append(contribution(one.code, np.zeros(3, bool), 0.0))
                continue
            row = row_of[i]
            why = _why_silent(records.silent[row])
            share = float(records.recorded[row].mean())
            alive = (records.waveforms[row] != 0).any(-1)
            found.append(contribution(one.code, alive, share, reason=why))
        return tuple(found)


def _why_silent(reasons: Shaped[np.ndarray, " component"]) -> str:
    """Why a row has no signal, "" where a component does."""
    return "" if (reasons == "").any() else f"silent ({', '.join(sorted(set(reasons)))})"


def _check_index(index: Int[np.ndarray, " event"], num_events: int) -> Int[np.ndarray, " event"]:
    index = np.atleast_1d(np.asarray(index, int))
    if index.size and not (index.min() >= 0 and index.max() < num_events):
        raise ValueError(f"event index must lie in 0..{num_events - 1}, got {index.min()}..{index.max()}")
    return index
