"""Kriegerowski, Petersen, Vasyura-Bathke & Ohrnberger (2019): a multi-station CNN from waveforms to coordinates.

M. Kriegerowski and others, A deep convolutional neural network for localization of clustered earthquakes
based on multistation full waveforms, Seismological Research Letters 90(2A), 510-516. Three convolutional
layers run over an image whose rows are the components of all stations and whose columns are time; a dense
layer of 64 and a linear layer give the coordinates.

Differs from the paper, with `published=True`:

* Output: as many numbers as the head takes, not three under a squared error.
* Batch normalisation: group normalisation, so that predictions do not depend on the batch.
* Sizes: the third layer (3 x 3, 128, time stride 2) and pooling windows (10, 3 and 1 samples, side by
  side) are ours. Only two layers survive in public settings, where the pooling sizes are swapped (they
  pool ten rows instead of ten samples) and the stride is one, which leaves 5e7 weights in the dense layer.
* Left out: the nonlinear layer of three units before the output, an error that makes a bottleneck.
* Gaps are zero, not the mean of the record plus 1e-9.
* A masked station does not affect the scale of the others.

Differs besides, as it is by default (`published=False`):

* Scale: each station by its own root mean square, with its log10 amplitude and its mask as features,
  where the paper divides all by the largest amplitude, which suppresses far stations.
* Rows: the first layer combines the three components of a station and the others treat stations separately
  (kernels of 3 x k rows by samples with row stride three, then 1 x k), common to all stations.
  The paper's 3 x 3 kernels mix rows that are adjacent only in the list.
* Time: strides instead of pooling, down to `strides` product samples (0.4 s at 20 Hz).
* Between the layers and the dense one, each station is reduced to pooled features and to arrival times:
  `num_times` softmax weights over time, their mean, spread and height. Times enter the dense layer relative to
  the mean of all stations, so moveout is separate from the window's start; the mean times go to the
  linear output directly. The paper flattens everything.
* Station dropout uses masks: a masked station has zeros and its mask is a feature.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import Traces, in_order, station_traces, waveforms_of
from jaxloc.networks.layers import Conv1D, Conv2D, Dropout, Norm, largest, max_pool
from jaxloc.per_station import TINY
from jaxloc.types import Network, Observations

TIME_SCALE_S = 5.0  # arrival times enter as multiples of this: the moveout of a local network


class Model(nn.Module):
    """The observations of one event to `size` raw outputs.

    `width` is the features of the first layer; the others have two and four times as many (paper: 32).
    `num_stations` sorts stations into fixed rows by `station_index`; None keeps the order of the rows.
    The numbers of stations and samples are those of `init`: stations are inputs of a dense layer.
    """

    size: int
    width: int = 8
    published: bool = False
    kernels: tuple[int, int, int] = (10, 5, 5)
    strides: tuple[int, int, int] = (2, 2, 2)
    num_times: int = 8
    dense: tuple[int, ...] = (64,)
    dropout: float = 0.01
    norm: str = "group"
    log_amplitude: tuple[float, float] = (-6.0, 1.5)
    num_stations: int | None = None

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " size"]:
        """Raw outputs, linear in the last layer."""
        observations = in_order(observations, self.num_stations)
        if self.published:
            features = self._flattened(waveforms_of(observations))
            return nn.Dense(self.size)(self._dense(features))
        traces = station_traces(observations, *self.log_amplitude)
        steps = self._shared_layers(traces)
        moveout, mean_times = self._times(steps, traces.mask, observations.rate_hz)
        pooled = jnp.concatenate([steps.mean(1), largest(steps, 1)], -1)
        pooled = nn.leaky_relu(nn.Dense(self.width)(pooled), 0.2)
        amplitude = jnp.stack([traces.log_amplitude, _centred(traces.log_amplitude, traces.mask)[0]], -1)
        stations = jnp.concatenate([moveout, pooled, amplitude, jnp.ones_like(amplitude[:, :1])], -1)
        hidden = self._dense(jnp.where(traces.mask[:, None], stations, 0.0).ravel())
        return nn.Dense(self.size)(jnp.concatenate([hidden, mean_times]))

    def _dense(self, features: Float[Array, " feature"]) -> Float[Array, " hidden"]:
        for width in self.dense:
            features = nn.leaky_relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(features), 0.2)
        return features

    def _flattened(self, waveforms: Float[Array, "station sample component"]) -> Float[Array, " feature"]:
        """The published layers: convolution, leaky ReLU, pooling, dropout, normalisation; three times."""
        largest = jnp.abs(waveforms).max()
        scaled = waveforms / jnp.where(largest > TINY, largest, 1.0)
        image = jnp.swapaxes(scaled, 1, 2).reshape(-1, waveforms.shape[1], 1)
        for window, stride, pool, factor in [((1, 10), 1, 10, 1), ((3, 3), 1, 3, 2), ((3, 3), 2, 1, 4)]:
            window = (min(window[0], image.shape[0]), min(window[1], image.shape[1]))
            image = Conv2D(self.width * factor, window, (1, stride), padding="VALID")(image)
            image = max_pool(nn.leaky_relu(image, 0.2), (1, pool))
            image = Norm(self.norm)(Dropout(self.dropout)(image))
        return image.ravel()

    def _shared_layers(self, traces: Traces) -> Float[Array, "station step feature"]:
        """The three layers along time, with kernels common to all stations."""
        steps = traces.waveforms
        layers = zip(self.kernels, self.strides, (1, 2, 4), strict=True)
        for kernel, stride, factor in layers:
            steps = Conv1D(self.width * factor, kernel, stride)(steps)
            steps = Dropout(self.dropout)(nn.leaky_relu(steps, 0.2))
            steps = Norm(self.norm)(steps)
        return steps

    def _times(
        self, steps: Float[Array, "station step feature"], mask: Bool[Array, " station"], rate_hz: Float[Array, ""]
    ) -> tuple[Float[Array, "station feature"], Float[Array, " times"]]:
        """Arrival times of each station relative to the event's mean times, with spread and height; and the means."""
        step_s = self.strides[0] * self.strides[1] * self.strides[2] / rate_hz
        middle = (steps.shape[1] - 1) / 2
        time = (jnp.arange(steps.shape[1]) - middle)[:, None] * step_s / TIME_SCALE_S
        scores = Conv1D(self.num_times, 1)(steps)
        weights = jax.nn.softmax(scores, 1)
        mean = (weights * time).sum(1)
        spread = jnp.sqrt((weights * (time - mean[:, None]) ** 2).sum(1) + 1e-6)
        height = (weights * scores).sum(1) - scores.mean(1)
        moveout, mean_times = _centred(mean, mask)
        return jnp.concatenate([moveout, spread, jnp.tanh(height / 5)], -1), mean_times


def _centred(
    values: Float[Array, "station *feature"], mask: Bool[Array, " station"]
) -> tuple[Float[Array, "station *feature"], Float[Array, "*feature"]]:
    """Values minus their mean over the active stations, and that mean."""
    share = mask / jnp.maximum(mask.sum(), 1)
    mean = jnp.tensordot(share, values, 1)
    return values - mean, mean


def network(size: int, **settings: Any) -> Network:
    """The network of `size` outputs as pure functions; settings are those of `Model`."""
    return bind(Model(size=size, **settings))
