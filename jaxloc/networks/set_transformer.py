"""A set transformer over stations: waveforms of any number of stations, in any order, to a posterior about a place.

After TEAM-LM of J. Munchmeyer, D. Bindi, U. Leser and F. Tilmann (2021), Earthquake magnitude and location estimation
from real time seismic waveforms with a transformer network, GJI 226: one convolutional network reads every station,
attention exchanges information between stations, and a mixture density gives the location.

Differs from the paper:

* Positions are relative to the centroid of the active stations, and the output is equivariant to translation. The
  paper's
  sinusoidal encodings of latitude and longitude are valid in the training region only.
* Amplitude: the logarithm of each station's amplitude relative to the event's mean, independent of units.
* The convolutional network also predicts arrivals, and their soft times are features. Labelled arrivals supervise it;
  the paper pre-trains it on single stations.
* Between two rounds of attention the event is located by least squares with learnt travel times, and the second round
  reads residuals. Raw outputs are in units of that location's errors (`jaxloc.heads.gaussian.moved`), as in `picks`.
* Pooling by attention and a mean instead of a learnt event token; pre-layer normalisation.
* The mixture has full covariances over position and origin time; its likelihood is computed in logarithms, where the
  paper adds 1e-6 to the density, which leaves no gradient far from the modes, and truncates widths at zero.
* Missing stations are masked in attention and pooling, not zeros, which would equal quiet stations.
"""

from typing import Any

import flax.linen as nn

from jaxloc.networks.attention import Block
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.station_encoder import Answer, Placing, Reader, located_between
from jaxloc.physics.readings import WithReadings
from jaxloc.types import Network, Observations


class Model(nn.Module):
    """The waveforms of one event to `size` raw outputs with a location appended, and its arrival densities.

    `blocks` of attention precede and follow the first location, which takes `rounds` least-squares steps.
    """

    size: int
    width: int = 48
    channels: tuple[int, ...] = (8, 16, 24, 32)
    kernel_size: int = 7
    heads: int = 4
    blocks: tuple[int, int] = (1, 2)
    seeds: int = 4
    rounds: int = 5
    dropout: float = 0.0

    @nn.compact
    def __call__(self, observations: Observations) -> WithReadings:
        """Raw outputs, east, north, depth and origin time, and their errors; and arrivals."""
        seen = Reader(self.width, self.channels, self.kernel_size, self.dropout)(observations)
        exchange = lambda tokens: Block(self.heads, self.dropout)(tokens, seen.mask)
        placing, answer = Placing(self.width, self.rounds), Answer(self.size, self.seeds)
        return located_between(exchange, self.blocks, placing, answer, seen)


def network(size: int, **settings: Any) -> Network:
    """The network of `size` outputs and a location as pure functions; settings are those of `Model`."""
    return bind(Model(size=size, **settings))
