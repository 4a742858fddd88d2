"""Systems: a network, its head and its way of locating, put together from a blueprint; one function each."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from jaxloc.blueprint import Blueprint
from jaxloc.data.synthetic import positions_km
from jaxloc.systems.arrivals import arrivals, elsewhere
from jaxloc.systems.coordinates import multi_station, picks
from jaxloc.systems.preseis import preseis
from jaxloc.systems.system import LabelBatch, System, as_labelled
from jaxloc.systems.volumes import fully_convolutional
from jaxloc.types import Observations, Params

SYSTEMS: dict[str, Callable[..., System]] = {
    "arrivals": arrivals,
    "zhang2020": fully_convolutional,
    "kriegerowski2019": multi_station,
    "picks": picks,
    "preseis": preseis,
}


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
        raise ValueError(f"network {name!r}: {error}; its settings are in experiments/network") from error


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
