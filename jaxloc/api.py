"""The Python API: load or train a run, locate, evaluate, calibrate, compare and plot; `import jaxloc` gives it all."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxloc import prng
from jaxloc.calibration.calibration import Calibration
from jaxloc.calibration.storage import read_calibration, write_calibration
from jaxloc.data.dataset import Dataset
from jaxloc.io.reference_catalogue import by_name, by_time, in_frame, read_truths, seconds
from jaxloc.io.stations import StationSource
from jaxloc.io.tables import parse_time
from jaxloc.io.velocity_model import velocity_file
from jaxloc.io.waveform_index import WaveformSource
from jaxloc.plots.score_cards import compare_cards
from jaxloc.runs import config as configuration
from jaxloc.runs import locate_picks as picking
from jaxloc.runs import new_events, report
from jaxloc.runs import train as training
from jaxloc.runs.calibrate import BEST, calibrate_run
from jaxloc.runs.compare import side_by_side
from jaxloc.runs.datasets import fresh_events
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.inputs import open_input, slid_over
from jaxloc.runs.load import load as load_run
from jaxloc.runs.outcomes import duplicates
from jaxloc.runs.results import Located, LocatedEvent, results_of
from jaxloc.runs.shipped import NAME
from jaxloc.runs.transfer import prepared, trained_for
from jaxloc.types import Label

Say = Callable[[str], None]
Silent = lambda line: None


@dataclass(frozen=True)
class TrainedModel:
    """A trained run: its configuration, weight posterior and, where it was calibrated, its calibration."""

    folder: Path
    config: Mapping[str, Any]
    fitted: Fitted
    calibration: Calibration | None = None

    def locate(
        self,
        records: WaveformSource | Dataset,
        *,
        stations: StationSource | None = None,
        windows: str | Path | None = None,
        velocity: str | Path | None = None,
        velocity_form: str | None = None,
        split: str | None = None,
        events: Sequence[str] = (),
        raw: bool = False,
        region: str | None = None,
        depth_km: Sequence[float] | None = None,
        every: bool | None = None,
        on_event: Callable[[int], None] = lambda done: None,
    ) -> Located:
        """Locate events; reasons not to trust a location are its `flag`.

        Origin times are searched in the whole record, depths up to the highest station. Long records without windows
        are searched in windows that overlap by half, and an event in several of them is kept once.

        Args:
            records: waveform files (a path, a pattern, a folder or a list), an ObsPy stream, a SeisBench folder, or a
                data set.
            stations: StationXML, a station table or an ObsPy inventory; needed with waveforms.
            windows: CSV of window starts or origin times; without it, all of the records (see above).
            velocity: velocity model of another region, CSV with depth_km, vp_km_s, vs_km_s.
            velocity_form: "layers" or "gradient", linear between its rows; None: what its column `form` says, else
                layers.
            split: events of this split alone (SeisBench folder).
            events: these events alone, by their ids, and their stations (SeisBench folder).
            raw: whether to leave the run's calibration out.
            region: search region, WEST/EAST/SOUTH/NORTH in degrees; of training, or around other stations without it.
            depth_km: shallowest and deepest searched depth.
            every: whether records without an event keep a location, with the reason as its flag; by default they do
                unless windows slide over the records.
            on_event: receives the number of events located so far.

        Raises:
            ValueError: where an input is missing or wrong; names it.
        """
        dataset = self.open(records, stations=stations, windows=windows, split=split, events=events)
        model = velocity_file(None if velocity is None else Path(velocity), form=velocity_form)
        fitted = trained_for(self.fitted, dataset, model)
        calibration = None if raw else self.calibration
        slid = slid_over(records, windows, dataset)
        outcome = new_events.locate_new(
            prepared(fitted, dataset, region, depth_km),
            dataset,
            self.config,
            calibration,
            overlapping=slid,
            widen=region is None and depth_km is None,
            every=not slid if every is None else every,
            on_event=on_event,
        )
        found, lost = tuple(outcome.found), outcome.lost | duplicates(outcome)
        return Located(
            outcome.dataset or dataset, outcome.located.batch, outcome.predictions, found, lost, self.fitted.spec
        )

    def open(
        self,
        records: WaveformSource | Dataset,
        *,
        stations: StationSource | None = None,
        windows: str | Path | None = None,
        split: str | None = None,
        events: Sequence[str] = (),
    ) -> Dataset:
        """Events at the run's sampling rate, band and component order; arguments and errors as for `locate`."""
        if isinstance(records, Dataset):
            return records
        cut = None if windows is None else Path(windows)
        return open_input(self.fitted, self.config, records, stations, cut, split, events=events)


