"""A toy network with its model, a toy head, a toy weight posterior and a toy locator, added here and nowhere else.

Each is what someone would write to add one: the registries are the packages' `__all__`, which the tests extend.
"""

import json
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from jaxloc import cli, inference, locators, models
from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.heads import gaussian
from jaxloc.inference import registry
from jaxloc.io.catalogue_csv import read_csv
from jaxloc.locators.over_events import over_events
from jaxloc.models.model import of_known_stations
from jaxloc.models.spec import spread_of
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import station_traces
from jaxloc.settings import hands_on
from jaxloc.types import Head, Info, Method, Posterior, Weights

# 1. A network: observations of one event to as many raw numbers as a head takes.


class ToyNetwork(nn.Module):
    """The loudness of each station through one hidden layer."""

    size: int
    width: int = 4

    @nn.compact
    def __call__(self, observations):
        traces = station_traces(observations)
        loudness = jnp.abs(traces.waveforms).mean((1, 2)) + traces.log_amplitude
        return nn.Dense(self.size)(nn.tanh(nn.Dense(self.width)(loudness)))


@hands_on(ToyNetwork)
def toy_model(spec, *, head="gaussian", **settings):
    """The toy network with a head of the house, or with the toy head."""
    middle, spread = spread_of(spec)
    chosen = {"gaussian": gaussian.gaussian, "toy": toy_head}[head](middle, spread)
    return of_known_stations(bind(ToyNetwork(chosen.size, **settings)), chosen)


# 2. A head: raw numbers to distributions of labels and to the log-likelihood of a labelled event.


def toy_head(middle, spread):
    """Independent normals of the catalogue's width; four means are predicted."""

    def mean_of(raw):
        return middle + spread * raw

    def distribution(raw):
        return {"hypocentre": gaussian_mixture(jnp.zeros(1), mean_of(raw)[None], jnp.diag(jnp.asarray(spread))[None])}

    def log_likelihood(raw, labels):
        if "hypocentre" not in labels:
            return jnp.zeros(())
        value, mask = labels["hypocentre"]
        return jnp.where(mask, dist.Normal(mean_of(raw), spread).log_prob(value), 0.0).sum()

    return Head(4, distribution, log_likelihood)


# 3. A weight posterior: gradient ascent, and a normal of one width about where it ends.


def toy_posterior(target, *, width: float = 0.01, rate: float = 0.001):
    """Normals of one width about the mode that plain gradient ascent finds."""

    def loss(params, batch):
        return -target.log_likelihood(Weights(params), batch).mean()

    def update(key, params, batch):
        value, gradient = jax.value_and_grad(loss)(params, batch)
        return jax.tree.map(lambda x, g: x - rate * g, params, gradient), Info(value, value, jnp.zeros(()))

    def sample(key, params, n):
        leaves, tree = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        noise = [width * jax.random.normal(k, (n, *x.shape)) for k, x in zip(keys, leaves, strict=True)]
        return Weights(tree.unflatten([x + z for x, z in zip(leaves, noise, strict=True)]))

    return Method(lambda key, params: params, update, sample)


# 4. A locator: key and observations to a posterior.


def toy_locator(setup, *, sd_km: float = 10.0):
    """A wide normal about the station of the first pick."""

    def locate(key, observations):
        first = jnp.where(observations.pick_mask[:, 0], observations.picks_s[:, 0], jnp.inf)
        nearest = observations.station_km[first.argmin()]
        mean = jnp.concatenate([nearest[:2], jnp.array([8.0]), first.min()[None] - 2.0])
        scale = jnp.diag(jnp.array([sd_km, sd_km, 5.0, 2.0]))
        mixture = gaussian_mixture(jnp.zeros(1), mean[None], scale[None])
        return Posterior(mixture, jnp.zeros((4, 4)), scale @ scale.T)

    return over_events(locate)


def extend(monkeypatch, package, name, member):
    """What adding a file and a name to `__all__` does."""
    monkeypatch.setattr(package, name, member, raising=False)
    monkeypatch.setattr(package, "__all__", [*package.__all__, name])


TINY = [
    "data.num_stations=4", "data.num_train=12", "data.num_dev=4", "data.num_samples=256", "data.rate_hz=10.0",
    "data.bandpass_hz=[1.0,4.0]", "posterior.draws=3", "stages.learn.steps=2", "stages.weights.steps=2",
    "stages.learn.batch_size=4", "stages.weights.batch_size=4", "stages.learn.checks=1", "stages.weights.checks=1",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiled_in_haste():
    """A run this small spends its time on compiling, which takes a fraction of it without optimisation."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.parametrize(
    ("head", "posterior"),
    [
        pytest.param("toy", "base_toy", id="network, head and weight posterior"),
        pytest.param("gaussian", "point", id="network", marks=pytest.mark.slow),
    ],
)
def test_a_toy_network_is_trained_and_locates(head, posterior, tmp_path, monkeypatch):
    """By the command line, chosen and configured by name; its run is read again and locates."""
    extend(monkeypatch, models, "toy", SimpleNamespace(model=toy_model))
    extend(monkeypatch, inference, "toy", toy_posterior)
    chosen = ["model=base_toy", f"model.head={head}", "model.width=3", f"posterior={posterior}"]
    options = ["posterior.options.width=0.02"] if posterior == "base_toy" else []
    folder = tmp_path / "run"
    command = ["run", "small_kriegerowski2019", *chosen, *options, *TINY, f"run_dir={folder}"]
    assert cli.main(command) == 0
    spec = json.loads((folder / "model.json").read_text())
    assert spec["settings"] == {"name": "toy", "head": head, "width": 3}
    assert len(read_csv(folder / "events.csv")) == 4


def test_options_of_a_toy_weight_posterior_are_known_and_others_refused(monkeypatch):
    extend(monkeypatch, inference, "toy", toy_posterior)
    assert registry.options_of("toy") == {"width": 0.01, "rate": 0.001}


def test_a_toy_locator_locates_picks(tmp_path, monkeypatch):
    """By the command line, with a setting of its own."""
    extend(monkeypatch, locators, "toy", SimpleNamespace(build=toy_locator))
    (tmp_path / "stations.csv").write_text(
        "code,latitude,longitude,elevation_m\nXX.A,35.0,-97.0,300\nXX.B,35.1,-97.0,300\nXX.C,35.0,-96.8,300\n"
    )
    picks = [("A", "P", 5), ("A", "S", 7), ("B", "P", 6), ("C", "P", 7)]
    rows = [f"one,XX.{station},{phase},2020-01-01T00:00:{second:02d}Z" for station, phase, second in picks]
    (tmp_path / "picks.csv").write_text("\n".join(["event_id,station,phase,time", *rows]))
    command = ["locate", str(tmp_path / "picks.csv"), "--locator", "toy", "--set", "sd_km=4.0"]
    command += ["--stations", str(tmp_path / "stations.csv"), "--output", str(tmp_path / "located")]
    assert cli.main(command) == 0
    (event,) = read_csv(tmp_path / "located" / "events.csv")
    assert event.latitude_deg == pytest.approx(35.0, abs=1e-3)
    assert event.longitude_deg == pytest.approx(-97.0, abs=1e-3)
    assert np.sqrt(event.covariance[0, 0]) == pytest.approx(4.0, rel=1e-3)
