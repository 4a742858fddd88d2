"""A posterior of hypocentres for double differences: relative positions by the links, the common shift by the start.

With x = location + u + c, u of mean zero in each cluster and c its common shift, u minimises the weighted squares of
double differences and of the distance from the starting locations. Links count for u alone: what they know of c comes
from the change of the rays' directions across the cluster, a few per cent of their times, which errors of the velocity
model change as much. c has the error of the starting locations' centroid, and what their errors have in common.

A draw solves the same problem with data and starting locations perturbed by their errors (randomised maximum
likelihood; Oliver, He & Reynolds 1996): for a linear problem with weights equal to the inverse covariance of the data
these are draws of its Gaussian (Laplace) posterior. hypoDD's weights take links as independent, which those of one pick
are not; draws then have the covariance of the estimate (Huber 1967), whatever the weights.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import block_diag, csc_array, csr_array, diags_array
from scipy.sparse.linalg import SuperLU, splu

from jaxloc.physics.double_differences import Arrivals, Equations, design
from jaxloc.physics.link_errors import LinkErrors, noise, noise_maps

DRAWS_AT_ONCE = 50


class Start(NamedTuple):
    """Starting locations with their errors: those of each event, and those that all events of a cluster share."""

    hypocentre: Float[np.ndarray, "event 4"]
    own: Float[np.ndarray, "event 4 4"]
    common: Float[np.ndarray, "4 4"]


class Normal(NamedTuple):
    """The normal equations at one linearisation, factorised.

    `group` numbers the clusters; an event outside has one of its own. `of_shift` and `of_sum` are the solutions for a
    common shift and for the constraint that changes add up to zero, `schur` is the inverse of the system of both.
    """

    factor: SuperLU
    back: csr_array
    precision: Float[np.ndarray, "event 4 4"]
    group: Int[np.ndarray, " event"]
    of_shift: Float[np.ndarray, "event 4 4"]
    of_sum: Float[np.ndarray, "event 4 4"]
    schur: Float[np.ndarray, "group 8 8"]


def normal_equations(
    links: Equations,
    calculated: Arrivals,
    weight: Float[np.ndarray, " link"],
    start: Start,
    cluster: Int[np.ndarray, " event"],
    scale: float,
) -> Normal:
    """Factorise the normal equations; `scale` times the squared weight is the precision of a link."""
    number = len(start.hypocentre)
    matrix = design(links, calculated, number)
    back = csr_array(matrix.T @ diags_array(scale * weight**2))
    precision = np.linalg.inv(start.own)
    options = {"SymmetricMode": True}
    whole = csc_array(back @ matrix + block_diag(list(precision), format="csr"))
    factor = splu(whole, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    alone = np.where(cluster >= 0, cluster, cluster.max() + 1 + np.arange(number))
    _, group = np.unique(alone, return_inverse=True)
    # Clusters do not interact, so one right-hand side serves all of them.
    of_shift = factor.solve(precision.reshape(-1, 4)).reshape(-1, 4, 4)
    of_sum = factor.solve(np.tile(np.eye(4), (number, 1))).reshape(-1, 4, 4)
    upper = [_sum(precision - precision @ of_shift, group), -_sum(precision @ of_sum, group)]
    system = np.block([[upper[0], upper[1]], [-_sum(of_shift, group), -_sum(of_sum, group)]])
    return Normal(factor, back, precision, group, of_shift, of_sum, np.linalg.inv(system))


def _sum(values: Float[np.ndarray, "event ..."], group: Int[np.ndarray, " event"]) -> Float[np.ndarray, "group ..."]:
    total = np.zeros((group.max() + 1, *values.shape[1:]))
    np.add.at(total, group, values)
    return total


def solve(
    normal: Normal, right: Float[np.ndarray, "unknown draw"], from_start: Float[np.ndarray, "event 4 draw"]
) -> Float[np.ndarray, "event 4 draw"]:
    """Changes of hypocentres for right-hand sides of the links and starting locations relative to the present ones."""
    pull = normal.precision @ from_start
    free = normal.factor.solve(right + pull.reshape(right.shape)).reshape(pull.shape)
    sums = np.concatenate([_sum(pull - normal.precision @ free, normal.group), -_sum(free, normal.group)], 1)
    shift, multiplier = np.split(normal.schur @ sums, 2, 1)
    change = free - normal.of_shift @ shift[normal.group] - normal.of_sum @ multiplier[normal.group]
    return change + shift[normal.group]


def perturbed(
    rng: np.random.Generator,
    normal: Normal,
    links: Equations,
    errors: LinkErrors,
    start: Start,
    draws: int,
) -> Float[np.ndarray, "event draw 4"]:
    """Deviations of draws from the estimate, in chunks that bound the memory."""
    maps, place_km = noise_maps(links, normal.back), start.hypocentre[:, :3]
    own, common = np.linalg.cholesky(start.own), np.linalg.cholesky(start.common)
    parts = []
    for at in range(0, draws, DRAWS_AT_ONCE):
        size = min(DRAWS_AT_ONCE, draws - at)
        of_links = noise(rng, errors, maps, place_km, size)
        of_start = own @ rng.standard_normal((len(own), 4, size))
        shared = common @ rng.standard_normal((normal.group.max() + 1, 4, size))
        found = solve(normal, of_links, of_start) + shared[normal.group]
        parts.append(np.moveaxis(found, 2, 1).astype(np.float32))
    return np.concatenate(parts, 1)


def efficient_scale(
    rng: np.random.Generator,
    links: Equations,
    calculated: Arrivals,
    weight: Float[np.ndarray, " link"],
    errors: LinkErrors,
    place_km: Float[np.ndarray, "event 3"],
    draws: int = 100,
) -> float:
    """The factor of squared weights that makes their information that of the data.

    With precisions of links equal to their inverse covariance, the right-hand side's covariance is the information
    matrix. The factor makes this so on average over the diagonals; the relative weights of links stay hypoDD's.
    """
    matrix = design(links, calculated, len(place_km))
    back = csr_array(matrix.T @ diags_array(weight**2))
    information = np.asarray(matrix.multiply(matrix).T @ weight**2).ravel()
    variance = noise(rng, errors, noise_maps(links, back), place_km, draws).var(1)
    linked = (information > 0) & (variance > 0)
    return float(1 / np.mean(variance[linked] / information[linked]))
