"""The cells of a study: each combination of network, method, seed and size, as the configuration of an experiment."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxloc.runs import config as configuration
from jaxloc.studies.shifts import RECORDS


class Cell(NamedTuple):
    """One run of a study; `size` is its number of training events, None where the study does not vary it."""

    network: str
    method: str
    seed: int
    size: int | None


class Planned(NamedTuple):
    """A cell with its whole configuration; the name of its run folder has a digest of the configuration."""

    cell: Cell
    config: dict[str, Any]


def plan(study: Mapping[str, Any]) -> list[Planned]:
    """The cells of a study that `only` selects, with their configurations.

    Raises:
        ValueError: as `cells`, and for an experiment, key or value that does not exist; names it.
    """
    return [Planned(cell, _configured(study, cell)) for cell in cells(study)]


def cells(study: Mapping[str, Any]) -> list[Cell]:
    """The cells of a study that `only` selects, those of few training events first.

    Raises:
        ValueError: where `only` names something that the study does not have or selects no cell, or a cell comes twice.
    """
    found = [
        Cell(network, method, int(seed), None if size is None else int(size))
        for network, settings in _only(study, "networks").items()
        for method in _only(study, "methods")
        if method in (settings.get("methods") or [method])
        for seed in settings.get("seeds") or study["seeds"]
        for size in settings.get("sizes") or [None]
    ]
    if not found:
        raise ValueError("a study must have networks, methods and seeds, got none of one of them")
    if repeated := sorted({str(cell) for cell in found if found.count(cell) > 1}):
        raise ValueError(f"seeds and sizes of a study must differ, got {repeated[0]} twice")
    return sorted(found, key=lambda c: (c.size or 0, c.seed))


def checked(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a study's evaluation.

    Raises:
        ValueError: for a number that cannot be; names its key.
    """
    wanted = [(name, evaluation[name], 1) for name in ("events", "calibration", "draws")]
    wanted += [("shifted", evaluation["shifted"], 0)]
    wanted += [("drop_stations", number, 1) for number in evaluation["drop_stations"]]
    for name, number, least in wanted:
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ValueError(f"evaluation.{name} must be a whole number, at least {least}, got {number!r}")
    for level in evaluation["noise"]:
        if not isinstance(level, int | float) or not 0 < level < math.inf:
            raise ValueError(f"evaluation.noise must be positive standard deviations, got {level!r}")
    if unknown := [name for name in evaluation["records"] if name not in RECORDS]:
        raise ValueError(f"evaluation.records names {unknown[0]!r}; use some of: {', '.join(RECORDS)}")
    return dict(evaluation)


def _only(study: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The networks or methods that `only` names; all where it names none."""
    wanted, known = list(study["only"][part]), study[part]
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"only.{part} names {unknown[0]!r}; the study has {', '.join(known)}; use one of these")
    return {name: settings for name, settings in known.items() if name in wanted or not wanted}


def _configured(study: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    network = study["networks"][cell.network]
    overrides = [*network["overrides"], *study["methods"][cell.method], f"seed={cell.seed}"]
    if cell.size is not None:
        overrides.append(f"{study['size_key']}={cell.size}")
    config = _shorter(configuration.load(network["experiment"], overrides), int(study["shorter"]))
    # The digest lets another study find the same run, and keeps runs of different configurations apart.
    content = {key: value for key, value in config.items() if key not in ("name", "run_dir", "evaluation")}
    folder = Path(study["folder"]) / "runs" / f"{cell.network}_{cell.method}_{digest(content)}"
    return config | {"name": f"{cell.network} {cell.method}", "run_dir": str(folder)}


def _shorter(config: dict[str, Any], times: int) -> dict[str, Any]:
    """The same experiment with the steps of every stage divided by `times`, rounded up."""
    if times < 1:
        raise ValueError(f"shorter must be how many times fewer steps are trained, at least 1, got {times}")
    stages = {name: {**stage, "steps": -(-stage["steps"] // times)} for name, stage in config["stages"].items()}
    return config | {"stages": stages}


def stages_in_common(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The leading stages of point estimates that two configurations train identically."""
    if _before_stages(first) != _before_stages(second):
        return []
    common = []
    pairs = zip(first["stages"].items(), second["stages"].items(), strict=False)
    for (name, settings), (other, others) in pairs:
        if (name, settings) != (other, others) or settings["method"] != "point":
            break
        common.append(name)
    return common


def _before_stages(config: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that a stage of point estimates depends on, except its own settings."""
    parts = ("data", "model", "simulation", "seed")
    return {key: config[key] for key in parts} | {"members": config["posterior"]["members"]}


def digest(content: Mapping[str, Any]) -> str:
    """Twelve characters that tell configurations apart."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
