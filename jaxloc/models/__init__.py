"""Models: a network, its head and its locator, one a file under the network's name. `__all__` is the registry.

Each module offers `model(spec, **settings) -> Model`; `jaxloc.models.registry` finds them by name.
"""

# pyright: reportUnsupportedDunderAll=false
# Modules are imported by `__getattr__`.

from importlib import import_module
from types import ModuleType

__all__ = [
    "arrival_rates",
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


def __getattr__(name: str) -> ModuleType:
    """A model's module, imported on first use: one model does not wait for the others."""
    if name in __all__:
        return import_module(f"jaxloc.models.{name}")
    raise AttributeError(f"module 'jaxloc.models' has no attribute {name!r}; use one of {', '.join(__all__)}")
