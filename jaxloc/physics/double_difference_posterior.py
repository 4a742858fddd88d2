"""A posterior of hypocentres for double differences: exact for the linear problem, relative positions and common shift.

The estimate x minimises the weighted squares of double differences and of the distance from the starting locations.
A draw solves the same problem with data and starting locations perturbed by their errors (randomised maximum
likelihood; Oliver, He & Reynolds 1996): for a linear problem with weights equal to the inverse covariance of the data
these are draws of its Gaussian (Laplace) posterior. hypoDD's weights take links as independent, which those of one pick
are not; draws then have the covariance of the estimate (Huber 1967), whatever the weights.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import block_diag
from scipy.sparse import block_array, block_diag as sparse_blocks, csc_array, csr_array, diags_array
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
    """The normal equations at one linearisation: unknowns are changes of hypocentres, and a common shift a cluster."""

    factor: SuperLU
    back: csr_array
    scale: float
    own_precision: Float[np.ndarray, "event 4 4"]
    common_precision: Float[np.ndarray, "4 4"]
    member: csr_array


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
    own = np.linalg.inv(start.own)
    common = np.linalg.inv(start.common)
    prior = sparse_blocks(list(own), format="csr")
    member = _member(cluster)
    shared = member.shape[1] // 4
    joined = block_array(
        [
            [back @ matrix + prior, -prior @ member],
            [-(prior @ member).T, member.T @ prior @ member + csr_array(block_diag(*[common] * shared))],
        ],
        format="csc",
    )
    options = {"SymmetricMode": True}
    factor = splu(csc_array(joined), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    return Normal(factor, back, scale, own, common, member)


def _member(cluster: Int[np.ndarray, " event"]) -> csr_array:
    """What each event takes of the common shifts; events outside the clusters share one of their own."""
    _, index = np.unique(cluster, return_inverse=True)
    rows = np.arange(4 * len(cluster))
    columns = (4 * index[:, None] + np.arange(4)).ravel()
    return csr_array((np.ones(len(rows)), (rows, columns)))


def solve(
    normal: Normal,
    right: Float[np.ndarray, "unknown draw"],
    from_start: Float[np.ndarray, "event 4 draw"],
    shared: Float[np.ndarray, "shift draw"] | float = 0.0,
) -> Float[np.ndarray, "event 4 draw"]:
    """Changes of hypocentres for right-hand sides of links, starting locations seen from here, and a pull on shifts."""
    pull = np.einsum("eij,ejd->eid", normal.own_precision, from_start).reshape(right.shape)
    found = normal.factor.solve(np.concatenate([right + pull, shared - normal.member.T @ pull]))
    return found[: len(right)].reshape(from_start.shape)


def perturbed(
    rng: np.random.Generator,
    normal: Normal,
    links: Equations,
    errors: LinkErrors,
    place_km: Float[np.ndarray, "event 3"],
    draws: int,
) -> Float[np.ndarray, "event draw 4"]:
    """Deviations of draws from the estimate, in chunks that bound the memory."""
    maps = noise_maps(links, normal.back)
    number, shifts = len(place_km), normal.member.shape[1] // 4
    own = np.linalg.cholesky(np.linalg.inv(normal.own_precision))
    common = np.linalg.cholesky(normal.common_precision)
    parts = []
    for at in range(0, draws, DRAWS_AT_ONCE):
        size = min(DRAWS_AT_ONCE, draws - at)
        of_links = noise(rng, errors, maps, place_km, size)
        of_start = np.einsum("eij,ejd->eid", own, rng.standard_normal((number, 4, size)))
        of_shift = np.einsum("ij,sjd->sid", common, rng.standard_normal((shifts, 4, size))).reshape(-1, size)
        parts.append(np.moveaxis(solve(normal, of_links, of_start, of_shift), 2, 1).astype(np.float32))
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
