"""Gu and others (2019), Zhang, Zhang and Tian (2021): published sizes, what each sees, and small runs end to end."""

from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CENTRE, SCALE, observations, quick_jit

from jaxloc.distributions.gaussian_mixture import components
from jaxloc.heads.isotropic import dropout_precision, isotropic
from jaxloc.heads.labels import binned
from jaxloc.models.registry import build
from jaxloc.models.spec import Catalogue, ModelSpec, example
from jaxloc.networks import gu2019, zhang2021
from jaxloc.networks.zhang2021 import mean_place
from jaxloc.physics.adaptive_grid import Region
from jaxloc.runs import config as configuration
from jaxloc.runs import train
from jaxloc.runs.datasets import fresh_events
from jaxloc.simulation.events import DEFAULT_FRAME, random_network
from jaxloc.simulation.groningen import HALF_KM, buried, groningen
from jaxloc.studies import early_warning, velocity_shift
from jaxloc.types import Label, Weights


def count(network, stations, samples):
    seen = jax.eval_shape(lambda: observations(0, stations, samples))
    shapes = jax.eval_shape(network.init, jax.random.key(0), seen)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes)), shapes, seen


def test_the_published_early_warning_network_has_the_layers_of_its_table():
    """Weights and biases of the table in the docstring, block by block; shapes alone, nothing is allocated."""
    network = zhang2021.network((192, 96, 64), others=1024, width=64, published=True)
    number, shapes, seen = count(network, 12, 1024)
    channels = [3, 64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024, 512, 512, 256, 256, 128, 128, 64, 64]
    convolutions = sum(9 * a * b + b for a, b in pairwise(channels))
    assert number == convolutions + (64 * 64 + 64) + (1024 * 1024 + 1024)
    out = jax.eval_shape(lambda p, o: network.apply(Weights(p), o), shapes, seen)
    assert out.shape == (192 * 96 * 64 + 1024,)


def test_the_published_network_of_three_coordinates_has_one_dense_layer():
    """Four blocks of 3 x 3, each pooling by four: 1024 samples leave four of 8 x 8 features; and one precision."""
    network = gu2019.network(3, published=True, learns_precision=True, pools=(4, 4, 4, 4))
    number, shapes, seen = count(network, 10, 1024)
    channels = [3, 8, 16, 32, 64]
    convolutions = sum(9 * a * b + b for a, b in pairwise(channels))
    assert number == convolutions + 10 * 4 * 64 * 3 + 3 + 1
    assert jax.eval_shape(lambda p, o: network.apply(Weights(p), o), shapes, seen).shape == (4,)


def test_one_precision_serves_all_coordinates():
    head = isotropic(np.array(CENTRE), np.array(SCALE))
    parts = components(head.distribution(jnp.array([1.0, 0.0, -1.0, np.log(4.0)]))["hypocentre"])
    np.testing.assert_allclose(parts.mean[0], np.array(CENTRE) + np.array(SCALE) * [1, 0, -1, 0], rtol=1e-3)
    sd = np.diagonal(parts.scale_tril[0]) / np.array(SCALE)
    np.testing.assert_allclose(sd, [0.501, 0.501, 0.501, 1.0], rtol=1e-3)
    fixed = isotropic(np.array(CENTRE), np.array(SCALE), 4.0)
    assert fixed.size == 3
    np.testing.assert_allclose(
        components(fixed.distribution(jnp.array([1.0, 0.0, -1.0]))["hypocentre"]).scale_tril,
        parts.scale_tril,
        rtol=1e-5,
    )
    label = {"hypocentre": Label(jnp.array(CENTRE), jnp.array([True, True, True, False]))}
    likelihood = quick_jit(lambda x: head.log_likelihood(jnp.array([0.1, 0.1, 0.1, 0.0]).at[3].set(x), label))
    low, best, high = (float(likelihood(np.log(100.0) + step)) for step in (-0.4, 0.0, 0.4))
    assert low < best > high  # the likeliest precision of coordinates that miss by a tenth is one over its square
    assert dropout_precision(0.5, 2.0, 100, 1e-4) == pytest.approx(100.0)
    for wrong in (lambda: isotropic(np.zeros(4), np.ones(4), -1.0), lambda: dropout_precision(1.5, 1.0, 1, 1.0)):
        with pytest.raises(ValueError, match="got"):
            wrong()


