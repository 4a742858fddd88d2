"""Windows of a labelled data set laid out again as continuous records with gaps, and their labels as the truth."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Dataset
from jaxloc.geometry import to_degrees
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.catalogue_csv import write_csv, write_picks
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.io.contents import Contents
from jaxloc.io.day_archive import add_seconds, seconds_between, write_chunk
from jaxloc.io.station_formats import write_station_table
from jaxloc.types import Batch

LONGEST_S = 3600.0  # of a file


class Stretch(NamedTuple):
    """Records of overlapping windows: time of the first sample, counts, and which samples any window has."""

    start: str
    counts: Int[np.ndarray, "station component sample"]
    mask: Bool[np.ndarray, "station sample"]
    disagreeing: int


def write_windows(folder: str | Path, dataset: Dataset) -> list[Stretch]:
    """Write the windows of a data set as miniSEED of one file a channel and stretch, with stations and truth.

    The folder gets waveforms/, stations.csv, truth.csv, truth.xml and truth_picks.csv. Windows that overlap are joined:
    the later one is shifted by its median difference from the earlier one, since means are often removed window by
    window, and where they still disagree by more than a count the earlier one is taken (`Stretch.disagreeing`).

    Raises:
        ValueError: where an event has no start, or no hypocentre.
    """
    folder = Path(folder)
    if missing := [event.id for event in dataset.events if event.start is None]:
        raise ValueError(f"event {missing[0]} has no trace_start_time; continuous records need one for each")
    batch = dataset.take(np.arange(len(dataset)))
    codes, found = [station.code for station in dataset.stations], []
    for stretch in stretches(dataset, batch):
        write_chunk(folder / "waveforms", codes, stretch.counts, stretch.mask, stretch.start, dataset.rate_hz)
        found.append(stretch._replace(counts=stretch.counts[..., :0]))
    write_whole(folder / "stations.csv", write_station_table(Contents(stations=dataset.stations)))
    events = _truth(dataset, batch)
    write_csv(folder / "truth.csv", events)
    write_picks(folder / "truth_picks.csv", events)
    write_quakeml(folder / "truth.xml", events)
    return found


def stretches(dataset: Dataset, batch: Batch) -> Iterator[Stretch]:
    """Groups of windows that overlap or follow one another, in the order of time, each no longer than an hour."""
    zero = min(str(event.start) for event in dataset.events)
    first = np.array([round(seconds_between(zero, str(event.start)) * dataset.rate_hz) for event in dataset.events])
    order, limit = np.argsort(first, kind="stable"), LONGEST_S * dataset.rate_hz
    group: list[int] = []
    for event in order:
        last = first[group[-1]] + dataset.num_samples if group else 0
        if group and (first[event] > last or first[event] + dataset.num_samples - first[group[0]] > limit):
            yield _joined(dataset, batch, group, first, zero)
            group = []
        group.append(int(event))
    yield _joined(dataset, batch, group, first, zero)


def _joined(dataset: Dataset, batch: Batch, group: list[int], first: Int[np.ndarray, " event"], zero: str) -> Stretch:
    begin, seen = int(first[group[0]]), batch.observations
    length = int(first[group[-1]]) - begin + dataset.num_samples
    waveforms = np.asarray(seen.waveforms)
    counts = np.zeros((*waveforms.shape[1:3], length), np.int32)
    mask, disagreeing = np.zeros((len(counts), length), bool), 0
    for event in group:
        recorded = _recorded(batch, event)
        part = slice(int(first[event]) - begin, int(first[event]) - begin + dataset.num_samples)
        both = mask[:, part] & recorded
        own = _aligned(waveforms[event], counts[..., part], both)
        disagreeing += int(((np.abs(own - counts[..., part]) > 1).any(1) & both).sum())
        fresh = recorded & ~mask[:, part]
        counts[..., part] = np.where(fresh[:, None], own, counts[..., part])
        mask[:, part] |= recorded
    return Stretch(add_seconds(zero, begin / dataset.rate_hz), counts, mask, disagreeing)


def _aligned(
    own: Float[np.ndarray, "station component sample"],
    earlier: Int[np.ndarray, "station component sample"],
    both: Bool[np.ndarray, "station sample"],
) -> Int[np.ndarray, "station component sample"]:
    """A window in counts, shifted to the level of what was recorded before it where they overlap."""
    shifted = own.astype(float)
    for station in np.flatnonzero(both.any(-1)):
        at = both[station]
        shifted[station] += np.median(earlier[station][:, at] - own[station][:, at], axis=-1, keepdims=True)
    return np.rint(shifted).astype(np.int32)


def _recorded(batch: Batch, event: int) -> Bool[np.ndarray, "station sample"]:
    seen = batch.observations
    active = (np.asarray(seen.waveforms)[event] != 0).any((1, 2))[:, None]
    if seen.sample_mask is None:
        return np.broadcast_to(active, (len(active), np.asarray(seen.waveforms).shape[-1]))
    return active & np.asarray(seen.sample_mask)[event]


def _truth(dataset: Dataset, batch: Batch) -> list[Hypocentre]:
    value, known = (np.asarray(x) for x in batch.labels["hypocentre"])
    if not known.all():
        missing = dataset.events[int(np.flatnonzero(~known.all(-1))[0])].id
        raise ValueError(f"event {missing} has no complete hypocentre; the truth needs one for each event")
    latitude, longitude = to_degrees(dataset.frame, value[:, 0].astype(float), value[:, 1].astype(float))
    found = []
    for row, event in enumerate(dataset.events):
        place = (float(latitude[row]), float(longitude[row]), float(value[row, 2]), float(value[row, 3]))
        picks = _picks(dataset, *(np.asarray(x)[row] for x in batch.labels["arrivals"]))
        unknown = np.full((4, 4), np.nan)
        found.append(Hypocentre(event.id, event.start, *place, unknown, magnitude=event.magnitude, picks=picks))
    return found


def _picks(
    dataset: Dataset, arrival_s: Float[np.ndarray, "station phase"], known: Bool[np.ndarray, "station phase"]
) -> tuple[Pick, ...]:
    return tuple(
        Pick(dataset.stations[station].code, "PS"[phase], float(arrival_s[station, phase]))
        for station, phase in np.argwhere(known)
    )
