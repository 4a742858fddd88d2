"""Locators: anything that maps observations to a posterior over hypocentres."""

__all__ = ["arrivals", "neural"]
