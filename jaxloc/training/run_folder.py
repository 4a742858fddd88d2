"""A run's folder: its configuration, the process that works in it, its stages' checkpoints and its log."""

import contextlib
import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array, Key

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.training import checkpoints, loop
from jaxloc.training import progress as progress_
from jaxloc.training.log import OnStep, Say, append_line, read_records, steps_written, written
from jaxloc.types import Method, Params, State

CONFIG, LOG, TEXT_LOG, FINISHED, LOCK = "config.json", "log.jsonl", "log.txt", "finished.json", ".lock"
VERSION = "jaxloc_version"
REQUIRED = ("name", "seed", "data", "model", "posterior", "stages")


@contextlib.contextmanager
def claimed(folder: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Make the run folder, or check that its configuration is this one; no other process may use it meanwhile.

    Raises:
        ValueError: where another process works in the folder, or it has another configuration; names what differs.
        OSError: where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, "run_dir"):
        _write_config(folder, config)
        yield


@contextlib.contextmanager
def locked(folder: Path, key: str) -> Iterator[None]:
    """Keep other processes out of a folder. The lock ends with the process, however it ends.

    Args:
        folder: one that exists.
        key: of the configuration, by which another folder is chosen.

    Raises:
        ValueError: where another process has the lock; names it.
    """
    with (folder / LOCK).open("a+") as file:
        with contextlib.suppress(OSError):  # of a file system without locks
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise ValueError(
                    f"{folder} is in use by {file.read().strip() or 'another process'}; wait until it has ended, "
                    f"or choose another folder with {key}=..."
                ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        yield


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    path = folder / CONFIG
    if path.exists():
        there, own = _trained_by(_json(path)), _trained_by(json.loads(json.dumps(config)))
        if json.dumps(there) != json.dumps(own):  # in the order given: that of the stages counts
            changed = _differences(there, own) or ["the order of keys"]
            raise ValueError(
                f"{folder} has a run of another configuration (other: {', '.join(changed[:5])}); "
                "use another run_dir=..., or delete the folder"
            )
    write_whole(path, json.dumps({VERSION: __version__, **config}, indent=1).encode())


def _trained_by(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run depends on: how a cross-validation divides its events makes it no other run."""
    return {key: value for key, value in config.items() if key not in (VERSION, "evaluation")}


def _differences(first: Any, second: Any, at: str = "") -> list[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        keys = sorted(set(first) | set(second))
        return [d for k in keys for d in _differences(first.get(k), second.get(k), f"{at}.{k}" if at else k)]
    return [] if first == second else [at]


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        ValueError: where the folder is no run, its config.json is damaged, or another version of jaxloc wrote it in
            a form that this one does not read; names the file and the version.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} is no trained run: it must have {CONFIG}; train one with `jaxloc run`")
    config = _json(path)
    if "locator" in config:
        raise ValueError(
            f"{folder} is a run of the locator {config['locator']['name']}, which has no network; locate other events "
            f"by `jaxloc locate PICKS --locator {config['locator']['name']}`"
        )
    if missing := [key for key in REQUIRED if key not in config]:
        raise ValueError(f"{path} {other_version(config)}: it has no {', '.join(missing)}; train the run again")
    return config


def other_version(config: Mapping[str, Any]) -> str:
    """Which version of jaxloc wrote a configuration, in addition to this one."""
    version = config.get(VERSION)
    by = f"jaxloc {version}" if version else "an earlier version of jaxloc"
    return f"was written by {by}, and this is jaxloc {__version__}"


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete the folder, and train the run again") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged: it must have a configuration; delete the folder, and train the run again")
    return found


def finish(folder: Path) -> None:
    """Note that all of a run's results are written."""
    record = {VERSION: __version__, "finished": time.strftime("%Y-%m-%d %H:%M:%S")}
    write_whole(folder / FINISHED, json.dumps(record).encode())


def finished(folder: Path) -> str | None:
    """When a run ended whose results are all there; None where there is anything left to do."""
    path = folder / FINISHED
    return str(_json(path).get("finished", "")) if path.is_file() and (folder / "scores.json").is_file() else None


def worked_in(
    folder: Path,
    config: Mapping[str, Any],
    say: Say,
    on_step: OnStep | None,
    work: Callable[[Say, OnStep], None],
) -> Path:
    """Do a run's work in its folder, unless it is finished: locked, and with a log of its lines (log.txt).

    Args:
        folder: of the run.
        config: its resolved configuration.
        say: takes one line for the user.
        on_step: for a progress display.
        work: the whole run, given functions for lines and steps; it continues from what is in the folder.

    Raises:
        ValueError, OSError: as `claimed`.
    """
    with claimed(folder, config):
        if (when := finished(folder)) is not None:
            say(f"{folder} is finished since {when}; to run it again, delete it or choose another run_dir=...")
            return folder
        work(written(folder / TEXT_LOG, say), steps_written(folder / TEXT_LOG, on_step))
        finish(folder)
    return folder


def fit_stage(
    key: Key[Array, ""],
    folder: Path,
    plan: loop.Plan,
    method: Method,
    params: Params,
    num_events: int,
    take: loop.TakeBatch,
    dev_loss: Callable[[Key[Array, ""], State], float] | None,
    say: Say,
    on_step: OnStep | None,
) -> progress_.Progress:
    """Train a stage from its last checkpoint in the folder, or from `params`; each check is saved and logged.

    Args:
        key: of the stage.
        folder: of the run.
        plan: of the stage.
        method: its weight posterior.
        params: of each member, to start from.
        num_events: number of training events.
        take: a batch of events by their numbers.
        dev_loss: the loss on validation events; None where the last state is taken.
        say: takes one line for the user.
        on_step: for a progress display.

    Raises:
        OSError: where a checkpoint or the log cannot be written; the last checkpoint stays.
    """
    state = jax.jit(method.init)(key, params)
    kept = checkpoints.manager(folder / "checkpoints" / plan.name)
    progress = checkpoints.restore(kept, state) or progress_.start(state)
    if progress.step:
        say(f"stage {plan.name}: resumed at step {progress.step} of {plan.steps}")
    began, before = time.monotonic(), progress.step

    def on_check(now: progress_.Progress, record: dict[str, Any]) -> None:
        checkpoints.save(kept, now)
        append_line(folder / LOG, json.dumps(record))
        validation = "" if record["dev_loss"] is None else f", validation loss {record['dev_loss']:.3f}"
        loss = record["negative_log_likelihood"]
        say(f"stage {plan.name}: step {now.step} of {plan.steps}, loss {loss:.3f}{validation}")

    progress = loop.fit(
        key,
        method,
        progress,
        plan,
        num_events,
        take,
        dev_loss,
        on_check,
        lambda step, loss: on_step(plan.name, step, plan.steps, loss) if on_step else None,
    )
    if progress.step > before:
        say(f"stage {plan.name}: done in {time.monotonic() - began:.0f} s")
    return progress


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run's log; a line that was cut short is left out."""
    return read_records(folder / LOG)
