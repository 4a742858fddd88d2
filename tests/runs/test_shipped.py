"""The model that comes with jaxloc: how it is named, what it assumes, and that its weights read arrivals."""

from pathlib import Path

import numpy as np
import pytest

from jaxloc import prng
from jaxloc.models.pretrained import Pretrained, read_pretrained, write_pretrained
from jaxloc.models.weight_arrays import by_path
from jaxloc.runs.load import load
from jaxloc.runs.shipped import FILE, NAME, model_and_input, shipped, weights_of

SETTINGS = {"name": "arrival_rates", "channels": [4, 6], "kernel_size": 3, "stride": 4}


def untrained(path: Path) -> Path:
    """A file of weights of a small network, two draws."""
    import jax
    import jax.numpy as jnp

    from jaxloc.networks.arrival_rates import RateModel, RecordRates

    module = RecordRates(RateModel(channels=(4, 6), kernel_size=3), 50.0)
    keys = jax.random.split(prng.stream("initial parameters"), 2)
    params = jax.vmap(lambda key: module.init(key, jnp.zeros((500, 3)))["params"])(keys)
    weights = {name: np.asarray(each) for name, each in by_path(params).items()}
    write_pretrained(path, Pretrained(SETTINGS, 50.0, None, weights))
    return path


def test_a_model_may_be_left_out(tmp_path: Path) -> None:
    run, waveforms = tmp_path / "run", tmp_path / "a.mseed"
    run.mkdir()
    (run / "config.json").write_text("{}")
    waveforms.touch()
    assert model_and_input(run, [waveforms]) == (run, [waveforms])
    assert model_and_input(waveforms, []) == (Path(NAME), [waveforms])
    assert model_and_input(waveforms, [waveforms]) == (Path(NAME), [waveforms, waveforms])
    assert model_and_input(Path(NAME), [waveforms]) == (Path(NAME), [waveforms])
    assert model_and_input(Path("many*.mseed"), []) == (Path(NAME), [Path("many*.mseed")])


def test_a_run_that_does_not_exist_is_no_input(tmp_path: Path) -> None:
    missing = tmp_path / "runs" / "mine"
    assert model_and_input(missing, [tmp_path]) == (missing, [tmp_path])
    with pytest.raises(ValueError, match="is no trained run"):
        load(missing)


def test_weights_are_named_or_a_file(tmp_path: Path) -> None:
    assert weights_of(Path(NAME)) == FILE
    assert weights_of(Path("other.npz")) == Path("other.npz")
    assert weights_of(tmp_path) is None


def test_a_missing_file_of_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such file of weights: .*none\.npz"):
        load(tmp_path / "none.npz")


def test_every_draw_of_the_file_is_a_draw_of_the_posterior(tmp_path: Path) -> None:
    import jax

    _, fitted = shipped(untrained(tmp_path / "small.npz"))
    assert fitted.num_draws == 2
    weights = fitted.method.sample(prng.stream("location"), fitted.state, 4)
    first = max(jax.tree.leaves(weights.params.network), key=lambda each: each.ndim)
    np.testing.assert_array_equal(first[:2], first[2:])
    assert not np.allclose(first[0], first[1])


def test_the_weights_are_small_and_finite() -> None:
    found = read_pretrained(FILE)
    assert FILE.stat().st_size < 4_000_000
    assert found.settings["name"] == "arrival_rates"
    assert all(np.isfinite(each).all() for each in found.weights.values())
