"""Path terms: errors of travel times that events near each other share at a station, as Gaussian processes.

Waves from neighbouring sources to one station cross the same rock, so that the error of a velocity model is nearly the
same for both (Richards-Dinger & Shearer 2000, JGR 105; the reason why double differences work, Waldhauser & Ellsworth
2000, BSSA 90). At each station the term is a sum of Gaussian processes over the place of the source, of different
length scales, with P and S correlated, and of a station term that all sources share. `jaxloc.physics.source_terms`
predicts the terms of new events from known ones; here they are unknowns beside the hypocentres.
"""

# pyright: reportArgumentType=false
# Arrays are NumPy's, in double precision on the host.

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

START_SD_S = (0.1, 0.15)  # of P and S, for the longest scale; shorter ones have less
START_SCALE_KM = (25.0, 6.0)
START_STATION_SD_S = (0.2, 0.3)


class PathKernel(NamedTuple):
    """Logarithms of standard deviations (s) and scales (km), and the inverse hyperbolic tangent of correlations.

    Free of constraints, as a search for the largest marginal likelihood wants. Scales go from long to short.
    """

    log_sd: Float[Array, "scale phase"]
    together: Float[Array, " scale"]
    log_scale: Float[Array, " scale"]
    log_station_sd: Float[Array, " phase"]
    log_upright: Float[Array, ""]


def start_kernel(scales_km: tuple[float, ...] = START_SCALE_KM) -> PathKernel:
    """A kernel to start from."""
    sd_s = np.array(START_SD_S) / np.arange(1, len(scales_km) + 1)[:, None]
    together = np.full(len(scales_km), np.arctanh(0.5))
    return PathKernel(np.log(sd_s), together, np.log(scales_km), np.log(START_STATION_SD_S), np.zeros(()))


def decay(separation: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The correlation at separations in length scales: exponential, as that of rock with detail of every size."""
    return jnp.exp(-separation)


def covariance_s2(
    kernel: PathKernel,
    first_km: Float[Array, "first 3"],
    first_phase: Int[Array, " first"],
    second_km: Float[Array, "second 3"],
    second_phase: Int[Array, " second"],
) -> Float[Array, "first second"]:
    """Covariance between the terms of two sets of sources and phases at one station."""
    apart_km = first_km[:, None] - second_km
    across_km2, down_km2 = (apart_km[..., :2] ** 2).sum(-1), apart_km[..., 2] ** 2
    # A millimetre, or the square root has no derivative.
    distance_km = jnp.sqrt(across_km2 + jnp.exp(2 * kernel.log_upright) * down_km2 + 1e-12)
    same = first_phase[:, None] == second_phase
    station_s = jnp.exp(kernel.log_station_sd)
    total = jnp.where(same, station_s[first_phase][:, None] * station_s[second_phase], 0.0)
    for log_sd, together, log_scale in zip(kernel.log_sd, kernel.together, kernel.log_scale, strict=True):
        sd_s = jnp.exp(log_sd)
        phases_s2 = jnp.where(same, 1.0, jnp.tanh(together)) * sd_s[first_phase][:, None] * sd_s[second_phase]
        total = total + phases_s2 * decay(distance_km * jnp.exp(-log_scale))
    return total
