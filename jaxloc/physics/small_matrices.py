"""Many matrices of three or four rows at once, elementwise: on the CPU a call of LAPACK for each takes far longer."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def product(left: Float[Array, "*batch i j"], right: Float[Array, "*batch j k"]) -> Float[Array, "*batch i k"]:
    """Matrix product."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)


def lower_cholesky(cov: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    """The lower triangle L with L Lᵀ = cov; pivots that rounding made negative are taken as tiny."""
    size = cov.shape[-1]
    rows = _cholesky_rows(lambda i, j: cov[..., i, j], size)
    zero = jnp.zeros_like(cov[..., 0, 0])
    return jnp.stack([jnp.stack(row + [zero] * (size - 1 - i), -1) for i, row in enumerate(rows)], -2)


def _cholesky_rows(element: Callable[[int, int], Float[Array, "*batch"]], size: int) -> list[list[Array]]:
    """The rows of Cholesky factors, each up to the diagonal, from elements on and below it."""
    rows: list[list[Array]] = []
    for i in range(size):
        row: list[Array] = []
        for j in range(i):
            rest = element(i, j) - sum(row[k] * rows[j][k] for k in range(j))
            row.append(rest / rows[j][j])
        square = element(i, i) - sum(x * x for x in row)
        row.append(jnp.sqrt(jnp.maximum(square, 1e-9 * element(i, i) + 1e-30)))
        rows.append(row)
    return rows


def solved(
    element: Callable[[int, int], Float[Array, "*batch"]], right: Float[Array, "row *batch"]
) -> tuple[Float[Array, "row *batch"], Float[Array, "*batch"]]:
    """Solution of small positive definite systems, and the log of their determinants.

    Args:
        element: row and column, on or below the diagonal, to this element of all matrices.
        right: right-hand sides.
    """
    size, tril = len(right), _cholesky_rows(element, len(right))
    half: list[Array] = []
    for i in range(size):
        half.append((right[i] - sum(tril[i][k] * half[k] for k in range(i))) / tril[i][i])
    found = [jnp.zeros(())] * size
    for i in reversed(range(size)):
        found[i] = (half[i] - sum(tril[k][i] * found[k] for k in range(i + 1, size))) / tril[i][i]
    diagonal = jnp.stack([tril[i][i] for i in range(size)])
    return jnp.stack(found), 2 * jnp.log(diagonal).sum(0)


def lower_inverse(tril: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """Inverse of a lower triangle."""
    a, b, c = (1 / tril[..., i, i] for i in range(3))
    zero = jnp.zeros_like(a)
    down = -tril[..., 1, 0] * a * b
    across = -tril[..., 2, 1] * b * c
    corner = -(tril[..., 2, 0] * a + tril[..., 2, 1] * down) * c
    rows = [[a, zero, zero], [down, b, zero], [corner, across, c]]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def inverse(matrix: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """Inverse of a symmetric positive definite matrix."""
    white = lower_inverse(lower_cholesky(matrix))
    return product(jnp.swapaxes(white, -1, -2), white)


def square_root(matrix: Float[Array, "*batch 3 3"], rounds: int = 10) -> Float[Array, "*batch 3 3"]:
    """Root of a symmetric positive definite matrix (Newton-Schulz; Higham 2008, eq. 6.35).

    Each round brings a root nearer by a factor of 1.5 at least: those below 0.01 of the largest are not reached.
    """
    scale = jnp.trace(matrix, axis1=-2, axis2=-1)[..., None, None]

    def nearer(_: int, pair: tuple[Float[Array, "*batch 3 3"], Float[Array, "*batch 3 3"]]) -> tuple[Array, Array]:
        step = 1.5 * jnp.eye(3) - 0.5 * product(pair[1], pair[0])
        return product(pair[0], step), product(step, pair[1])

    start = matrix / scale, jnp.broadcast_to(jnp.eye(3, dtype=matrix.dtype), matrix.shape)
    return jax.lax.fori_loop(0, rounds, nearer, start)[0] * jnp.sqrt(scale)
