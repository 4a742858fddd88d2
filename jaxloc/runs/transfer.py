"""A trained run on other data than its own: new events, new stations, another region."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxloc.data.dataset import Dataset, Station, positions_km, retaken
from jaxloc.io.seisbench_folder import is_seisbench
from jaxloc.io.sliding import window_starts
from jaxloc.io.station_checks import refuse_mistaken
from jaxloc.io.stations import SAME_STATION_KM, StationSource, read_epochs, recognised, report_moves
from jaxloc.io.velocity_model import VelocityFile
from jaxloc.io.waveform_index import Stream, WaveformSource, index_files
from jaxloc.io.waveforms import read_waveforms
from jaxloc.models.registry import at_stations, build
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.velocity_error import VelocityError, error_settings
from jaxloc.runs.predict import Fitted
from jaxloc.types import Batch, Method, Params, State, Weights


def open_input(
    fitted: Fitted,
    config: Mapping[str, Any],
    records: WaveformSource,
    stations: StationSource | None,
    windows: Path | None,
    split: str | None,
    overlap: float = 0.5,
    say: Callable[[str], None] = lambda line: None,
) -> Dataset:
    """Events as the run's network wants them: its rate, band, component order, and its stations first.

    Waveform files without windows that are longer than the records of training are cut into windows of that length
    which overlap by a share `overlap`; `say` receives a line about it.

    Raises:
        ValueError: where a path does not exist or is not what it should be, or stations are not those that a
            network of fixed geometry was trained with; names them.
    """
    records = _single(records)
    if isinstance(records, str | Path) and is_seisbench(Path(records)):
        if stations is not None or windows is not None:
            raise ValueError("a SeisBench folder must be read alone; --stations and --windows go with waveform files")
        from jaxloc.io.seisbench import read_seisbench
        from jaxloc.io.seisbench_metadata import read_metadata
        from jaxloc.io.seisbench_stations import list_stations

        listed = list_stations(read_metadata(Path(records))[0])
        as_trained = _as_trained(fitted, config, listed, windowed=False)
        own_picks = _own_picks(config, Path(records))
        dataset = read_seisbench(records, split=split, pick_columns=own_picks, **as_trained)
        return _marked(_reported(dataset, fitted, as_trained), fitted)
    if split is not None:
        raise ValueError(f"--split={split} must be used with a SeisBench folder; waveform files have no splits")
    if stations is None:
        raise ValueError(
            "waveform files must come with --stations: a StationXML or a CSV of code, latitude, longitude, elevation_m"
        )
    listed = tuple(epoch.station for epoch in read_epochs(stations))
    cut = windows or _slid(records, fitted, overlap, say)
    as_trained = _as_trained(fitted, config, listed, windowed=cut is not None)
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


def trained_for(fitted: Fitted, dataset: Dataset, velocity: VelocityFile | None) -> Fitted:
    """The run as it is, or with the search region of other stations, or with another velocity model.

    Events of a data set with stations of the run, by code and position, are searched in the region of training. At
    another network the region is that of the stations with a margin, depth is free, and station delays are not used.
    A network that locates relative to its stations (set_transformer, station_graph) has no region: only the
    climatology that it is compared with changes.

    Raises:
        ValueError: where a network of fixed geometry is given other stations, or one that has no velocity model is
            given one.
    """
    spec = fitted.spec
    shared = recognised(dataset.stations, spec.stations)
    if shared and velocity is None:
        # Travel times are tabulated for the depths and distances of known stations: others widen the table.
        added = any(station.code not in shared for station in dataset.stations)
        return searched_in(fitted, dataset, spec.region) if added else fitted
    if fitted.model.transfer is None:
        raise ValueError(
            f"the model {spec.settings['name']} takes the {len(spec.stations)} stations of its training "
            "alone; train one of model=arrivals to use other stations or velocity models, or of set_transformer or "
            "station_graph to use other stations"
        )
    given_velocity = fitted.model.transfer.velocity
    if velocity is not None and given_velocity is None:
        raise ValueError(
            f"the model {spec.settings['name']} has learned travel times from its training events and can use no "
            f"velocity model: leave out {velocity.path}, or train one of model=arrivals"
        )
    # The velocity model of training, whatever is known of it, is at another network one without a reported uncertainty.
    of_training: Mapping[str, Any] = dict(spec.velocity) | error_settings(VelocityError())
    layers = of_training if velocity is None else velocity.settings()
    moved = spec._replace(velocity=layers, num_samples=dataset.num_samples, source_terms=None)
    if not shared:
        region, places_km = _region_around(dataset)
        moved = at_stations(moved, fitted.model, dataset.frame, region, places_km)
    method, change = fitted.method, given_velocity if shared else fitted.model.transfer.elsewhere
    if change is not None:
        method = _changed(method, lambda params: change(params, len(layers["top_km"])))
    return fitted._replace(model=build(moved), spec=moved, method=method)


def searched_in(fitted: Fitted, dataset: Dataset, region: Region) -> Fitted:
    """The run with its locations searched in another region; unchanged where its model has no search."""
    search = fitted.model.search
    if search is None:
        return fitted
    stations_km = positions_km(dataset.frame, (*fitted.spec.stations, *dataset.stations))
    if not recognised(dataset.stations, fitted.spec.stations):
        stations_km = stations_km[len(fitted.spec.stations) :]
    settings = fitted.spec.settings | search.settings(region, stations_km)
    spec = fitted.spec._replace(region=region, settings=settings)
    return fitted._replace(model=build(spec), spec=spec)


def searched_beyond(fitted: Fitted, dataset: Dataset, region: Region) -> Fitted:
    """As `searched_in` for a region of whose places and paths training knows nothing (`RegionSearch.beyond`)."""
    found, search = searched_in(fitted, dataset, region), fitted.model.search
    if search is None or not search.beyond:
        return found
    spec = found.spec._replace(settings={**found.spec.settings, **search.beyond})
    return found._replace(model=build(spec), spec=spec)


def _changed(method: Method, change: Callable[[Params], Params]) -> Method:
    """The same weight posterior with the parameters of each draw changed."""

    def sample(key: Key[Array, ""], state: State, n: int) -> Weights:
        weights = method.sample(key, state, n)
        return weights._replace(params=jax.vmap(change)(weights.params))

    return method._replace(sample=sample)


def _region_around(dataset: Dataset) -> tuple[Region, Float[np.ndarray, "station 3"]]:
    """The region of the stations of a data set, three times as long as their network, and their positions in km."""
    places = positions_km(dataset.frame, dataset.stations)
    low, high = places.min(0), places.max(0)
    margin = max(20.0, float(np.hypot(*(high - low)[:2])))
    duration_s = dataset.num_samples / dataset.rate_hz
    region = Region(
        (float(low[0] - margin), float(high[0] + margin)),
        (float(low[1] - margin), float(high[1] + margin)),
        (0.0, 40.0),
        (-20.0, duration_s),
    )
    return region, places
