"""Trained runs from their folders."""

from pathlib import Path

import jax
import numpy as np

from jaxloc import prng
from jaxloc.calibration.storage import read_shifts
from jaxloc.inference.registry import draws_of
from jaxloc.models.model import Model
from jaxloc.models.registry import build
from jaxloc.models.spec import ModelSpec, read_spec
from jaxloc.runs.adapt import read_adapted
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.shipped import blank, is_adapted, shipped, weights_of
from jaxloc.training import checkpoints, loop
from jaxloc.training.prior_weights import read_prior
from jaxloc.training.progress import Progress
from jaxloc.training.run_folder import other_version, read_config
from jaxloc.training.stages import Config, built_on_call, plan_of, stage_of
from jaxloc.types import Method, Params


def load(folder: Path) -> tuple[Config, Fitted]:
    """A trained run from its folder, or a model of a file of weights or by its name (`jaxloc.runs.shipped`).

    Raises:
        ValueError: where the folder is no finished run, or its checkpoint is damaged or of another network.
    """
    if (weights := weights_of(folder)) is not None:
        return shipped(weights)
    if is_adapted(folder):
        return read_adapted(folder)
    config = read_config(folder)
    if "task" in config:
        raise ValueError(f"{folder} is a run of a forecasting network; use a run of a network that locates events")
    spec = read_spec(folder / "model.json")
    try:
        return config, restore(config, spec, build(spec), folder)._replace(shifts=read_shifts(folder))
    except KeyError as error:
        raise ValueError(
            f"{folder / 'config.json'} {other_version(config)}: it has no {error}; train the run again"
        ) from error


def restore(config: Config, spec: ModelSpec, model: Model, folder: Path) -> Fitted:
    """The last stage's posterior over weights, read into a model (which may search another region)."""
    members = int(config["posterior"]["members"])
    params = _blank(model, spec, members)
    like = jax.tree.map(lambda x: x[0], params)
    trained = [(n, s) for n, s in config["stages"].items() if s["steps"]]
    name, settings = trained[-1]
    prior = _prior_of(config, folder, params, model, trained)
    number, plan = len(spec.catalogue.known), plan_of(config, name, settings, 0)
    method = built_on_call(lambda: stage_of(config, model, name, settings, number, prior, like, 0).method)
    progress = _checkpoint(folder, name, method, params)
    if progress is None or not loop.complete(method, plan, progress):
        raise ValueError(f"{folder} is not trained to its end; `jaxloc run` with its configuration resumes it")
    return Fitted(spec, model, method, loop.chosen(progress, plan), draws_of(config["posterior"]))


def _checkpoint(folder: Path, stage: str, method: Method, params: Params) -> Progress | None:
    """Where a stage stands; None where it has no checkpoint."""
    state, kept = jax.eval_shape(method.init, prng.key_shape(), params), folder / "checkpoints" / stage
    return checkpoints.restore(checkpoints.manager(kept), state) if kept.is_dir() else None


def _blank(model: Model, spec: ModelSpec, members: int) -> Params:
    """Zeros in the shape of the parameters: to read a checkpoint nothing need be sampled or compiled."""
    return jax.tree.map(lambda x: np.zeros((members, *x.shape), x.dtype), blank(model, spec))


def _prior_of(config: Config, folder: Path, params: Params, model: Model, trained: list) -> Params | None:
    """The weights that the prior of the last stage is centred on; of older runs, from the checkpoint that has them."""
    wanted = config["posterior"]["prior_from"]
    stages = dict(trained)
    if wanted not in stages or wanted == trained[-1][0]:
        return None
    members = int(config["posterior"]["members"])
    like = jax.tree.map(lambda x: x[0], params)
    if (prior := read_prior(folder, like)) is not None:
        return prior
    method = built_on_call(lambda: stage_of(config, model, wanted, stages[wanted], 1, None, like, 0).method)
    progress = _checkpoint(folder, wanted, method, params)
    if progress is None:
        raise ValueError(f"{folder} lacks the checkpoint of stage {wanted!r}; train the run again")
    key = prng.stream("parameters of the next stage", int(config["seed"]))
    state = loop.chosen(progress, plan_of(config, wanted, stages[wanted], 0))
    return loop.members_of(key, method, state, members, first=True)
