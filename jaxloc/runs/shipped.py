"""The model that comes with jaxloc: it locates at any station, from the first day, without a run of one's own.

Its weights are those of the experiment `anywhere`, trained on simulated records alone (`jaxloc.runs.pretrain`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from jaxloc import prng
from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame
from jaxloc.models.model import Model
from jaxloc.models.pretrained import Pretrained, parameters_of, read_pretrained
from jaxloc.models.registry import build
from jaxloc.models.spec import Catalogue, ModelSpec, example
from jaxloc.physics.adaptive_grid import Region
from jaxloc.runs.crusts import continental
from jaxloc.runs.fitted import Fitted
from jaxloc.training.run_folder import CONFIG
from jaxloc.types import Method, Params, State, Weights

NAME = "anywhere"
FILE = Path(__file__).parents[1] / "weights" / f"{NAME}.npz"
PARAMETERS = "parameters.npz"  # of an adapted model, in its folder
WINDOW_S = 60.0
SEARCHED = Region((-100.0, 100.0), (-100.0, 100.0), (0.0, 40.0), (-20.0, WINDOW_S))
PLACES = (Station("-", 0.0, 0.0, 0.0), Station("--", 0.1, 0.1, 0.0))  # of no network: others always replace them


def weights_of(named: Path) -> Path | None:
    """The file of weights that is named: the model's, by its name, or any other; None for the folder of a run."""
    if str(named) == NAME and not named.exists():
        return FILE
    return named if named.suffix == FILE.suffix else None


def is_adapted(folder: Path) -> bool:
    """Whether a folder holds a model of `jaxloc.runs.adapt`."""
    return (folder / PARAMETERS).is_file()


def model_and_input(first: Path, others: Sequence[Path]) -> tuple[Path, list[Path]]:
    """A model and what it locates, of paths the first of which may be a model: without one, it is the shipped one."""
    missing = not first.exists() and not set("*?[") & set(str(first))
    folder = (first / CONFIG).is_file() or is_adapted(first)
    if weights_of(first) is not None or folder or (missing and others):
        return first, list(others)
    return Path(NAME), [first, *others]


def shipped(path: Path = FILE) -> tuple[dict[str, Any], Fitted]:
    """The configuration and the model of a file of weights, ready for other stations (`jaxloc.runs.transfer`).

    Raises:
        ValueError: where the file is missing, or is of another model; names it.
    """
    found = read_pretrained(path)
    spec = spec_of(found)
    model = build(spec)
    config: dict[str, Any] = {"name": found.settings["name"], "data": {}, "stages": {}}
    return config, of_draws(spec, model, draws_of(found, spec, model))


def spec_of(found: Pretrained) -> ModelSpec:
    """A specification for no network in particular: a global crust, and two stations that are nowhere else."""
    number = round(WINDOW_S * found.rate_hz)
    nowhere = Catalogue(np.zeros((1, 4), np.float32), np.array([[True, True, False, False]]))
    settings, crust = dict(found.settings), continental().settings
    return ModelSpec(
        settings, Frame(0.0, 0.0), PLACES, found.rate_hz, number, found.bandpass_hz, nowhere, crust, SEARCHED
    )


def of_no_network(spec: ModelSpec) -> bool:
    """Whether a specification is that of `spec_of`, for stations and a crust that are yet to be given."""
    return tuple(spec.stations) == PLACES


def draws_of(found: Pretrained, spec: ModelSpec, model: Model) -> Params:
    """Draws of the model's parameters: the weights of the file, and physics before data."""
    return parameters_of(found, model, blank(model, spec))


def blank(model: Model, spec: ModelSpec) -> Params:
    """Zeros in the shape of a model's parameters; of physics, what is known before data. Nothing is compiled."""
    shapes = jax.eval_shape(lambda key: model.network.init(key, example(spec)), prng.key_shape())
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)


def of_draws(spec: ModelSpec, model: Model, draws: Params) -> Fitted:
    """A model whose weight posterior is a number of draws, each as probable."""
    number = len(jax.tree.leaves(draws)[0])

    def sample(key: Key[Array, ""], state: State, n: int) -> Weights:
        taken: Int[Array, " draw"] = jnp.arange(n) % number
        return Weights(jax.tree.map(lambda x: jnp.asarray(x)[taken], state))

    def fixed(*arguments: Any) -> Any:
        raise ValueError("these weights are trained already; train others by `jaxloc run anywhere`")

    return Fitted(spec, model, Method(fixed, fixed, sample), draws, number)
