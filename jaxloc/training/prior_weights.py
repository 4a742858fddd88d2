"""The weights that the prior of a run's last stage is centred on, in a file of the run folder.

They are also in the checkpoint of the stage that they came from, with all of its optimiser: reading that takes seconds
of the few that locating one event takes.
"""

import zipfile
from pathlib import Path

import numpy as np

from jaxloc.models.weight_arrays import by_path, in_place, write_arrays
from jaxloc.types import Params

FILE = "prior.npz"


def write_prior(folder: Path, params: Params) -> None:
    """Write the parameters of one member, by path, into a run folder."""
    write_arrays(folder / FILE, by_path(params))


def read_prior(folder: Path, like: Params) -> Params | None:
    """What `write_prior` wrote, in the structure of `like`; None where there is no such file.

    Raises:
        ValueError: where the file is damaged or of another network; names it.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    advice = "delete it, and the checkpoint that it was made from is read instead"
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read: it is damaged ({error}); {advice}") from error
    wanted = by_path(like)
    shapes = lambda arrays: {(name, np.shape(array)) for name, array in arrays.items()}
    if differ := sorted(shapes(wanted) ^ shapes(found)):
        raise ValueError(f"{path} is of another network: {differ[0][0]} differs in shape; {advice}")
    return in_place(like, found)
