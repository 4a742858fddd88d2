"""Experiments with a locator that has no network: nothing is trained; validation events are located and scored."""

import time
from pathlib import Path
from typing import Any

from jaxloc import locators, prng
from jaxloc.calibration.calibration import Predictions
from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.locators.setup import Setup
from jaxloc.models.spec import ModelSpec
from jaxloc.physics.layered import velocity_of
from jaxloc.physics.velocity_error import velocity_error_of
from jaxloc.runs.datasets import open_sources, spec_of
from jaxloc.runs.evaluate import write_results
from jaxloc.runs.predict import locate_by
from jaxloc.runs.report import baseline_of, climatology_of
from jaxloc.training.log import OnStep, Say, counted
from jaxloc.training.run_folder import worked_in

Config = dict[str, Any]


def run(config: Config, folder: Path, say: Say = print, on_step: OnStep | None = None) -> Path:
    """Locate an experiment's validation events by its locator, and write scores, events and pictures into a run folder.

    The training events give the search region and the climatology. A finished run stays.

    Args:
        config: a resolved configuration with a section `locator`.
        folder: the run folder.
        say: takes one line for the user.
        on_step: not called, since nothing is trained.

    Raises:
        ValueError: for wrong configurations and data, or a folder of another configuration or in use.
        OSError: where the folder cannot be written.
    """
    return worked_in(folder, config, say, on_step, lambda log, stepped: _run(config, folder, log))


def _run(config: Config, folder: Path, say: Say) -> None:
    seed, name = int(config["seed"]), config["locator"]["name"]
    sources = open_sources(config["data"], seed)
    spec = spec_of(config | {"model": config["locator"]}, sources.train)
    settings = {key: value for key, value in config["locator"].items() if key != "name"}
    locator = locators.build(name, setup_of(spec, sources.dev), settings)
    say(f"locating {len(sources.dev)} events at {len(sources.dev.stations)} stations by {name}")
    began = time.monotonic()
    on_chunk = counted(say, "located", len(sources.dev))
    located = locate_by(prng.stream("location", seed), locator, sources.dev, on_chunk, name in locators.JOINT)
    seconds, others = time.monotonic() - began, {"catalogue": baseline_of(spec, len(sources.dev))}
    predictions = Predictions(located.posterior)
    write_results(folder, str(config["name"]), sources.dev, located, predictions, others, seconds, say)


def setup_of(spec: ModelSpec, dataset: Dataset) -> Setup:
    """Region, velocity model and climatology of an experiment, for the events of a data set.

    Raises:
        ValueError: for a wrong velocity model.
    """
    station_km = positions_km(dataset.frame, dataset.stations)
    model, error = velocity_of(spec.velocity), velocity_error_of(spec.velocity)
    return Setup(spec.region, station_km, model, climatology_of(spec), dataset.rate_hz, error)
