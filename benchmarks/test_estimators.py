"""Cost of Bayesian weights for a network of the size of ConvNetQuake: steps, ensembles, memory.

pytest benchmarks/test_estimators.py
"""

from functools import partial

import convolutions
import jax
import jax.numpy as jnp
import pytest
from convolutions import NAME, STEPS
from pytest_benchmark.fixture import BenchmarkFixture

from jaxloc import inference
from jaxloc.networks.flax_adapter import applied
from jaxloc.types import Method

METHODS = {
    "point": inference.point,
    "plain": partial(inference.mean_field, steps=1000),
    "flipout": partial(inference.mean_field, steps=1000, estimator="flipout"),
    "local": partial(inference.mean_field, steps=1000, estimator="local"),
}


def _step_s(benchmark: BenchmarkFixture, method: Method, params: dict) -> float:
    """Seconds of an update, the mean of five in a loop, without compilation."""
    state, batches = convolutions.started(method, params), convolutions.batches()
    run = convolutions.steps(method, state)
    _, info = benchmark.pedantic(lambda: jax.block_until_ready(run(state, batches)), rounds=7, warmup_rounds=2)
    assert jnp.isfinite(info.loss).all()
    return benchmark.stats.stats.median / STEPS


@pytest.mark.parametrize("name", METHODS)
def test_step(benchmark: BenchmarkFixture, figures: dict, name: str) -> None:
    """A training step of each estimator."""
    params = convolutions.first_params()
    method = METHODS[name](convolutions.target(params), convolutions.optimizer())
    figures[NAME][f"{name} step s"] = _step_s(benchmark, method, params)


def test_ensemble(benchmark: BenchmarkFixture, figures: dict) -> None:
    """A training step of five point estimates."""
    params = convolutions.first_params()
    five = jax.tree.map(lambda x: jnp.repeat(x[None], 5, 0), params)
    method = inference.ensemble(inference.point(convolutions.target(params), convolutions.optimizer()), 5)
    figures[NAME]["five members step s"] = _step_s(benchmark, method, five)


@pytest.mark.parametrize("draws", [50, 1000])
def test_memory_of_draws(figures: dict, draws: int) -> None:
    """Mean and standard deviation over samples, each sampled when it is needed."""
    params = convolutions.first_params()
    method = inference.mean_field(convolutions.target(params), convolutions.optimizer(), steps=1000)

    def moments(state: object, waveforms: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one(key: jax.Array) -> jax.Array:
            weights = jax.tree.map(lambda x: x[0], method.sample(key, state, 1))
            return jax.vmap(lambda w: applied(convolutions.Layers(), weights, w))(waveforms)

        outputs = jax.lax.map(one, jax.random.split(jax.random.key(4), draws))
        return outputs.mean(0), outputs.std(0)

    state, (waveforms, _) = convolutions.started(method, params), convolutions.batches(1)
    compiled = jax.jit(moments).lower(state, waveforms[0]).compile()
    figures[NAME][f"{draws} draws of moments MB"] = compiled.memory_analysis().temp_size_in_bytes / 1e6
