"""Classes of distance, depth, magnitude and back-azimuth as Lomax, Michelini & Jozinovic (2019) have them.

Class i of n of a number within 0 - `largest` has its centre at largest (i / n)^power: distances and depths are as the
square of their class (fine near the station), magnitudes go evenly. Back-azimuths are round a circle: 359 degrees is
nearest to class 0, where the authors' code sends it to the last class.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

KM_PER_DEG = 111.195  # of a great circle on a sphere of 6,371 km


class Scale(NamedTuple):
    """`number` classes of a number from zero to `largest`; the last class stands for all beyond its centre too."""

    number: int
    largest: float
    power: int = 1


PUBLISHED_DISTANCE = Scale(50, 180 * KM_PER_DEG, 2)
PUBLISHED_DEPTH = Scale(20, 700.0, 2)
PUBLISHED_MAGNITUDE = Scale(20, 10.0, 1)
PUBLISHED_AZIMUTHS = 36


def encode(scale: Scale, value: Float[Array, "*batch"]) -> Int[Array, "*batch"]:
    """The class whose centre is nearest in class numbers: round(n (value / largest)^(1 / power)), within 0 - n - 1."""
    part = jnp.maximum(value, 0.0) / scale.largest
    index = scale.number * (part if scale.power == 1 else part ** (1 / scale.power))
    return jnp.clip(jnp.round(index), 0, scale.number - 1).astype(jnp.int32)


def centres(scale: Scale) -> Float[np.ndarray, " class"]:
    """What the classes stand for."""
    return scale.largest * (np.arange(scale.number) / scale.number) ** scale.power


def widths(scale: Scale) -> Float[np.ndarray, " class"]:
    """How far it is from the middle of one neighbour to that of the other, in the unit of the number."""
    middles = (np.arange(scale.number + 1) - 0.5).clip(0) / scale.number
    return np.diff(scale.largest * middles**scale.power)


def encode_azimuth(number: int, azimuth_rad: Float[Array, "*batch"]) -> Int[Array, "*batch"]:
    """The nearest of so many directions, the first of them north."""
    return jnp.mod(jnp.round(number * azimuth_rad / (2 * jnp.pi)), number).astype(jnp.int32)


def azimuth_centres(number: int) -> Float[np.ndarray, " class"]:
    """Directions in radians."""
    return 2 * np.pi * np.arange(number) / number
