"""A run's log: lines for the user and progress, with times, in a file that can be followed."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

INTERVAL_S = 30.0

Say = Callable[[str], None]
"""Takes one line for the user."""
OnStep = Callable[[str, int, int, float], None]
"""Takes the stage's name, the step, the steps of the stage and the loss."""


def written(path: Path, say: Say) -> Say:
    """`say`, whose lines are also appended to a file, each with the time.

    Raises:
        OSError: where the file cannot be written; names it.
    """

    def both(line: str) -> None:
        append_line(path, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
        say(line)

    return both


def steps_written(path: Path, on_step: OnStep | None, interval_s: float = INTERVAL_S) -> OnStep:
    """`on_step`, whose stage, step and loss are also appended to a file, at most once in `interval_s`."""
    due = _clock(interval_s)

    def both(stage: str, step: int, steps: int, loss: float) -> None:
        if due():
            written(path, lambda line: None)(f"stage {stage}: step {step} of {steps}, loss {loss:.3f}")
        if on_step is not None:
            on_step(stage, step, steps, loss)

    return both


def counted(say: Say, text: str, total: int, interval_s: float = INTERVAL_S) -> Callable[[int], None]:
    """A function of how many of `total` are done, reporting `text` and both numbers at most once in `interval_s`."""
    due = _clock(interval_s)

    def on_number(number: int) -> None:
        if due():
            say(f"{text} {number} of {total}")

    return on_number


@contextlib.contextmanager
def counted_in_time(say: Say, text: str, total: int, interval_s: float = INTERVAL_S) -> Iterator[Callable[[int], None]]:
    """As `counted`, by a clock of its own: a line every `interval_s` even where nothing gets done meanwhile.

    Within the context `say` is called by another thread.
    """
    done, ended = [0], threading.Event()

    def tick() -> None:
        while not ended.wait(interval_s):
            say(f"{text} {done[0]} of {total}")

    def on_number(number: int) -> None:
        done[0] = number

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield on_number
    finally:
        ended.set()
        thread.join()


def append_line(path: Path, line: str) -> None:
    """Append a line to a file; after a line that was cut short, on a new one.

    Raises:
        OSError: where the file cannot be written; names it.
    """
    try:
        with path.open("a+b") as file:
            size = file.seek(0, 2)
            if size:
                file.seek(size - 1)
            cut_short = size > 0 and file.read(1) != b"\n"
            file.write((b"\n" if cut_short else b"") + line.encode() + b"\n")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """The JSON records of a file, one a line; lines that were cut short are left out."""
    records = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _clock(interval_s: float) -> Callable[[], bool]:
    """Whether `interval_s` has passed since it last answered yes, or since it was made."""
    last = [time.monotonic()]

    def due() -> bool:
        now = time.monotonic()
        if now - last[0] < interval_s:
            return False
        last[0] = now
        return True

    return due
