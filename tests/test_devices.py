"""Four devices, made of one CPU: the same numbers as on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import CENTRE, SCALE, STATIONS, batch, observations

from jaxloc import devices, inference
from jaxloc.data.augmentation import Augmentation
from jaxloc.distributions.gaussian_mixture import mean
from jaxloc.heads import gaussian
from jaxloc.locators import neural
from jaxloc.networks import kriegerowski2019
from jaxloc.training.loop import Plan, fit
from jaxloc.training.progress import start
from jaxloc.types import Weights

EVENTS = 8


def system():
    head = gaussian.gaussian(np.array(CENTRE), np.array(SCALE))
    return kriegerowski2019.network(14, width=2, num_stations=STATIONS, dropout=0.0), head


def results():
    """Means of eight located events, and weights after three steps of training."""
    network, head = system()
    params = jax.jit(network.init)(jax.random.key(0), observations())
    one = jax.tree.map(lambda x: x[None], params)
    locator = neural.with_weights(neural.neural(network, head), lambda key: Weights(one))
    located = locator(jax.random.key(0), batch(EVENTS).observations)
    middle, scale = inference.prior_mean(params), inference.prior_scale(params)
    # Plain steps: Adam makes a large step of the rounding of a small gradient.
    method = inference.point(inference.target(network, head, middle, scale, EVENTS), optax.sgd(1e-3))
    plan = Plan("learn", 3, EVENTS, 0, Augmentation(drop_stations=0.3), per_call=1, checks=1, keep_best=False)
    take = lambda index: jax.tree.map(lambda x: np.asarray(x)[index], batch(EVENTS))
    progress = fit(jax.random.key(1), method, start(method.init(jax.random.key(2), params)), plan, EVENTS, take, None,
                   lambda progress, record: None)  # fmt: skip
    learnt = jnp.concatenate([x.ravel() for x in jax.tree.leaves(progress.state.params)])
    return np.asarray(mean(located.hypocentre)), np.asarray(learnt)


@pytest.mark.slow
def test_four_devices_give_the_numbers_of_one():
    """To single precision: sums over events are taken in another order."""
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    code = (
        "import jax, json, test_devices as t; a, b = t.results();"
        "print(json.dumps([jax.device_count(), a.tolist(), b.tolist()]))"
    )
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    count, located, learnt = json.loads(done.stdout.splitlines()[-1])
    assert count == 4
    first, second = results()
    np.testing.assert_allclose(located, first, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(learnt, second, rtol=1e-3, atol=1e-5)


def test_one_device_is_left_alone():
    events = batch(4)
    assert devices.mesh(4) is None
    assert devices.shared_out(events, 4) is events
    assert devices.on_all(events, 4) is events


@pytest.mark.parametrize("number", [1, 3])
def test_a_batch_that_cannot_be_shared_out_stays_whole(number, monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [object(), object()])
    assert devices.mesh(number) is None