def test_bins_are_a_density_of_the_number():
    head, raw = binned(0.0, 5.0, 10), jnp.linspace(-1.0, 1.0, 10)
    stated, weight = head.distribution(raw)["magnitude"], np.exp(raw) / np.exp(raw).sum()
    middle = np.arange(0.25, 5.0, 0.5)
    mean = (weight * middle).sum()
    assert float(stated.mean) == pytest.approx(mean, rel=1e-5)
    assert float(stated.variance) == pytest.approx((weight * middle**2).sum() - mean**2 + 0.25**2, rel=1e-4)
    even = np.exp(head.distribution(jnp.zeros(10))["magnitude"].log_prob(jnp.linspace(1.0, 4.0, 100)))
    np.testing.assert_allclose(even, 0.2, rtol=0.05)
    with pytest.raises(ValueError, match="low < high"):
        binned(5.0, 0.0, 10)


def test_magnitude_hears_amplitude_and_its_error_does_not_move_the_volume():
    """Ten times the ground motion: another magnitude; and no slope of it in the layers that make the volume."""
    network, one = zhang2021.network((4, 4, 2), width=1, pools=((1, 4), (1, 4))), observations(samples=64)
    params = quick_jit(network.init)(jax.random.key(0), one)

    @quick_jit
    def told(params, scale):
        seen = one._replace(waveforms=scale * one.waveforms)
        return jax.value_and_grad(lambda p: network.apply(Weights(p), seen)[32:].sum())(params)

    (louder, _), (quiet, slope) = told(params, 10.0), told(params, 1.0)
    assert abs(louder - quiet) > 1e-2
    last = max((name for name in params if name.startswith("Conv2D")), key=lambda name: int(name.split("_")[1]))
    assert not np.any(slope[last]["kernel"])
    assert np.any(slope["Conv2D_0"]["kernel"])


