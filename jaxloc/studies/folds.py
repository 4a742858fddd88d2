"""The folds of a cross-validation: at random, in space, in time and by network, each as a configuration to run."""

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc import prng
from jaxloc.data import blocks
from jaxloc.data.blocks import Fold
from jaxloc.data.dataset import Dataset
from jaxloc.studies.grid import digest

CHUNK = 64  # events read at a time
SCHEMES = ("random", "space", "time", "network")
Settings = Mapping[str, Any]


class Facts(NamedTuple):
    """What folds are made of: ids, epicentres (NaN where unknown), times in s since 1970, stations and their masks."""

    ids: tuple[str, ...]
    epicentre_km: Float[np.ndarray, "event 2"]
    time_s: Float[np.ndarray, " event"]
    station_km: Float[np.ndarray, "event station 3"]
    station_mask: Bool[np.ndarray, "event station"]
    codes: tuple[str, ...]


class Planned(NamedTuple):
    """One fold with its whole configuration; `data.fold` of it has the ids of the events of each part."""

    scheme: str
    number: int
    config: dict[str, Any]


def facts_of(dataset: Dataset) -> Facts:
    """The facts of all events of a data set, read a chunk at a time."""
    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // CHUNK))
    found = []
    for index in parts:
        batch = dataset.take(index)
        value, known = (np.asarray(x) for x in batch.labels["hypocentre"])
        at = np.where(known[:, :2].all(-1, keepdims=True), value[:, :2], np.nan)
        found.append((at, np.asarray(batch.observations.station_km), np.asarray(batch.observations.station_mask)))
    epicentre_km, station_km, station_mask = (np.concatenate(each) for each in zip(*found, strict=True))
    time_s = np.array([_seconds(event.origin or event.start) for event in dataset.events])
    ids, codes = tuple(event.id for event in dataset.events), tuple(station.code for station in dataset.stations)
    return Facts(ids, epicentre_km, time_s, station_km, station_mask, codes)


def _seconds(time: str | None) -> float:
    if time is None:
        return np.nan
    moment = datetime.datetime.fromisoformat(time)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def folds_of(scheme: str, facts: Facts, settings: Settings) -> list[Fold]:
    """The folds of a scheme; events of an unknown epicentre are in no fold.

    Args:
        scheme: one of `SCHEMES`.
        facts: of all events.
        settings: `evaluation` of an experiment's configuration.

    Raises:
        ValueError: where these events cannot be divided so, or for an unknown way to make blocks; says why.
    """
    known = np.asarray(np.isfinite(facts.epicentre_km).all(-1))
    share, seed = float(settings["dev_share"]), prng.SEEDS["folds"]
    if scheme == "time":
        return blocks.forward_chaining(np.where(known, facts.time_s, np.nan), int(settings["time_folds"]), share)
    block = np.full(len(facts.ids), -1)
    block[known] = _BLOCKS[scheme](Facts(*(_rows(x, known) for x in facts)), settings)
    return blocks.leaving_out(block, int(settings[f"{scheme}_folds"]), share, seed)


def _rows(values: Any, known: Bool[np.ndarray, " event"]) -> Any:
    return values[known] if isinstance(values, np.ndarray) else values


def _in_space(facts: Facts, settings: Settings) -> np.ndarray:
    kinds = {"cells": blocks.cells, "clusters": blocks.clusters}
    if settings["space_blocks"] not in kinds:
        raise ValueError(f"evaluation.space_blocks must be cells or clusters, got {settings['space_blocks']!r}")
    return kinds[settings["space_blocks"]](facts.epicentre_km, float(settings["space_km"]))


_BLOCKS: Mapping[str, Callable[[Facts, Settings], np.ndarray]] = {
    "random": lambda facts, settings: np.arange(len(facts.epicentre_km)),
    "space": _in_space,
    "network": lambda facts, settings: blocks.by_station_group(facts.station_km, facts.station_mask, facts.codes),
}


def plan(config: Settings, facts: Facts) -> tuple[list[Planned], dict[str, str]]:
    """The folds of an experiment as configurations, and by scheme the reason why it has none.

    A scheme whose number of folds is 0 is left out.

    Args:
        config: of the experiment; its `run_dir` is the folder of the cross-validation.
        facts: of its labelled events.

    Raises:
        ValueError: where no scheme can be used; gives the reasons.
    """
    settings, planned, without = config["evaluation"], [], {}
    for scheme in (name for name in SCHEMES if int(settings[f"{name}_folds"])):
        try:
            folds = folds_of(scheme, facts, settings)
        except ValueError as error:
            without[scheme] = str(error)
            continue
        planned += [Planned(scheme, i, _configured(config, scheme, i, fold, facts)) for i, fold in enumerate(folds)]
    if not planned:
        reasons = "; ".join(f"{scheme}: {reason}" for scheme, reason in without.items())
        raise ValueError(f"no fold to run ({reasons or 'all numbers of folds are 0'}); evaluation.*_folds set them")
    return planned, without


def _configured(config: Settings, scheme: str, number: int, fold: Fold, facts: Facts) -> dict[str, Any]:
    parts = {name: [facts.ids[i] for i in index] for name, index in fold._asdict().items()}
    name = f"{scheme}_{number}"
    data = {**config["data"], "fold": {"by": scheme, "number": number, **parts}}
    # Runs of different events or settings have folders of their own.
    content = {key: value for key, value in config.items() if key not in ("name", "run_dir", "evaluation")}
    folder = Path(config["run_dir"]) / f"{name}_{digest(content | {'data': data})}"
    return {**config, "name": f"{config['name']} {name}", "run_dir": str(folder), "data": data}
