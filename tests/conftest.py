"""What all tests share: one CPU backend, and the way to real data."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Compiling takes most of the time of tests: half of it without LLVM's optimisation and XLA's newer way to write loops.
# To be set before JAX is; XLA ends a program that asks for what it does not know, and a later one may not.
HASTE = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")


def _known(flag: str) -> bool:
    alone = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    start = [sys.executable, "-c", "import jax; jax.devices()"]
    return subprocess.run(start, env=alone, capture_output=True).returncode == 0


if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = " ".join(flag for flag in HASTE if _known(flag))

# What one test has compiled is there for the next one, and for the other process of a run in two.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

# Programs need not know which line of Python each of their operations comes from; errors tell it all the same.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

DATA = Path(os.environ.get("JAXLOC_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_configure(config: pytest.Config) -> None:
    """A cache of this run alone: what an earlier version has compiled is no concern of it."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="jaxloc-compiled-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop("JAX_COMPILATION_CACHE_DIR"), ignore_errors=True))


@pytest.fixture(scope="module", autouse=True)
def _memory_bounded() -> Iterator[None]:
    """Compiled programs of one file are of no use to the next one, and those of all files take 6 GB."""
    yield
    import jax  # not before the flags above are set

    jax.clear_caches()


@pytest.fixture(scope="session")
def data_folder() -> Callable[[str], Path]:
    """The folder of a real data set by name; skips where it is not there."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"no real data at {folder}; set JAXLOC_DATA to the folder that holds {name}")
        return folder

    return find
