"""Keys of named streams of random numbers, and random numbers that XLA generates once."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
from jaxtyping import Array, Key

PIECES = 4
SEEDS: Mapping[str, int] = MappingProxyType(
    {
        "initial parameters": 0,
        "stage": 0,
        "parameters of the next stage": 0,
        "location": 0,
        "simulation": 0,
        "samples of earlier labels": 0,
        "exact posterior": 0,
        "features": 0,
        "baselines": 0,
        "recalibration": 0,
        "scores": 20,
        "polar scores": 0,
        "forecasts": 0,
        "pictures": 0,
        "noise of a condition": 7,
        "noise windows": 11,
        "simulated picks": 12,
        "shuffled labels": 13,
        "station of an event": 14,
        "folds": 15,
        "shifts": 16,
        "simulated records": 17,
        "scored records": 18,
        "faults": 19,
        "magnitudes": 21,
        "false alarms": 22,
    }
)
"""What each stream adds to the seed of an experiment, or its seed where it is the same for all. Many add nothing: the
published scores were made so."""


def stream(name: str, seed: int = 0) -> Key[Array, ""]:
    """The key of a named stream of random numbers, of an experiment or the same for all.

    Entry points (runs, studies, the command line) make all their keys here; everything below is given its key.

    Raises:
        ValueError: for a name that is not in `SEEDS`; lists those that are.
    """
    if name not in SEEDS:
        raise ValueError(f"no such stream of random numbers: {name!r}; use one of {', '.join(SEEDS)}")
    return jax.random.key(SEEDS[name] + seed)


def key_shape() -> jax.ShapeDtypeStruct:
    """Shape and type of a key, for `jax.eval_shape`: where nothing random is generated, no key is made."""
    return jax.eval_shape(jax.random.key, 0)


def drawn_apart(
    draw: Callable[[Key[Array, ""], tuple[int, ...]], Array], key: Key[Array, ""], shape: tuple[int, ...]
) -> Array:
    """Independent random numbers of `shape` from `draw(key, shape)`, generated in a loop of their own.

    XLA fuses the generator into every consumer of a slice of the numbers, here each layer, forward and backward, and
    generates them again in each: a training step took two to four times as long. It does not fuse across loops.
    """
    size = math.prod(shape)
    pieces = jax.lax.map(lambda k: draw(k, (-(-size // PIECES),)), jax.random.split(key, PIECES))
    return pieces.ravel()[:size].reshape(shape)
