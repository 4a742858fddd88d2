"""Cost of a training step: mean-field variational inference compared with a point estimate.

Variational inference also takes one forward and one backward pass a step, with one sample of the weights, and has twice
the parameters.

    pytest benchmarks/test_training_step.py
"""

import jax
import local_network
import pytest
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize("method", local_network.METHODS)
@pytest.mark.parametrize("network", local_network.CASES)
def test_step(benchmark: BenchmarkFixture, figures: dict, network: str, method: str) -> None:
    """One update on a batch of four events, without compilation."""
    fitted, state = local_network.fitted(local_network.CASES[network](), method)
    batch = local_network.batch()
    update = jax.jit(fitted.update).lower(jax.random.key(4), state, batch).compile()

    def step() -> float:
        return float(jax.block_until_ready(update(jax.random.key(4), state, batch))[1].loss)

    loss = benchmark.pedantic(step, rounds=41, warmup_rounds=3)
    assert loss == loss, "the loss is not a number"
    benchmark.extra_info.update(
        stations=local_network.STATIONS, samples=local_network.SAMPLES, events=local_network.EVENTS, loss=loss
    )
    # The fastest round: medians of so short a step depend on other processes of the machine.
    figures[network][f"{method} step s"] = benchmark.stats.stats.min
