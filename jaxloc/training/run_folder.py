"""A run's folder: whose it is, the checkpoints of its stages and its log."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from jaxloc.atomic_write import write_whole
from jaxloc.training import checkpoints, loop
from jaxloc.types import Method, Params, State

Say = Callable[[str], None]
OnStep = Callable[[str, int, int, float], None]
"""Stage, step, steps of the stage and loss."""


def claim(folder: Path, config: Mapping[str, Any]) -> None:
    """Make the run folder, or see that it is this configuration's.

    Raises:
        ValueError: where it is another one's; names what differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=1)  # in the order given: that of the stages counts
    path = folder / "config.json"
    if path.exists() and path.read_text() != text:
        try:
            changed = _differences(json.loads(path.read_text()), json.loads(text))
        except json.JSONDecodeError:
            changed = ["(unreadable)"]
        raise ValueError(
            f"{folder} holds a run of another configuration (other: {', '.join(changed[:5])}); "
            "choose another run_dir=..., or delete the folder"
        )
    write_whole(path, text.encode())


def _differences(first: Any, second: Any, at: str = "") -> list[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        keys = sorted(set(first) | set(second))
        return [d for k in keys for d in _differences(first.get(k), second.get(k), f"{at}.{k}" if at else k)]
    return [] if first == second else [at]


def fit_stage(
    folder: Path,
    plan: loop.Plan,
    method: Method,
    params: Params,
    num_events: int,
    take: loop.TakeBatch,
    judge: Callable[[PRNGKeyArray, State], float] | None,
    say: Say,
    on_step: OnStep | None,
) -> loop.Progress:
    """Train a stage from its last checkpoint in the folder, or from `params`; each check is saved, logged and told.

    Args:
        folder: of the run.
        plan: of the stage.
        method: its weight posterior.
        params: of each member, to start from.
        num_events: that are trained on.
        take: a batch of events by their numbers.
        judge: the loss on held-out events; None where the last state is taken.
        say: takes a line of news at a time.
        on_step: for a progress display.
    """
    key = jax.random.key(plan.seed)
    state = jax.jit(method.init)(key, params)
    kept = checkpoints.manager(folder / "checkpoints" / plan.name)
    progress = checkpoints.restore(kept, state) or loop.start(state)
    if progress.step:
        say(f"stage {plan.name}: resumed at step {progress.step} of {plan.steps}")
    began, before = time.monotonic(), progress.step

    def on_check(now: loop.Progress, record: dict[str, Any]) -> None:
        checkpoints.save(kept, now)
        with (folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        dev_text = "" if record["dev_loss"] is None else f", held-out loss {record['dev_loss']:.3f}"
        loss = record["negative_log_likelihood"]
        say(f"stage {plan.name}: step {now.step} of {plan.steps}, loss {loss:.3f}{dev_text}")

    progress = loop.fit(
        key,
        method,
        progress,
        plan,
        num_events,
        take,
        judge,
        on_check,
        lambda step, loss: on_step(plan.name, step, plan.steps, loss) if on_step else None,
    )
    if progress.step > before:
        say(f"stage {plan.name}: done in {time.monotonic() - began:.0f} s")
    return progress


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run's log; a last line cut short is left out."""
    path = folder / "log.jsonl"
    records = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records
