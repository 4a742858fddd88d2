"""Least squares for double differences as hypoDD solves them: SVD with a centroid constraint, or damped LSQR."""

# pyright: reportOptionalSubscript=false
# SciPy is not typed: shapes of sparse arrays are optional.

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import lsqr

ZERO_SINGULAR = 1e-7  # of the largest singular value
MOST_DENSE = 40_000_000  # elements of a dense matrix (320 MB)
TOLERANCE, CONDITION_LIMIT = 1e-6, 1e5  # of LSQR


class Solution(NamedTuple):
    """Changes of hypocentres in km and s, their variances for data of variance one, and the condition number."""

    change: Float[np.ndarray, "event 4"]
    variance: Float[np.ndarray, "event 4"]
    condition: float


def solve_svd(matrix: csr_array, data_s: Float[np.ndarray, " link"], cluster: Int[np.ndarray, " event"]) -> Solution:
    """Singular value decomposition with four rows a cluster that keep its centroid (weight one, as hypoDD's).

    Args:
        matrix: weighted derivatives of links, [link, 4 event]; events without links have zero columns.
        data_s: weighted residuals.
        cluster: number of each event's cluster, -1 for events that take no part.

    Raises:
        ValueError: where the matrix is too large for a dense decomposition.
    """
    part = cluster >= 0
    columns = np.repeat(part, 4)
    rows = matrix.shape[0] + 4 * len(np.unique(cluster[part]))
    if rows * columns.sum() > MOST_DENSE:
        raise ValueError(
            f"a singular value decomposition of {rows} x {columns.sum()} is too large; use solver='lsqr' for "
            f"{part.sum()} events"
        )
    means = [np.kron(cluster[part] == index, np.eye(4)) for index in np.unique(cluster[part])]
    dense = np.concatenate([matrix.toarray()[:, columns], *means])
    scale = _scales(np.sqrt((dense**2).mean(0)))
    left, singular, right = np.linalg.svd(dense / scale, full_matrices=False)
    inverse = np.where(singular > ZERO_SINGULAR * singular[0], 1 / np.maximum(singular, 1e-300), 0.0)
    found = right.T @ (inverse * (left.T @ np.append(data_s, np.zeros(len(dense) - len(data_s))))) / scale
    variance = ((right.T * inverse) ** 2).sum(1) / scale**2
    condition = float(singular[0] / singular[inverse > 0][-1])
    return Solution(_spread(found, columns), _spread(variance, columns), condition)


def solve_lsqr(
    matrix: csr_array, data_s: Float[np.ndarray, " link"], cluster: Int[np.ndarray, " event"], damping: float
) -> Solution:
    """Conjugate gradients for damped least squares (LSQR; Paige & Saunders 1982), columns scaled to a mean square of 1.

    There is no centroid constraint. Variances are NaN: LSQR's own are far too small (hypoDD's guide says so).
    """
    columns = np.repeat(cluster >= 0, 4)
    kept = csr_array(matrix[:, columns])
    scale = _scales(np.sqrt(np.asarray(kept.multiply(kept).sum(0)).ravel() / kept.shape[0]))
    scaled = csr_array(kept @ diags_array(1 / scale))
    found = lsqr(scaled, data_s, damp=damping, atol=TOLERANCE, btol=TOLERANCE, conlim=CONDITION_LIMIT)
    change = _spread(found[0] / scale, columns)
    return Solution(change, np.full(change.shape, np.nan), float(found[6]))


def _scales(norm: Float[np.ndarray, " column"]) -> Float[np.ndarray, " column"]:
    return np.where(norm > 0, norm, 1.0)


def _spread(values: Float[np.ndarray, " kept"], columns: np.ndarray) -> Float[np.ndarray, "event 4"]:
    whole = np.zeros(len(columns))
    whole[columns] = values
    return whole.reshape(-1, 4)
