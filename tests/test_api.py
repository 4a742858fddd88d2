"""What all networks, heads, weight posteriors and locators have in common; and that the tables of cases are whole."""

import inspect
import pkgutil
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import cases
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import HEADS, LABEL_HEADS, LOCATORS, METHODS, NETWORKS, PAIRS, quick_jit
from linear_regression import linear
from marks import slow_if

import jaxloc
from jaxloc import inference, locators, networks
from jaxloc.distributions.any_distribution import ByEvent
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, covariance
from jaxloc.heads import gaussian, volume
from jaxloc.heads import labels as label_heads
from jaxloc.types import Head, Locator, Method, Network, Weights

PAGE = Path(__file__).parents[1] / "docs" / "python.md"

CLEAN = """
import importlib, pkgutil, sys, time
start = time.perf_counter()
import jaxloc
print(time.perf_counter() - start)
import jax
for module in pkgutil.walk_packages(jaxloc.__path__, "jaxloc."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        assert not jax.live_arrays(), f"{module.name} makes arrays when imported"
print(",".join(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def imported():
    done = subprocess.run([sys.executable, "-c", CLEAN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seconds, modules = done.stdout.split()[-2:]
    return float(seconds), modules.split(",")


def test_importing_computes_nothing(imported):
    """In a process of its own: no JAX array is alive after `jaxloc` and each of its modules."""
    assert "jaxloc.types" in imported[1]


def test_importing_is_quick(imported):
    assert imported[0] < 2.0


def modules_with(package, name):
    """Modules of a package that offer a public function of that name."""
    found = {
        m.name: __import__(f"{package.__name__}.{m.name}", fromlist=[name])
        for m in pkgutil.iter_modules(package.__path__)
    }
    return {key for key, module in found.items() if inspect.isfunction(getattr(module, name, None))}


def test_the_table_of_networks_is_complete():
    """Every module with a `network`; those that any head can read are the registry."""
    assert set(NETWORKS) == modules_with(networks, "network")
    assert set(networks.__all__) <= set(NETWORKS)
    assert {name for name, case in NETWORKS.items() if case.size is not None} <= set(networks.__all__)
    assert set(PAIRS) == set(NETWORKS)


def test_the_table_of_heads_is_complete():
    """Every public function of `jaxloc.heads.gaussian` and `volume` that gives a head, and of some networks."""

    def public(module):
        return {
            name
            for name, f in inspect.getmembers(module, inspect.isfunction)
            if f.__module__ == module.__name__
            and not name.startswith("_")
            and inspect.signature(f).return_annotation is Head
        }

    alone = {
        "arrivals",
        "beside",
        "chain",
        "clusters",
        "isotropic",
        "polar",
        "record",
        "station",
        "volume and magnitude",
    }
    assert set(HEADS) == public(gaussian) | public(volume) | alone
    assert set(LABEL_HEADS) == public(label_heads)


def test_the_table_of_weight_posteriors_is_complete():
    assert set(METHODS) == set(inference.__all__)


def test_the_table_of_locators_is_complete():
    """Every module of `jaxloc.locators` but two is a locator; those that need no network are the registry."""
    assert set(LOCATORS) == {m.name for m in pkgutil.iter_modules(locators.__path__)} - {
        "over_events",
        "padding",
        "setup",
    }
    assert set(locators.__all__) == modules_with(locators, "build")
    for name in locators.__all__:
        assert names(getattr(locators, name).build)[0] == "setup"


def names(function):
    return list(inspect.signature(function).parameters)


@lru_cache
def output(name):
    """A network, the parameters of a random start, and its raw output for one event."""
    network = NETWORKS[name].build()
    params = quick_jit(network.init)(jax.random.key(0), cases.observations())
    return network, params, quick_jit(network.apply)(Weights(params), cases.observations())


# Networks that are compiled for seconds, and have known answers in tests of their own.
ELSEWHERE = (
    *("arrivals", "janbakhsh2019", "mousavi2020", "picks", "set_transformer", "station_graph"),
    *("zhang2020", "zhang2021"),
)


@pytest.mark.parametrize("name", slow_if(ELSEWHERE, NETWORKS))
def test_networks_keep_the_contract(name):
    """Argument names, and one event in, the raw output that was asked for out."""
    network, params, out = output(name)
    assert isinstance(network, Network)
    assert names(network.init) == ["key", "observations"]
    assert names(network.apply) == ["weights", "observations"]
    if NETWORKS[name].size is not None:
        assert out.shape == NETWORKS[name].size
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(out))
    # Any seed is a random start, of the same shapes.
    other = jax.eval_shape(network.init, jax.random.key(1), cases.observations())
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, other)


@pytest.mark.parametrize(
    ("network", "head"),
    slow_if([(n, h) for n in ELSEWHERE for h in PAIRS[n]], [(n, h) for n, several in PAIRS.items() for h in several]),
)
def test_networks_and_heads_fit_together(network, head):
    """A finite log-likelihood with its slope by raw outputs, a distribution over hypocentres; no labels count zero."""
    reader, raw = HEADS[head](), output(network)[2]
    assert isinstance(reader, Head)
    assert names(reader.log_likelihood) == ["raw", "labels"]
    labels = jax.tree.map(lambda x: x[0], cases.batch().labels)

    @quick_jit
    def use(raw):
        mixture = reader.distribution(raw)["hypocentre"]
        return *jax.value_and_grad(reader.log_likelihood)(raw, labels), mixture, reader.log_likelihood(raw, {})

    value, slope, mixture, nothing = use(raw)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    assert isinstance(mixture, HypocentreMixture | ByEvent)
    assert mixture.event_shape == (4,)
    assert nothing == 0


@pytest.mark.parametrize("name", METHODS)
def test_weight_posteriors_keep_the_contract(name):
    method = METHODS[name](linear(), optax.adam(0.01))
    assert isinstance(method, Method)
    assert names(method.init) == ["key", "params"]
    assert names(method.update) == ["key", "state", "batch"]
    assert names(method.sample) == ["key", "state", "n"]


@pytest.mark.parametrize("name", slow_if(("arrivals", "nuts", "single_station", "sp_rule"), LOCATORS))
def test_locators_keep_the_contract(name):
    """A key and observations, no weights; finite densities, covariances that are symmetric and nowhere negative."""
    locate = LOCATORS[name]()
    assert names(locate) == names(Locator.__call__)[1:] == ["key", "observations"]
    seen = cases.batch().observations
    posterior = locate(jax.random.key(1), seen)
    assert posterior.hypocentre.batch_shape == (3,)
    assert posterior.epistemic.shape == posterior.aleatoric.shape == (3, 4, 4)
    assert np.isfinite(posterior.hypocentre.log_prob(jnp.broadcast_to(jnp.array(cases.CENTRE), (3, 4)))).all()
    for part in (posterior.epistemic, posterior.aleatoric):
        np.testing.assert_allclose(part, np.swapaxes(part, 1, 2), rtol=1e-3, atol=1e-3)
        assert (np.linalg.eigvalsh(np.asarray(part, float)) >= -1e-3 * np.trace(part, axis1=1, axis2=2)[:, None]).all()
    whole = covariance(posterior.hypocentre)
    # The mixture of two draws has half of the variance that their means are an unbiased estimate of.
    np.testing.assert_allclose(posterior.epistemic / 2 + posterior.aleatoric, whole, rtol=1e-3, atol=1e-3)
    # One event alone is located as in company, unless its company tells of it.
    if name not in (*cases.JOINT, *cases.CHAINS):
        alone = locate(jax.random.key(1), jax.tree.map(lambda x: x[1:2], seen))
        np.testing.assert_allclose(alone.aleatoric[0], posterior.aleatoric[1], rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="no event"):
        locate(jax.random.key(1), jax.tree.map(lambda x: x[:0], seen))


def test_the_version_is_there():
    assert jaxloc.__version__


def blocks(text):
    """Fenced blocks of Python, with blank lines before each so that errors have the page's line numbers."""
    return [
        "\n" * text.count("\n", 0, found.start(1)) + found.group(1)
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def executed(text, names):
    """The names after all blocks of a text, one after the other."""
    for block in blocks(text):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def assert_the_truth_is_found(posterior):
    """The grid search has the truth within four standard deviations of exact picks, in every coordinate."""
    sd = np.sqrt(np.diag(posterior.covariance[0]))
    np.testing.assert_array_less(np.abs(np.asarray(posterior.mean[0]) - [4.0, -3.0, 8.0, 2.0]), 4 * sd)


def test_the_examples_that_need_no_trained_run_run():
    """From the locators without a network on, with what the examples before have imported."""
    text = PAGE.read_text()
    start = text.index("## Locators without a network")
    before = {"jax": jax, "jaxloc": jaxloc, "np": np, "rng": np.random.default_rng(0)}
    names = executed("\n" * text.count("\n", 0, start) + text[start:], before)
    assert_the_truth_is_found(names["posterior"])
    assert np.isfinite(names["predictive"].mean).all()


@pytest.mark.slow
def test_every_example_of_the_python_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    assert len(blocks(text)) >= 9
    names = executed(text, {})
    assert (tmp_path / "located" / "events.xml").stat().st_size > 1000
    assert (tmp_path / "located" / "map.png").stat().st_size > 10_000
    assert (tmp_path / "compare.png").is_file()
    assert names["draws"].shape == (1000, 4)
    assert_the_truth_is_found(names["posterior"])


def test_all_public_names_exist():
    assert len(jaxloc.__all__) == len(set(jaxloc.__all__))
    assert all(hasattr(jaxloc, name) for name in jaxloc.__all__)
    assert set(jaxloc.__all__) <= set(dir(jaxloc))
