"""Atomic writing of files: complete or absent."""

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C to the end of a block that writes files which belong together."""
    if threading.current_thread() is not threading.main_thread():  # where alone Python has signals
        yield
        return
    came: list[bool] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def write_whole(path: str | Path, text: bytes) -> None:
    """Write under a temporary name in the same folder, then rename, so that no partial file is ever visible.

    Raises:
        ValueError: where the folder is missing.
        OSError: where the file cannot be written (disk full, no permission); names it.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"no such folder: {path.parent}; it must exist before a file is written into it")
    try:
        _replace(path, text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, text: bytes) -> None:
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
