"""Checkpoints of a training stage, by Orbax: the newest one is kept, and a damaged one is named."""

import errno
import os
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxloc.training.progress import Progress
from jaxloc.types import State


def manager(folder: Path) -> ocp.CheckpointManager:
    """The checkpoints in a folder; the last one is kept."""
    return ocp.CheckpointManager(folder.absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=1))


def save(checkpoints: ocp.CheckpointManager, progress: Progress) -> None:
    """Write progress; whole or not at all: where that fails, the checkpoint before stays and nothing else is left.

    Raises:
        OSError: where it cannot be written (disk full, no permission); names the folder.
    """
    tree = {"state": progress.state, "best": progress.best, "best_loss": np.float32(progress.best_loss)}
    try:
        checkpoints.save(progress.step, args=ocp.args.StandardSave(tree), force=True)
        checkpoints.wait_until_finished()
    except Exception as error:  # Orbax raises what its storage raises
        for partial in Path(checkpoints.directory).glob(f"{progress.step}*orbax-checkpoint-tmp*"):
            shutil.rmtree(partial, ignore_errors=True)
        raise _as_os_error(error, Path(checkpoints.directory)) from error


def _as_os_error(error: Exception, folder: Path) -> OSError:
    """The operating system's error behind an error of Orbax or of its storage."""
    if isinstance(error, OSError) and error.errno:
        number = error.errno
    else:
        found = re.search(r"os_error_code='(\d+)'", str(error))
        number = int(found.group(1)) if found else errno.EIO
    return OSError(number, f"a checkpoint could not be written: {os.strerror(number)}", str(folder))


def restore(checkpoints: ocp.CheckpointManager, template: State) -> Progress | None:
    """The newest progress, shaped as `template` (arrays, or their shapes); None where there is none yet.

    Raises:
        ValueError: where a checkpoint is damaged or of another network.
    """
    step = checkpoints.latest_step()
    if step is None:
        return None
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), template)
    tree = {"state": shapes, "best": shapes, "best_loss": jax.ShapeDtypeStruct((), np.float32)}
    try:
        found = checkpoints.restore(step, args=ocp.args.StandardRestore(tree))
    except Exception as error:  # Orbax raises what its storage raises
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"checkpoint {checkpoints.directory}/{step} cannot be read: it is damaged, cut short or of another network "
            f"({reason}); delete the run's folder of checkpoints to train again"
        ) from error
    wrong = [
        f"{jax.tree_util.keystr(path)} has shape {np.shape(got)}, expected {want.shape}"
        for (path, got), want in zip(
            jax.tree_util.tree_leaves_with_path(found["state"]), jax.tree.leaves(shapes), strict=True
        )
        if np.shape(got) != want.shape
    ]
    if wrong:
        raise ValueError(
            f"checkpoint {checkpoints.directory}/{step} is of another network: {wrong[0]}; "
            "use the settings of the network that wrote it"
        )
    return Progress(step, found["state"], found["best"], float(found["best_loss"]))
