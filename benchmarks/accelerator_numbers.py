"""Numbers that every platform must reproduce: all networks, heads and weight posteriors of tests/cases.py.

Inputs and keys are fixed, so two processes on different platforms compute the same quantities and differ by rounding.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.types import Head, Label, Weights

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import cases
import linear_regression

EIGENVECTORS = ("laplace",)  # weight posteriors that sample along eigenvectors
NUM_SAMPLES = 4000
Numbers = dict[str, np.ndarray]
"""Flat arrays by the name of a quantity."""


def jobs(small: bool) -> dict[str, Callable[[], Numbers]]:
    """By name what is computed: "network/NAME+HEAD", "head/NAME", "posterior/NAME"; a part of them if `small`."""
    pairs = [(network, head) for network, heads in cases.PAIRS.items() for head in heads]
    paired = {head for _, head in pairs}
    if small:
        pairs = [pair for pair in pairs if pair[0] in SMALL_NETWORKS]
    found = {f"network/{network}+{head}": _job(_network, network, head) for network, head in pairs}
    found |= {f"head/{name}": _job(_head, cases.HEADS[name]) for name in cases.HEADS if name not in paired}
    found |= {f"head/{name}": _job(_head, make) for name, make in cases.LABEL_HEADS.items()}
    methods = SMALL_METHODS if small else cases.METHODS
    return found | {f"posterior/{name}": _job(_posterior, name) for name in methods}


SMALL_NETWORKS = ("kriegerowski2019",)
SMALL_METHODS = ("point", "mean_field", "laplace", "sghmc")


def _job(function: Callable[..., Numbers], *arguments: Any) -> Callable[[], Numbers]:
    return lambda: function(*arguments)


def _flat(tree: Any) -> np.ndarray:
    """All numbers of a tree in one array, in double precision."""
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves) if leaves else np.zeros(0)


def _as_numbers(named: Mapping[str, Any]) -> Numbers:
    return {name: _flat(tree) for name, tree in named.items()}


def _network(network_name: str, head_name: str) -> Numbers:
    """Raw output, log-likelihood, its gradient by the parameters, and the posterior's mean and covariance."""
    network, head, seen = cases.NETWORKS[network_name].build(), cases.HEADS[head_name](), cases.observations()
    labels = jax.tree.map(lambda x: x[0], cases.batch().labels)
    params = jax.jit(network.init)(jax.random.key(0), seen)

    def likelihood(params: Any) -> tuple[jax.Array, Any]:
        raw = network.apply(Weights(params), seen)
        return head.log_likelihood(raw, labels), raw

    @jax.jit
    def compute(params: Any) -> dict[str, Any]:
        (value, raw), gradient = jax.value_and_grad(likelihood, has_aux=True)(params)
        return {"output": raw, "log-likelihood": value, "gradient": gradient, **_moments(head, raw)}

    return _as_numbers(compute(params))


def _moments(head: Head, raw: Any) -> dict[str, jax.Array]:
    """Mean and covariance of the hypocentre, where the head has one."""
    hypocentre = head.distribution(raw).get("hypocentre")
    return {} if hypocentre is None else {"mean": mean(hypocentre), "covariance": covariance(hypocentre)}


def _head(make: Callable[[], Head]) -> Numbers:
    """Log-likelihood, its gradient by the raw output, and moments, for a random raw output."""
    head = make()
    raw = 0.3 * jax.random.normal(jax.random.key(2), np.atleast_1d(head.size) if np.ndim(head.size) else (head.size,))
    known = lambda value: Label(jnp.asarray(value), jnp.ones(np.shape(value), bool))
    labels = jax.tree.map(lambda x: x[0], cases.batch().labels)
    labels |= {"magnitude": known(2.3), "is_event": known(1), "polarity": known(1)}

    @jax.jit
    def compute(raw: jax.Array) -> dict[str, Any]:
        value, gradient = jax.value_and_grad(head.log_likelihood)(raw, labels)
        return {"log-likelihood": value, "gradient": gradient, **_moments(head, raw)}

    return _as_numbers(compute(raw))


def _posterior(name: str) -> Numbers:
    """Loss and samples after a few updates on a linear regression, by gradient descent.

    Adam is no choice here: its first steps have the sign of the gradient, so that rounding decides at zero. Of samples
    along eigenvectors, whose signs differ between platforms, the covariance is computed.
    """
    method = cases.METHODS[name](linear_regression.linear(), optax.sgd(0.01))
    params = linear_regression.start(3 if name in cases.ENSEMBLES else 0)

    @jax.jit
    def compute(params: Any) -> dict[str, Any]:
        state = method.init(jax.random.key(0), params)
        step = lambda state, key: method.update(key, state, linear_regression.batch())
        state, info = jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 3))
        if name in EIGENVECTORS:
            samples = method.sample(jax.random.key(2), state, NUM_SAMPLES).params["kernel"]
            return {"loss": info.loss, "sample covariance": jnp.cov(samples.T)}
        return {"loss": info.loss, "samples": method.sample(jax.random.key(2), state, 4).params}

    return _as_numbers(compute(params))
