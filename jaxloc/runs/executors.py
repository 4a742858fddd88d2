"""Where independent jobs run: in processes of this machine, or on a Dask cluster.

Every fan-out takes a `concurrent.futures.Executor`, and `executor_of` makes one from the setting `workers`.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from jaxloc.runs.quiet import worker_quiet

SCHEMES = ("tcp://", "tls://", "ucx://")

Job = TypeVar("Job")


def workers_of(text: str) -> int | str:
    """The setting `workers` as a command line has it: a number where it is one, else an address."""
    return int(text) if text.isdecimal() else text


def executor_of(workers: int | str) -> Executor:
    """An executor for jobs that do not depend on one another.

    Processes are spawned, since a forked one inherits JAX's threads and hangs. A Dask scheduler gives the jobs of a
    lost worker to another one; its workers need the same jaxloc and a file system shared with this process.

    Args:
        workers: number of processes on this machine, or address of a Dask scheduler, "tcp://host:8786".

    Raises:
        ValueError: for anything else, where Dask is not installed, or where no scheduler answers.
    """
    if isinstance(workers, str) and workers.startswith(SCHEMES):
        return _dask_executor(workers)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(
            "workers must be a number of processes, at least 1, or the address of a Dask scheduler "
            f'such as "tcp://host:8786", got {workers!r}'
        )
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=worker_quiet)


def _dask_executor(address: str) -> Executor:
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(f"workers={address} needs Dask; use pip install 'jaxloc[cluster]'") from error
    try:
        return Client(address, set_as_default=False).get_executor(pure=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at workers={address}; use `dask scheduler` first") from error


def run_jobs(
    executor: Executor, function: Callable[..., Any], jobs: Sequence[Job], *arguments: Any
) -> Iterator[tuple[Job, Any]]:
    """Each job with what `function(job, *arguments)` returned, or with the exception that it raised, as they end.

    Jobs that have not started are cancelled where the loop over this generator ends early.
    """
    running: dict[Future, Job] = {executor.submit(function, job, *arguments): job for job in jobs}
    try:
        for future in as_completed(running):
            yield running[future], _outcome(future)
    finally:
        for future in running:
            future.cancel()


def _outcome(future: Future) -> Any:
    try:
        return future.result()
    except Exception as error:  # of any kind: one job's failure is not the others'
        return error
