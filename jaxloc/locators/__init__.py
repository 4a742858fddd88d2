"""Locators: anything that maps observations to a posterior over hypocentres. `__all__` is the registry."""

from jaxloc.locators import arrivals, grid_search, neural, single_station, sp_rule

__all__ = ["arrivals", "grid_search", "neural", "single_station", "sp_rule"]
