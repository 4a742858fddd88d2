"""Weights as arrays by their paths, and NumPy archives of them."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.types import Params


def by_path(params: Params) -> dict[str, Any]:
    """The arrays of weights, in their order, by paths such as network/params/dense/kernel."""
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}


def in_place(like: Params, arrays: Mapping[str, Any]) -> Params:
    """Arrays by path in the structure of `like`; a KeyError names a path that is missing."""
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in by_path(like)])


def path_name(path: tuple) -> str:
    """A path within a tree as text."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write a NumPy archive, whole or not at all."""
    buffer, plain = io.BytesIO(), {name: np.asarray(array) for name, array in arrays.items()}
    np.savez(buffer, **plain)  # pyright: ignore[reportArgumentType]
    write_whole(path, buffer.getvalue())
