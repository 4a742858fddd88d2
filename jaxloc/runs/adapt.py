"""A model that comes with jaxloc, adapted to a region by its events: physics, and where it is asked for the weights.

What labelled events teach are speeds of layers and Vp/Vs, station terms and those that depend on the source
(`jaxloc.physics.joint_inversion`, `jaxloc.physics.source_terms`), where events are to be expected, and how arrivals
look there (`jaxloc.runs.adapt_weights`). Where analysts labelled no arrivals the network itself reads them, near the
times that the catalogue predicts.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.models.arrivals_and_physics import ELSEWHERE
from jaxloc.models.pretrained import Pretrained
from jaxloc.models.registry import build
from jaxloc.models.spec import ModelSpec, catalogue_of, read_spec, write_spec
from jaxloc.models.weight_arrays import by_path, in_place, write_arrays
from jaxloc.physics.adaptive_grid import Region
from jaxloc.runs.adapt_weights import Tuning, fine_tuned
from jaxloc.runs.crusts import crust_at
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.search_region import around_stations
from jaxloc.runs.shipped import PARAMETERS, blank, draws_of, of_draws
from jaxloc.training.log import OnStep, Say
from jaxloc.training.run_folder import VERSION
from jaxloc.training.stages import prepare

SPEC, ABOUT = "model.json", "adapted.json"
MARGIN_KM = 10.0  # of the search region about the events
SPEED_SD = 0.03  # of each layer's P speed, which the events then determine


def adapt(
    found: Pretrained,
    dataset: Dataset,
    velocity: Mapping[str, Any] | None,
    say: Say,
    tuning: Tuning | None = None,
    folder: Path | None = None,
    on_step: OnStep | None = None,
) -> Fitted:
    """The model of a file of weights with physics fitted to a data set of labelled events, and its weights fine-tuned.

    Args:
        found: the weights.
        dataset: at the sampling rate of the weights, in a frame of its own.
        velocity: model of the region; None: the crust of `crust_at`.
        say: takes one line for the user.
        tuning: how the weights are fine-tuned; None: they stay.
        folder: where checkpoints of fine-tuning are kept; needed with it.
        on_step: for a progress display.

    Raises:
        ValueError: where no event has a labelled epicentre, the network is sure of no arrival of any, or the weights
            cannot be fine-tuned (`jaxloc.runs.adapt_weights.fine_tuned`).
    """
    spec = _spec(found, dataset, dict(velocity or crust_at(dataset.stations).settings))
    model = build(spec)
    params = draws_of(found, spec, model)
    if tuning is not None:
        assert folder is not None
        params = fine_tuned(folder, model, params, dataset, spec.catalogue, tuning, say, on_step)
    say(f"fitting physics to {len(dataset)} events at {len(dataset.stations)} stations")
    params, _ = prepare(model, params, dataset, by_network=True)
    assert model.source_terms is not None
    spec = spec._replace(source_terms=model.source_terms(params, dataset))
    return of_draws(spec, build(spec), params)


def _spec(found: Pretrained, dataset: Dataset, velocity: dict[str, Any]) -> ModelSpec:
    catalogue = catalogue_of(dataset)
    if not catalogue.known[:, :2].all(-1).any():
        raise ValueError(
            f"no event of {dataset.name} has a labelled epicentre; some must have source_latitude_deg and "
            "source_longitude_deg"
        )
    exact = {name: value for name, value in velocity.items() if name not in ("speed_sd", "vp_vs_sd")}
    fitted = {"source_terms": True, "picks_by_catalogue": True}
    settings = dict(found.settings) | fitted | {"prior": {**ELSEWHERE, "speed_sd": SPEED_SD}}
    return ModelSpec(
        settings,
        dataset.frame,
        dataset.stations,
        found.rate_hz,
        dataset.num_samples,
        found.bandpass_hz,
        catalogue,
        exact,
        _region(dataset, catalogue.hypocentres[catalogue.known[:, :2].all(-1)]),
    )


def _region(dataset: Dataset, hypocentres: np.ndarray) -> Region:
    """Around stations and events alike."""
    region = around_stations(
        positions_km(dataset.frame, dataset.stations), (-20.0, dataset.num_samples / dataset.rate_hz)
    )
    low, high = hypocentres[:, :2].min(0) - MARGIN_KM, hypocentres[:, :2].max(0) + MARGIN_KM
    wider = [(min(a, float(x)), max(b, float(y))) for (a, b), x, y in zip(region[:2], low, high, strict=True)]
    return region._replace(east_km=wider[0], north_km=wider[1])


def write_adapted(folder: Path, fitted: Fitted, about: Mapping[str, Any]) -> None:
    """Write an adapted model into a folder, which `jaxloc.runs.load.load` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    write_spec(folder / SPEC, fitted.spec)
    write_whole(folder / ABOUT, json.dumps({VERSION: __version__, **about}, indent=1).encode())
    write_arrays(folder / PARAMETERS, by_path(fitted.state))


def read_adapted(folder: Path) -> tuple[dict[str, Any], Fitted]:
    """The configuration and the model of `write_adapted`.

    Raises:
        ValueError: where a file is missing or damaged; names it.
    """
    spec = read_spec(folder / SPEC)
    model = build(spec)
    try:
        with np.load(folder / PARAMETERS, allow_pickle=False) as archive:
            params = in_place(blank(model, spec), {name: archive[name] for name in archive.files})
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{folder / PARAMETERS} is damaged ({error}); adapt the model again") from error
    return {"name": folder.name, "data": {}, "stages": {}}, of_draws(spec, model, params)
