"""Programs traced once and kept on disk, beside what JAX compiles of them.

JAX's cache spares a second process the compilation, but not the tracing of the Python code, which takes as long again
for a program as large as a locator. What is kept is the traced program (`jax.export`) with the structure of its
results. It is found by all that tracing depends on: the code of jaxloc, versions and settings of libraries, the device,
the shapes of the arguments, and what the caller says that the function closes over.
"""

import hashlib
import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np
import numpyro
from jax import export
from jaxtyping import Array, PyTree

from jaxloc.atomic_write import write_whole

FOLDER = "traced"  # in the folder of compiled programs
MOST = 64  # programs that are kept, those used last; a locator has some 2 MB

Function = Callable[..., Any]
SETTINGS: Any = jax.config  # its attributes have no types


def traced_once(function: Function, closes_over: bytes) -> Function:
    """A function compiled as by `jax.jit`, whose traced program is kept in the folder of compiled ones.

    Nothing is kept where JAX keeps no compiled programs (`jax_compilation_cache_dir`), or on several devices.

    Args:
        function: pure, of trees of arrays, to a tree that can be pickled.
        closes_over: everything that the function depends on besides its arguments and the code of jaxloc.
    """
    folder = _folder()
    if folder is None or jax.device_count() > 1:
        return jax.jit(function)
    programs: dict[Any, Function] = {}

    def run(*arguments: PyTree) -> PyTree:
        shapes = jax.eval_shape(lambda *trees: trees, *arguments)
        same = jax.tree.structure(shapes), tuple(jax.tree.leaves(shapes))
        if same not in programs:
            path = folder / _name(closes_over, shapes)
            programs[same] = _kept(path) or _traced(path, function, shapes)
        return programs[same](*arguments)

    return run


def _folder() -> Path | None:
    base = SETTINGS.jax_compilation_cache_dir
    return Path(base) / FOLDER if base and SETTINGS.jax_enable_compilation_cache else None


@cache
def _code() -> str:
    """A digest of the code that tracing depends on."""
    versions = (jax.__version__, flax.__version__, numpyro.__version__, np.__version__)
    digest, package = hashlib.sha256(" ".join(versions).encode()), Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(f"\0{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _name(closes_over: bytes, shapes: PyTree) -> str:
    device, structure = jax.devices()[0], (jax.tree.structure(shapes), jax.tree.leaves(shapes))
    settings = [(name, str(getattr(SETTINGS, name, None))) for name in sorted(SETTINGS.values)]
    about = (_code(), device.platform, device.device_kind, settings, *structure)
    return hashlib.sha256("\0".join(map(str, about)).encode() + closes_over).hexdigest()


def _kept(path: Path) -> Function | None:
    """The program of a file; None where there is none, or none that can be read."""
    try:
        program, results = pickle.loads(path.read_bytes())
        os.utime(path)
        return _called(export.deserialize(program), results)
    except Exception:  # a damaged file may raise anything; the program is then traced anew
        return None


def _traced(path: Path, function: Function, shapes: PyTree) -> Function:
    """The function traced, and kept in a file where it can be exported and that can be written."""
    structure, found = jax.tree.structure(shapes), []

    def flat(*leaves: Array) -> list[Array]:
        result = function(*jax.tree.unflatten(structure, leaves))
        found.append(jax.tree.map(lambda x: 0, result))
        return jax.tree.leaves(result)

    try:
        program = export.export(jax.jit(flat))(*jax.tree.leaves(shapes))
    except (ValueError, NotImplementedError):  # of operations that may change, or call Python
        return jax.jit(function)
    results = found[-1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, pickle.dumps((bytes(program.serialize()), results)))
        for old in sorted(path.parent.iterdir(), key=os.path.getmtime)[:-MOST]:
            old.unlink(missing_ok=True)
    except OSError:  # no room, or no permission: the next process traces it again
        pass
    return _called(program, results)


def _called(program: export.Exported, results: PyTree) -> Function:
    structure, compiled = jax.tree.structure(results), jax.jit(program.call)
    return lambda *arguments: jax.tree.unflatten(structure, compiled(*jax.tree.leaves(arguments)))
