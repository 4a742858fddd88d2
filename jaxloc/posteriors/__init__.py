"""Posteriors over the weights of any network, one a file, all of them a `jaxloc.types.Method`."""

from jaxloc.posteriors.point import point as point
from jaxloc.posteriors.target import prior_mean as prior_mean
from jaxloc.posteriors.target import prior_scale as prior_scale
from jaxloc.posteriors.target import target as target
from jaxloc.posteriors.variational import mean_field as mean_field
from jaxloc.posteriors.wrappers import ensemble as ensemble

__all__ = ["ensemble", "mean_field", "point"]
