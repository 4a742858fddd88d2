"""The script that checks an accelerator: what it compares, and its small form on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import cases
import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def accelerator():
    """The script as a module; it imports its neighbours by name."""
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmarks/ is part of a checkout only")
    sys.path.append(str(BENCHMARKS))
    import accelerator

    return accelerator


def test_all_networks_heads_and_weight_posteriors_are_checked(accelerator):
    names = set(accelerator.numbers_.jobs(small=False))
    paired = {head for heads in cases.PAIRS.values() for head in heads}
    assert {f"network/{network}+{head}" for network, heads in cases.PAIRS.items() for head in heads} <= names
    assert {f"head/{name}" for name in {*cases.HEADS, *cases.LABEL_HEADS} - paired} <= names
    assert {f"posterior/{name}" for name in cases.METHODS} <= names
    assert set(accelerator.numbers_.jobs(small=True)) < names


REFERENCE = {"output": np.array([10.0, -4.0, 0.0]), "gradient": np.array([1.0])}


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        ({"output": np.array([10.0, -4.001, 0.002])}, True),
        ({"output": np.array([10.0, -4.0, 0.01])}, False),
        ({"output": np.array([10.0, -4.0, np.nan])}, False),
        ({"output": np.array([10.0, -4.0])}, False),
        ({"gradient": np.array([1.0015])}, True),
        ({"gradient": np.array([1.003])}, False),
        ({"mean": np.array([1.0])}, False),
    ],
)
def test_differences_count_relative_to_the_largest_number(accelerator, found, passed):
    (check,) = accelerator.compare({"network/x": found}, {"network/x": REFERENCE}, "float32")
    assert check.passed == passed


def test_a_job_that_the_reference_lacks_fails(accelerator):
    (check,) = accelerator.compare({"head/y": {"mean": np.ones(4)}}, {}, "default")
    assert not check.passed


def test_jobs_after_the_end_of_the_budget_are_skipped_by_name(accelerator):
    clock = accelerator.Clock(0.0)
    assert accelerator.compute({"one": lambda: 1}, clock, "measure") == {}
    assert clock.skipped == ["measure one"]
    assert accelerator.compute({"one": lambda: 1}, accelerator.Clock(60.0), "measure") == {"one": 1}


def test_numbers_of_heads_and_weight_posteriors_are_reproduced(accelerator):
    """The same process twice: no difference at all."""
    jobs = accelerator.numbers_.jobs(small=False)
    few = {name: jobs[name] for name in ("head/number", "posterior/point")}
    first, second = ({name: job() for name, job in few.items()} for _ in range(2))
    checks = accelerator.compare(first, second, "float32")
    assert {check.quantity for check in checks} == {"log-likelihood", "gradient", "loss", "samples"}
    assert all(check.difference == 0 for check in checks)


@pytest.mark.slow
def test_the_small_form_passes_on_the_cpu_without_pytest(tmp_path):
    command = [sys.executable, BENCHMARKS / "accelerator.py", "--small", "--output", tmp_path / "found.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["skipped"] == []
    assert all(check["passed"] for check in found["checks"])
    assert {check["name"].split("/")[0] for check in found["checks"]} == {"network", "head", "posterior"}
    speeds = found["measured"]
    assert speeds["training step, kriegerowski2019, mean_field"]["events_per_s"] > 0
    assert speeds["prediction, kriegerowski2019"]["draws_per_s"] > 0
    assert speeds["largest batch, kriegerowski2019"]["events"] >= 1
    assert "largest batch, kriegerowski2019" in done.stdout