def test_the_mean_place_of_a_volume():
    volume = jnp.full((5, 4, 3), -50.0).at[4, 0, 1].set(50.0)
    np.testing.assert_allclose(mean_place(volume), [1.0, -1.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(mean_place(jnp.zeros((5, 4, 3))), 0.0, atol=1e-6)


def test_groningen_is_shallow_small_and_slow_on_top():
    stations = random_network(jax.random.key(0), 12, 50.0)
    assert {s.elevation_m for s in buried(stations)} == {0.0, -200.0}
    simulation, slower = groningen((2.6, 3.4)), groningen((2.6, 3.4), 0.8)
    places_km = np.asarray(jax.vmap(simulation.hypocentre)(jax.random.split(jax.random.key(1), 200)))
    assert (np.abs(places_km[:, :2]) <= HALF_KM).all()
    assert np.abs(places_km[:, :2]).max(0) == pytest.approx(HALF_KM, rel=0.1)
    assert ((places_km[:, 2] >= 2.6) & (places_km[:, 2] <= 3.4)).all()
    top_km, *speeds = simulation.model
    thick_km = np.diff(np.append(top_km, 3.5))
    # From 3.5 km straight up: a bit more than a second of P; S takes twice as long and half a second more.
    p_s, s_s = ((thick_km / v).sum() for v in speeds)
    assert 1.0 < p_s < 1.3
    assert 2 * p_s + 0.3 < s_s < 3 * p_s
    np.testing.assert_allclose(slower.model.vs_km_s, 0.8 * simulation.model.vs_km_s, rtol=1e-6)
    with pytest.raises(ValueError, match="groningen"):
        fresh_events(
            {"kind": "simulated", "preset": "mars", "num_stations": 3, "aperture_km": 9, "depth_km": [1, 2]}, 0, 1
        )


SPEC = ModelSpec(
    {},
    DEFAULT_FRAME,
    random_network(jax.random.key(0), 4, 50.0),
    20.0,
    256,
    None,
    Catalogue(np.array([[0.0, 0.0, 3.0, 5.0], [9.0, -9.0, 2.0, 6.0]], np.float32), np.ones((2, 4), bool)),
    {},
    Region((-20.0, 20.0), (-20.0, 20.0), (0.0, 6.0), (0.0, 9.0)),
)
FORMS = [
    {"name": "gu2019"},
    {"name": "gu2019", "published": True},
    {"name": "gu2019", "published": True, "precision": 50.0},
    {"name": "gu2019", "published": True, "precision": {"length": 1.0, "weight_decay": 1e-4}},
    {"name": "zhang2021", "width": 2, "cells": [8, 6, 2]},
    {"name": "zhang2021", "width": 2, "cells": [8, 6, 2], "published": True, "magnitude_bins": 16},
]


@pytest.mark.parametrize("network", FORMS, ids=str)
def test_every_form_of_a_network_fits_its_head_and_locates(network):
    """Shapes alone: raw outputs are as many as the head wants, draws of weights give one posterior."""
    model, seen = build(SPEC._replace(settings=network)), example(SPEC)
    params = jax.eval_shape(model.network.init, jax.random.key(0), seen)
    raw = jax.eval_shape(lambda p: model.network.apply(Weights(p), seen), params)
    assert raw.shape == (model.head.size,)
    draws = jax.tree.map(lambda x: jax.ShapeDtypeStruct((3, *x.shape), x.dtype), params)
    found = jax.eval_shape(model.locate, Weights(draws), seen)
    assert found.epistemic.shape == (4, 4)
    assert set(found.others) == ({"magnitude"} if network["name"] == "zhang2021" else set())


def test_a_precision_is_learnt_a_number_or_settings_of_training():
    with pytest.raises(ValueError, match=r"model.precision must be .* got 'none'"):
        build(SPEC._replace(settings={"name": "gu2019", "published": True, "precision": "none"}))


QUICK = ["data.num_train=1500", "data.num_dev=50", "posterior.draws=10"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("posterior", "steps", "grows"),
    [("dropout", (1500, 800), "epicentre_sd_km"), ("ensemble", (800, 400), "epistemic_km")],
)
def test_other_velocities_than_in_training_increase_predicted_uncertainty(
    tmp_path: Path, posterior: str, steps: tuple[int, int], grows: str
):
    """Twice the speeds: errors and predicted standard deviations grow, and members of an ensemble disagree more.

    The experiment itself gave 3.3 times the error and 1.5 times the predicted sd with dropout, whose samples hardly
    disagree more; and 4.5 times the error, 2.3 times the predicted sd and 2.1 times the epistemic sd with an ensemble.
    Half of the training is too little for dropout: its predicted sd grows by a fifth.
    """
    training = [f"stages.learn.steps={steps[0]}", f"stages.weights.steps={steps[1]}"]
    config = configuration.load("groningen_gu2019", [*QUICK, f"posterior={posterior}", *training])
    config["run_dir"] = str(tmp_path / "run")
    train.run(config, tmp_path / "run", say=lambda line: None)
    ordinary, faster = velocity_shift.evaluate_factors(tmp_path / "run", 200, tmp_path / "shift", (1.0, 2.0))
    assert faster["energy_km"] > 1.5 * ordinary["energy_km"]
    assert faster[grows] > 1.2 * ordinary[grows]
    assert (tmp_path / "shift" / "velocity_shift.csv").read_text().count("\n") == 3


@pytest.mark.slow
def test_warnings_get_better_with_time(tmp_path: Path):
    """Half of the experiment's training: scores fall from 1 s to 15 s, and below the baselines."""
    overrides = [*QUICK, "posterior=point", "stages.learn.steps=1200", "stages.weights.steps=0"]
    config = configuration.load("small_zhang2021", overrides)
    config["run_dir"] = str(tmp_path / "run")
    train.run(config, tmp_path / "run", say=lambda line: None)
    rows = early_warning.evaluate_over_time(tmp_path / "run", 200, tmp_path / "early", (1.0, 4.0, 15.0))
    assert rows[2]["magnitude_crps"] < rows[1]["magnitude_crps"] < rows[0]["magnitude_crps"]
    assert rows[2]["energy_km"] < rows[0]["energy_km"]
    assert rows[2]["energy_km"] < 0.8 * rows[2]["energy_km_climatology"]
    assert rows[2]["magnitude_crps"] < 0.8 * rows[2]["magnitude_crps_climatology"]
    assert (tmp_path / "early" / "early_warning.csv").read_text().count("\n") == 4
    assert (tmp_path / "early" / "early_warning.png").stat().st_size > 20_000
