"""A network of the size of ConvNetQuake (Perol and others 2018), and training steps of it in a loop.

Eight convolutions of 32 channels over 1,000 samples of three components, batches of 128.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import optax

from jaxloc import inference
from jaxloc.networks.flax_adapter import applied, initialised
from jaxloc.networks.layers import Conv1D
from jaxloc.types import Batch, Method, Target, Weights

SAMPLES, COMPONENTS, CHANNELS, LAYERS, OUTPUTS = 1000, 3, 32, 8, 3
BATCH, STEPS, NUM_DATA = 128, 5, 2048
AT_ONCE = 32  # events: enough for two cores, few enough for their caches (8 is best for one core)
NAME = "eight convolutions"


class Layers(nn.Module):
    """Waveforms of one event, [sample, component], to three numbers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolutions of stride two, and a dense layer."""
        for _ in range(LAYERS):
            x = nn.relu(Conv1D(CHANNELS, 3, 2)(x))
        return nn.Dense(OUTPUTS)(x.ravel())


def likelihood(raw: jax.Array) -> dist.Distribution:
    """Three targets are normal about the network's output."""
    return dist.Normal(raw, 1.0)


def batches(number: int = STEPS) -> Batch:
    """A batch for each step, of noise with targets of zero: the cost of a step does not depend on them."""
    waveforms = jax.random.normal(jax.random.key(0), (number, BATCH, SAMPLES, COMPONENTS))
    return waveforms, jnp.zeros((number, BATCH, OUTPUTS))  # type: ignore[return-value]


def first_params() -> dict:
    """Parameters of a random start."""
    return jax.jit(partial(initialised, Layers()))(jax.random.key(1), jnp.zeros((SAMPLES, COMPONENTS)))


def target(params: dict) -> Target:
    """Likelihood and prior of the weights."""

    def of_event(weights: Weights, event: tuple) -> jax.Array:
        return likelihood(applied(Layers(), weights, event[0])).log_prob(event[1]).sum()

    scale = inference.prior_scale(params)
    whole = inference.by_event(of_event)
    goal = inference.with_normal_prior(whole, inference.prior_mean(params), scale, NUM_DATA)
    return goal._replace(at_once=AT_ONCE)


def optimizer() -> optax.GradientTransformation:
    """Adam."""
    return optax.adam(1e-3)


def started(method: Method, params: dict) -> object:
    """The initial state of a weight posterior."""
    return jax.jit(method.init)(jax.random.key(2), params)


def steps(method: Method, state: object) -> jax.stages.Compiled:
    """Updates in a loop, as in training, compiled: state and batches to state and losses."""

    def run(state: object, batches: Batch) -> object:
        keys = jax.random.split(jax.random.key(3), STEPS)
        return jax.lax.scan(lambda s, each: method.update(each[0], s, each[1]), state, (keys, batches))

    return jax.jit(run).lower(state, batches()).compile()
