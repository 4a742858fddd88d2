"""Zhang, Zhang, Yuan, Liu, Chen & Li (2020): a fully convolutional network from waveforms to a volume.

X. Zhang and others, Locating induced earthquakes with a network of seismic stations in Oklahoma via a deep
learning method, Scientific Reports 10, 1941. Stations are the rows of an image in fixed order, samples its
columns, components its channels; an encoder of 3 x 3 convolutions and pooling ends in 1024 features, a
decoder of nearest-neighbour upsampling and convolutions gives a volume whose depths are channels.

Differs from the paper, with `published=True`:

* Output: log-odds of the voxels. Sigmoids, and the label imposed on them, a Gaussian of 20 km standard
  deviation (2.4 km in depth), are in `jaxloc.heads.volume.published_volume`.
* Maps are resized to the wanted grid's quarter, half and full size. For the published input and grid
  these are the published factors 4, 2 and 2.
* The volume comes out east, north, depth. The paper's rows are north-south (80) and columns
  east-west (128), in degrees or kilometres without the cosine of latitude; ours come from `Frame`.
* Circular shifts as augmentation, which wrap the coda to the start of the window, are not used.
* Amplitudes are not clipped to +-0.01 before scaling; a masked station does not set the scale.

Differs besides, as it is by default (`published=False`):

* Scale: each station by its own root mean square, with two more channels, its standardised log10 amplitude
  and its mask. The paper divides by the largest amplitude of all traces, which suppresses far stations.
* A softmax over all voxels (`jaxloc.heads.volume.volume`) instead of 307 200 independent sigmoids, which
  are not normalised, and no imposed label width.
* Normalisation within the event after each convolution except the last two; the paper has none. The last layer
  before the volume has 16 features: with four, normalised, log-odds grew slowly and some members hardly trained.
* The first convolution has a kernel of 3 x 7 and a time stride of four instead of the first pooling, and
  widths are an eighth: 8 to 128 features instead of 64 to 1024.
* Between encoder and decoder each feature's image of rows x times is mapped to east x north by two learnt
  matrices (`remap`), because list order and time are not coordinates; the paper leaves that to padding.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from jaxloc.networks.fcn_blocks import Map, Step, Volume, decode
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import in_order
from jaxloc.types import Network, Observations

POOLS = ((1, 4), (1, 4), (2, 4), (3, 4))
STEPS = (Step((4, 4), (8, 8, 8), (2, 2)), Step((2, 2), (4, 4, 4), (2, 2)), Step((1, 1), (2, 1, 1), (2, 2)))


class Model(Volume):
    """The observations of one event to a volume of raw outputs [east, north, depth].

    The numbers of stations and samples are free; with `remap` they are those of `init`.
    """

    grid: tuple[int, int, int] = (128, 80, 30)
    pools: Sequence[tuple[int, int]] = POOLS
    remap: bool = True

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, "east north depth"]:
        """Log-weights, or with the published head log-odds, of the voxels."""
        style, image = self.image_of(in_order(observations, self.num_stations))
        last, remap = (0.5, False) if self.published else (2, self.remap)
        return decode(style, image, Map(self.grid, STEPS, last, remap, self.finer))


def network(size: tuple[int, int, int], **settings: Any) -> Network:
    """The network of a volume of `size` as pure functions; settings are those of `Model`."""
    return bind(Model(grid=(size[0], size[1], size[2]), **settings))
