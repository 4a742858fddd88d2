"""Earthquake sources for simulation: hypocentre, magnitude, spectrum and radiation pattern."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Complex, Float, Key

Hypocentres: TypeAlias = Callable[[Key[Array, ""]], Float[Array, "3"]]
"""A distribution of hypocentres as its sampler: east, north and depth in km."""

DENSITY_KG_M3 = 2700.0


class Source(NamedTuple):
    """Source parameters of the earthquakes of a region.

    Attributes:
        magnitude_range: smallest and largest moment magnitude.
        b_value: slope of Gutenberg and Richter's law between them.
        stress_drop_mpa: median stress drop of Brune's model; 1-10 MPa is usual (Allmann & Shearer 2009).
        stress_drop_sd: standard deviation of its natural logarithm.
        corner_ratio: corner frequency of P over that of S (Madariaga 1976: 1.5).
        smear: 0 for the radiation pattern of the double couple, 1 for an isotropic one; in between as observed above
            some 3 Hz (Takemura, Furumura & Saito 2009).
    """

    magnitude_range: tuple[float, float] = (2.0, 5.0)
    b_value: float = 1.0
    stress_drop_mpa: float = 3.0
    stress_drop_sd: float = 0.7
    corner_ratio: float = 1.5
    smear: float = 0.3


def box(low_km: tuple[float, float, float], high_km: tuple[float, float, float]) -> Hypocentres:
    """Hypocentres uniform between two corners (east, north, depth).

    Raises:
        ValueError: where the corners are not ordered.
    """
    if not all(low <= high for low, high in zip(low_km, high_km, strict=True)):
        raise ValueError(f"low_km must not exceed high_km, got {low_km} and {high_km}")
    low, high = jnp.asarray(low_km, float), jnp.asarray(high_km, float)
    return lambda key: random.uniform(key, (3,), minval=low, maxval=high)


def around(
    catalogue_km: Float[Array | np.ndarray, "event 3"],
    spread_km: tuple[float, float, float],
    depth_range_km: tuple[float, float] = (0.1, 700.0),
) -> Hypocentres:
    """Hypocentres from a kernel density estimate of a catalogue: a Gaussian about each, reflected at the depth limits.

    Raises:
        ValueError: where the catalogue is empty or not finite.
    """
    catalogue = jnp.asarray(catalogue_km, float)
    if catalogue.ndim != 2 or catalogue.shape[1:] != (3,) or not len(catalogue) or not jnp.isfinite(catalogue).all():
        raise ValueError(f"catalogue_km must be finite hypocentres [event, 3] in km, got shape {catalogue.shape}")
    shallow, deep = depth_range_km

    def sample(key: Key[Array, ""]) -> Float[Array, "3"]:
        which, where = random.split(key)
        at = catalogue[random.randint(which, (), 0, len(catalogue))]
        at = at + random.normal(where, (3,)) * jnp.asarray(spread_km)
        depth = shallow + jnp.abs(at[2] - shallow)
        return at.at[2].set(jnp.clip(deep - jnp.abs(deep - depth), shallow, deep))

    return sample


def gutenberg_richter(key: Key[Array, ""], magnitude_range: tuple[float, float], b_value: float) -> Float[Array, ""]:
    """A magnitude of the truncated Gutenberg-Richter distribution."""
    smallest, largest = magnitude_range
    share = 1.0 - 10.0 ** (-b_value * (largest - smallest))
    return smallest - jnp.log10(1.0 - random.uniform(key) * share) / b_value


def double_couple(key: Key[Array, ""]) -> Float[Array, "3 3"]:
    """A moment tensor of unit moment with fault plane and slip uniform over all rotations."""
    first, second = random.normal(key, (2, 3))
    normal = first / jnp.linalg.norm(first)
    slip = second - (second @ normal) * normal
    slip = slip / jnp.linalg.norm(slip)
    return jnp.outer(normal, slip) + jnp.outer(slip, normal)


def radiation(
    moment: Float[Array, "3 3"], ray: Float[Array, "3"], sv: Float[Array, "3"], sh: Float[Array, "3"]
) -> Float[Array, " wave"]:
    """Far-field amplitudes of P, SV and SH along a ray; the largest is 1 (Aki & Richards 2002, eq. 4.29)."""
    traction = moment @ ray
    return jnp.stack([ray @ traction, sv @ traction, sh @ traction])


MEAN_RADIATION = (4 / 15) ** 0.5, (2 / 5) ** 0.5
"""Root mean square over the focal sphere of P and of S (both polarisations together)."""


def smeared(pattern: Float[Array, "*batch wave"], smear: float | Float[Array, ""]) -> Float[Array, "*batch wave"]:
    """The radiation pattern with a share of its power made isotropic; signs are kept."""
    p, s = MEAN_RADIATION
    even = jnp.asarray([p, s / 2**0.5, s / 2**0.5])
    sign = jnp.where(pattern < 0, -1.0, 1.0)
    return sign * jnp.sqrt((1 - smear) * pattern**2 + smear * even**2)


def corner_hz(magnitude: Float[Array, ""], stress_drop_mpa: Float[Array, ""], vs_km_s: Float[Array, ""]) -> Array:
    """Brune's corner frequency of S: 0.4906 beta (stress drop / moment)^(1/3) (Brune 1970, 1971)."""
    log_moment = (1.5 * magnitude + 9.1) * jnp.log(10.0)
    return 490.6 * vs_km_s * jnp.exp((jnp.log(stress_drop_mpa * 1e6) - log_moment) / 3)


def velocity_spectrum(
    frequency_hz: Float[Array, " frequency"],
    magnitude: Float[Array, ""],
    corner_hz: Float[Array, ""],
    speed_km_s: Float[Array, ""],
) -> Complex[Array, " frequency"]:
    """Ground velocity in m/s/Hz at 1 km along the strongest ray, doubled by the free surface.

    Moment is that of Hanks & Kanamori (1979). The phase is that of Brune's pulse, t exp(-t): it starts at 0.
    """
    moment_nm = jnp.exp((1.5 * magnitude + 9.1) * jnp.log(10.0) - 30.0)  # scaled: 10^15 N m squares badly in float32
    scale = 2.0 * jnp.exp(30.0) / (4 * jnp.pi * DENSITY_KG_M3 * 1e9 * 1e3)
    omega = 2 * jnp.pi * frequency_hz
    return 1j * omega * moment_nm * scale / speed_km_s**3 / (1 + 1j * frequency_hz / corner_hz) ** 2


def draw_source(
    key: Key[Array, ""], source: Source, vs_km_s: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, " phase"], Float[Array, "3 3"]]:
    """Magnitude, corner frequencies of P and S in Hz, and moment tensor of one event."""
    magnitude_key, stress_key, moment_key = random.split(key, 3)
    magnitude = gutenberg_richter(magnitude_key, source.magnitude_range, source.b_value)
    stress = source.stress_drop_mpa * jnp.exp(source.stress_drop_sd * random.normal(stress_key))
    corner = corner_hz(magnitude, stress, vs_km_s)
    return magnitude, jnp.stack([source.corner_ratio * corner, corner]), double_couple(moment_key)
