"""Units of a module's outputs, in which the marginal distribution of the targets is standard.

A normal prior over weights with fan-in scales gives outputs about zero of unit spread. The meaning of an output depends
on the likelihood: a mean in the targets' units, the logarithm of a rate, a width before a softplus. Outputs are
therefore read as `centre + scale * output`: `centre` is the constant output of highest likelihood for all targets, and
`scale` the spread of the outputs preferred by single targets (one Newton step from the centre). For a normal's mean
they are mean and standard deviation of the targets: standardised and raw targets then give the same fit.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

MAX_ROWS = 2000  # largest number of rows used
MAX_OUTPUTS = 64  # largest number of outputs with a Hessian; more are not scaled
STEPS = 200


class Units(NamedTuple):
    """Centre and scale of outputs, trees like them."""

    centre: PyTree[Array]
    scale: PyTree[Array]


def read(units: Units, output: PyTree[Float[Array, "..."]]) -> PyTree[Float[Array, "..."]]:
    """The output in the likelihood's units."""
    return jax.tree.map(lambda c, s, x: c + s * x, units.centre, units.scale, output)


def as_they_are(output: PyTree[Float[Array, "..."]]) -> Units:
    """Identity units, for outputs of these shapes."""
    return Units(jax.tree.map(jnp.zeros_like, output), jax.tree.map(jnp.ones_like, output))


def of_targets(
    log_likelihood: Callable[[PyTree[Array], Array], Float[Array, ""]],
    output: PyTree[Float[Array, "..."]],
    targets: Float[Array, "row ..."],
) -> Units:
    """Units for outputs of these shapes, from the targets alone; an output that no target depends on is not scaled."""
    flat, unravel = ravel_pytree(as_they_are(output).centre)
    if flat.size > MAX_OUTPUTS:
        return as_they_are(output)
    few = targets[:: -(-len(targets) // MAX_ROWS)]
    of_row = lambda at, target: -log_likelihood(unravel(at), target)
    mean = lambda at: jax.vmap(partial(of_row, at))(few).mean()
    centre = _lowest(mean, flat)
    pull = jnp.sqrt((jax.vmap(jax.grad(of_row), (None, 0))(centre, few) ** 2).mean(0))
    stiffness = jnp.diag(jax.hessian(mean)(centre))
    # Where the likelihood is flat or not concave, the Fisher information (mean square gradient) replaces the curvature.
    curved = stiffness > 1e-3 * pull**2
    scale = jnp.where(curved, pull / jnp.where(curved, stiffness, 1.0), 1 / pull)
    return Units(unravel(centre), unravel(_sound(jnp.where(pull > 0, scale, 1.0), 1.0)))


def _lowest(
    loss: Callable[[Float[Array, " output"]], Float[Array, ""]], start: Float[Array, " output"]
) -> Float[Array, " output"]:
    """Damped Newton descent, also in regions of negative curvature: units may be wrong by powers of ten at first."""

    def step(
        state: tuple[Float[Array, " output"], Float[Array, ""]], _: None
    ) -> tuple[tuple[Float[Array, " output"], Float[Array, ""]], None]:
        at, damping = state
        values, directions = jnp.linalg.eigh(jax.hessian(loss)(at))
        new = at - directions @ (directions.T @ jax.grad(loss)(at) / (jnp.abs(values) + damping))
        better = loss(new) < loss(at)  # not where it is no number
        return (jnp.where(better, new, at), damping * jnp.where(better, 0.2, 5.0)), None

    return jax.lax.scan(step, (start, jnp.ones(())), None, STEPS)[0][0]


def _sound(values: Float[Array, " output"], otherwise: float) -> Array:
    return jnp.where(jnp.isfinite(values), values, otherwise)
