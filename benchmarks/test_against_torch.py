"""Speed compared with PyTorch in one run: variational inference by bayesian-torch, and Monte Carlo dropout.

Network, batches, numbers of samples and number of cores are the same. The fastest of many rounds counts.

    pip install -e '.[torch]'
    pytest benchmarks/test_against_torch.py
"""

import os
from collections.abc import Callable
from typing import Any

import convolutions
import jax
import numpy as np
import pytest
from convolutions import BATCH, CHANNELS, COMPONENTS, LAYERS, NAME, OUTPUTS, SAMPLES, STEPS
from pytest_benchmark.fixture import BenchmarkFixture

from jaxloc import inference
from jaxloc.regression import fit

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[torch]'")
layers = pytest.importorskip("bayesian_torch.layers", reason="needs bayesian-torch: pip install -e '.[torch]'")

DRAWS, WINDOWS, DROPOUT = 100, 256, 0.1
LEFT = 4  # samples after the convolutions


@pytest.fixture(autouse=True)
def _cores() -> None:
    """As many threads as JAX uses: one for each core of this process."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))


def _least_s(benchmark: BenchmarkFixture, run: Callable[[], object], rounds: int) -> float:
    benchmark.pedantic(run, rounds=rounds, warmup_rounds=1)
    return benchmark.stats.stats.min


def _predicts_s(benchmark: BenchmarkFixture, run: Callable[[], object]) -> float:
    seconds = _least_s(benchmark, run, rounds=7)
    assert np.shape(run()) == (DRAWS, WINDOWS, OUTPUTS)
    return seconds


def _windows() -> np.ndarray:
    return np.asarray(convolutions.batches(WINDOWS // BATCH)[0]).reshape(WINDOWS, SAMPLES, COMPONENTS)


def _stack(convolution: Callable, dense: Callable, *after: Callable) -> "torch.nn.Sequential":
    """The network of `convolutions` in layers of PyTorch or bayesian-torch; `after` follows each ReLU."""
    parts = []
    for number in range(LAYERS):
        parts += [convolution(CHANNELS if number else COMPONENTS, CHANNELS, 3, stride=2, padding=1), torch.nn.ReLU()]
        parts += [make() for make in after]
    return torch.nn.Sequential(*parts, torch.nn.Flatten(), dense(LEFT * CHANNELS, OUTPUTS))


def _bayesian() -> "torch.nn.Sequential":
    return _stack(layers.Conv1dReparameterization, layers.LinearReparameterization)


def _forward(network: "torch.nn.Sequential", x: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Output and Kullback-Leibler divergence, which the layers of bayesian-torch return."""
    divergence = torch.zeros(())
    for layer in network:
        if hasattr(layer, "kl_loss"):
            x, own = layer(x)
            divergence = divergence + own
        else:
            x = layer(x)
    return x, divergence


def test_step_of_jaxloc(benchmark: BenchmarkFixture, figures: dict) -> None:
    """Mean-field inference, five updates in a loop."""
    params, batches = convolutions.first_params(), convolutions.batches()
    method = inference.mean_field(convolutions.target(params), convolutions.optimizer(), steps=1000)
    state = convolutions.started(method, params)
    run = convolutions.steps(method, state)
    seconds = _least_s(benchmark, lambda: jax.block_until_ready(run(state, batches)), rounds=21)
    figures[NAME]["jaxloc step s"] = seconds / STEPS


def test_step_of_bayesian_torch(benchmark: BenchmarkFixture, figures: dict) -> None:
    """Five updates with the same evidence bound."""
    network = _bayesian()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    inputs, targets = (torch.tensor(np.asarray(x)) for x in convolutions.batches())

    def run() -> None:
        for x, target in zip(inputs.swapaxes(2, 3).contiguous(), targets, strict=True):
            optimizer.zero_grad()
            outputs, divergence = _forward(network, x)
            squares = 0.5 * ((outputs - target) ** 2).sum() / BATCH
            (squares + divergence / convolutions.NUM_DATA).backward()
            optimizer.step()

    figures[NAME]["bayesian-torch step s"] = _least_s(benchmark, run, rounds=21) / STEPS


def test_prediction_of_jaxloc(benchmark: BenchmarkFixture, figures: dict) -> None:
    """All windows with every sample of the weights, sampling included."""
    windows = _windows()
    targets = np.zeros((len(windows), convolutions.OUTPUTS), np.float32)
    settings: Any = {"steps": 1, "standardise": False, "at_once": convolutions.AT_ONCE}
    module, likelihood = convolutions.Layers(), convolutions.likelihood
    fitted = fit.fit(jax.random.key(0), module, likelihood, windows, targets, inference.mean_field, **settings)
    run = lambda: jax.block_until_ready(fit.predict(fitted, jax.random.key(4), windows, DRAWS).mean)
    figures[NAME]["jaxloc prediction s"] = _predicts_s(benchmark, run)


@pytest.mark.parametrize("name", ["bayesian-torch", "MC dropout"])
def test_prediction_of_torch(benchmark: BenchmarkFixture, figures: dict, name: str) -> None:
    """The same, a draw a pass; dropout stays on."""
    dropout = lambda: torch.nn.Dropout(DROPOUT)
    network = _bayesian() if name == "bayesian-torch" else _stack(torch.nn.Conv1d, torch.nn.Linear, dropout)
    windows = torch.tensor(_windows()).swapaxes(1, 2).contiguous()

    def run() -> "torch.Tensor":
        with torch.no_grad():
            return torch.stack([_forward(network, windows)[0] for _ in range(DRAWS)])

    figures[NAME][f"{name} prediction s"] = _predicts_s(benchmark, run)
