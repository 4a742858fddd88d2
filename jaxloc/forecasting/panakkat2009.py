"""Panakkat & Adeli (2009): a recurrent network on eight seismicity indicators, to forecast large earthquakes.

A. Panakkat and H. Adeli, Recurrent neural network for approximate earthquake time and location prediction using
multiple seismicity indicators, Computer-Aided Civil and Infrastructure Engineering 24(4), 280-292 (2009). One hidden
recurrent layer reads the indicators (`jaxloc.forecasting.indicators`) of consecutive periods; its last state gives the
largest magnitude of the next period in a cell, or place and time of the next large event in a region.

Differs from the paper, with `published=True`:

* Adam instead of Levenberg-Marquardt; the hidden size is ours (the paper's is not known to us).
* The output is the mean of a normal distribution with the training targets' standard deviation about it, equivalent to
  a
  squared error; zeros give the mean of the training targets.

Differs besides, as it is by default (`published=False`):

* Gated recurrent units (Cho and others 2014) where the paper has simple ones (Elman 1990).
* Further inputs: the mask of known indicators (undefined ones are not silently zero) and the outcome of each period
  (the
  delayed feedback of the paper, from observations).
* The output modifies a climatology: its weights start at zero, where the network is the rate map. It parametrises a
  probability distribution (`jaxloc.forecasting.largest`, `jaxloc.forecasting.next_event`).
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class Model(nn.Module):
    """Features of consecutive periods, [period, feature], to `size` raw outputs."""

    size: int
    hidden: int = 12
    published: bool = False

    @nn.compact
    def __call__(self, periods: Float[Array, "period feature"]) -> Float[Array, " size"]:
        """Raw outputs for the period after the last."""
        cell = nn.SimpleCell if self.published else nn.GRUCell
        states = nn.RNN(cell(self.hidden, name="cell"), name="layer")(periods)
        start = nn.initializers.lecun_normal() if self.published else nn.initializers.zeros
        return nn.Dense(self.size, kernel_init=start, name="read_out")(jnp.asarray(states)[-1])
