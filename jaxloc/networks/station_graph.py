"""A graph neural network over stations: message passing between neighbours, then pooling.

After M. P. A. van den Ende and J.-P. Ampuero (2020), Automated seismic source characterization using deep graph neural
networks, GRL 47: one convolutional network reads every station, its position is appended, and a permutation-invariant
aggregate over stations gives the event.

Differs from the paper:

* There are edges: messages depend on distance and direction of the other station. The paper's graph has none, so that
  stations interact in one maximum alone.
* Missing stations are masked. The paper sets them to zero and takes the maximum over stations, zeros included.
* Pooling is by attention and a mean (as in `set_transformer`); a maximum depends on one station for each feature.
* Positions are relative to the centroid of the active stations, and the output is equivariant to translation. The
  paper's
  coordinates are scaled to the training region, and its hyperbolic tangents are bounded by it.
* Arrivals, the first least-squares location between two rounds of messages, and outputs in units of its errors are
  those
  of `set_transformer`; a mixture density replaces the mean absolute error and the dropout that is always on.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.geiger_layer import FAR_KM
from jaxloc.networks.layers import Dropout, Norm
from jaxloc.networks.station_encoder import Answer, Placing, Reader, located_between
from jaxloc.physics.readings import WithReadings
from jaxloc.types import Network, Observations


class Edges(NamedTuple):
    """Senders of messages to each station, and their relative positions."""

    near: Bool[Array, "hearer teller"]
    numbers: Float[Array, "hearer teller feature"]


def edges_between(place_km: Float[Array, "station 3"], mask: Bool[Array, " station"], neighbours: int | None) -> Edges:
    """Edges from each station's `neighbours` nearest active ones (None: from all), without itself."""
    apart = place_km[None] - place_km[:, None]
    distance = jnp.sqrt((apart**2).sum(-1) + 1e-2)
    near = mask[None] & mask[:, None] & ~jnp.eye(len(mask), dtype=bool)
    if neighbours is not None:
        rank = jnp.argsort(jnp.argsort(jnp.where(near, distance, jnp.inf), -1), -1)
        near &= rank < neighbours
    numbers = [jnp.arcsinh(apart / FAR_KM), apart / distance[..., None]]
    return Edges(near, jnp.concatenate([*numbers, jnp.log(distance)[..., None]], -1))


class Messages(nn.Module):
    """One round: the mean of the neighbours' messages is added to each station's token, through two dense layers."""

    dropout: float

    @nn.compact
    def __call__(self, tokens: Float[Array, "station width"], edges: Edges) -> Float[Array, "station width"]:
        """Tokens after the round."""
        width, known = tokens.shape[-1], Norm("layer")(tokens)
        heard = nn.Dense(width)(known)[:, None] + nn.Dense(width)(known)[None] + nn.Dense(width)(edges.numbers)
        share = edges.near / jnp.maximum(edges.near.sum(-1, keepdims=True), 1)
        message = jnp.einsum("ht,htw->hw", share, nn.gelu(heard))
        hidden = nn.gelu(nn.Dense(2 * width)(jnp.concatenate([known, message], -1)))
        return tokens + Dropout(self.dropout)(nn.Dense(width)(hidden))


class Model(nn.Module):
    """The waveforms of one event to `size` raw outputs with a location appended, and its arrival densities.

    Each station receives messages of its `neighbours` nearest ones, None: of all. `layers` of messages precede and
    follow the first location, which takes `rounds` least-squares steps.
    """

    size: int
    width: int = 48
    channels: tuple[int, ...] = (8, 16, 24, 32)
    kernel_size: int = 7
    neighbours: int | None = 8
    layers: tuple[int, int] = (1, 2)
    seeds: int = 4
    rounds: int = 5
    dropout: float = 0.0

    @nn.compact
    def __call__(self, observations: Observations) -> WithReadings:
        """Raw outputs, east, north, depth and origin time, and their errors; and arrivals."""
        seen = Reader(self.width, self.channels, self.kernel_size, self.dropout)(observations)
        edges = edges_between(seen.place_km, seen.mask, self.neighbours)
        exchange = lambda tokens: Messages(self.dropout)(tokens, edges)
        placing, answer = Placing(self.width, self.rounds), Answer(self.size, self.seeds)
        return located_between(exchange, self.layers, placing, answer, seen)


def network(size: int, **settings: Any) -> Network:
    """The network of `size` outputs and a location as pure functions; settings are those of `Model`."""
    return bind(Model(size=size, **settings))
