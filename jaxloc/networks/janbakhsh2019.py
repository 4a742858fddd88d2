"""After Janbakhsh, Pysklywec & Shahnas (2019): event or noise, first motion, magnitude and distance from one record.

A reconstruction. Of P. Janbakhsh, R. Pysklywec and M. H. Shahnas, Magnitude and epicentral distance estimation,
first-motion polarity and noise/event classification by deep learning, AGU Fall Meeting 2019, S43E-0696, only the title
and one sentence in a review are public: an autoencoder, a one-dimensional CNN and a recurrent network, together. Sizes,
data and results are unknown; the architecture below and all figures are ours.

* A denoising autoencoder (Vincent and others 2008): three convolutions with a stride of two give a code, their mirror
  reconstructs the record. It is trained on records with added noise, whose key is derived from the record, so that the
  forward pass is a function of weights and data; its output is the mean square error. The other parts read the code of
  the record without added noise.
* Two convolutions over the code, a bidirectional gated recurrent unit, and its two last states with the record's
  amplitude to a dense layer: event or noise, magnitude, distance. They use no picks.
* First motion: convolutions of the vertical component in a short window about the P pick, g(x) - g(-x), so that the
  output is odd under reversal of polarity. Without a pick, up and down are equally likely.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.layers import Conv1D, Dropout, Norm, largest
from jaxloc.networks.single_record import cut, record_of, scaled
from jaxloc.per_station import TINY, each_station
from jaxloc.types import Network, Observations

KERNELS = (7, 5, 3)
ADDED = 0.3  # largest standard deviation of added noise, in root mean squares of the record


class Encoder(nn.Module):
    """Three convolutions with a stride of two."""

    width: int
    norm: str

    @nn.compact
    def __call__(self, record: Float[Array, "sample 3"]) -> Float[Array, "step feature"]:
        """The code."""
        for factor, kernel in zip((1, 2, 4), KERNELS, strict=True):
            record = Norm(self.norm)(nn.relu(Conv1D(factor * self.width, kernel, 2)(record)))
        return record


class Decoder(nn.Module):
    """The encoder's mirror: nearest-neighbour upsampling and a convolution at each step."""

    width: int

    @nn.compact
    def __call__(self, code: Float[Array, "step feature"]) -> Float[Array, "sample 3"]:
        """A record of eight times the code's steps."""
        for features, kernel in zip((2 * self.width, self.width, self.width), KERNELS[::-1], strict=True):
            code = nn.relu(Conv1D(features, kernel)(jnp.repeat(code, 2, 0)))
        return Conv1D(3, 1)(code)


class FirstMotion(nn.Module):
    """The log-odds of up over down from the vertical component about P, odd under reversal of polarity."""

    width: int

    @nn.compact
    def __call__(self, vertical: Float[Array, " sample"]) -> Float[Array, ""]:
        """The log-odds."""
        steps = jnp.stack([vertical, -vertical])[..., None]
        for kernel in KERNELS:
            steps = nn.relu(Conv1D(self.width, kernel)(steps))
        hidden = nn.relu(nn.Dense(2 * self.width)(steps.reshape(2, -1)))
        outputs = nn.Dense(1, use_bias=False)(hidden)[:, 0]
        return 0.5 * (outputs[0] - outputs[1])


class Model(nn.Module):
    """One station's record to `size` raw outputs, log-odds of up over down, and the autoencoder's error.

    `motion` is the window of first motion, in samples before and after P.
    """

    size: int
    width: int = 16
    recurrent: int = 64
    dense: int = 64
    norm: str = "group"
    dropout: float = 0.1
    motion: tuple[int, int] = (25, 25)
    log_amplitude: tuple[float, float] = (-6.0, 1.5)

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " raw"]:
        """Outputs for the head, of `size` + 2 numbers."""
        record = record_of(observations)
        whole, height = scaled(record.waveforms), jnp.abs(record.waveforms).max()
        encoder = Encoder(self.width, self.norm)
        code = encoder(whole)
        left = self._left_over(encoder, whole)
        amplitude = jnp.where(height > TINY, jnp.log10(jnp.where(height > TINY, height, 1.0)), 0.0)
        amplitude = (amplitude - self.log_amplitude[0]) / self.log_amplitude[1] * (height > TINY)
        features = jnp.append(self._recurrent(code), amplitude)
        hidden = Dropout(self.dropout)(nn.relu(nn.Dense(self.dense)(features)))
        start = jnp.round(record.pick[0]).astype(int) - self.motion[0]
        onset = scaled(cut(record.waveforms[:, :1], start, sum(self.motion)))[:, 0]
        up = jnp.where(record.known[0], FirstMotion(self.width)(onset), 0.0)
        return jnp.concatenate([nn.Dense(self.size)(hidden), jnp.stack([up, left])])

    def _left_over(self, encoder: Encoder, whole: Float[Array, "sample 3"]) -> Float[Array, ""]:
        """Mean square of the record minus its reconstruction under noise, relative to that of the record."""
        power = (whole**2).mean()
        seed = jax.lax.bitcast_convert_type(whole.sum() + whole[whole.shape[0] // 2].sum(), jnp.int32)
        size, noise = jax.random.split(jax.random.fold_in(jax.random.key(0), seed))
        level = ADDED * jax.random.uniform(size) * jnp.sqrt(power)
        noisy = whole + level * jax.random.normal(noise, whole.shape)
        made = Decoder(self.width)(encoder(noisy))[: whole.shape[0]]
        error = ((made - whole) ** 2).mean()
        return jnp.where(power > 0, error / jnp.where(power > 0, power, 1.0), 0.0)

    def _recurrent(self, code: Float[Array, "step feature"]) -> Float[Array, " feature"]:
        """The last states of a forward and a backward recurrent unit over the code."""
        for _ in range(2):
            code = Norm(self.norm)(nn.relu(Conv1D(4 * self.width, 5, 2)(code)))
        ways = [nn.RNN(nn.GRUCell(self.recurrent), reverse=back)(code[None]) for back in (False, True)]
        return jnp.concatenate([*(jnp.asarray(way)[0, -1] for way in ways), largest(code, 0)])


def network(size: int, **settings: Any) -> Network:
    """The network of `size` + 2 outputs for each station of an event; settings are those of `Model`."""
    return each_station(bind(Model(size=size, **settings)))
