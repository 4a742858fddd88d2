"""Stages of training: what a configuration says of each, and how it is fitted to events."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxloc.data.augmentation import Augmentation
from jaxloc.data.dataset import Dataset
from jaxloc.inference import prior_mean, prior_scale, target
from jaxloc.inference.registry import configured, keeps_best
from jaxloc.models.model import LabelBatch, Model
from jaxloc.training import loop
from jaxloc.training.log import OnStep, Say
from jaxloc.training.loop import Plan
from jaxloc.training.run_folder import fit_stage
from jaxloc.types import Batch, Method, Params, Target

Config = Mapping[str, Any]


class Stage(NamedTuple):
    """One stage of training: its plan, its method and the target the method is fitted to."""

    plan: Plan
    method: Method
    target: Target


def prepare(model: Model, params: Params, train: Dataset, by_network: bool) -> tuple[Params, LabelBatch]:
    """Parameters and labels before a stage.

    Prepared by the first member: what changes is the same for all, the rest stays each member's own.
    """
    first = jax.tree.map(lambda x: x[0], params)
    prepared, label = model.prepare(first, train, by_network)
    changed = lambda all_, new, old: all_ if new is old else np.broadcast_to(new, all_.shape)
    return jax.tree.map(changed, params, prepared, first), label


def stage_of(
    config: Config,
    model: Model,
    name: str,
    settings: Mapping[str, Any],
    num_data: int,
    prior_params: Params | None,
    like: Params,
    seed: int,
) -> Stage:
    """A stage as a configuration describes it.

    Args:
        config: of the experiment.
        model: what is trained.
        name: of the stage.
        settings: of the stage (`stages.NAME`).
        num_data: number of training events.
        prior_params: what the prior is centred on; None for zeros and a scale of one.
        like: parameters of one member, for their shapes.
        seed: of the order of events and of what the method draws.

    Raises:
        ValueError: for an augmentation that there is not.
    """
    posterior = config["posterior"]
    try:
        augmentation = Augmentation(**settings["augmentation"])
    except TypeError as error:
        raise ValueError(
            f"stages.{name}.augmentation: {error}; it may have {', '.join(Augmentation._fields)}"
        ) from error
    plan = Plan(
        name,
        int(settings["steps"]),
        int(settings["batch_size"]),
        seed,
        augmentation,
        int(settings["per_call"]),
        int(settings["checks"]),
        bool(settings["keep_best"]) and keeps_best(posterior, settings),
    )
    number = num_data if settings["data"] == "train" else int(config["simulation"]["num_events"])
    head = model.head(float(settings["arrival_weight"]), float(settings["hypocentre_weight"]))
    parts = model.parts(like)
    centre = prior_mean(like, prior_params, parts)
    scale = prior_scale(like, float(posterior["prior_scale"]) if prior_params is not None else 1.0, parts)
    in_loop = plan.per_call > 1
    goal = target(model.network if in_loop else model.step_network or model.network, head, centre, scale, number, parts)
    goal = goal._replace(at_once=settings.get("at_once"))
    judged = target(model.network, head, centre, scale, number, parts)
    return Stage(plan, configured(posterior, goal, plan.steps, settings, in_loop=in_loop), judged)


def fit(
    folder: Path,
    stage: Stage,
    params: Params,
    data: Dataset,
    label: LabelBatch,
    dev: Dataset,
    say: Say,
    on_step: OnStep | None,
) -> loop.Progress:
    """Fit a stage to events in a run folder, from where it was."""

    def take(index: np.ndarray) -> Batch:
        return label(index, data.take(index))

    plan = stage.plan
    judge = loop.held_out_loss(stage.method, stage.target, dev, 4) if plan.keep_best else None
    return fit_stage(folder, plan, stage.method, params, len(data), take, judge, say, on_step)
