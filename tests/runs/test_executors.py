"""Executors: which one a setting means, and jobs that fail or are cancelled."""

import math
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from jaxloc.runs import quiet
from jaxloc.runs.executors import executor_of, run_jobs


@pytest.mark.parametrize("workers", [0, -2, 1.5, True, None, "two", "host:8786", "http://host:8786", ""])
def test_wrong_workers_are_refused(workers):
    with pytest.raises(ValueError, match=r"workers must be a number of processes.*tcp://host:8786.*got"):
        executor_of(workers)


def test_a_number_means_processes_that_are_spawned():
    with executor_of(2) as executor:
        assert isinstance(executor, ProcessPoolExecutor)
        assert sorted(run_jobs(executor, math.sqrt, [1.0, 4.0])) == [(1.0, 1.0), (4.0, 2.0)]
        assert executor._mp_context.get_start_method() == "spawn"


def test_a_scheduler_that_does_not_answer_is_named():
    dask = pytest.importorskip("dask", reason="Dask is not installed; pip install 'jaxloc[cluster]'")
    pytest.importorskip("distributed", reason="Dask is not installed; pip install 'jaxloc[cluster]'")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "0.3s"}),
        pytest.raises(ValueError, match=r"no Dask scheduler answers at workers=tcp://127\.0\.0\.1:9"),
    ):
        executor_of("tcp://127.0.0.1:9")


def test_a_failed_job_returns_its_error_and_the_others_their_results():
    with ThreadPoolExecutor(2) as executor:
        found = dict(run_jobs(executor, math.sqrt, [4.0, -1.0, 9.0]))
    assert (found[4.0], found[9.0]) == (2.0, 3.0)
    assert isinstance(found[-1.0], ValueError)


def test_jobs_that_have_not_started_are_cancelled_when_the_loop_ends():
    done = []

    def work(job):
        time.sleep(0.05)
        done.append(job)

    with ThreadPoolExecutor(1) as executor:
        for job, _ in run_jobs(executor, work, range(50)):
            assert job == 0
            break
    assert len(done) < 5


def test_an_interrupted_job_interrupts_the_caller():
    def interrupted(job):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        list(run_jobs(executor, interrupted, [0]))


def warned(name):
    """A warning from a file of jaxloc, one from another library."""
    file = quiet.PACKAGE / "io" / "seisbench.py" if name == "ours" else "/somewhere/else.py"
    warnings.warn_explicit(f"one of {name}", UserWarning, str(file), 1)
    return name


def test_workers_show_our_warnings_in_one_line_and_no_others(capfd):
    with executor_of(1) as executor:
        assert [job for job, _ in run_jobs(executor, warned, ["ours", "theirs"])]
    assert capfd.readouterr().err.splitlines() == ["warning: one of ours"]
