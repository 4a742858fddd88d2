"""Units of a module's outputs: those in which the targets, as a whole and before features are seen, are standard.

A normal prior over weights, as wide as fan-in asks for, gives outputs about zero of a spread of about one. What an
output means is the likelihood's choice: a mean in the targets' units, the logarithm of a rate, a width before a
softplus. So outputs are read as `centre + scale * output`: `centre` is the one output that is likeliest for all
targets, and `scale` the spread of where single targets would have it (one step of Newton's from the centre). For a
normal's mean they are mean and standard deviation of the targets: standardised targets and raw ones then give the same
fit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

MOST_ROWS = 2000  # that a handful of numbers is found from
MOST_OUTPUTS = 64  # whose Hessian is taken; more are left as they are
STEPS = 200


class Units(NamedTuple):
    """Middle and spread of outputs, trees like them."""

    centre: PyTree[Array]
    scale: PyTree[Array]


def read(units: Units, output: PyTree[Array]) -> PyTree[Array]:
    """The output as the likelihood takes it."""
    return jax.tree.map(lambda c, s, x: c + s * x, units.centre, units.scale, output)


def as_they_are(output: PyTree[Any]) -> Units:
    """Units that change nothing, for outputs of these shapes."""
    return Units(jax.tree.map(jnp.zeros_like, output), jax.tree.map(jnp.ones_like, output))


def of_targets(
    log_likelihood: Callable[[PyTree[Array], Array], Float[Array, ""]],
    output: PyTree[Any],
    targets: Float[Array, "row ..."],
) -> Units:
    """Units for outputs of these shapes, by the targets alone; one that no target depends on stays as it is."""
    flat, unravel = ravel_pytree(as_they_are(output).centre)
    if flat.size > MOST_OUTPUTS:
        return as_they_are(output)
    few = targets[:: -(-len(targets) // MOST_ROWS)]
    of_row = lambda at, target: -log_likelihood(unravel(at), target)
    mean = lambda at: jax.vmap(partial(of_row, at))(few).mean()
    centre = _lowest(mean, flat)
    pull = jnp.sqrt((jax.vmap(jax.grad(of_row), (None, 0))(centre, few) ** 2).mean(0))
    stiffness = jnp.diag(jax.hessian(mean)(centre))
    # Where the likelihood is flat or a valley, the curvature is taken for the gradient's mean square, as Fisher has it.
    curved = stiffness > 1e-3 * pull**2
    scale = jnp.where(curved, pull / jnp.where(curved, stiffness, 1.0), 1 / pull)
    return Units(unravel(centre), unravel(_sound(jnp.where(pull > 0, scale, 1.0), 1.0)))


def _lowest(loss: Callable[[Array], Array], start: Array) -> Array:
    """Newton's method, damped, downhill also where the loss curves down: units may be off by powers of ten at first."""

    def step(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        at, damping = state
        values, directions = jnp.linalg.eigh(jax.hessian(loss)(at))
        new = at - directions @ (directions.T @ jax.grad(loss)(at) / (jnp.abs(values) + damping))
        better = loss(new) < loss(at)  # not where it is no number
        return (jnp.where(better, new, at), damping * jnp.where(better, 0.2, 5.0)), None

    return jax.lax.scan(step, (start, jnp.ones(())), None, STEPS)[0][0]


def _sound(values: Array, otherwise: float) -> Array:
    return jnp.where(jnp.isfinite(values), values, otherwise)
