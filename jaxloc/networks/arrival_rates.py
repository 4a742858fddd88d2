"""Rates of arrivals by a network: how many of P, and of S, arrive in a second at each sample of one record.

A record may bear any number of events: rates are those of a point process (Daley & Vere-Jones 2003, section 7.2), and
one arrival a window is a special case (`jaxloc.physics.readings.window_log_mass`). Every layer is a convolution and
every scale is taken from half a minute on either side, so that records of any length are read alike, sample by sample,
whatever their unit.

Besides rates, each sample has the direction that a wave arriving there comes from, and the sign of its first motion.

Its shape is that of a U over time, four times coarser at each step (Zhu & Beroza 2019, GJI 216, PhaseNet). Differs from
it: rates in place of probabilities of phases at each sample; inputs on a logarithmic scale over the noise, beside
differentiated ones, so that neither a swell of long periods nor one spike hides an onset.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import waveforms_of
from jaxloc.networks.layers import Conv1D, Norm
from jaxloc.per_station import active_stations
from jaxloc.physics.readings import READ_AFTER_S, Rates, Readings, window_log_mass
from jaxloc.types import PHASES, Network, Observations

RARE = -5.0  # log of the rate per second that every sample has before anything is learnt
HIGHEST = 6.0  # log of the largest rate per second: an arrival within some milliseconds
UNRECORDED = -30.0  # log of the rate where nothing was recorded
SCALE_S = 1.0  # of a block whose median size counts towards the noise, and of the mean that is subtracted
SAMPLED = 10  # samples of a block, at least, of which its median is taken
NEAR_BLOCKS = 30  # blocks on either side whose lower quartile is the noise
DIRECTION_S = 0.4  # over which components are compared to give a direction


class RateModel(nn.Module):
    """Three components of one record, or of several, to `Rates`."""

    channels: tuple[int, ...] = (12, 20, 32, 48, 64)
    kernel_size: int = 7
    stride: int = 4
    by_slices: bool | None = None

    def _block(self, x: Float[Array, "*record sample feature"], features: int, stride: int = 1) -> Array:
        return nn.gelu(Norm("layer")(Conv1D(features, self.kernel_size, strides=stride, by_slices=self.by_slices)(x)))

    @nn.compact
    def __call__(self, x: Float[Array, "*record sample channel"]) -> Rates:
        """Rates, directions and first motions at every sample."""
        samples, multiple = x.shape[-2], self.stride ** (len(self.channels) - 1)
        x = jnp.pad(x, [*[(0, 0)] * (x.ndim - 2), (0, -samples % multiple), (0, 0)])
        x, skips = self._block(x, self.channels[0]), []
        for features in self.channels[1:]:
            skips.append(x)
            x = self._block(self._block(x, features, self.stride), features)
        for features, skip in zip(self.channels[-2::-1], skips[::-1], strict=True):
            x = jnp.repeat(nn.Dense(features)(x), self.stride, -2)
            x = self._block(jnp.concatenate([x, skip], -1), features)
        out = Conv1D(len(PHASES) + 3, self.kernel_size, by_slices=self.by_slices, name="read")(x)[..., :samples, :]
        phases = len(PHASES)
        log_rate = HIGHEST - nn.softplus(HIGHEST - RARE - out[..., :phases])
        return Rates(log_rate, out[..., phases : phases + 2], out[..., -1])


def record_channels(
    waveforms: Float[Array, "sample component"],
    rate_hz: Float[Array, ""] | float,
    sample_mask: Bool[Array, " sample"] | None = None,
) -> Float[Array, "sample channel"]:
    """What the network reads of one record: each component above the noise, its change, its share, its presence.

    The mean of the second before a sample is subtracted, so that nothing moves before its time. Samples that
    `sample_mask` leaves out (False), and components without a signal, are zero.
    """
    recorded = jnp.ones(len(waveforms), bool) if sample_mask is None else sample_mask
    kept = recorded[:, None]
    waveforms = (waveforms - _mean(waveforms, kept)) * kept
    largest = jnp.abs(waveforms).max()
    waveforms = waveforms / jnp.where(largest > 0, largest, 1.0)
    there = jnp.abs(waveforms).max(0) > 0
    block = max(round(SCALE_S * float(rate_hz)), 1)
    passed = (waveforms - _mean_before(waveforms, block)) * kept
    change = jnp.diff(waveforms, axis=0, prepend=waveforms[:1]) * kept
    over_noise = [jnp.arcsinh(x / _noise(x, there & kept, block)) / 3 for x in (passed, change)]
    power = _mean_about((passed**2).sum(-1, keepdims=True), max(int(DIRECTION_S * float(rate_hz)), 1))
    share = passed / jnp.sqrt(power + 1e-20)
    presence = jnp.broadcast_to(there & kept, waveforms.shape).astype(waveforms.dtype)
    return jnp.concatenate([*over_noise, jnp.clip(share, -3, 3), presence], -1)


def _mean(x: Float[Array, "sample component"], kept: Bool[Array, "sample 1"]) -> Float[Array, "component"]:
    return (x * kept).sum(0) / jnp.maximum(kept.sum(), 1)


def _mean_before(x: Float[Array, "sample component"], number: int) -> Float[Array, "sample component"]:
    """Mean of the `number` samples before each, the first ones of those that there are."""
    count = jnp.clip(jnp.arange(len(x)), 1, number)[:, None]
    return _moving_sum(x, number, number, 0)[:-1] / count


def _mean_about(x: Float[Array, "sample 1"], number: int) -> Float[Array, "sample 1"]:
    """Mean of about `number` samples around each."""
    half = number // 2
    return _moving_sum(x, 2 * half + 1, half, half) / (2 * half + 1)


def _moving_sum(
    x: Float[Array, "sample feature"], number: int, before: int, after: int
) -> Float[Array, "more feature"]:
    """Sums of `number` samples, with so many zeros before and after the record."""
    # Not a difference of running sums, which loses what is small after something large.
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, (number, 1), (1, 1), ((before, after), (0, 0)))


def _noise(
    x: Float[Array, "sample component"], there: Bool[Array, "sample component"], block: int
) -> Float[Array, "sample 1"]:
    """Size of the noise about each sample: lower quartile of the medians of the blocks near it, all components."""
    short = -len(x) % block
    size = jnp.where(there, jnp.abs(x), jnp.nan)
    blocks = jnp.pad(size, ((0, short), (0, 0)), constant_values=jnp.nan).reshape(-1, block, x.shape[1])
    # Some samples of each are enough for its median, which is a sort.
    median = jnp.nanmedian(blocks[:, :: max(block // SAMPLED, 1)].reshape(len(blocks), -1), 1)
    median = jnp.where(median > 0, median, jnp.nan)  # constant stretches tell no noise
    near = jnp.pad(median, NEAR_BLOCKS, constant_values=jnp.nan)
    windows = jnp.stack([near[i : i + len(median)] for i in range(2 * NEAR_BLOCKS + 1)], -1)
    level = jnp.nanquantile(windows, 0.25, axis=-1)
    level = jnp.where(jnp.isfinite(level), level, jnp.abs(x).max() + 1e-12)
    return jnp.repeat(level, block)[: len(x), None]


def masked(rates: Rates, sample_mask: Bool[Array, "*record sample"] | None) -> Rates:
    """Rates without any where nothing was recorded."""
    if sample_mask is None:
        return rates
    return rates._replace(log_rate=jnp.where(sample_mask[..., None], rates.log_rate, UNRECORDED))


class RecordRates(nn.Module):
    """Rates of one record, whatever its length."""

    rates: RateModel
    rate_hz: float

    def __call__(
        self, waveforms: Float[Array, "sample component"], sample_mask: Bool[Array, " sample"] | None = None
    ) -> Rates:
        """Rates at each sample; none where `sample_mask` leaves it out (False)."""
        return masked(self.rates(record_channels(waveforms, self.rate_hz, sample_mask)), sample_mask)


class Model(nn.Module):
    """Densities of one arrival of P and of S at each station of one event (`Readings`)."""

    rates: RateModel
    rate_hz: float

    def __call__(self, observations: Observations) -> Readings:
        """Arrival densities of one event."""
        waveforms, mask = waveforms_of(observations), observations.sample_mask
        read = lambda x, recorded: record_channels(x, self.rate_hz, recorded)
        channels = jax.vmap(read, (0, None if mask is None else 0))(waveforms, mask)
        found = masked(self.rates(channels), mask)
        log_mass = window_log_mass(found.log_rate, observations.rate_hz)
        active = active_stations(observations).astype(log_mass.dtype)
        # The mean over where P may be: short where this is not known.
        towards = jnp.einsum("ks,ksd->kd", jnp.exp(log_mass[:, 0, :-1]), self._after(found.towards))
        return Readings(log_mass, observations.rate_hz, active, towards, number=-log_mass[..., -1])

    def _after(self, towards: Float[Array, "station sample 2"]) -> Float[Array, "station sample 2"]:
        """Directions a moment after each sample, where they are learnt."""
        return jnp.roll(towards, -round(READ_AFTER_S * self.rate_hz), 1)


def network(*, rate_hz: float, **settings: Any) -> Network:
    """The network bound to pure functions, for records of one sampling rate; settings are those of `RateModel`."""
    return bind(Model(RateModel(**settings), rate_hz))
