"""Cost of locating one event with a hundred samples of the weights: time relative to one sample, and memory.

pytest benchmarks/test_prediction.py
"""

import jax
import local_network
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

CHUNK = 8


def _compiled(case: local_network.Case, draws: int, chunk: int) -> tuple[jax.stages.Compiled, tuple]:
    arguments = local_network.draws(case, draws), local_network.event()
    return jax.jit(case.locate(chunk)).lower(*arguments).compile(), arguments


def _temporary_mb(compiled: jax.stages.Compiled) -> float:
    return compiled.memory_analysis().temp_size_in_bytes / 1e6


def _size_mb(tree: object) -> float:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)) / 1e6


@pytest.mark.parametrize("draws", [1, local_network.DRAWS])
@pytest.mark.parametrize("network", local_network.CASES)
def test_time(benchmark: BenchmarkFixture, figures: dict, network: str, draws: int) -> None:
    """One event with all samples, eight at a time, without compilation."""
    compiled, arguments = _compiled(local_network.CASES[network](), draws, CHUNK)
    posterior = benchmark.pedantic(lambda: jax.block_until_ready(compiled(*arguments)), rounds=3, warmup_rounds=1)
    assert np.isfinite(posterior.epistemic).all()
    benchmark.extra_info.update(
        stations=local_network.STATIONS, samples=local_network.SAMPLES, draws=draws, chunk=CHUNK
    )
    figures[network][f"{draws} draw{'s' * (draws > 1)} s"] = benchmark.stats.stats.median


@pytest.mark.parametrize("network", local_network.CASES)
def test_memory(figures: dict, network: str) -> None:
    """Memory of a hundred samples is that of a chunk of eight, plus the weights and outputs of all samples."""
    case = local_network.CASES[network]()
    chunk, _ = _compiled(case, CHUNK, CHUNK)
    every, arguments = _compiled(case, local_network.DRAWS, CHUNK)
    figures[network]["8 draws MB"], figures[network]["100 draws MB"] = _temporary_mb(chunk), _temporary_mb(every)
    if network != "arrivals":  # takes samples one by one
        figures[network]["100 draws at once MB"] = _temporary_mb(
            _compiled(case, local_network.DRAWS, local_network.DRAWS)[0]
        )
    outputs = jax.eval_shape(jax.vmap(case.network.apply, (0, None)), *arguments)
    # A hundred is no multiple of eight: the rest is a second, smaller loop. The weights are copied into chunks, and the
    # outputs of all samples are kept raw and in the shapes that are averaged.
    bound_mb = 2 * _temporary_mb(chunk) + _size_mb(arguments[0]) + 3 * _size_mb(outputs)
    assert _temporary_mb(every) <= bound_mb
