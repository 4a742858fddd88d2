"""Posteriors over the weights of any network, one a file, all of them a `jaxloc.types.Method`."""

from jaxloc.posteriors.laplace import laplace as laplace
from jaxloc.posteriors.nuts import nuts as nuts
from jaxloc.posteriors.point import dropout as dropout
from jaxloc.posteriors.point import point as point
from jaxloc.posteriors.stein import stein as stein
from jaxloc.posteriors.stochastic_gradient import sghmc as sghmc
from jaxloc.posteriors.stochastic_gradient import sgld as sgld
from jaxloc.posteriors.swag import swag as swag
from jaxloc.posteriors.target import by_event as by_event
from jaxloc.posteriors.target import prior_mean as prior_mean
from jaxloc.posteriors.target import prior_scale as prior_scale
from jaxloc.posteriors.target import target as target
from jaxloc.posteriors.target import with_normal_prior as with_normal_prior
from jaxloc.posteriors.variational import full_covariance as full_covariance
from jaxloc.posteriors.variational import low_rank as low_rank
from jaxloc.posteriors.variational import mean_field as mean_field
from jaxloc.posteriors.wrappers import ensemble as ensemble
from jaxloc.posteriors.wrappers import subspace as subspace

__all__ = [
    "dropout",
    "ensemble",
    "full_covariance",
    "laplace",
    "low_rank",
    "mean_field",
    "nuts",
    "point",
    "sghmc",
    "sgld",
    "stein",
    "subspace",
    "swag",
]
