"""Puts the structured configurations into Hydra's ConfigStore, under the names that `experiments/` builds on.

`experiment`, `weight_free`, `forecast` and `forecast_in_parts` are whole experiments, `study` is a study; in the
groups, `base_NAME` has the defaults: `data/base_seisbench`, `model/base_MODEL`, `posterior/base_METHOD`,
`locator/base_LOCATOR`. The group `simulation` is here alone.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore

from jaxloc import locators
from jaxloc.inference import registry
from jaxloc.models.registry import builders
from jaxloc.runs import schema, schema_forecasts, schema_studies
from jaxloc.runs.derived import dataclass_of
from jaxloc.settings import Setting, settings_of

ROOTS: dict[str, type] = {
    "experiment": schema.Experiment,
    "weight_free": schema.WeightFree,
    "arrival_rates": schema.ArrivalRates,
    "forecast": schema.Forecast,
    "forecast_in_parts": schema.ForecastInParts,
    "study": schema_studies.Study,
}
DATA: dict[str, type] = {
    "seisbench": schema.SeisBench,
    "simulated": schema.Simulated,
    "groningen": schema.Groningen,
    "simulated_picks": schema.SimulatedPicks,
    "simulated_networks": schema.SimulatedNetworks,
    "finite_fault": schema.FiniteFault,
    "kail2021": schema_forecasts.Kail2021Data,
    "panakkat2009": schema_forecasts.Panakkat2009Data,
}
SIMULATIONS: dict[str, type] = {
    "oklahoma_like": schema.AroundTraining,
    "general": schema.GeneralAroundTraining,
    "network": schema.OwnNetwork,
}
FORECASTS: dict[str, type] = {"kail2021": schema_forecasts.Kail2021, "panakkat2009": schema_forecasts.Panakkat2009}


def register() -> None:
    """Store the structured configurations of all there is; those stored before are replaced."""
    store: Callable[..., None] = ConfigStore.instance().store
    if "replace" in inspect.signature(store).parameters:  # Hydra 1.4 and later warn without it
        store = partial(store, replace=True)
    for name, whole in ROOTS.items():
        store(name=name, node=whole)
    groups: dict[str, Mapping[str, Any]] = {
        "data": DATA,
        "simulation": SIMULATIONS,
        "model": {name: _model(name, build) for name, build in builders().items()} | FORECASTS,
        "posterior": {name: _posterior(name) for name in registry.names()},
        "locator": {name: _locator(name) for name in locators.__all__},
    }
    for group, members in groups.items():
        for name, node in members.items():
            store(group=group, name=name if group == "simulation" else f"base_{name}", node=node)


def _model(name: str, build: Callable[..., Any]) -> Any:
    """A model's settings; of a builder that takes any, the name alone, to which any may be added."""
    settings = settings_of(build)
    if settings is None:
        return {"name": name}
    return dataclass_of(f"Model_{name}", {"name": Setting(str, name), **settings})


def _locator(name: str) -> type:
    """A locator's settings, those that its `build` takes by name."""
    settings = settings_of(getattr(locators, name).build) or {}
    return dataclass_of(f"Locator_{name}", {"name": Setting(str, name), **settings})


def _posterior(method: str) -> type:
    """What every weight posterior has, and the options of its method."""
    number = float | None  # options that are None by default are numbers
    options = {
        key: Setting(number if value is None else type(value), value)
        for key, value in registry.options_of(method).items()
    }
    if "temperature" in options:
        options["temperature"] = Setting(float, "${temperature}")
    of_method = dataclass_of(f"Options_{method}", options)
    own = {"name": Setting(str, method), "method": Setting(str, method), "options": Setting(of_method, of_method)}
    return dataclass_of(f"Posterior_{method}", own, base=schema.Posterior)