def load(folder: str | Path = NAME) -> TrainedModel:
    """A trained run from its folder, with its calibration where it has one; or the model that comes with jaxloc.

    Args:
        folder: of a run or an adapted model, a file of weights, or "anywhere" for the model that comes with jaxloc.

    Raises:
        ValueError: where the folder is no finished run, or its checkpoint is damaged.
    """
    config, fitted = load_run(Path(folder))
    return TrainedModel(Path(folder), config, fitted, read_calibration(Path(folder)))


def configure(experiment: str, *overrides: str) -> dict[str, Any]:
    """The configuration of an experiment, changed by overrides `key=value`.

    Raises:
        ValueError: for an experiment, key or value that does not exist; lists those that do.
    """
    return configuration.load(experiment, list(overrides))


def train(experiment: str | Mapping[str, Any], *overrides: str, say: Say = Silent) -> TrainedModel:
    """Train and score an experiment, or resume it where its run folder was left.

    Args:
        experiment: its name, or a configuration of `configure`.
        overrides: `key=value`, with a name.
        say: receives lines of progress.

    Raises:
        ValueError: for a wrong configuration or wrong data; names the value.
    """
    config = configure(experiment, *overrides) if isinstance(experiment, str) else dict(experiment)
    if "task" in config:
        raise ValueError(f"{config['name']} trains no locator by itself: give `jaxloc run {config['name']}`")
    if "locator" in config:
        raise ValueError(
            f"{config['name']} has a locator without a network; there is nothing to train: `jaxloc run` it"
        )
    return load(training.run(config, Path(config["run_dir"]), say))


def locate(records: WaveformSource | Dataset, model: TrainedModel | str | Path = NAME, **options: Any) -> Located:
    """Locate events with a model, or what `load` takes; options are those of `TrainedModel.locate`."""
    return (model if isinstance(model, TrainedModel) else load(model)).locate(records, **options)


def locate_picks(
    picks: str | Path,
    locator: str = "grid_search",
    *,
    stations: str | Path | None = None,
    velocity: str | Path | None = None,
    velocity_form: str | None = None,
    catalogue: str | Path | None = None,
    region: str | None = None,
    depth_km: tuple[float, float] | None = None,
    split: str | None = None,
    travel_times: str | Path | None = None,
    grid_spacing: float | None = None,
    vp_vs: float | None = None,
    topography: str | Path | None = None,
    learn_velocities: bool = False,
    **settings: Any,
) -> Located:
    """Locate picked events without a network.

    Args:
        picks: CSV or QuakeML of picks, or a SeisBench folder with picks.
        locator: one of `jaxloc.locators.__all__`.
        stations: StationXML or a station table; needed with files of picks.
        velocity: velocity model, CSV with depth_km, vp_km_s, vs_km_s; or one of three dimensions
            (`jaxloc.io.velocity_grids`).
        velocity_form: as for `TrainedModel.locate`.
        catalogue: earlier events, QuakeML or CSV, for the climatology.
        region: search region in degrees, "WEST/EAST/SOUTH/NORTH"; around the stations without it.
        depth_km: shallowest and deepest searched depth below sea level.
        split: events of this split alone (SeisBench folder).
        travel_times: in place of `velocity`, a folder of NonLinLoc's travel-time grids (`jaxloc.io.time_grids`).
        grid_spacing: in km, of the travel times of a velocity model of three dimensions.
        vp_vs: ratio of speeds, of grids that have P alone.
        topography: elevations that no hypocentre is above (`jaxloc.io.topography_grids`).
        learn_velocities: learn speeds, station terms and errors of picks from all events first
            (`jaxloc.runs.learnt_velocities`).
        settings: of the locator.

    Raises:
        ValueError: where an input, an option or a setting is missing or wrong; names it.
    """
    places, model, earlier = (None if path is None else Path(path) for path in (stations, velocity, catalogue))
    request = picking.Request(locator, Path(picks), places, model, earlier, region, depth_km, split, settings)
    grids, surface = (None if path is None else Path(path) for path in (travel_times, topography))
    request = request._replace(
        velocity_form=velocity_form, travel_times=grids, grid_spacing=grid_spacing, vp_vs=vp_vs, topography=surface
    )
    read = picking.open_picks(request)
    request = request._replace(learn_velocities=learn_velocities)
    setup = picking.setup_for(request, read.dataset)
    request, setup = picking.with_learnt(request, read, setup, lambda line: None)
    located = picking.locate(prng.stream("location"), request, read, setup=setup)
    found = results_of(read.dataset, located, flags=picking.edge_flags(located, setup))
    moved = tuple(report.moved(event, read.zero_s.get(event.id, 0.0)) for event in found.hypocentres)
    return replace(found, hypocentres=moved, lost={**read.lost, **found.lost})


