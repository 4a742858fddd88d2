"""Arrivals by a network: when P and S reach each station, and that they do not.

One network serves every station: it reads the three components of one trace and gives the probability that P, and that
S, arrives at each sample, or not at all. Its weights do not depend on stations, region or velocity model: physics
(`jaxloc.physics.parameters`) turns its arrival densities into a posterior over hypocentres.

The shape of the network is that of PhaseNet (Zhu & Beroza 2019, GJI 216): a U over time, four times coarser at each
step. Differs from it: probabilities add up to one over time with "no arrival", not over phases at each sample, since
a trace has one P of one event; input on a logarithmic scale, so that a weak P before a strong S is seen; pooled
context at the bottom.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import waveforms_of
from jaxloc.networks.layers import Conv1D, Dropout, Norm, largest
from jaxloc.per_station import TINY, active_stations
from jaxloc.physics.readings import Readings
from jaxloc.types import PHASES, Network, Observations

EDGE_SAMPLES = 3  # at either end of an unrecorded stretch: the step there is no arrival
UNRECORDED = -1e9  # logit of a sample without a record


class Traced(NamedTuple):
    """What the trace network makes of each trace: logits, the features they are read from, and the bottom pooled."""

    logits: Float[Array, "station phase sample_and_none"]
    features: Float[Array, "station sample feature"]
    pooled: Float[Array, "station feature"]


class TraceModel(nn.Module):
    """Three components of each trace to logits of P and S over time and of their absence."""

    channels: tuple[int, ...] = (12, 16, 24, 32, 48)
    kernel_size: int = 7
    stride: int = 4
    norm: str = "layer"
    dropout: float = 0.0

    def _block(
        self, x: Float[Array, "station sample feature"], features: int, stride: int = 1
    ) -> Float[Array, "station sample feature"]:
        x = Conv1D(features, self.kernel_size, strides=stride)(x)
        return nn.gelu(Norm(self.norm)(x))

    def __call__(self, x: Float[Array, "station sample channel"]) -> Float[Array, "station phase sample_and_none"]:
        """Logits of each sample, and of no arrival in the last place."""
        return self.read(x).logits

    @nn.compact
    def read(self, x: Float[Array, "station sample channel"]) -> Traced:
        """Logits, and what a network that does more with a trace than to read arrivals wants besides."""
        samples = x.shape[1]
        multiple = self.stride ** (len(self.channels) - 1)
        x = jnp.pad(x, ((0, 0), (0, -samples % multiple), (0, 0)))
        x, skips = self._block(x, self.channels[0]), []
        for features in self.channels[1:]:
            skips.append(x)
            x = self._block(self._block(x, features, self.stride), features)
        x = Dropout(self.dropout)(x)
        pooled = jnp.concatenate([x.mean(1), largest(x, 1)], -1)
        none = nn.Dense(len(PHASES), name="none")(nn.gelu(nn.Dense(self.channels[-1])(pooled)))
        x = x + nn.Dense(self.channels[-1])(pooled)[:, None, :]
        for features, skip in zip(self.channels[-2::-1], skips[::-1], strict=True):
            x = jnp.repeat(nn.Dense(features)(x), self.stride, 1)
            x = self._block(jnp.concatenate([x, skip], -1), features)
        logits = Conv1D(len(PHASES), self.kernel_size, name="arrival")(x)[:, :samples]
        return Traced(jnp.concatenate([jnp.swapaxes(logits, 1, 2), none[:, :, None]], -1), x[:, :samples], pooled)


def trace_channels(
    waveforms: Float[Array, "station sample component"], sample_mask: Bool[Array, "station sample"] | None = None
) -> Float[Array, "station sample channel"]:
    """Traces on two scales: linear over the largest sample, and inverse hyperbolic sine over the median one.

    The second shows noise, P and S alike, whatever the gain. Whether each component is there comes as three
    channels more. A silent station gives zeros. Samples that `sample_mask` leaves out (False) are zero in the linear
    and logarithmic channels and do not count in the mean, the largest or the median sample.
    """
    # Against noise an offset counts that the largest sample hides: none is left, wherever records come from.
    recorded = jnp.ones(waveforms.shape[:2], bool) if sample_mask is None else sample_mask
    if sample_mask is None:
        waveforms = waveforms - waveforms.mean(1, keepdims=True)
    else:
        number = jnp.maximum(recorded.sum(1), 1)[:, None, None]
        waveforms = waveforms - (waveforms * recorded[..., None]).sum(1, keepdims=True) / number
        waveforms = waveforms * recorded[..., None]
    size = jnp.abs(waveforms)
    largest = size.max((1, 2), keepdims=True)
    scaled = waveforms / jnp.where(largest > TINY, largest, 1.0)
    there = size.max(1, keepdims=True) > TINY
    typical = jnp.nanmedian(jnp.where(there & recorded[..., None], jnp.abs(scaled), jnp.nan), (1, 2), keepdims=True)
    typical = jnp.where(typical > 1e-7, typical, 1e-7)
    logarithmic = jnp.arcsinh(scaled / typical) / 3
    presence = jnp.broadcast_to(there, scaled.shape).astype(scaled.dtype)
    return jnp.concatenate([scaled, logarithmic, presence], -1)


def recorded_logits(
    logits: Float[Array, "station phase sample_and_none"], sample_mask: Bool[Array, "station sample"] | None
) -> Float[Array, "station phase sample_and_none"]:
    """Logits without probability where nothing was recorded, and `EDGE_SAMPLES` beside it; none lost without a mask.

    What an arrival there leaves in the record is "no arrival": the likelihood treats it as outside the record.
    """
    if sample_mask is None:
        return logits
    width = 2 * EDGE_SAMPLES + 1
    padded = jnp.pad(sample_mask, ((0, 0), (EDGE_SAMPLES, EDGE_SAMPLES)), constant_values=True)
    inner = jax.lax.reduce_window(padded, True, jnp.logical_and, (1, width), (1, 1), "valid")
    whole = jnp.pad(inner, ((0, 0), (0, 1)), constant_values=True)
    return jnp.where(whole[:, None], logits, UNRECORDED)


class Model(nn.Module):
    """The trace network over all stations."""

    trace: TraceModel

    def __call__(self, observations: Observations) -> Readings:
        """Arrival densities of one event."""
        waveforms = waveforms_of(observations)
        active = active_stations(observations)
        logits = self.trace(trace_channels(waveforms, observations.sample_mask))
        logits = recorded_logits(logits, observations.sample_mask)
        return Readings(jax.nn.log_softmax(logits, -1), observations.rate_hz, active.astype(logits.dtype))


def network(**settings: Any) -> Network:
    """The arrivals network bound to pure functions; settings are those of `TraceModel`."""
    return bind(Model(TraceModel(**settings)))
