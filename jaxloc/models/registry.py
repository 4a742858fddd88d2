"""Models by name: the modules of `jaxloc.models.__all__`, each with its `model(spec, **settings)`."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from jaxloc import models
from jaxloc.geometry import Frame
from jaxloc.models.model import Model
from jaxloc.models.spec import Catalogue, ModelSpec
from jaxloc.physics.adaptive_grid import Region
from jaxloc.settings import check, settings_of

Build = Callable[..., Model]


def builders() -> dict[str, Build]:
    """The builder of each model, by name."""
    return {name: getattr(models, name).model for name in models.__all__}


def build(spec: ModelSpec) -> Model:
    """The model that a specification describes.

    Raises:
        ValueError: for a model, or a setting of it, that does not exist; lists those that do.
    """
    settings = dict(spec.settings)
    name, known = settings.pop("name"), builders()
    if name not in known:
        raise ValueError(f"no such model: {name!r}; use one of {', '.join(known)}")
    check(name, settings_of(known[name]), settings)
    return known[name](spec, **settings)


def at_stations(
    spec: ModelSpec, model: Model, frame: Frame, region: Region, stations_km: Float[np.ndarray, "station 3"]
) -> ModelSpec:
    """The specification of a model at stations that it was not trained at, in their frame.

    The catalogue, which is not known there, is replaced by the positions of the stations, with depth and origin time
    unknown.

    Raises:
        ValueError: for a model of its training stations alone.
    """
    if model.transfer is None:
        raise ValueError(
            f"model {spec.settings['name']!r} takes the stations of its training alone; "
            "use a model of any stations, such as arrivals"
        )
    places = np.concatenate([stations_km[:, :2], np.zeros((len(stations_km), 2))], -1)
    catalogue = Catalogue(places, np.tile([True, True, False, False], (len(places), 1)))
    settings = spec.settings | model.transfer.settings(region, stations_km)
    return spec._replace(frame=frame, region=region, settings=settings, catalogue=catalogue, source_terms=None)
