"""The specification of a model: what a run takes from its training data, to build the model again without them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Dataset, Station, positions_km
from jaxloc.geometry import Frame
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.priors import Known, unknown_coordinates
from jaxloc.physics.source_terms import Covariance, SourceTerms
from jaxloc.types import Observations


class Catalogue(NamedTuple):
    """Hypocentres of the training events and which of their coordinates are known."""

    hypocentres: Float[np.ndarray, "event 4"]
    known: Bool[np.ndarray, "event 4"]


REMOVED = ("lattice_sizes",)  # settings of older runs without an effect on what was trained


class ModelSpec(NamedTuple):
    """A model by name and settings, and what it takes from the training data.

    Attributes:
        settings: `name` of the model, and its settings.
        frame: local projection of the training data.
        stations: of the training network, in the order of `Observations.station_index`.
        rate_hz: sampling rate.
        num_samples: samples of a record in training.
        bandpass_hz: corner frequencies of the filter; None: not filtered.
        catalogue: hypocentres of the training events.
        velocity: `top_km`, `vp_km_s`, and `vs_km_s` or one `vp_vs` (`jaxloc.physics.layered.velocity_of`).
        region: where hypocentres are searched for.
        source_terms: station terms that depend on the source, as they were learnt after training; None: there are none.
    """

    settings: dict[str, Any]
    frame: Frame
    stations: tuple[Station, ...]
    rate_hz: float
    num_samples: int
    bandpass_hz: tuple[float, float] | None
    catalogue: Catalogue
    velocity: dict[str, Any]
    region: Region
    source_terms: SourceTerms | None = None


def catalogue_of(dataset: Dataset, chunk: int = 64) -> Catalogue:
    """The hypocentres of a data set, read in chunks."""
    labels = [dataset.take(index).labels["hypocentre"] for index in _chunks(len(dataset), chunk)]
    return Catalogue(*(np.concatenate([np.asarray(x[i]) for x in labels]) for i in range(2)))


def _chunks(number: int, size: int) -> list[np.ndarray]:
    return [np.arange(at, min(at + size, number)) for at in range(0, number, size)]


def spread_of(spec: ModelSpec) -> Known:
    """Mean and standard deviation of each coordinate; `unknown_coordinates` of one that no event has.

    Raises:
        ValueError: where no training event has an epicentre.
    """
    catalogue, duration_s = spec.catalogue, spec.num_samples / spec.rate_hz
    if not catalogue.known[:, :2].all(-1).any():
        raise ValueError(
            "no training event has a labelled epicentre; some must have source_latitude_deg and source_longitude_deg"
        )
    centre, spread = unknown_coordinates(duration_s)
    for i in range(4):
        values = catalogue.hypocentres[catalogue.known[:, i], i]
        if len(values):
            centre[i], spread[i] = values.mean(), max(values.std(), 0.1)
    return centre, spread


def write_spec(path: Path, spec: ModelSpec) -> None:
    """Write a specification as JSON."""
    write_whole(path, as_json(spec).encode())


def as_json(spec: ModelSpec) -> str:
    """A specification as text, all of it: models of the same text are the same."""
    plain = spec._asdict() | {
        "frame": spec.frame._asdict(),
        "stations": [s._asdict() for s in spec.stations],
        "region": spec.region._asdict(),
        "catalogue": {k: v.tolist() for k, v in spec.catalogue._asdict().items()},
        "source_terms": None if spec.source_terms is None else _plain(spec.source_terms),
    }
    return json.dumps(plain, indent=1, default=np.ndarray.tolist)


def read_spec(path: Path) -> ModelSpec:
    """Read what `write_spec` wrote.

    Raises:
        ValueError: where the file is missing or is no specification; names it.
    """
    try:
        plain = json.loads(path.read_text())
        known = np.array(plain["catalogue"]["known"], bool)
        return ModelSpec(**plain)._replace(
            settings={k: v for k, v in plain["settings"].items() if k not in REMOVED},
            frame=Frame(**plain["frame"]),
            stations=tuple(Station(**s) for s in plain["stations"]),
            region=Region(**{k: (float(v[0]), float(v[1])) for k, v in plain["region"].items()}),
            catalogue=Catalogue(np.array(plain["catalogue"]["hypocentres"], np.float32), known),
            bandpass_hz=None if plain["bandpass_hz"] is None else tuple(plain["bandpass_hz"]),
            source_terms=_terms(plain.get("source_terms")),
        )
    except FileNotFoundError as error:
        raise ValueError(
            f"{path.parent} is no trained run: it must have {path.name}; train one with `jaxloc run`"
        ) from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged or of another version ({error}); train the run again") from error


def _plain(terms: SourceTerms) -> dict[str, Any]:
    """Lists of numbers, residuals and their variances to six digits."""
    lists = {k: np.asarray(v, float).tolist() for k, v in terms.covariance._asdict().items()}
    six = lambda x: [float(f"{value:.6g}") for value in np.asarray(x, float).reshape(-1)]
    arrays = {name: six(getattr(terms, name)) for name in ("source_km", "residual_s", "noise_s2")}
    return {"covariance": lists, "shape": list(np.shape(terms.residual_s)), **arrays}


def _terms(plain: dict[str, Any] | None) -> SourceTerms | None:
    if plain is None:
        return None
    single = lambda values: jnp.asarray(values, jnp.float32)
    of_picks = lambda name: single(plain[name]).reshape(plain["shape"])
    covariance = Covariance(**{name: single(values) for name, values in plain["covariance"].items()})
    source_km = single(plain["source_km"]).reshape(-1, 3)
    return SourceTerms(source_km, of_picks("residual_s"), of_picks("noise_s2"), covariance)


def example(spec: ModelSpec, num_stations: int | None = None) -> Observations:
    """Observations of zeros with the shapes that the model sees, to initialise it with."""
    number = num_stations or len(spec.stations)
    place = jnp.asarray(np.resize(positions_km(spec.frame, spec.stations), (number, 3)))
    return Observations(
        jnp.zeros((number, 3, spec.num_samples)),
        place,
        jnp.ones(number, bool),
        jnp.arange(number, dtype=jnp.int32),
        jnp.asarray(spec.rate_hz, jnp.float32),
        jnp.zeros((number, 2)),
        jnp.ones((number, 2)),
        jnp.ones((number, 2), bool),
    )
