"""Weights in a file: written from one network of stations, used at another with another velocity model."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame
from jaxloc.models.model import initial
from jaxloc.models.pretrained import parameters_of, pretrained, read_pretrained, write_pretrained
from jaxloc.models.registry import build
from jaxloc.models.spec import Catalogue, ModelSpec, example
from jaxloc.physics.adaptive_grid import Region
from jaxloc.types import Weights

SMALL = {"name": "arrivals", "channels": [4, 6], "prior": {"speed_sd": 0.01}}
SEARCH = {"first": [5, 5, 2, 10], "points": 64, "levels": 3, "last": 128, "times": 5}
TWO_LAYERS = {"top_km": [0.0, 8.0], "vp_km_s": [5.0, 6.2], "vp_vs": 1.73}
BY_LAYER = {"top_km": [0.0, 2.0, 9.0], "vp_km_s": [2.4, 5.0, 6.2], "vs_km_s": [1.0, 2.9, 3.6]}


def spec_at(latitude_deg, number, velocity, settings=SMALL):
    stations = tuple(
        Station(f"S{number}.{i}", latitude_deg + 0.1 * i, 10.0 + 0.03 * i**2, 500.0, 0.1) for i in range(number)
    )
    places = np.array([[0.0, 0.0, 5.0, 4.0], [8.0, -5.0, 9.0, 5.0]], np.float32)
    return ModelSpec(
        dict(settings) | ({"search_sizes": SEARCH} if settings["name"] == "arrivals" else {}),
        Frame(latitude_deg, 10.0), stations, 20.0, 256, (1.0, 8.0),
        Catalogue(places, np.ones((2, 4), bool)), velocity,
        Region((-40.0, 40.0), (-40.0, 60.0), (0.0, 20.0), (-5.0, 12.0)),
    )  # fmt: skip


def draws_of(spec, number=2):
    """Parameters with physics that is not that of the prior."""
    params = initial(jax.random.key(1), build(spec), example(spec), number)
    return params._replace(physics=jax.tree.map(lambda x: x + 0.5, params.physics))


@pytest.mark.parametrize(
    ("number", "velocity"),
    [(7, BY_LAYER), pytest.param(1, TWO_LAYERS, marks=pytest.mark.slow)],
    ids=["other stations and layers", "one station"],
)
def test_weights_of_one_network_locate_at_another(number, velocity, tmp_path):
    """Arrival densities are those of the weights; physics is that of the new stations and their velocity model."""
    home, away = spec_at(35.0, 3, TWO_LAYERS), spec_at(-20.0, number, velocity)
    draws = draws_of(home)
    write_pretrained(tmp_path / "weights.npz", pretrained(home, build(home), draws))
    found = read_pretrained(tmp_path / "weights.npz")
    model = build(away._replace(settings=found.settings))
    like = jax.tree.map(lambda x: x[0], initial(jax.random.key(9), model, example(away), 1))
    params = parameters_of(found, model, like)
    jax.tree.map(np.testing.assert_array_equal, params.network, draws.network)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(params.physics))
    seen = example(away)._replace(waveforms=1e-6 * jax.random.normal(jax.random.key(0), (number, 3, 256)))
    one = lambda spec, draws: quick_jit(lambda p: build(spec).network.apply(Weights(p), seen))(
        jax.tree.map(lambda x: jnp.asarray(x[0]), draws)
    )
    np.testing.assert_allclose(one(away, params).log_mass, one(home, draws).log_mass, rtol=1e-5)
    posterior = quick_jit(lambda p: model.locate(Weights(p), seen))(jax.tree.map(jnp.asarray, params))
    assert np.isfinite(posterior.hypocentre.mean).all()


def test_the_file_holds_no_station_region_or_velocity_model(tmp_path):
    home = spec_at(35.0, 3, TWO_LAYERS, SMALL | {"table": {"distance_km": 99.0, "receiver_km": [-1.0, 0.0]}})
    path = tmp_path / "weights.npz"
    write_pretrained(path, pretrained(home, build(home), draws_of(home)))
    with np.load(path) as archive:
        about = json.loads(str(archive["about"]))
        assert all(name == "about" or name.startswith("trace/") for name in archive)
        assert {archive[name].shape[0] for name in archive if name != "about"} == {2}
    assert set(about) == {"settings", "rate_hz", "bandpass_hz", "weights"}
    assert set(about["settings"]) == {"name", "channels", "search_sizes"}


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda found, like, wider, fixed, tmp_path: parameters_of(found, build(wider), like),
            r"the weights are of another model than arrivals .* has shape .* expected",
        ),
        (
            lambda found, like, wider, fixed, tmp_path: pretrained(fixed, build(fixed), {}),
            "'kriegerowski2019' takes the stations of its training alone",
        ),
        (lambda found, like, wider, fixed, tmp_path: read_pretrained(tmp_path / "none.npz"), "no such file of weights"),
        (
            lambda found, like, wider, fixed, tmp_path: read_pretrained(tmp_path / "bad.npz"),
            r"bad.npz is no file of weights",
        ),
    ],
)
def test_weights_of_other_shapes_and_models_are_refused(tmp_path, action, message):
    home = spec_at(35.0, 3, TWO_LAYERS)
    found = pretrained(home, build(home), draws_of(home))
    wider = spec_at(35.0, 3, TWO_LAYERS, SMALL | {"channels": [4, 8]})
    like = jax.tree.map(lambda x: x[0], initial(jax.random.key(0), build(wider), example(wider), 1))
    fixed = spec_at(35.0, 3, TWO_LAYERS, {"name": "kriegerowski2019", "width": 4})
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match=message):
        action(found, like, wider, fixed, tmp_path)
