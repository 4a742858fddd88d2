"""Networks: one published network a file, by name. `__all__` is the registry that experiments pick from.

Every module offers `Model`, a Flax module that sees the observations of one event and returns raw outputs,
and `network(size, **settings)`, the same bound to pure functions, `size` being what a head wants.
Forecasting networks (`kail2021`, `panakkat2009`) read a catalogue, not the observations of an event, and have a
`Model` alone.
"""

from jaxloc.networks import arrivals as arrivals
from jaxloc.networks import convnetquake as convnetquake
from jaxloc.networks import convnetquake_ingv as convnetquake_ingv
from jaxloc.networks import gu2019 as gu2019
from jaxloc.networks import janbakhsh2019 as janbakhsh2019
from jaxloc.networks import kriegerowski2019 as kriegerowski2019
from jaxloc.networks import mousavi2020 as mousavi2020
from jaxloc.networks import picks as picks
from jaxloc.networks import preseis as preseis
from jaxloc.networks import set_transformer as set_transformer
from jaxloc.networks import station_graph as station_graph
from jaxloc.networks import zhang2020 as zhang2020
from jaxloc.networks import zhang2021 as zhang2021

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
