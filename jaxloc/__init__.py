"""jaxloc locates earthquakes with Bayesian neural networks and says honestly how sure it is."""

__version__ = "0.1.0"
