"""Random numbers that XLA generates once."""

import math
from collections.abc import Callable

import jax
from jaxtyping import Array, PRNGKeyArray

PIECES = 4


def drawn_apart(
    draw: Callable[[PRNGKeyArray, tuple[int, ...]], Array], key: PRNGKeyArray, shape: tuple[int, ...]
) -> Array:
    """Independent random numbers of `shape` from `draw(key, shape)`, generated in a loop of their own.

    XLA fuses the generator into every consumer of a slice of the numbers, here each layer, forward and backward, and
    generates them again in each: a training step took two to four times as long. It does not fuse across loops.
    """
    size = math.prod(shape)
    pieces = jax.lax.map(lambda k: draw(k, (-(-size // PIECES),)), jax.random.split(key, PIECES))
    return pieces.ravel()[:size].reshape(shape)
