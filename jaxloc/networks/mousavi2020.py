"""Mousavi & Beroza (2020): distance, travel time and back-azimuth of an earthquake from one station's record.

S. M. Mousavi and G. C. Beroza, Bayesian-deep-learning estimation of earthquake location from single-station
observations, IEEE Transactions on Geoscience and Remote Sensing 58(11), 8211-8224 (arXiv 1912.01144). Two networks: a
temporal convolutional network (TCN; Bai and others 2018) reads the record and a boxcar from the P pick to the S pick,
and gives distance and P travel time; a smaller one reads 1.5 s about P with the polarisation of its beginning, and
gives the direction.

Differs from the paper, with `published=True` (59,384 parameters, 880 of them statistics, and 46,602):

* Batch normalisation has its statistics as constant parameters, zero and one unless they are set.
* Dropout is active where a key is given, as in all networks here; in the authors' scripts it is always on.
* Eigenvalues and eigenvectors are in increasing order; the authors' are unsorted.
* The loss is the head's; theirs weights distance 0.1 and travel time 0.9, and directions by squared error.

Differs besides, as it is by default:

* Components are scaled together by the largest absolute value; in the paper each by its own largest signed value, which
  loses the direction of motion.
* Waveforms are rotated into the direction of P's particle motion, and the predicted direction is relative to it, so the
  network is equivariant to rotation.
* The record is a window that starts shortly before P; the paper's is 60 s from the trace's start.
* Layer normalisation. The S-P time, its logarithm and the polarisation are features besides the TCN's, and one dense
  layer precedes the outputs. Eigenvectors point upwards.
* Without horizontal components or a P pick the direction is uniform.

The TCN's output is that of the last sample alone. A block of dilation D is needed there and at every 2 D-th sample
before it, so each block is computed at every other position of the one before: the same numbers at a fifth of the cost.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.layers import Conv1D, Dropout, Norm, largest
from jaxloc.networks.single_record import Polarisation, Record, cut, polarisation, record_of, scaled, turned
from jaxloc.per_station import TINY, each_station
from jaxloc.types import Network, Observations

PASSED = 4  # numbers after the outputs: the P pick and the S-P time in s, and whether each is known
EARLY = 0.05  # share of the record's window before P


class Frozen(nn.Module):
    """Batch normalisation with constant statistics, stored as parameters."""

    @nn.compact
    def __call__(self, inputs: Float[Array, "*space channel"]) -> Float[Array, "*space channel"]:
        """Normalise by the stored mean and variance."""
        shape = inputs.shape[-1:]
        mean = jax.lax.stop_gradient(self.param("mean", nn.initializers.zeros, shape))
        log_variance = jax.lax.stop_gradient(self.param("log_variance", nn.initializers.zeros, shape))
        scale, bias = self.param("scale", nn.initializers.ones, shape), self.param("bias", nn.initializers.zeros, shape)
        return (inputs - mean) * jnp.exp(-0.5 * log_variance) * scale + bias


class Causal(nn.Module):
    """A causal convolution, normalisation, ReLU and dropout of channels."""

    features: int
    kernel_size: int
    strides: int
    norm: str
    dropout: float

    @nn.compact
    def __call__(self, inputs: Float[Array, "sample channel"]) -> Float[Array, "out feature"]:
        """At every `strides`-th sample back from the last."""
        before = self.kernel_size - 1 - (inputs.shape[0] - 1) % self.strides
        ahead = jnp.pad(inputs, ((max(before, 0), 0), (0, 0)))[max(-before, 0) :]
        outputs = Conv1D(self.features, self.kernel_size, self.strides, padding="VALID")(ahead)
        outputs = Frozen()(outputs) if self.norm == "frozen" else Norm(self.norm)(outputs)
        kept = Dropout(self.dropout)(jnp.ones_like(outputs[:1]))
        return nn.relu(outputs) * kept


class Tcn(nn.Module):
    """Residual blocks of two causal convolutions with dilations 1, 2, 4, ...; the sum of their last samples."""

    features: int
    kernel_size: int
    blocks: int
    norm: str
    dropout: float

    @nn.compact
    def __call__(self, inputs: Float[Array, "sample channel"]) -> Float[Array, " feature"]:
        """The skip sum at the last sample."""
        steps, total = Conv1D(self.features, 1)(inputs), jnp.zeros(self.features)
        for block in range(self.blocks):
            layer = lambda stride: Causal(self.features, self.kernel_size, stride, self.norm, self.dropout)
            inner = layer(1)(steps)
            inner = layer(2)(inner)
            total = total + inner[-1]
            if block < self.blocks - 1:  # the residual of the last block is not used
                steps = Conv1D(self.features, 1)(steps[(steps.shape[0] - 1) % 2 :: 2]) + inner
        return total


class Distance(nn.Module):
    """The network of distance and travel time: a record [sample, 3] and its picks to `size` numbers."""

    size: int
    features: int
    kernel_size: int
    blocks: int
    dropout: float
    norm: str
    hidden: int | None

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "sample 4"], auxiliary: Float[Array, " auxiliary"]
    ) -> Float[Array, " size"]:
        """Outputs, linear in the last layer."""
        hidden = Tcn(self.features, self.kernel_size, self.blocks, self.norm, self.dropout)(inputs)
        if self.hidden is None:
            return nn.Dense(self.size)(hidden)
        hidden = nn.relu(nn.Dense(self.hidden)(jnp.concatenate([hidden, auxiliary])))
        return nn.Dense(self.size, kernel_init=nn.initializers.variance_scaling(0.01, "fan_in", "normal"))(hidden)


class Azimuth(nn.Module):
    """The network of direction: P's window [150, 3] and its polarisation [7, 3] to `size` numbers."""

    size: int
    dropout: float
    norm: str
    dense: int = 100

    @nn.compact
    def __call__(self, window: Float[Array, "sample 3"], moments: Float[Array, "7 3"]) -> Float[Array, " size"]:
        """Outputs, linear in the last layer."""
        steps = window
        for features in (20, 32, 64, 20):
            steps = Dropout(self.dropout)(Norm(self.norm)(nn.relu(Conv1D(features, 3)(steps))))
            steps = _halved(steps)
        both = jnp.concatenate([steps.ravel(), nn.relu(Conv1D(20, 1)(moments)).ravel()])
        return nn.Dense(self.size)(Dropout(3 * self.dropout)(nn.relu(nn.Dense(self.dense)(both))))


