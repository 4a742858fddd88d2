"""Systems: a network, its head and its way of locating, put together from a blueprint; one function each."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from jaxloc.geometry import Frame
from jaxloc.models.any_stations import set_transformer, station_graph
from jaxloc.models.arrivals import arrivals, settings_elsewhere
from jaxloc.models.coordinates import multi_station, picks
from jaxloc.models.gu2019 import coordinates
from jaxloc.models.model import LabelBatch, System, as_labelled
from jaxloc.models.preseis import preseis
from jaxloc.models.records import bayesian_single_station, denoised_record
from jaxloc.models.single_station import lomax2019, perol2018
from jaxloc.models.spec import Blueprint, Catalogue
from jaxloc.models.volumes import early_warning, fully_convolutional
from jaxloc.physics.adaptive_grid import Region
from jaxloc.simulation.events import positions_km
from jaxloc.types import Observations, Params

SYSTEMS: dict[str, Callable[..., System]] = {
    "arrivals": arrivals,
    "convnetquake": perol2018,
    "convnetquake_ingv": lomax2019,
    "zhang2020": fully_convolutional,
    "kriegerowski2019": multi_station,
    "picks": picks,
    "preseis": preseis,
    "mousavi2020": bayesian_single_station,
    "janbakhsh2019": denoised_record,
    "gu2019": coordinates,
    "zhang2021": early_warning,
    "set_transformer": set_transformer,
    "station_graph": station_graph,
}

ELSEWHERE: dict[str, Callable[[Region, Float[np.ndarray, "station 3"]], dict[str, Any]]] = {
    "arrivals": settings_elsewhere
}
"""What settings become at other stations, where a network's settings hold anything of the place."""


def build(blueprint: Blueprint) -> System:
    """The system that a blueprint describes.

    Raises:
        ValueError: for a network or a setting of it that is not known; lists those that are.
    """
    settings = dict(blueprint.network)
    name = settings.pop("name")
    if name not in SYSTEMS:
        raise ValueError(f"no such network: {name!r}; use one of {', '.join(SYSTEMS)}")
    try:
        return SYSTEMS[name](blueprint, **settings)
    except TypeError as error:
        raise ValueError(f"network {name!r}: {error}; its settings are in experiments/model") from error


def elsewhere(
    blueprint: Blueprint, frame: Frame, region: Region, stations_km: Float[np.ndarray, "station 3"]
) -> Blueprint:
    """The blueprint of a network taken to other stations, in their frame.

    Their places stand for the catalogue that is not known: events happen where people put stations.
    """
    places = np.concatenate([stations_km[:, :2], np.zeros((len(stations_km), 2))], -1)
    catalogue = Catalogue(places, np.tile([True, True, False, False], (len(places), 1)))
    network = dict(blueprint.network)
    if network["name"] in ELSEWHERE:
        network |= ELSEWHERE[network["name"]](region, stations_km)
    return blueprint._replace(frame=frame, region=region, network=network, catalogue=catalogue)


def example(blueprint: Blueprint, num_stations: int | None = None) -> Observations:
    """Silent observations of the shapes that the blueprint's network sees, to initialise it with."""
    number = num_stations or len(blueprint.stations)
    place = jnp.asarray(np.resize(positions_km(blueprint.frame, blueprint.stations), (number, 3)))
    return Observations(
        jnp.zeros((number, 3, blueprint.num_samples)),
        place,
        jnp.ones(number, bool),
        jnp.arange(number, dtype=jnp.int32),
        jnp.asarray(blueprint.rate_hz, jnp.float32),
        jnp.zeros((number, 2)),
        jnp.ones((number, 2)),
        jnp.ones((number, 2), bool),
    )


def initial(key: PRNGKeyArray, system: System, observations: Observations, members: int) -> Params:
    """Parameters of `members` networks, each from its own key, with a leading member axis."""
    return jax.jit(jax.vmap(lambda k: system.network.init(k, observations)))(jax.random.split(key, members))


__all__ = ["SYSTEMS", "LabelBatch", "System", "as_labelled", "build", "elsewhere", "example", "initial"]
