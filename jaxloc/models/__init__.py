"""Models: a network, its head and its locator, one a file under the network's name. `__all__` is the registry.

Each module offers `model(spec, **settings) -> Model`; `jaxloc.models.registry` finds them by name.
"""

from jaxloc.models import (
    arrivals,
    convnetquake,
    convnetquake_ingv,
    gu2019,
    janbakhsh2019,
    kriegerowski2019,
    mousavi2020,
    picks,
    preseis,
    set_transformer,
    station_graph,
    zhang2020,
    zhang2021,
)

__all__ = [
    "arrivals",
    "convnetquake",
    "convnetquake_ingv",
    "gu2019",
    "janbakhsh2019",
    "kriegerowski2019",
    "mousavi2020",
    "picks",
    "preseis",
    "set_transformer",
    "station_graph",
    "zhang2020",
    "zhang2021",
]
