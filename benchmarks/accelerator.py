"""Checks the numbers of an accelerator against the CPU and measures its speed, in less than 8 minutes.

    python benchmarks/accelerator.py --output accelerator.json
    python benchmarks/accelerator.py --small

A second process computes the reference on the CPU: outputs, log-likelihoods and gradients of every network, head and
weight posterior of tests/cases.py. They are compared with those of the default device in full float32 precision
("float32"), and once more in the precision that JAX uses by default ("default"), in which GPUs may multiply matrices in
TF32. Then training steps, predictive samples and the largest batch are measured. What does not fit into the time is
skipped and listed. `--small` checks a part of them on the CPU against a CPU that compiles without optimisation.

The exit status is 1 where a number differs by more than its tolerance.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

import accelerator_numbers as numbers_  # noqa: E402
import accelerator_speed as speed  # noqa: E402
import jax  # noqa: E402
import local_network  # noqa: E402
import numpy as np  # noqa: E402

BUDGET_S = 450.0
THREADS = max(1, min(8, (os.cpu_count() or 1) // 2))  # nearly all of the time of a check is compilation
REFERENCE_FLAGS = "--xla_backend_optimization_level=0"

# Differences are relative to the largest number of an array. The unit round-off is 6e-8 in float32 and 5e-4 in TF32.
# Sums of up to 1e4 terms in another order differ by about sqrt(1e4) = 100 round-offs, and a network of ten to twenty
# layers and its gradient by some ten times that: 1000 round-offs, 6e-5. Ten times as much is allowed, since values may
# cancel. In TF32 each product is rounded, and errors of sums average out: 40 round-offs for values, 200 for gradients.
TOLERANCES = {"float32": {"value": 6e-4, "gradient": 2e-3}, "default": {"value": 2e-2, "gradient": 1e-1}}
# Where an adaptive search refines its lattice around the best cells, rounding changes which cells those are: mean and
# covariance change by a part of the spacing of its last lattice.
SEARCH_TOLERANCE = 2e-2
# The covariance of n samples has a relative standard error of sqrt(2 / n): four of them.
STATISTICAL_TOLERANCE = 4 * (2 / numbers_.NUM_SAMPLES) ** 0.5
SEARCHES = ("network/arrivals+arrivals", "head/arrivals")


class Check(NamedTuple):
    """Largest difference of one array from the reference, relative to its largest number, and what is allowed."""

    name: str
    quantity: str
    precision: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the difference is finite and within the tolerance."""
        return bool(self.difference <= self.tolerance)


def tolerance_of(name: str, quantity: str, precision: str) -> float:
    """The tolerance of a quantity of a job, in the precision in which it was computed."""
    if quantity == "sample covariance":
        return STATISTICAL_TOLERANCE
    own = TOLERANCES[precision]["gradient" if quantity == "gradient" else "value"]
    return max(own, SEARCH_TOLERANCE) if name in SEARCHES and quantity in ("mean", "covariance") else own


def difference(found: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference relative to the largest number of the reference; infinite for other shapes or NaN."""
    if found.shape != reference.shape or not np.isfinite(found).all() or not np.isfinite(reference).all():
        return float("inf")
    scale = np.abs(reference).max(initial=0.0)
    return float(np.abs(found - reference).max(initial=0.0) / max(scale, 1e-6))


def compare(
    found: Mapping[str, numbers_.Numbers], reference: Mapping[str, numbers_.Numbers], precision: str
) -> list[Check]:
    """A check of every quantity that was computed; one that the reference lacks differs infinitely."""
    nothing = np.zeros((0, 0))
    return [
        Check(
            name,
            quantity,
            precision,
            difference(values, reference.get(name, {}).get(quantity, nothing)),
            tolerance_of(name, quantity, precision),
        )
        for name, quantities in found.items()
        for quantity, values in quantities.items()
    ]


class Clock:
    """Time since the start of the script, and what was skipped when it was over."""

    def __init__(self, budget_s: float) -> None:
        self.ends, self.skipped = time.monotonic() + budget_s, list[str]()

    def left_s(self) -> float:
        """Seconds until the budget is spent."""
        return self.ends - time.monotonic()

    def run(self, name: str, job: Callable[[], Any]) -> Any:
        """The result of a job; None where time is over."""
        if self.left_s() <= 0:
            self.skipped.append(name)
            return None
        began = time.monotonic()
        found = job()
        print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        return found


def compute(jobs: Mapping[str, Callable[[], Any]], clock: Clock, label: str, threads: int = 1) -> dict[str, Any]:
    """Results of jobs by name, as long as there is time; several threads compile several programs at a time."""
    with ThreadPoolExecutor(threads) as executor:
        found = executor.map(lambda name: clock.run(f"{label} {name}", jobs[name]), jobs)
        return {name: value for name, value in zip(jobs, found, strict=True) if value is not None}


def numbers_of(small: bool, clock: Clock, label: str, precision: str | None = None) -> dict[str, numbers_.Numbers]:
    """The numbers of this process's device, with a precision of matrix products (None: JAX's default)."""

    def with_precision(job: Callable[[], numbers_.Numbers]) -> numbers_.Numbers:
        with jax.default_matmul_precision(precision) if precision else nullcontext():  # of this thread
            return job()

    jobs = {name: partial(with_precision, job) for name, job in numbers_.jobs(small).items()}
    return compute(jobs, clock, label, THREADS)


def start_reference(path: Path, small: bool, budget_s: float) -> subprocess.Popen:
    """A process that writes the reference: the CPU's numbers, compiled without optimisation if `small`."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    if small:
        environment["XLA_FLAGS"] = REFERENCE_FLAGS
    command = [sys.executable, __file__, "--reference", str(path), "--budget", str(budget_s)]
    return subprocess.Popen([*command, *(["--small"] if small else [])], env=environment)


