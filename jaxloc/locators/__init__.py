"""Locators: anything that maps observations to a posterior over hypocentres. `__all__` is the registry."""

from jaxloc.locators import arrivals as arrivals
from jaxloc.locators import grid_search as grid_search
from jaxloc.locators import neural as neural
from jaxloc.locators import single_station as single_station
from jaxloc.locators import sp_rule as sp_rule

__all__ = ["arrivals", "grid_search", "neural", "single_station", "sp_rule"]
