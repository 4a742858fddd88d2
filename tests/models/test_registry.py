"""Every model by name: built from a specification, and what it says of labels, other stations and velocity models."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from linear_regression import POSTERIORS

from jaxloc import models
from jaxloc.data.dataset import Dataset, Station
from jaxloc.geometry import Frame
from jaxloc.models.model import Model, check_labels, initial
from jaxloc.models.registry import at_stations, build, builders
from jaxloc.models.spec import Catalogue, ModelSpec, example, read_spec, write_spec
from jaxloc.physics.adaptive_grid import Region
from jaxloc.types import Batch, Label, Weights

SETTINGS = POSTERIORS.parent / "model"
ANY_STATION = {"arrival_rates", "arrivals", "set_transformer", "station_graph"}
WITH_VELOCITY = {"arrival_rates", "arrivals"}


def spec_of(name, **changed):
    settings = yaml.safe_load((SETTINGS / f"{name}.yaml").read_text()) | changed
    generator = np.random.default_rng(0)
    places = np.c_[generator.uniform(-20, 20, (30, 2)), generator.uniform(2, 12, 30), generator.uniform(2, 6, 30)]
    return ModelSpec(
        {key: value for key, value in settings.items() if key != "defaults"} | {"name": name},
        Frame(35.0, -97.0),
        tuple(Station(f"XX.S{i}", 35 + 0.1 * i, -97 + 0.07 * i**2 / 4, 300.0) for i in range(4)),
        20.0,
        512,
        None,
        Catalogue(places.astype(np.float32), np.ones((30, 4), bool)),
        {"top_km": [0.0, 8.0], "vp_km_s": [5.0, 6.2], "vp_vs": 1.73},
        Region((-30.0, 30.0), (-30.0, 30.0), (0.0, 20.0), (0.0, 25.0)),
    )


@pytest.mark.parametrize("name", models.__all__)
def test_every_model_has_its_settings_and_its_builder(name):
    """The registry, the modules and the configuration group have the same names."""
    assert set(models.__all__) == {path.stem for path in SETTINGS.glob("*.yaml")}
    first, *others = inspect.signature(builders()[name]).parameters.values()
    assert first.name == "spec"
    assert all(each.kind in (each.KEYWORD_ONLY, each.VAR_KEYWORD) for each in others)


@pytest.mark.parametrize("name", models.__all__)
def test_every_model_is_built_and_its_parts_fit_together(name):
    """By shapes: parameters, their labels, raw output, head, and a posterior of one event from two draws."""
    spec = spec_of(name)
    model, seen = build(spec), example(spec)
    assert isinstance(model, Model)
    params = jax.eval_shape(model.network.init, jax.random.key(0), seen)
    assert jax.tree.structure(model.parts(params)) == jax.tree.structure(params)
    head, labels = model.head, {"hypocentre": Label(jnp.zeros(4), jnp.ones(4, bool))}
    for network in (model.network, model.step_network or model.network):
        raw = jax.eval_shape(lambda p, network=network: network.apply(Weights(p), seen), params)
        assert jax.eval_shape(lambda raw: head.log_likelihood(raw, labels), raw).shape == ()
    draws = jax.eval_shape(lambda key: initial(key, model, seen, 2), jax.random.key(0))
    found = jax.eval_shape(lambda draws: model.locate(Weights(draws), seen), draws)
    assert found.epistemic.shape == (4, 4)


@pytest.mark.parametrize("name", ["zhang2020", "zhang2021"])
def test_the_published_loss_is_that_of_sigmoids(name):
    """Log-odds of zero have a binary cross-entropy of log 2 a voxel, whatever the label: -0.693, as no softmax has."""
    labels = {"hypocentre": Label(jnp.array([0.0, 0.0, 5.0, 4.0]), jnp.array([True, True, True, False]))}
    for published in (True, False):
        head = build(spec_of(name, published=published)).head
        found = float(head.log_likelihood(jnp.zeros(head.size), labels))
        assert (abs(found + np.log(2)) < 1e-5) == published


@pytest.mark.parametrize("name", models.__all__)
def test_models_declare_the_stations_and_velocity_models_they_take(name):
    spec = spec_of(name)
    model = build(spec)
    assert model.any_station == (name in ANY_STATION)
    assert (model.transfer is not None and model.transfer.velocity is not None) == (name in WITH_VELOCITY)
    places = np.array([[0.0, 0.0, -1.0], [30.0, 10.0, -0.5]], np.float32)
    there = (Frame(10.0, 20.0), Region((-50.0, 80.0), (-60.0, 60.0), (0.0, 40.0), (-20.0, 30.0)), places)
    if not model.any_station:
        with pytest.raises(ValueError, match=f"model '{name}' takes the stations of its training alone"):
            at_stations(spec, model, *there)
        return
    moved = at_stations(spec, model, *there)
    assert (moved.frame, moved.region) == there[:2]
    np.testing.assert_array_equal(moved.catalogue.hypocentres[:, :2], places[:, :2])
    assert isinstance(build(moved), Model)
    if name in WITH_VELOCITY:  # errors that were fitted in one region are not those of another
        prior = dict(moved.settings["prior"])
        shares = np.reshape(prior.pop("mistakes"), (-1, 2, 2))  # of each phase: of the other one, of nothing
        share, *errors = prior.pop("anomalies")
        assert prior == {"path": 0.01, "outlier": 0.1}
        assert 0 < share < 0.5
        assert (np.array(errors) > 0).all()
        assert (shares >= 0).all()
        assert (shares.sum(-1) < 1).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "unet"}, "no such model: 'unet'; use one of arrival_rates, arrivals, convnetquake"),
        ({"name": "gu2019", "widht": 3}, "model 'gu2019' has no setting 'widht'; use one of .*width"),
        ({"name": "arrivals", "components": 3}, "model 'arrivals' has no setting 'components'"),
        (
            {"name": "kriegerowski2019", "labels": ["polarity"]},
            "model.labels has .*polarity.* use only labels of: magnitude",
        ),
        ({"name": "preseis", "labels": ["extent"]}, "must be the first of magnitude, extent in this order"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        build(spec_of("gu2019")._replace(settings=settings))


def test_labels_that_the_data_lack_are_refused():
    spec = spec_of("kriegerowski2019", labels=["magnitude"])
    hypocentre = {"hypocentre": Label(np.zeros((1, 4)), np.ones((1, 4), bool))}
    without = Dataset("mine", spec.frame, spec.stations, (), 20.0, 512, lambda index: Batch(example(spec), hypocentre))
    with pytest.raises(ValueError, match=r"trained with labels magnitude, which mine lacks \(it has hypocentre"):
        check_labels(build(spec), without)
    check_labels(build(spec_of("kriegerowski2019")), without)


def test_a_specification_is_read_as_it_was_written(tmp_path):
    spec = spec_of("arrivals")
    write_spec(tmp_path / "model.json", spec)
    again = read_spec(tmp_path / "model.json")
    assert again._replace(catalogue=None) == spec._replace(catalogue=None)
    np.testing.assert_array_equal(again.catalogue.hypocentres, spec.catalogue.hypocentres)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ValueError, match=r"model.json is damaged or of another version"):
        read_spec(tmp_path / "model.json")