def simulate(model: TrainedModel, number: int) -> Dataset:
    """Fresh simulated events of a run that was trained on simulated data, with their true hypocentres as labels.

    Raises:
        ValueError: for a run on real data.
    """
    return fresh_events(model.config["data"], int(model.config["seed"]), number)


def evaluate(located: Located, truth: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """Score cards of located events and of the climatology (where a run located them), as in `scores.json`.

    Args:
        located: events.
        truth: a catalogue (QuakeML, or CSV with id, latitude_deg, longitude_deg, depth_km, origin_time), matched by
            event id, else by origin time within 3 s; the labels of the data set without it.

    Raises:
        ValueError: where no event has a true hypocentre.
    """
    label = located.batch.labels["hypocentre"] if truth is None else _label(located, read_truths(truth))
    if not np.asarray(label.mask).any():
        raise ValueError(f"none of {len(located)} events has a true hypocentre; truth must name or time some of them")
    posteriors = {"locator": located.posterior}
    if located.spec is not None:
        posteriors["catalogue"] = report.baseline_of(located.spec, len(located))
    return report.score(posteriors, label)[0]


def _label(located: Located, truths: list) -> Label:
    """True hypocentres [event, 4] of located events, in the local frame."""
    names = [(event.id,) for event in located.dataset.events]
    found = by_name(names, truths)
    if not any(found):
        found = by_time([_origin_s(event) for event in located], truths)
    starts = [_start_s(event.start) for event in located.dataset.events]
    value, known = in_frame(located.dataset.frame, found, starts)
    return Label(value.astype(np.float32), known)  # pyright: ignore[reportArgumentType]


def _start_s(start: str | None) -> float:
    return np.nan if start is None else seconds(parse_time(start))


def _origin_s(event: LocatedEvent) -> float:
    """Origin time in s since 1970, NaN where the event or its start is unknown."""
    found = event.hypocentre
    return np.nan if found is None else _start_s(found.start) + found.origin_s


def calibrate(
    model: TrainedModel, events: str | Path | Dataset | int, *, split: str | None = None, kind: str = BEST, by: str = ""
) -> TrainedModel:
    """The model with a calibration, which is stored in its run folder.

    Args:
        model: a trained run.
        events: labelled events held out from training: a SeisBench folder, a data set, or a number of fresh simulated
            ones.
        split: events of this split alone.
        kind: of recalibration; the best by cross-fitted likelihood by default.
        by: "gap" or "distance" for group-conditional conformal levels.

    Raises:
        ValueError: for training events, or too few events with a known hypocentre.
    """
    dataset = simulate(model, events) if isinstance(events, int) else model.open(events, split=split)
    _, calibration = calibrate_run(trained_for(model.fitted, dataset, None), dataset, kind, by)
    write_calibration(model.folder, calibration)
    return replace(model, calibration=calibration)


def compare(*runs: TrainedModel | str | Path, path: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """Score cards of finished runs by their names, with climatologies, and, where a path is given, a figure of them.

    Runs that share a name go by their folders. Warns of runs that were scored on different data sets.

    Raises:
        ValueError: where a folder has no scores.
    """
    cards, different = side_by_side([run.folder if isinstance(run, TrainedModel) else Path(run) for run in runs])
    for line in different:
        warnings.warn(line, stacklevel=2)
    if path is not None:
        compare_cards(path, cards)
    return cards


def plot(located: Located | LocatedEvent, path: str | Path) -> Path:
    """A map of located events, or the posterior of one event in map view and depth sections."""
    return located.plot(path)
