"""Posteriors over the weights of any network, one a file, all of them a `jaxloc.types.Method`."""

from jaxloc.inference.laplace import laplace as laplace
from jaxloc.inference.nuts import nuts as nuts
from jaxloc.inference.point import dropout as dropout
from jaxloc.inference.point import point as point
from jaxloc.inference.sgmcmc import sghmc as sghmc
from jaxloc.inference.sgmcmc import sgld as sgld
from jaxloc.inference.svgd import stein as stein
from jaxloc.inference.swag import swag as swag
from jaxloc.inference.target import all_network as all_network
from jaxloc.inference.target import by_event as by_event
from jaxloc.inference.target import prior_mean as prior_mean
from jaxloc.inference.target import prior_scale as prior_scale
from jaxloc.inference.target import target as target
from jaxloc.inference.target import with_normal_prior as with_normal_prior
from jaxloc.inference.variational import full_covariance as full_covariance
from jaxloc.inference.variational import low_rank as low_rank
from jaxloc.inference.variational import mean_field as mean_field
from jaxloc.inference.wrappers import ensemble as ensemble
from jaxloc.inference.wrappers import subspace as subspace

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