class Model(nn.Module):
    """The record of one station (the first row) to `size` + `azimuth_size` raw outputs and `PASSED` more numbers.

    Directions are pairs (north, east), as many as `directions`, then the rest of `azimuth_size` unchanged. Windows are
    in samples: `window` of the record, `onset` before and after P, `shake` from P on for its polarisation.
    """

    size: int
    azimuth_size: int = 2
    directions: int = 1
    published: bool = False
    features: int = 20
    kernel_size: int = 6
    blocks: int = 11
    hidden: int = 32
    window: int = 6000
    onset: tuple[int, int] = (50, 100)
    shake: int = 20
    dropout: float = 0.1

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " raw"]:
        """Outputs of both networks, the P pick, the S-P time, and which of the two are known."""
        record = record_of(observations)
        p = jnp.round(record.pick[0]).astype(int)
        shaken = polarisation(cut(record.waveforms, p, self.shake))
        norms = ("frozen", "none") if self.published else ("layer", "layer")
        distance = Distance(
            self.size,
            self.features,
            self.kernel_size,
            self.blocks,
            self.dropout,
            norms[0],
            None if self.published else self.hidden,
            name="distance",
        )
        azimuth = Azimuth(self.azimuth_size, self.dropout, norms[1], name="azimuth")
        onset = cut(record.waveforms, p - self.onset[0], sum(self.onset))
        if self.published:
            inputs = _with_box(_each_scaled(record.waveforms[: self.window]), record, jnp.zeros((), int))
            far, towards = distance(inputs, jnp.zeros(0)), azimuth(_by_largest(onset), _moments(shaken.covariance))
        else:
            start = jnp.where(record.known[0], p - int(EARLY * self.window), 0)
            whole = turned(scaled(cut(record.waveforms, start, self.window)), shaken.back_azimuth_rad)
            far = distance(_with_box(whole, record, start), _auxiliary(record, shaken))
            towards = azimuth(turned(scaled(onset), shaken.back_azimuth_rad), _moments(_turned(shaken)))
            towards = self._back(towards, shaken, record)
        passed = jnp.stack([record.pick[0] / record.rate_hz, record.wait_s, record.known[0], record.known.all()])
        return jnp.concatenate([far, towards, passed])

    def _back(self, raw: Float[Array, " raw"], shaken: Polarisation, record: Record) -> Float[Array, " raw"]:
        """Directions relative to P's particle motion, rotated back to geographic ones; zero where that is unknown."""
        pairs, rest = raw[: 2 * self.directions].reshape(-1, 2), raw[2 * self.directions :]
        cosine, sine = jnp.cos(shaken.back_azimuth_rad), jnp.sin(shaken.back_azimuth_rad)
        north, east = pairs[:, 0] * cosine - pairs[:, 1] * sine, pairs[:, 0] * sine + pairs[:, 1] * cosine
        known = shaken.known & record.known[0]
        return jnp.concatenate([jnp.where(known, jnp.stack([north, east], -1), 0.0).ravel(), rest])


