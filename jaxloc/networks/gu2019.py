"""Gu, Marzouk & Toksoz (2019): a Bayesian convolutional network from multi-station waveforms to a hypocentre.

C. Gu, Y. M. Marzouk and M. N. Toksoz, Bayesian deep learning and uncertainty quantification applied to induced
seismicity locations in the Groningen gas field in the Netherlands, SEG Technical Program Expanded Abstracts 2019.
Convolutions over an image of stations x samples with components as channels, dropout between the last of them and a
dense layer of three coordinates; dropout is active in prediction, and its passes are the posterior (Gal & Ghahramani
2016).

The abstract has no table of layers. With `published=True` they are ours: blocks of a 3 x 3 convolution, ReLU and
pooling along time, features doubling three times, all traces divided by the largest amplitude, dropout at 0.5, one
dense layer. `learns_precision` adds an output that is common to all events: the logarithm of the precision for
`jaxloc.heads.isotropic`. Coordinates are standardised by the training catalogue.

Differs besides, as it is by default (`published=False`):

* Scale: each station by its own root mean square, with its log10 amplitude and its mask as features.
* Convolutions run along time for each station (common kernels): adjacent rows are neighbours in the list only.
* Normalisation within the event after each convolution, and a layer of 64 and dropout again before the output.
* Output: as many numbers as the head takes (14 for a Gaussian of full covariance), so the uncertainty depends on the
  event.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.fcn_blocks import largest_scaled
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import in_order, station_traces, waveforms_of
from jaxloc.networks.layers import Conv1D, Conv2D, Dropout, Norm, max_pool
from jaxloc.types import Network, Observations

DOUBLINGS = 3


class Model(nn.Module):
    """The observations of one event to `size` raw outputs, and one more where it `learns_precision`.

    `width` is the features of the first block. `pools` are the pooling factors after each block and give the number of
    blocks. The numbers of stations and samples are those of `init`. `num_stations` sorts stations into fixed rows by
    `station_index`; None keeps the order of the rows.
    """

    size: int
    width: int = 8
    published: bool = False
    learns_precision: bool = False
    pools: Sequence[int] = (4, 4, 4, 2)
    kernel_size: int = 7
    dense: int = 64
    dropout: float = 0.1
    norm: str = "group"
    log_amplitude: tuple[float, float] = (-6.0, 1.5)
    num_stations: int | None = None

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " raw"]:
        """Raw outputs, linear in the last layer."""
        observations = in_order(observations, self.num_stations)
        raw = self._published(observations) if self.published else self._repaired(observations)
        if not self.learns_precision:
            return raw
        return jnp.append(raw, self.param("log_precision", nn.initializers.zeros, (1,)))

    def _features(self, block: int) -> int:
        return self.width * 2 ** min(block, DOUBLINGS)

    def _published(self, observations: Observations) -> Float[Array, " size"]:
        image = largest_scaled(waveforms_of(observations))
        for block, pool in enumerate(self.pools):
            image = max_pool(nn.relu(Conv2D(self._features(block), (3, 3))(image)), (1, pool))
        return nn.Dense(self.size)(Dropout(0.5)(image.ravel()))

    def _repaired(self, observations: Observations) -> Float[Array, " size"]:
        traces = station_traces(observations, *self.log_amplitude)
        steps = traces.waveforms
        for block, pool in enumerate(self.pools):
            steps = nn.leaky_relu(Norm(self.norm)(Conv1D(self._features(block), self.kernel_size)(steps)), 0.2)
            steps = max_pool(steps, (1, pool))
        steps = jnp.where(traces.mask[:, None, None], steps, 0.0)
        features = jnp.concatenate([steps.ravel(), traces.log_amplitude, traces.mask.astype(steps.dtype)])
        hidden = nn.Dense(self.dense, kernel_init=nn.initializers.he_normal())(Dropout(self.dropout)(features))
        return nn.Dense(self.size)(Dropout(self.dropout)(nn.leaky_relu(hidden, 0.2)))


def network(size: int, **settings: Any) -> Network:
    """The network of `size` outputs as pure functions; settings are those of `Model`."""
    return bind(Model(size=size, **settings))
