"""New events as a trained run's network wants them: from waveform files or a SeisBench folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxloc.data.dataset import Dataset, Station, positions_km, retaken
from jaxloc.io.seisbench_folder import is_seisbench
from jaxloc.io.sliding import window_starts
from jaxloc.io.station_checks import refuse_mistaken, refuse_wide
from jaxloc.io.stations import SAME_STATION_KM, StationSource, read_epochs, recognised, report_moves
from jaxloc.io.waveform_index import Stream, WaveformSource, index_files
from jaxloc.io.waveforms import read_waveforms
from jaxloc.runs.fitted import Fitted
from jaxloc.types import Batch


def open_input(
    fitted: Fitted,
    config: Mapping[str, Any],
    records: WaveformSource,
    stations: StationSource | None,
    windows: Path | None,
    split: str | None,
    overlap: float = 0.5,
    say: Callable[[str], None] = lambda line: None,
    events: Sequence[str] = (),
) -> Dataset:
    """Events as the run's network wants them: its rate, band, component order, and its stations first.

    Waveform files without windows that are longer than the records of training are cut into windows of that length
    which overlap by a share `overlap`; `say` receives a line about it. Of a SeisBench folder `events` are located
    alone, by their ids, or all without any.

    Raises:
        ValueError: where a path does not exist or is not what it should be, or stations are not those that a
            network of fixed geometry was trained with; names them.
    """
    records = _single(records)
    if isinstance(records, str | Path) and is_seisbench(Path(records)):
        if stations is not None or windows is not None:
            raise ValueError("a SeisBench folder must be read alone; --stations and --windows go with waveform files")
        from jaxloc.io.seisbench import read_seisbench
        from jaxloc.io.seisbench_metadata import choose_events, read_metadata
        from jaxloc.io.seisbench_stations import list_stations

        listed = list_stations(choose_events(read_metadata(Path(records))[0], events))
        as_trained = _as_trained(fitted, config, listed, windowed=False)
        if as_trained["frame"] is None:
            refuse_wide(listed, "--events ID,ID,...")
        own_picks = _own_picks(config, Path(records))
        dataset = read_seisbench(records, split=split, events=events, pick_columns=own_picks, **as_trained)
        return _marked(_reported(dataset, fitted, as_trained), fitted)
    if split is not None:
        raise ValueError(f"--split={split} must be used with a SeisBench folder; waveform files have no splits")
    if events:
        raise ValueError("--events must be used with a SeisBench folder; --windows names events of waveform files")
    if stations is None:
        raise ValueError(
            "waveform files must come with --stations: a StationXML or a CSV of code, latitude, longitude, elevation_m"
        )
    listed = tuple(epoch.station for epoch in read_epochs(stations))
    cut = windows or _slid(records, fitted, overlap, say)
    as_trained = _as_trained(fitted, config, listed, windowed=cut is not None)
    if as_trained["frame"] is None:
        refuse_wide(listed, "--stations with those of one region")
    dataset = read_waveforms(records, stations, cut, **as_trained)
    latitude, longitude = (np.array([degrees]) for degrees in fitted.spec.frame)
    refuse_mistaken(dataset.stations, latitude, longitude, "the region of training")
    return _marked(_reported(dataset, fitted, as_trained), fitted)


def _single(records: WaveformSource) -> WaveformSource:
    """A list of one path as that path; a ValueError names a path that does not exist."""
    if isinstance(records, Stream):
        return records
    paths = [Path(records)] if isinstance(records, str | Path) else [Path(path) for path in records]
    for path in paths:
        if not path.exists() and not any(c in str(path) for c in "*?["):
            raise ValueError(f"no such file or folder: {path}; the path must name waveform files or a SeisBench folder")
        if len(paths) > 1 and is_seisbench(path):
            raise ValueError(f"the SeisBench folder {path} must be read alone, got {len(paths)} paths")
    return paths[0] if len(paths) == 1 else paths


def _reported(dataset: Dataset, fitted: Fitted, as_trained: Mapping[str, Any]) -> Dataset:
    """The data set; warns of stations that share codes with those of training, where none is one of them."""
    if as_trained["stations"] is None:
        report_moves(dataset.stations, fitted.spec.stations)
    return dataset


def _slid(records: WaveformSource, fitted: Fitted, overlap: float, say: Callable[[str], None]) -> list[Any] | None:
    """Starts of overlapping windows over files that are longer than the records of training; else None."""
    pieces = index_files(records).pieces
    begin, end = min(piece.start for piece in pieces), max(piece.end for piece in pieces)
    length_s, span_s = fitted.spec.num_samples / fitted.spec.rate_hz, float(end - begin)
    starts = window_starts(begin, span_s, length_s, overlap)
    if len(starts) == 1:
        return None
    say(
        f"no --windows: {span_s:.0f} s of records are searched in {len(starts)} windows of {length_s:g} s that overlap "
        f"by {100 * overlap:.0f} % (--slide); the same event in several windows is written once"
    )
    return starts


def _as_trained(
    fitted: Fitted, config: Mapping[str, Any], listed: tuple[Station, ...], windowed: bool
) -> dict[str, Any]:
    """How to read, so that the network sees what it was trained on.

    Training data that were filtered have `data.native_band_hz`: records of other networks get that band. The
    stations listed are those of training where code and position agree.
    """
    spec, free = fitted.spec, fitted.model.any_station
    shared = bool(recognised(listed, spec.stations))
    native = config["data"].get("native_band_hz")
    return {
        "rate_hz": spec.rate_hz,
        "bandpass_hz": spec.bandpass_hz or (None if shared else native),
        "num_samples": spec.num_samples if windowed or not free else None,
        "unknown_stations": "keep" if free else "refuse",
        # A wholly new network stands alone, in a frame of its own.
        "stations": spec.stations if shared or not free else None,
        "frame": spec.frame if shared or not free else None,
    }


def _marked(dataset: Dataset, fitted: Fitted) -> Dataset:
    """Stations that are not where one of training was have index -1, event by event: a station may have moved."""
    trained = {s.code: s for s in fitted.spec.stations}
    known = np.array([s.code in trained for s in dataset.stations])
    trained_km = positions_km(dataset.frame, tuple(trained.get(s.code, s) for s in dataset.stations))
    inner = dataset.take

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        batch = inner(index)
        apart_km = np.linalg.norm(np.asarray(batch.observations.station_km) - trained_km, axis=-1)
        same = known & (apart_km <= SAME_STATION_KM)
        marked = np.where(same, batch.observations.station_index, -1).astype(np.int32)
        return batch._replace(observations=batch.observations._replace(station_index=marked))

    return retaken(dataset, take)


def _own_picks(config: Mapping[str, Any], folder: Path) -> dict[str, str]:
    columns = (folder / "metadata.csv").read_text().split("\n", 1)[0] if (folder / "metadata.csv").exists() else ""
    return {k: v for k, v in config["data"].get("pick_columns", {}).items() if v in columns}


def slid_over(records: Any, windows: Any, dataset: Dataset) -> bool:
    """Whether a data set of `open_input` has windows that slide over long records."""
    if windows is not None or isinstance(records, Dataset) or len(dataset) < 2:
        return False
    paths = records if isinstance(records, list | tuple) else [records]
    return not any(isinstance(path, str | Path) and is_seisbench(Path(path)) for path in paths)
