"""jaxloc locates earthquakes with Bayesian neural networks and reports calibrated location uncertainty.

`load` or `train` a model, `model.locate` events, `evaluate`, `calibrate`, `compare` and `plot` them; docs/python.md
has examples. Names are imported on first use, so that `import jaxloc` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from jaxloc import distributions as distributions
    from jaxloc import heads as heads
    from jaxloc import inference as inference
    from jaxloc import locators as locators
    from jaxloc import models as models
    from jaxloc import networks as networks
    from jaxloc import physics as physics
    from jaxloc import regression as regression
    from jaxloc.api import TrainedModel as TrainedModel
    from jaxloc.api import calibrate as calibrate
    from jaxloc.api import compare as compare
    from jaxloc.api import configure as configure
    from jaxloc.api import evaluate as evaluate
    from jaxloc.api import load as load
    from jaxloc.api import locate as locate
    from jaxloc.api import locate_picks as locate_picks
    from jaxloc.api import plot as plot
    from jaxloc.api import simulate as simulate
    from jaxloc.api import train as train
    from jaxloc.data.dataset import Dataset as Dataset
    from jaxloc.data.dataset import Station as Station
    from jaxloc.geometry import Frame as Frame
    from jaxloc.io.seisbench import read_seisbench as read_seisbench
    from jaxloc.io.seisbench import write_seisbench as write_seisbench
    from jaxloc.io.stations import read_stations as read_stations
    from jaxloc.io.velocity_model import read_velocity as read_velocity
    from jaxloc.io.waveforms import read_waveforms as read_waveforms
    from jaxloc.runs.results import Located as Located
    from jaxloc.runs.results import LocatedEvent as LocatedEvent
    from jaxloc.types import Label as Label
    from jaxloc.types import Locator as Locator
    from jaxloc.types import Observations as Observations
    from jaxloc.types import Posterior as Posterior

__all__ = [
    "Dataset",
    "Frame",
    "Label",
    "Located",
    "LocatedEvent",
    "Locator",
    "Observations",
    "Posterior",
    "Station",
    "TrainedModel",
    "calibrate",
    "compare",
    "configure",
    "distributions",
    "evaluate",
    "heads",
    "inference",
    "load",
    "locate",
    "locate_picks",
    "locators",
    "models",
    "networks",
    "physics",
    "plot",
    "read_seisbench",
    "read_stations",
    "read_velocity",
    "read_waveforms",
    "regression",
    "simulate",
    "train",
    "write_seisbench",
]

_FOLDERS = ("distributions", "heads", "inference", "locators", "models", "networks", "physics", "regression")
_MODULES = {
    "jaxloc.api": (
        ("TrainedModel", "calibrate", "compare", "configure", "evaluate")
        + ("load", "locate", "locate_picks", "plot", "simulate", "train")
    ),
    "jaxloc.data.dataset": ("Dataset", "Station"),
    "jaxloc.geometry": ("Frame",),
    "jaxloc.io.seisbench": ("read_seisbench", "write_seisbench"),
    "jaxloc.io.stations": ("read_stations",),
    "jaxloc.io.velocity_model": ("read_velocity",),
    "jaxloc.io.waveforms": ("read_waveforms",),
    "jaxloc.runs.results": ("Located", "LocatedEvent"),
    "jaxloc.types": ("Label", "Locator", "Observations", "Posterior"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, imported on first use."""
    if name in _FOLDERS:
        return import_module(f"jaxloc.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'jaxloc' has no attribute {name!r}; use one of {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
