"""Networks: one published network a file, by name. `__all__` is the registry that experiments pick from.

Every module offers `Model`, a Flax module that sees the observations of one event and returns raw outputs,
and `network(size, **settings)`, the same bound to pure functions, `size` being what a head wants.
Forecasting networks (`kail2021`, `panakkat2009`) read a catalogue, not the observations of an event, and have a
`Model` alone.
"""

from jaxloc.networks import (
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
