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
from jaxloc.physics.reference_models import rows_of
from jaxloc.runs.fitted import Fitted
from jaxloc.training.run_folder import CONFIG
from jaxloc.types import Method, Params, State, Weights

NAME = "anywhere"
FILE = Path(__file__).parents[1] / "weights" / f"{NAME}.npz"
PARAMETERS = "parameters.npz"  # of an adapted model, in its folder
WINDOW_S = 60.0
CRUST, DEEPEST_KM = "ak135", 210.0
SPEED_SD, VP_VS_SD = 0.05, 0.05  # of the crust of a place that nothing is known of
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
    settings = dict(found.settings)
    return ModelSpec(
        settings, Frame(0.0, 0.0), PLACES, found.rate_hz, number, found.bandpass_hz, nowhere, crust(), SEARCHED
    )


def crust() -> dict[str, Any]:
    """The default velocity model: ak135 (Kennett and others 1995), with an uncertainty by which a crust may differ.

    Layers of constant speed: in the crust it has no others, and in the mantle its gradients are small.
    """
    depth_km, vp_km_s, vs_km_s = rows_of(CRUST)
    top_km, last = np.unique(depth_km[depth_km <= DEEPEST_KM], return_index=True)
    last = np.append(last[1:], last[-1] + 1) - 1  # of two rows at a step, the one below
    rows = {"top_km": top_km, "vp_km_s": vp_km_s[last], "vs_km_s": vs_km_s[last]}
    return {name: each.tolist() for name, each in rows.items()} | {"speed_sd": SPEED_SD, "vp_vs_sd": VP_VS_SD}


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
