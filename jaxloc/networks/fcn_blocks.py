"""Blocks of fully convolutional networks: an image of stations x samples to a map with depths as channels.

The functions create layers, so they are called within a compact method; Flax numbers the layers of that module in the
order of the calls.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.inputs import station_traces, waveforms_of
from jaxloc.networks.layers import Conv2D, Dropout, Norm, max_pool
from jaxloc.per_station import TINY
from jaxloc.types import Observations

POOLED_BLOCKS = 4


class Style(NamedTuple):
    """Settings of the layers: features of the first block, normalisation after each layer, dropout before the map.

    `strided`: the first block's pooling is replaced by the stride of a 3 x 7 kernel.
    """

    width: int
    norm: str
    dropout: float
    strided: bool
    by_slices: bool | None = None


class Step(NamedTuple):
    """A step of upsampling: its share of the map's size (rows, columns), and the features of its layers.

    Features are multiples of the first block's; `first` is the kernel of the first layer.
    """

    part: tuple[int, int]
    features: tuple[float, ...]
    first: tuple[int, int] = (3, 3)


class Map(NamedTuple):
    """The output map: voxels east, north and down, and the steps of upsampling.

    `last` is the number of features before its log-odds, in multiples of the first block's; 0 for no such layer. With
    `remap`, rows and columns of the encoder's image are first mapped to those of the first step by learnt matrices.
    Each voxel is refined to `finer` voxels along east and north by linear interpolation.
    """

    grid: tuple[int, int, int]
    steps: Sequence[Step]
    last: float
    remap: bool
    finer: int = 1


class Image(NamedTuple):
    """The encoder's image of an event, and the style of the layers that follow."""

    style: Style
    features: Float[Array, "row column feature"]


class Volume(nn.Module):
    """What networks from the observations of one event to a volume share: settings, and the encoder.

    `width` is the features of the first block (papers: 64), `grid` the cells east, north and down. `num_stations` sorts
    stations into fixed rows by `station_index`; None keeps the order of the rows. `pools` are the pooling factors of
    stations and samples after each of the first four blocks; their products must not exceed the numbers of stations and
    samples, or no information on either is left. Each voxel is refined to `finer` voxels along east and north by linear
    interpolation of log-weights, since a posterior cannot be narrower than a voxel and convolutions are expensive.
    `by_slices` is as in `layers.Conv2D`.
    """

    grid: tuple[int, int, int]
    pools: Sequence[tuple[int, int]]
    width: int = 8
    published: bool = False
    norm: str = "group"
    dropout: float = 0.0
    log_amplitude: tuple[float, float] = (-6.0, 1.5)
    num_stations: int | None = None
    finer: int = 1
    by_slices: bool | None = None

    def image_of(self, observations: Observations) -> Image:
        """The image of an event whose stations are in order, as published or scaled by station."""
        if self.published:
            style = Style(self.width, "none", 0.5, False, self.by_slices)
            image = largest_scaled(waveforms_of(observations))
        else:
            style = Style(self.width, self.norm, self.dropout, True, self.by_slices)
            image = station_image(observations, *self.log_amplitude)
        return Image(style, encode(style, image, self.pools))


def layer(
    style: Style,
    image: Float[Array, "row column feature"],
    factor: float,
    window: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    normalise: bool = True,
) -> Float[Array, "row column feature"]:
    """A convolution to `factor` times the first block's features, normalisation and ReLU."""
    image = Conv2D(max(1, round(style.width * factor)), window, stride, by_slices=style.by_slices)(image)
    return nn.relu(Norm(style.norm)(image) if normalise else image)


def encode(
    style: Style, image: Float[Array, "station sample channel"], pools: Sequence[tuple[int, int]]
) -> Float[Array, "row column feature"]:
    """Blocks of two layers and a pooling each with doubling features, then two layers of sixteen times the first's."""
    for block, pool in enumerate(pools):
        early = block == 0 and style.strided
        window, stride = ((3, 7), (pool[0], pool[1])) if early else ((3, 3), (1, 1))
        image = layer(style, image, 2**block, window, stride)
        image = layer(style, image, 2**block)
        image = Dropout(style.dropout)(image) if block == POOLED_BLOCKS - 1 else image
        image = image if early else max_pool(image, pool)
    return Dropout(style.dropout)(layer(style, layer(style, image, 16), 16))


def decode(style: Style, image: Float[Array, "row column feature"], wanted: Map) -> Float[Array, "east north depth"]:
    """Nearest-neighbour upsampling with layers, up to the size of a map.

    Sharp maps need large log-odds: the last features before them are not normalised.
    """
    east, north = (-(-cells // wanted.finer) for cells in wanted.grid[:2])
    for number, step in enumerate(wanted.steps):
        size = -(-north // step.part[0]), -(-east // step.part[1])
        image = upsampled(remapped(image, size) if number == 0 and wanted.remap else image, size)
        for place, feature in enumerate(step.features):
            image = layer(style, image, feature, step.first if place == 0 else (3, 3))
    if wanted.last:
        image = layer(style, image, wanted.last, normalise=False)
    volume = jnp.swapaxes(Conv2D(wanted.grid[2], (1, 1), by_slices=style.by_slices)(image), 0, 1)
    return jax.image.resize(volume, wanted.grid, "linear")


def remapped(image: Float[Array, "row column feature"], size: tuple[int, int]) -> Array:
    """Both axes of the image mapped to `size` by one matrix each, common to all features."""
    image = nn.Dense(size[1], name="columns")(jnp.swapaxes(image, 1, 2))
    image = nn.Dense(size[0], name="rows")(jnp.moveaxis(image, 0, -1))
    return nn.relu(jnp.transpose(image, (2, 1, 0)))


def upsampled(image: Float[Array, "row column feature"], size: tuple[int, int]) -> Array:
    """Each pixel of the new image is the nearest of the old one."""
    return jax.image.resize(image, (*size, image.shape[-1]), "nearest")


def largest_scaled(waveforms: Float[Array, "station sample component"]) -> Array:
    """All traces divided by the largest amplitude of the event."""
    largest = jnp.abs(waveforms).max()
    return waveforms / jnp.where(largest > TINY, largest, 1.0)


def station_image(observations: Observations, mean: float, sd: float) -> Float[Array, "station sample 5"]:
    """Traces of each station divided by their root mean square, its standardised log10 amplitude and its mask."""
    traces = station_traces(observations, mean, sd)
    constant = jnp.stack([traces.log_amplitude, traces.mask.astype(traces.log_amplitude.dtype)], -1)
    wide = jnp.broadcast_to(constant[:, None], (*traces.waveforms.shape[:2], 2))
    return jnp.concatenate([traces.waveforms, wide], -1)
