"""ConvNetQuake_INGV, Lomax, Michelini & Jozinovic (2019): distance, direction, depth and magnitude from one station.

A. Lomax, A. Michelini and D. Jozinovic, An investigation of rapid earthquake characterization using single-station
waveforms and a convolutional neural network, Seismological Research Letters 90(2A), 517-529. Nine convolutions of 32
features with a stride of two over a record of 50 s; a dense layer of their output and of the record's amplitude, and a
linear one, give classes of distance (and noise), magnitude, depth and back-azimuth, at any distance on earth.

Differs from the paper, with `published=True` (37,824 parameters at 1001 samples and 127 classes):

* Components are in the order of this project (Z, N, E), and one L2 term on kernels is the prior over all weights.

Differs besides, as it is by default:

* The amplitude enters as its standardised log10. In m/s, as published, it is about 1e-6 next to features of order one:
  its weights would have to grow to a million, so magnitudes cannot be learnt from it.
* Its weight equals that of all other features together: as one among a hundred, with 150 records of northern Chile, the
  network overfitted the other features, and magnitudes had no skill.
* Scale by the root mean square, and group normalisation after each convolution.

The classes, and the corrections to them, are described in `jaxloc.heads.polar_classes`.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.convnetquake import Halvings, by_largest
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import station_traces
from jaxloc.per_station import each_station
from jaxloc.types import Network, Observations


class Model(nn.Module):
    """The record of one station to `size` raw outputs; `dense` None is as many as there are features (paper)."""

    size: int = 127
    published: bool = False
    layers: int = 9
    width: int = 32
    norm: str = "group"
    dense: int | None = None
    log_amplitude: tuple[float, float] = (-6.0, 1.5)

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " size"]:
        """Raw outputs, linear in the last layer."""
        if self.published:
            record, amplitude = by_largest(observations)
        else:
            traces = station_traces(observations, *self.log_amplitude)
            record, amplitude = traces.waveforms[0], traces.log_amplitude
        waveform = Halvings(self.layers, self.width, "none" if self.published else self.norm)(record)
        if not self.published:
            amplitude = amplitude * waveform.shape[0] ** 0.5
        features = jnp.concatenate([waveform, amplitude])
        hidden = nn.Dense(self.dense or features.shape[0], kernel_init=nn.initializers.he_normal())(features)
        return nn.Dense(self.size)(nn.relu(hidden))


def network(size: int = 127, **settings: Any) -> Network:
    """The network of `size` outputs for each station of an event; settings are those of `Model`."""
    return each_station(bind(Model(size=size, **settings)))
