"""ConvNetQuake, Perol, Gharbi & Denolle (2018): detection and cluster of an event in one station's record.

T. Perol, M. Gharbi and M. Denolle, Convolutional neural network for earthquake detection and location, Science
Advances 4, e1700578. Eight convolutions of 32 features with a stride of two, down to a few samples; a linear layer
gives the logits of noise and of K clusters of epicentres.

Differs from the paper, with `published=True` (22,951 parameters at 1001 samples and K = 6):

* Scale: the window's own largest amplitude for all components together. The paper divides each month-long trace by
  its largest sample, which makes the gain depend on the month's largest event and on the future.
* Regularised by the prior over weights, all of them, where the paper has an L2 term on kernels of convolutions alone.

Differs besides, as it is by default:

* Scale: by the window's root mean square; its log10 amplitude is a feature of its own, beside the flattened ones.
* Group normalisation after each convolution, and dense layers (`dense`) before the linear one, for amplitude and
  waveform to act on each other.
* The stations of a seismic network share all weights except the last layer's: the station index among `num_stations`
  is a feature. The paper's two stations, at nearly one site, share all.

The interpretation of the outputs differs too (`jaxloc.heads.clusters`): an event is detected by one minus the
probability of noise, not by the largest of K + 1 probabilities; clusters are found in kilometres among training events
alone; and the share of noise in training is corrected for.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import station_traces, waveforms_of
from jaxloc.networks.layers import Conv1D, Norm
from jaxloc.per_station import TINY, each_station
from jaxloc.types import Network, Observations


class Halvings(nn.Module):
    """Convolutions of one record, each with a window of three samples and a stride of two, and ReLU; flattened."""

    layers: int
    width: int
    norm: str

    @nn.compact
    def __call__(self, record: Float[Array, "sample component"]) -> Float[Array, " feature"]:
        """Flattened features of the last convolution."""
        for _ in range(self.layers):
            record = Norm(self.norm)(nn.relu(Conv1D(self.width, 3, 2)(record)))
        return record.ravel()


class Model(nn.Module):
    """The record of one station to `size` raw outputs; the number of samples is that of `init`."""

    size: int
    num_stations: int = 1
    published: bool = False
    layers: int = 8
    width: int = 32
    norm: str = "group"
    dense: tuple[int, ...] = (64,)
    log_amplitude: tuple[float, float] = (-6.0, 1.5)

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " size"]:
        """Raw outputs, linear in the last layer."""
        if self.published:
            record, _ = by_largest(observations)
            return nn.Dense(self.size)(Halvings(self.layers, self.width, "none")(record))
        traces = station_traces(observations, *self.log_amplitude)
        features = Halvings(self.layers, self.width, self.norm)(traces.waveforms[0])
        features = jnp.concatenate([features, traces.log_amplitude])
        if self.num_stations > 1:
            features = jnp.concatenate([features, jax.nn.one_hot(observations.station_index[0], self.num_stations)])
        for width in self.dense:
            features = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(features))
        return nn.Dense(self.size)(features)


def by_largest(observations: Observations) -> tuple[Float[Array, "sample component"], Float[Array, " 1"]]:
    """One station's record over its largest amplitude, all components together, and that amplitude in m/s."""
    record = waveforms_of(observations)[0]
    largest = jnp.abs(record).max()
    return record / jnp.where(largest > TINY, largest, 1.0), largest[None]


def network(size: int, **settings: Any) -> Network:
    """The network of `size` outputs for each station of an event; settings are those of `Model`."""
    return each_station(bind(Model(size=size, **settings)))
