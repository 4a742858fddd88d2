"""What a trained run knows of the world it was trained in: enough to build its network again without its data."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Dataset, Station
from jaxloc.geometry import Frame
from jaxloc.physics.adaptive_grid import Region


class Catalogue(NamedTuple):
    """Hypocentres of the training events and which of their coordinates are known."""

    hypocentres: Float[np.ndarray, "event 4"]
    known: Bool[np.ndarray, "event 4"]


class Blueprint(NamedTuple):
    """Network and head by name and settings, and what they take from the training data."""

    network: dict[str, Any]
    frame: Frame
    stations: tuple[Station, ...]
    rate_hz: float
    num_samples: int
    bandpass_hz: tuple[float, float] | None
    catalogue: Catalogue
    velocity: dict[str, Any]
    region: Region


def catalogue_of(dataset: Dataset, chunk: int = 64) -> Catalogue:
    """The hypocentres of a data set, read in chunks."""
    labels = [dataset.take(index).labels["hypocentre"] for index in _chunks(len(dataset), chunk)]
    return Catalogue(*(np.concatenate([np.asarray(x[i]) for x in labels]) for i in range(2)))


def _chunks(number: int, size: int) -> list[np.ndarray]:
    return [np.arange(at, min(at + size, number)) for at in range(0, number, size)]


def spread_of(blueprint: Blueprint) -> tuple[Float[np.ndarray, " 4"], Float[np.ndarray, " 4"]]:
    """Mean and standard deviation of each coordinate; a broad guess of one that no event has.

    Raises:
        ValueError: where no training event has an epicentre.
    """
    catalogue, duration_s = blueprint.catalogue, blueprint.num_samples / blueprint.rate_hz
    if not catalogue.known[:, :2].all(-1).any():
        raise ValueError(
            "no training event has a labelled epicentre; label source_latitude_deg and source_longitude_deg"
        )
    middle, spread = np.array([0.0, 0.0, 10.0, duration_s / 4]), np.array([50.0, 50.0, 8.0, duration_s / 4])
    for i in range(4):
        values = catalogue.hypocentres[catalogue.known[:, i], i]
        if len(values):
            middle[i], spread[i] = values.mean(), max(values.std(), 0.1)
    return middle, spread


def write_blueprint(path: Path, blueprint: Blueprint) -> None:
    """Write a blueprint as JSON."""
    plain = blueprint._asdict() | {
        "frame": blueprint.frame._asdict(),
        "stations": [s._asdict() for s in blueprint.stations],
        "region": blueprint.region._asdict(),
        "catalogue": {k: v.tolist() for k, v in blueprint.catalogue._asdict().items()},
    }
    write_whole(path, json.dumps(plain, indent=1).encode())


def read_blueprint(path: Path) -> Blueprint:
    """Read what `write_blueprint` wrote.

    Raises:
        ValueError: where the file is missing or is no blueprint; names it.
    """
    try:
        plain = json.loads(path.read_text())
        known = np.array(plain["catalogue"]["known"], bool)
        return Blueprint(**plain)._replace(
            frame=Frame(**plain["frame"]),
            stations=tuple(Station(**s) for s in plain["stations"]),
            region=Region(**{k: (float(v[0]), float(v[1])) for k, v in plain["region"].items()}),
            catalogue=Catalogue(np.array(plain["catalogue"]["hypocentres"], np.float32), known),
            bandpass_hz=None if plain["bandpass_hz"] is None else tuple(plain["bandpass_hz"]),
        )
    except FileNotFoundError as error:
        raise ValueError(
            f"{path.parent} is no trained run: it has no {path.name}; train one with `jaxloc run`"
        ) from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged or of another version ({error}); train the run again") from error
