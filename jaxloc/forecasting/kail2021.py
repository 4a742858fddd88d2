"""Kail, Burnaev & Zaytsev (2021): a convolutional LSTM over maps of a catalogue that forecasts larger events.

R. Kail, E. Burnaev and A. Zaytsev, Recurrent convolutional neural networks help to predict location of earthquakes,
arXiv:2004.09140 (2021). Each day's map of magnitudes goes through two convolutions and a convolutional LSTM on the full
grid; its state gives the probability of an event within days 10 to 50 in each cell. With `published=True` there are
58,320 weights, as in the authors' public code.

Differs from the paper, with `published=True`:

* Batch normalisation (without scale and shift, one map at a time) uses the statistics of the current map in prediction
  as
  in training, so that the forward pass depends on weights and data alone.
* The output F + k (F the long-term rate map, k one of two softmax outputs) was used as log odds in a cross-entropy, and
  reached 2. Here it is a probability as intended, clipped to 0.0001 to 0.9999. As k is normalised over a map, its mean
  is near a half: the form cannot be calibrated.
* F is from training days alone and smoothed (`jaxloc.forecasting.rate_map`); it was from the whole record, test years
  included.
* Positives and negatives have equal weight: a weight of 10,000 made the probabilities meaningless.
* Gradients go through whole sequences, where the state was detached every day.
* Cells are 10 km wide and steps a day long in the paper; both are settings of the data.

Differs besides, as it is by default (`published=False`):

* Inputs: largest magnitude and number of events of a step, and rates of recent months and years
  (`jaxloc.forecasting.maps`); in the paper the last event of a day overwrites the others.
* Output: sigmoid(logit(F) + a linear function of the cell's state and its own inputs), for several magnitudes at once.
  Its weights start at zero: the initial network is the rate map.
* Neither batch normalisation nor 3 x 3 pooling, which spreads every event by a cell; biases instead, that of the forget
  gate at one. Fewer features (`width`), so that it trains on one core.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.layers import Conv2D

PUBLISHED_WIDTH, PUBLISHED_HIDDEN = 16, 32
MIN_PROBABILITY = 1e-4  # smallest probability of the published output, which is unbounded
WINDOW = (3, 3)

State = tuple[Float[Array, "row column hidden"], Float[Array, "row column hidden"]]


class Inputs(NamedTuple):
    """Maps of consecutive steps, and the log odds of the rate map."""

    maps: Float[Array, "step row column channel"]
    log_odds: Float[Array, "row column magnitude"]


class Model(nn.Module):
    """Maps of consecutive steps and the rate map's log odds to the log odds of each step's forecast.

    `width` is the number of features of the embedding, `hidden` that of the state; published, they are 16 and 32.
    """

    width: int = 8
    hidden: int = 8
    published: bool = False

    @nn.compact
    def __call__(self, inputs: Inputs) -> Float[Array, "step row column magnitude"]:
        """Log odds that any event above each magnitude falls into the cell within the forecast's window.

        Raises:
            ValueError: for several magnitudes with the published form, which has one.
        """
        maps, log_odds = inputs
        width, hidden = (PUBLISHED_WIDTH, PUBLISHED_HIDDEN) if self.published else (self.width, self.hidden)
        seen = nn.relu(Block(width, self.published, name="embed_0")(maps))
        seen = Block(width, self.published, name="embed_1")(seen)
        seen = seen if self.published else nn.relu(seen)
        scanned = nn.scan(Cell, variable_broadcast="params", split_rngs={"params": False})
        _, states = scanned(hidden, self.published, name="cell")(_empty(maps, hidden), seen)
        if not self.published:
            read_out = nn.Dense(log_odds.shape[-1], kernel_init=nn.initializers.zeros, name="read_out")
            return log_odds + read_out(jnp.concatenate([states, maps], -1))
        if log_odds.shape[-1] != 1:
            raise ValueError(f"the published network forecasts one magnitude, got {log_odds.shape[-1]}")
        correction = jax.nn.softmax(Block(2, True, name="read_out")(states))[..., :1]
        probability = jnp.clip(jax.nn.sigmoid(log_odds) + correction, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        return jnp.log(probability) - jnp.log1p(-probability)


class Block(nn.Module):
    """A convolution of 3 x 3: with biases; or as published without, followed by normalisation and pooling."""

    features: int
    published: bool

    @nn.compact
    def __call__(self, maps: Float[Array, "*step row column channel"]) -> Float[Array, "*step row column feature"]:
        """Maps of the same size."""
        outputs = Conv2D(self.features, WINDOW, use_bias=not self.published)(maps)
        return _pooled(_normalised(outputs)) if self.published else outputs


class Cell(nn.Module):
    """A step of the convolutional LSTM (Shi and others 2015), without their peepholes."""

    hidden: int
    published: bool

    @nn.compact
    def __call__(
        self, state: State, seen: Float[Array, "row column feature"]
    ) -> tuple[State, Float[Array, "row column hidden"]]:
        """The state after the step, and its output."""
        memory, shown = state
        # The four convolutions of the gates share their inputs and are computed as one.
        gates = Block(4 * self.hidden, self.published, name="gates")(jnp.concatenate([shown, seen], -1))
        forget, take, show, candidate = jnp.split(gates, 4, -1)
        forget = forget if self.published else forget + 1.0
        memory = jax.nn.sigmoid(forget) * memory + jax.nn.sigmoid(take) * jnp.tanh(candidate)
        shown = jax.nn.sigmoid(show) * jnp.tanh(memory)
        return (memory, shown), shown


def _empty(maps: Float[Array, "step row column channel"], hidden: int) -> State:
    nothing = jnp.zeros((*maps.shape[1:3], hidden), maps.dtype)
    return nothing, nothing


def _normalised(maps: Float[Array, "*step row column channel"]) -> Float[Array, "*step row column channel"]:
    """Zero mean and unit variance of each channel over a map."""
    centred = maps - maps.mean((-3, -2), keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean((-3, -2), keepdims=True) + 1e-5)


def _pooled(maps: Float[Array, "*step row column channel"]) -> Float[Array, "*step row column channel"]:
    """The maximum over each cell and its eight neighbours."""
    for axis in (-3, -2):
        pads = [(1, 1) if i == axis % maps.ndim else (0, 0) for i in range(maps.ndim)]
        padded, size = jnp.pad(maps, pads, constant_values=-jnp.inf), maps.shape[axis]
        shifted = [jax.lax.slice_in_dim(padded, at, at + size, axis=axis) for at in range(3)]
        maps = jnp.maximum(jnp.maximum(shifted[0], shifted[1]), shifted[2])
    return maps
