"""Inputs of single-station networks: picks, a window about P and its polarisation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxloc.networks.inputs import waveforms_of
from jaxloc.per_station import TINY
from jaxloc.types import Observations


class Record(NamedTuple):
    """The first station's waveforms, and its P and S picks in samples from the first; zero where unknown."""

    waveforms: Float[Array, "sample 3"]
    pick: Float[Array, " 2"]
    known: Bool[Array, " 2"]
    rate_hz: Float[Array, ""]

    @property
    def wait_s(self) -> Float[Array, ""]:
        """S-P time in s; zero where a pick is missing, or S not later."""
        return jnp.where(self.known.all(), jnp.maximum(self.pick[1] - self.pick[0], 0.0), 0.0) / self.rate_hz


def record_of(observations: Observations) -> Record:
    """The record of one station: the first row. Raises a ValueError where there are no waveforms."""
    waveforms = waveforms_of(observations)[0]
    if observations.picks_s is None or observations.pick_mask is None:
        return Record(waveforms, jnp.zeros(2), jnp.zeros(2, bool), observations.rate_hz)
    known = observations.pick_mask[0] & observations.station_mask[0]
    pick = jnp.where(known, observations.picks_s[0] * observations.rate_hz, 0.0)
    return Record(waveforms, pick, known, observations.rate_hz)


def cut(traces: Float[Array, "sample channel"], first: Int[Array, ""], length: int) -> Float[Array, "length channel"]:
    """A window that starts at a sample, which may be outside; zero outside of the record."""
    first = jnp.clip(first, -length, traces.shape[0])
    padded = jnp.pad(traces, ((length, length), (0, 0)))
    return jax.lax.dynamic_slice(padded, (first + length, jnp.zeros((), first.dtype)), (length, traces.shape[1]))


def scaled(traces: Float[Array, "sample channel"]) -> Float[Array, "sample channel"]:
    """All components divided by their common largest absolute value, which preserves the direction of motion."""
    size = jnp.abs(traces).max()
    return jnp.where(size > TINY, traces / jnp.where(size > TINY, size, 1.0), 0.0)


class Polarisation(NamedTuple):
    """Particle motion at the onset of P.

    `back_azimuth_rad` is the direction to the source for motion along the ray: horizontally away from the source when
    the vertical is up. `steepness_rad` is the angle of the motion from the vertical, `linearity` 1 for linear and 0 for
    isotropic motion; `known` is False where a component is dead.
    """

    back_azimuth_rad: Float[Array, ""]
    steepness_rad: Float[Array, ""]
    linearity: Float[Array, ""]
    covariance: Float[Array, "3 3"]
    known: Bool[Array, ""]


def polarisation(window: Float[Array, "sample 3"]) -> Polarisation:
    """The polarisation of a window of Z, N, E that begins with P."""
    motion = scaled(window)
    covariance = motion.T @ motion / motion.shape[0]
    known = (jnp.diagonal(covariance) > 0).all()
    across = jnp.hypot(covariance[0, 1], covariance[0, 2])
    known &= across > 0
    north, east = jnp.where(known, -covariance[0, 1], 1.0), jnp.where(known, -covariance[0, 2], 0.0)
    flat = jnp.sqrt(covariance[1, 1] + covariance[2, 2])
    values = jnp.linalg.eigvalsh(covariance)
    linearity = jnp.where(values[2] > 0, 1 - (values[0] + values[1]) / (2 * jnp.where(values[2] > 0, values[2], 1)), 0)
    steepness = jnp.arctan2(flat, jnp.sqrt(covariance[0, 0]) + 1e-6)
    return Polarisation(jnp.arctan2(east, north), steepness, linearity, covariance, known)


def turned(traces: Float[Array, "sample 3"], back_azimuth_rad: Float[Array, ""]) -> Float[Array, "sample 3"]:
    """Z, N, E as Z, towards a direction, and to the right of it."""
    up, north, east = traces.T
    cosine, sine = jnp.cos(back_azimuth_rad), jnp.sin(back_azimuth_rad)
    return jnp.stack([up, north * cosine + east * sine, east * cosine - north * sine], -1)
