"""Weights of a trained model in one file, without stations, region and velocity model, to use them at any network.

The file is a NumPy archive: `about` (JSON: settings of the model, sampling rate, filter) and the arrays of weights by
path, each with a leading axis of draws.
"""

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.models.weight_arrays import by_path, in_place, write_arrays
from jaxloc.types import Params

ABOUT = "about"


class Pretrained(NamedTuple):
    """Weights by path, with a leading axis of draws, and what they were trained with."""

    settings: dict[str, Any]
    rate_hz: float
    bandpass_hz: tuple[float, float] | None
    weights: dict[str, np.ndarray]


def pretrained(spec: ModelSpec, model: Model, draws: Params) -> Pretrained:
    """The weights of a model that can be used anywhere, from draws of its parameters.

    Raises:
        ValueError: for a model of its training stations alone.
    """
    if model.transfer is None:
        raise ValueError(
            f"model {spec.settings['name']!r} takes the stations of its training alone; its weights cannot be used at "
            "others"
        )
    local = model.transfer.local_settings
    settings = {name: value for name, value in spec.settings.items() if name not in local}
    weights = {path: np.asarray(leaf) for path, leaf in by_path(model.transfer.portable(draws)).items()}
    return Pretrained(settings, spec.rate_hz, spec.bandpass_hz, weights)


def parameters_of(found: Pretrained, model: Model, like: Params) -> Params:
    """Parameters of a model at any stations, with a leading axis of draws: the weights, and the rest before data.

    Args:
        found: the weights.
        model: built with their settings, at other stations or with another velocity model.
        like: initial parameters of the model, without an axis of draws.

    Raises:
        ValueError: where the model takes no other stations, or its weights have other paths or shapes; names them.
    """
    if model.transfer is None:
        raise ValueError(
            "the model takes the stations of its training alone; use a model of any stations, such as arrivals"
        )
    wanted = {path: leaf.shape for path, leaf in by_path(model.transfer.portable(like)).items()}
    given = {path: array.shape[1:] for path, array in found.weights.items()}
    if differ := sorted(wanted.items() ^ given.items()):
        raise ValueError(
            f"the weights are of another model than {found.settings['name']} with these settings: {differ[0][0]} has "
            f"shape {given.get(differ[0][0])}, expected {wanted.get(differ[0][0])}"
        )
    number = len(next(iter(found.weights.values())))
    repeated = jax.tree.map(lambda x: np.broadcast_to(x, (number, *x.shape)), like)
    return model.transfer.placed(repeated, in_place(model.transfer.portable(repeated), found.weights))


def write_pretrained(path: Path, found: Pretrained) -> None:
    """Write weights into a file."""
    about = found._asdict() | {"weights": sorted(found.weights)}
    write_arrays(path, {ABOUT: np.array(json.dumps(about)), **found.weights})


def read_pretrained(path: Path) -> Pretrained:
    """Read what `write_pretrained` wrote.

    Raises:
        ValueError: where the file is missing or no such archive; names it.
    """
    if not path.is_file():
        raise ValueError(f"no such file of weights: {path}; correct the path, it must name an existing file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(str(archive[ABOUT]))
            weights = {name: archive[name] for name in about["weights"]}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no file of weights, or damaged ({error}); write it again") from error
    band = about["bandpass_hz"]
    return Pretrained(about["settings"], float(about["rate_hz"]), None if band is None else tuple(band), weights)
