"""The settings of a study as a structured configuration; YAML files in `experiments/studies/` give what differs."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class StudiedNetwork:
    """An experiment of a study, with sizes of the training set, methods and seeds of its own; empty: the study's."""

    experiment: str = MISSING
    overrides: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    data: str | None = None  # what the table of published figures says of the data
    published: str | None = None  # figure of the paper


@dataclass
class Only:
    """A part of a study; empty: all."""

    networks: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)


@dataclass
class Evaluation:
    """How runs are evaluated; with real data by drop_stations, noise, records and draws alone, on validation events."""

    events: int = 500  # fresh events of the training distribution
    calibration: int = 500  # other fresh events, for recalibration and out-of-distribution detection
    shifted: int = 100  # events of each condition below
    drop_stations: list[int] = field(default_factory=list)  # number of silent stations
    noise: list[float] = field(default_factory=list)  # added to each trace, in standard deviations of its own noise
    records: list[str] = field(default_factory=list)  # changes of all records (RECORDS of jaxloc.studies.shifts)
    draws: int = 500  # posterior samples for scores
    transfer: bool = False  # events at other networks, for locators of any stations


@dataclass
class Study:
    """Every combination of networks, methods, seeds and sizes of the training set, each a run."""

    name: str = MISSING
    folder: str = "studies/${name}"
    workers: Any = 2  # processes on this machine, or the address of a Dask scheduler: tcp://host:8786
    networks: dict[str, StudiedNetwork] = field(default_factory=dict)
    methods: dict[str, list[str]] = field(default_factory=dict)  # overrides of each experiment
    only: Only = field(default_factory=Only)
    seeds: list[int] = field(default_factory=lambda: [0])
    shorter: int = 1  # divides the number of training steps: for trials
    size_key: str = "data.num_train"
    evaluation: Evaluation = field(default_factory=Evaluation)