def write_reference(path: Path, small: bool, clock: Clock) -> None:
    """Write the numbers of this process, as arrays by "JOB:QUANTITY"."""
    found = numbers_of(small, clock, "reference")
    arrays = {f"{name}:{quantity}": x for name, quantities in found.items() for quantity, x in quantities.items()}
    np.savez(path, **arrays)


def read_reference(path: Path) -> dict[str, numbers_.Numbers]:
    """The numbers of `write_reference`."""
    found: dict[str, numbers_.Numbers] = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            name, quantity = key.rsplit(":", 1)
            found.setdefault(name, {})[quantity] = arrays[key]
    return found


def measure(small: bool, clock: Clock) -> dict[str, dict[str, float]]:
    """Speed and memory by what was measured."""
    sizes, networks = (speed.SMALL, ["kriegerowski2019"]) if small else (speed.Sizes(), list(local_network.CASES))
    methods = ["mean_field"] if small else list(local_network.METHODS)
    jobs = {f"training step, {n}, {m}": (speed.training_step, n, m, sizes) for n in networks for m in methods}
    jobs |= {f"prediction, {n}": (speed.prediction, n, sizes) for n in networks}
    jobs |= {f"largest batch, {n}": (speed.largest_batch, n, sizes) for n in networks}
    return compute({name: partial(*job) for name, job in jobs.items()}, clock, "measure")


def run(small: bool, budget_s: float) -> dict[str, Any]:
    """All checks and measurements, as plain values."""
    clock = Clock(budget_s)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.npz"
        process = start_reference(path, small, budget_s)
        try:
            found = {"float32": numbers_of(small, clock, "float32", "highest")}
            speeds = measure(small, clock)
            if jax.default_backend() != "cpu":
                found["default"] = numbers_of(small, clock, "default")
            process.wait(timeout=max(clock.left_s(), 0.0) + 20.0)
            reference = read_reference(path)
        finally:
            process.kill()
    checks = [check for precision, each in found.items() for check in compare(each, reference, precision)]
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} {device.device_kind}",
        "jax": jax.__version__,
        "seconds": round(budget_s - clock.left_s(), 1),
        "checks": [{**check._asdict(), "passed": check.passed} for check in checks],
        "measured": speeds,
        "skipped": clock.skipped,
    }


def report(found: Mapping[str, Any]) -> str:
    """The results as a table: a line a job and precision with its worst quantity, then measurements."""
    lines = [f"{found['device']}, jax {found['jax']}, {found['seconds']} s", ""]
    lines.append(f"{'check':<44}{'precision':<10}{'worst quantity':<16}{'difference':>11}{'tolerance':>11}")
    for (name, precision), checks in _by_job(found["checks"]).items():
        worst = max(checks, key=lambda check: check["difference"] / check["tolerance"])
        mark = "" if all(check["passed"] for check in checks) else "  FAILED"
        lines.append(
            f"{name:<44}{precision:<10}{worst['quantity']:<16}"
            f"{worst['difference']:>11.1e}{worst['tolerance']:>11.1e}{mark}"
        )
    lines.append("")
    for name, values in found["measured"].items():
        lines.append(f"{name:<44}" + ", ".join(f"{key} {value:.4g}" for key, value in values.items()))
    lines += [f"skipped, time was over: {name}" for name in found["skipped"]]
    return "\n".join(lines)


def _by_job(checks: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for check in checks:
        found.setdefault((check["name"], check["precision"]), []).append(check)
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 where a check failed or none was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a part of the checks, for the CPU, in less than a minute")
    parser.add_argument("--output", type=Path, default=Path("accelerator.json"), help="results (accelerator.json)")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help=f"seconds to spend ({BUDGET_S:.0f})")
    parser.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.reference is not None:
        write_reference(parsed.reference, parsed.small, Clock(parsed.budget))
        return 0
    found = run(parsed.small, parsed.budget)
    parsed.output.write_text(json.dumps(found, indent=1))
    print(report(found))
    return 0 if found["checks"] and all(check["passed"] for check in found["checks"]) else 1


if __name__ == "__main__":
    sys.exit(main())
