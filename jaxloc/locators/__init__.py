"""Locators: key and observations of a batch of events to posteriors over hypocentres.

`__all__` is the registry of those that need no network: each module has `build(setup, **settings)`. Locators with a
network (`arrivals`, `neural`, `single_station`) are built by models.
"""

from collections.abc import Mapping
from typing import Any

from jaxloc.locators import climatology, geiger, grid_search, hierarchical, nuts, octree, source_scan, sp_rule
from jaxloc.locators.setup import Setup
from jaxloc.settings import settings_of
from jaxloc.types import Locator

__all__ = ["climatology", "geiger", "grid_search", "hierarchical", "nuts", "octree", "source_scan", "sp_rule"]
JOINT = ("hierarchical",)
"""Locators that treat all events as one problem: they must be given all of them at once."""
WITHOUT_VELOCITIES = ("climatology", "sp_rule")
"""Locators that have no use for the uncertainty of a velocity model."""
OF_LEARNT_VELOCITIES = ("grid_search", "octree")
"""Locators that integrate over what many events leave unknown of velocities (`jaxloc.locators.setup.Setup.shared`)."""
OF_ANY_TIMES = ("geiger", "grid_search", "hierarchical", "nuts", "octree")
"""Locators that take travel times of grids in place of a velocity model, and the ground's surface."""


def build(name: str, setup: Setup, settings: Mapping[str, Any] | None = None) -> Locator:
    """A registered locator by name.

    Raises:
        ValueError: for a name or a setting that does not exist, a wrong value, or where the setup lacks what the
            locator needs; says which.
    """
    if name not in __all__:
        raise ValueError(f"no such locator: {name!r}; use one of {', '.join(__all__)}")
    make = globals()[name].build
    known = settings_of(make) or {}
    if unknown := sorted(set(settings or {}) - set(known)):
        raise ValueError(
            f"the locator {name} has no setting {', '.join(unknown)}; use one of: {', '.join(known) or 'none'}"
        )
    if name not in OF_ANY_TIMES and (setup.times is not None or setup.ground is not None):
        raise ValueError(
            f"travel-time grids and topography have no effect on the locator {name}; use {', '.join(OF_ANY_TIMES)}"
        )
    if setup.times is not None and "spacing_km" in (settings or {}):
        raise ValueError("spacing_km has no effect on travel times of grids; leave it out")
    return make(setup, **(settings or {}))
