"""Zhang, Zhang & Tian (2021): a fully convolutional network for early warning on truncated records.

X. Zhang, M. Zhang and X. Tian, Real-time earthquake early warning with deep learning: application to the 2016 M 6.0
central Apennines, Italy earthquake, Geophysical Research Letters 48, e2020GL089394. Records of 12 stations that end at
a random time give a volume of the location and a distribution of magnitude, updated as data arrive. Training truncates
records (`jaxloc.data.truncation`); later samples are zero.

No table of its layers is public. With `published=True` they are those of its predecessor (Zhang and others 2020),
adapted to the input and the volume in its authors' later code: 12 x 1024 x 3 samples, pooled to 3 x 4 x 1024 features,
upsampled by (4, 4), (2, 3), (2, 2) and (2, 2) to 96 x 192 x 64 voxels of 0.5 km; magnitude is a softmax of 1,024 bins
between 0 and 10 from the mean of each feature before the upsampling. It is a reconstruction. Known differences from the
paper:

* Output: log-odds. Sigmoids and the label imposed on them (a Gaussian of 5 km) are in
  `jaxloc.heads.volume.published_volume`; the paper's pure noise has a volume of zeros, here it adds nothing to the
  likelihood.
* The volume is east, north, depth, in the frame of the run and not along axes rotated by 160 degrees.
* Two layers after each upsampling, of 512, 256, 128 and 64 features, and dropout at two layers, as in the predecessor.

Differs besides, as it is by default (`published=False`), as `zhang2020` does: scaling by station with log10 amplitude
and mask as channels, a softmax of all voxels, normalisation within the event, a learnt map from rows and times to
coordinates, fewer features; and

* Magnitude is a normal distribution (or optionally bins). It is predicted from pooled features, the log10 amplitude of
  each station and the mean position of the volume, in a layer of 64: the paper's common scaling of all traces removes
  the amplitude.
* The gradient of the magnitude's loss does not reach the location.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.fcn_blocks import Map, Step, Volume, decode
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import in_order, station_traces
from jaxloc.networks.layers import largest
from jaxloc.types import Network, Observations

POOLS = ((1, 4), (1, 4), (2, 4), (2, 4))
PUBLISHED = (Step((8, 12), (8, 8)), Step((4, 4), (4, 4)), Step((2, 2), (2, 2)), Step((1, 1), (1, 1)))
STEPS = (Step((4, 4), (8, 8)), Step((2, 2), (4, 4)), Step((1, 1), (2, 1)))
HIDDEN = 64


class Model(Volume):
    """The observations of one event so far, to one vector: the volume [east, north, depth] by rows, then `others`.

    `others` is the number of raw outputs for the heads of other labels (magnitude: 2). The numbers of stations and
    samples are those of `init`.
    """

    grid: tuple[int, int, int] = (192, 96, 64)
    pools: Sequence[tuple[int, int]] = POOLS
    others: int = 2

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " raw"]:
        """Log-weights, or with the published head log-odds, of the voxels; and raw numbers of other labels."""
        observations = in_order(observations, self.num_stations)
        style, image = self.image_of(observations)
        if self.published:
            volume = decode(style, image, Map(self.grid, PUBLISHED, 0, False))
            return jnp.concatenate([volume.ravel(), nn.Dense(self.others)(image.mean((0, 1)))])
        volume = decode(style, image, Map(self.grid, STEPS, 2, True, self.finer))
        return jnp.concatenate([volume.ravel(), self._others(image, volume, observations)])

    def _others(
        self,
        image: Float[Array, "row column feature"],
        volume: Float[Array, "east north depth"],
        observations: Observations,
    ) -> Float[Array, " other"]:
        """Raw outputs of the magnitude from all stations' amplitudes, the position and the encoder's features."""
        traces = station_traces(observations, *self.log_amplitude)
        pooled = nn.leaky_relu(nn.Dense(self.width)(jnp.concatenate([image.mean(1), largest(image, 1)], -1)), 0.2)
        amplitude = jnp.concatenate([traces.log_amplitude, traces.mask.astype(pooled.dtype)])
        known = jnp.concatenate([pooled.ravel(), amplitude, mean_place(jax.lax.stop_gradient(volume))])
        hidden = nn.leaky_relu(nn.Dense(HIDDEN, kernel_init=nn.initializers.he_normal())(known), 0.2)
        return nn.Dense(self.others)(jnp.concatenate([hidden, amplitude]))


def mean_place(volume: Float[Array, "east north depth"]) -> Float[Array, " 3"]:
    """The mean of the softmax of a volume, from -1 to 1 along each axis."""
    weight = jax.nn.softmax(volume.ravel()).reshape(volume.shape)
    axes = [jnp.linspace(-1.0, 1.0, number) for number in volume.shape]
    return jnp.stack([jnp.moveaxis(weight, i, 0).sum((1, 2)) @ axis for i, axis in enumerate(axes)])


def network(size: tuple[int, int, int], **settings: Any) -> Network:
    """The network of a volume of `size` and `others` raw numbers as pure functions; settings are those of `Model`."""
    return bind(Model(grid=(size[0], size[1], size[2]), **settings))
