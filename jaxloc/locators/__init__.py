"""Locators: key and observations of a batch of events to posteriors over hypocentres. `__all__` is the registry."""

from jaxloc.locators import arrivals, climatology, grid_search, neural, single_station, sp_rule

__all__ = ["arrivals", "climatology", "grid_search", "neural", "single_station", "sp_rule"]
