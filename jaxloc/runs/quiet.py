"""Warnings on screen: those of jaxloc in one line each, none of other libraries, in this process and its workers."""

import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

INTERRUPTED = 130  # what a shell expects of a program stopped by Ctrl-C
PACKAGE = Path(__file__).resolve().parents[1]


def libraries_quiet() -> None:
    """Keep logs of the libraries that we use off the screen."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "jax", "orbax"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def warnings_in_lines(say: Callable[[str], None]) -> None:
    """Give each warning of jaxloc to `say` as one line; until `warnings.catch_warnings` restores what was before."""

    def show(message: Warning | str, category: type[Warning], filename: str, *where: object) -> None:
        if issubclass(category, UserWarning) and Path(filename).is_relative_to(PACKAGE):
            say(f"warning: {message}")

    warnings.showwarning = show


def worker_quiet() -> None:
    """Both, for a process that works for another one."""
    libraries_quiet()
    warnings_in_lines(lambda line: print(line, file=sys.stderr, flush=True))


def error_line(error: BaseException) -> str:
    """One line for the user of an error that ends a command: what is wrong and what to do."""
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        return f"jaxloc: {error.strerror or error}{place}; check that there is room and permission"
    return f"jaxloc: {error}"
