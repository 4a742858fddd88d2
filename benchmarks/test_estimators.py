"""What Bayesian weights cost a network of the size of ConvNetQuake (Perol and others 2018): steps, ensembles, memory.

Eight convolutions of 32 channels over 1,000 samples of three components, batches of 128, steps taken in a loop.

    pytest benchmarks/test_estimators.py
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import optax
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from jaxloc import posteriors
from jaxloc.networks.binding import applied, initialised
from jaxloc.networks.layers import Conv1D
from jaxloc.types import Batch, Method, Target, Weights

SAMPLES, CHANNELS, LAYERS, BATCH, STEPS, NUM_DATA = 1000, 32, 8, 128, 5, 2048
NAME = "eight convolutions"


class Layers(nn.Module):
    """Waveforms of one event to three numbers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolutions of stride two, and a dense layer."""
        for _ in range(LAYERS):
            x = nn.relu(Conv1D(CHANNELS, 3, 2)(x))
        return nn.Dense(3)(x.ravel())


METHODS = {
    "point": posteriors.point,
    "plain": posteriors.mean_field,
    "flipout": partial(posteriors.mean_field, estimator="flipout"),
    "local": partial(posteriors.mean_field, estimator="local"),
}


def _events() -> Batch:
    return jax.random.normal(jax.random.key(0), (BATCH, SAMPLES, 3)), jnp.zeros((BATCH, 3))  # type: ignore[return-value]


def _target(params: dict) -> Target:
    def of_event(weights: Weights, event: tuple) -> jax.Array:
        return dist.Normal(applied(Layers(), weights, event[0]), 1.0).log_prob(event[1]).sum()

    scale = posteriors.prior_scale(params)
    return posteriors.with_normal_prior(posteriors.by_event(of_event), posteriors.prior_mean(params), scale, NUM_DATA)


def _steps(method: Method, params: dict) -> jax.stages.Compiled:
    def run(state: object) -> object:
        step = lambda s, key: method.update(key, s, _events())
        return jax.lax.scan(step, state, jax.random.split(jax.random.key(3), STEPS))

    return jax.jit(run).lower(jax.jit(method.init)(jax.random.key(2), params)).compile()


def _params() -> dict:
    return jax.jit(partial(initialised, Layers()))(jax.random.key(1), jnp.zeros((SAMPLES, 3)))


@pytest.mark.parametrize("name", METHODS)
def test_step(benchmark: BenchmarkFixture, figures: dict, name: str) -> None:
    """Five updates in a loop, compiled before the clock starts."""
    params = _params()
    method = METHODS[name](_target(params), optax.adam(1e-3))
    run, state = _steps(method, params), jax.jit(method.init)(jax.random.key(2), params)
    _, info = benchmark.pedantic(lambda: jax.block_until_ready(run(state)), rounds=7, warmup_rounds=2)
    assert jnp.isfinite(info.loss).all()
    figures[NAME][f"{name} step s"] = benchmark.stats.stats.median / STEPS


def test_ensemble(benchmark: BenchmarkFixture, figures: dict) -> None:
    """Five members of the point estimate."""
    params = _params()
    five = jax.tree.map(lambda x: jnp.repeat(x[None], 5, 0), params)
    method = posteriors.ensemble(posteriors.point(_target(params), optax.adam(1e-3)), 5)
    run, state = _steps(method, five), jax.jit(method.init)(jax.random.key(2), five)
    benchmark.pedantic(lambda: jax.block_until_ready(run(state)), rounds=7, warmup_rounds=2)
    figures[NAME]["five members step s"] = benchmark.stats.stats.median / STEPS


@pytest.mark.parametrize("draws", [50, 1000])
def test_memory_of_draws(figures: dict, draws: int) -> None:
    """Mean and spread over draws that go through one after the other, drawn as they are needed."""
    params = _params()
    method = posteriors.mean_field(_target(params), optax.adam(1e-3))

    def moments(state: object, waveforms: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one(key: jax.Array) -> jax.Array:
            weights = jax.tree.map(lambda x: x[0], method.sample(key, state, 1))
            return jax.vmap(lambda w: applied(Layers(), weights, w))(waveforms)

        outputs = jax.lax.map(one, jax.random.split(jax.random.key(4), draws))
        return outputs.mean(0), outputs.std(0)

    state = jax.jit(method.init)(jax.random.key(2), params)
    compiled = jax.jit(moments).lower(state, _events()[0]).compile()
    figures[NAME][f"{draws} draws of moments MB"] = compiled.memory_analysis().temp_size_in_bytes / 1e6