def _halved(steps: Float[Array, "sample channel"]) -> Float[Array, "out channel"]:
    """The larger of each two neighbours, the last one alone where their number is odd."""
    padded = jnp.pad(steps, ((0, steps.shape[0] % 2), (0, 0)), constant_values=-jnp.inf)
    return largest(padded.reshape(-1, 2, steps.shape[1]), 1)


def _with_box(waveforms: Float[Array, "sample 3"], record: Record, start: Float[Array, ""]) -> Float[Array, "sample 4"]:
    """With a fourth channel that is one from P to S."""
    place = jnp.arange(waveforms.shape[0]) + start
    inside = record.known.all() & (place >= record.pick[0]) & (place <= record.pick[1])
    return jnp.concatenate([waveforms, inside[:, None].astype(waveforms.dtype)], -1)


def _each_scaled(waveforms: Float[Array, "sample 3"]) -> Float[Array, "sample 3"]:
    """Each component minus its mean and divided by its largest value, in the paper's order E, N, Z."""
    apart = waveforms[:, ::-1] - waveforms[:, ::-1].mean(0)
    size = apart.max(0)
    return jnp.where(size > TINY, apart / jnp.where(size > TINY, size, 1.0), 0.0)


def _by_largest(window: Float[Array, "sample 3"]) -> Float[Array, "sample 3"]:
    size = window.max()
    return jnp.where(size > TINY, window / jnp.where(size > TINY, size, 1.0), 0.0)[:, ::-1]


def _moments(covariance: Float[Array, "3 3"]) -> Float[Array, "7 3"]:
    """Covariance and eigenvalues divided by their largest elements, and eigenvectors that point upwards."""
    size = jnp.abs(covariance).max()
    values, vectors = jnp.linalg.eigh(covariance / jnp.where(size > 0, size, 1.0))
    upwards = vectors * jnp.where(vectors[0] < 0, -1.0, 1.0)
    relative = values / jnp.where(values[2] > 0, values[2], 1.0)
    return jnp.concatenate([covariance / jnp.where(size > 0, size, 1.0), relative[None], upwards])


def _turned(shaken: Polarisation) -> Float[Array, "3 3"]:
    """The covariance in the frame of P's own direction."""
    half = turned(shaken.covariance, shaken.back_azimuth_rad)
    return turned(half.T, shaken.back_azimuth_rad)


def _auxiliary(record: Record, shaken: Polarisation) -> Float[Array, " 6"]:
    """Features besides the TCN's: the S-P time and the polarisation of P."""
    wait_s = record.wait_s
    timing = [wait_s / 10, jnp.log(wait_s + 0.1) / 2, record.known.all()]
    moved = jnp.where(shaken.known, jnp.stack([shaken.steepness_rad, shaken.linearity, jnp.ones(())]), 0.0)
    return jnp.concatenate([jnp.stack([jnp.asarray(x, moved.dtype) for x in timing]), moved])


def network(size: int, **settings: Any) -> Network:
    """The two networks as one, for each station of an event; settings are those of `Model`."""
    return each_station(bind(Model(size=size, **settings)))
