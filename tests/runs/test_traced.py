"""Traced programs kept on disk: the same results, traced once, and traced anew wherever anything differs."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, gaussian_mixture
from jaxloc.runs import traced


class Pair(NamedTuple):
    """Arguments in a tree, one of them absent."""

    first: jax.Array
    second: jax.Array | None = None


@pytest.fixture
def folder(tmp_path: Path):
    """A folder of compiled programs of this test alone."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path / traced.FOLDER
    jax.config.update("jax_compilation_cache_dir", before)


def counted(factor):
    """A function of trees to a mixture and a mapping, and the number of times that it was traced."""
    times = []

    def function(pair, offset):
        times.append(1)
        tril = jnp.broadcast_to(jnp.eye(4), (len(pair.first), 1, 4, 4))
        mixture = gaussian_mixture(jnp.zeros((len(pair.first), 1)), factor * pair.first[:, None] + offset, tril)
        return mixture, {"sum": pair.first.sum(), "none": None}

    return function, times


ARGUMENTS = (Pair(np.arange(8.0, dtype=np.float32).reshape(2, 4)), jnp.float32(0.5))


def test_a_kept_program_gives_what_tracing_gives(folder):
    expected = jax.jit(counted(3.0)[0])(*ARGUMENTS)
    first, times = counted(3.0)
    later, later_times = counted(3.0)
    for function in (first, later):
        found = traced.traced_once(function, b"three")(*ARGUMENTS)
        assert isinstance(found[0], HypocentreMixture)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        jax.tree.map(np.testing.assert_array_equal, found, expected)
        assert found[0].batch_shape == (2,)
    assert len(times) == 1
    assert not later_times
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("change", ["closes over", "shape", "type", "structure", "code"])
def test_whatever_differs_is_traced_anew(folder, change, monkeypatch):
    traced.traced_once(counted(3.0)[0], b"three")(*ARGUMENTS)
    pair, offset = ARGUMENTS
    arguments = {
        "shape": (Pair(pair.first[:1]), offset),
        "type": (Pair(pair.first.astype(np.int32)), offset),
        "structure": (Pair(pair.first, pair.first), offset),
    }.get(change, ARGUMENTS)
    if change == "code":
        monkeypatch.setattr(traced, "_code", lambda: "another version")
    function, times = counted(4.0)
    found = traced.traced_once(function, b"four" if change == "closes over" else b"three")(*arguments)
    jax.tree.map(np.testing.assert_array_equal, found, counted(4.0)[0](*arguments))
    assert len(times) == 1


def test_a_damaged_file_is_replaced_and_old_ones_go(folder, monkeypatch):
    monkeypatch.setattr(traced, "MOST", 2)
    traced.traced_once(counted(3.0)[0], b"three")(*ARGUMENTS)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    found = traced.traced_once(counted(3.0)[0], b"three")(*ARGUMENTS)
    np.testing.assert_array_equal(found[0].parts.mean[:, 0], 3 * ARGUMENTS[0].first + 0.5)
    assert len(file.read_bytes()) >= len(whole) // 2
    for name in (b"four", b"five", b"six"):
        traced.traced_once(counted(3.0)[0], name)(*ARGUMENTS)
    assert len(list(folder.iterdir())) == 2


def test_nothing_is_kept_where_nothing_can_be(folder, monkeypatch):
    """No folder of compiled programs, or one that cannot be written: the function runs all the same."""
    monkeypatch.setattr(traced, "write_whole", lambda *arguments: (_ for _ in ()).throw(OSError(28, "no room")))
    full = traced.traced_once(counted(3.0)[0], b"three")(*ARGUMENTS)
    jax.config.update("jax_compilation_cache_dir", None)
    without = traced.traced_once(counted(3.0)[0], b"three")(*ARGUMENTS)
    jax.tree.map(np.testing.assert_array_equal, full, without)
    assert not list(folder.iterdir())


def test_what_cannot_be_exported_is_compiled_all_the_same(folder):
    """A call back into Python is an operation of this process alone."""

    def function(pair, offset):
        return jax.pure_callback(lambda x: 2 * x, pair.first, pair.first) + offset

    found = traced.traced_once(function, b"callback")(*ARGUMENTS)
    np.testing.assert_array_equal(found, 2 * ARGUMENTS[0].first + 0.5)
    assert not folder.exists()
