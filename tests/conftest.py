"""What all tests share: one CPU backend, and the way to real data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Compiling takes most of the time of tests; without LLVM's optimisation it takes two thirds. To be set before JAX is.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

DATA = Path(os.environ.get("JAXLOC_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_folder() -> Callable[[str], Path]:
    """The folder of a real data set by name; skips where it is not there."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"no real data at {folder}; set JAXLOC_DATA to the folder that holds {name}")
        return folder

    return find
