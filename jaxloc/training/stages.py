"""Stages of training: the configuration of each, and its fit to events."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from jaxloc import prng
from jaxloc.data.augmentation import Augmentation
from jaxloc.data.dataset import Dataset
from jaxloc.inference import prior_mean, prior_scale, target
from jaxloc.inference.registry import configured, keeps_best
from jaxloc.models.model import LabelBatch, Model, not_prepared
from jaxloc.training import loop, progress, weight_posterior
from jaxloc.training.log import OnStep, Say
from jaxloc.training.loop import Plan
from jaxloc.training.run_folder import fit_stage
from jaxloc.types import Batch, Method, Params, State, Target

Config = Mapping[str, Any]


class Stage(NamedTuple):
    """One stage of training: its plan, its method and the target the method is fitted to."""

    plan: Plan
    method: Method
    target: Target


FitStage = Callable[[int, str, Mapping[str, Any], Params, Params | None], tuple[Method, State]]
"""Number, name and settings of a stage, parameters that it starts from and those that its prior is centred on (None:
zero), to its method and the state that it ends with."""


def through(config: Config, params: Params, fit_one: FitStage) -> tuple[Method, State]:
    """Fit the stages of a configuration, each from parameters of the one before; the last one's method and state.

    Args:
        config: of the experiment.
        params: of each member, to start from.
        fit_one: fits a stage. The prior is centred on the parameters that `posterior.prior_from` ended with.

    Raises:
        ValueError: where no stage has any steps.
    """
    posterior = config["posterior"]
    key = prng.stream("parameters of the next stage", int(config["seed"]))
    prior: Params | None = None
    ended: tuple[str, Method, State] | None = None
    for number, (name, settings) in enumerate(config["stages"].items()):
        if not settings["steps"]:
            continue
        if ended is not None:
            before, method, state = ended
            params = loop.members_of(key, method, state, int(posterior["members"]))
            prior = jax.tree.map(lambda x: x[0], params) if posterior["prior_from"] == before else prior
        ended = (name, *fit_one(number, name, settings, params, prior))
    if ended is None:
        raise ValueError("no stage has any steps; stages.NAME.steps must be positive in one stage at least")
    return ended[1], ended[2]


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
        ValueError: for an augmentation that does not exist, or weights or labels that have no effect with the model.
    """
    _check_effect(model, name, settings)
    posterior, plan = config["posterior"], plan_of(config, name, settings, seed)
    number = num_data if settings["data"] == "train" else int(config["simulation"]["num_events"])
    weights = float(settings["arrival_weight"]), float(settings["hypocentre_weight"])
    head = model.head if model.weighted is None else model.weighted(*weights)
    parts = model.parts(like)
    centre = prior_mean(like, prior_params, parts)
    scale = prior_scale(like, float(posterior["prior_scale"]) if prior_params is not None else 1.0, parts)
    in_loop = plan.per_call > 1
    goal = target(model.network if in_loop else model.step_network or model.network, head, centre, scale, number, parts)
    goal = goal._replace(at_once=settings.get("at_once"))
    validated = target(model.network, head, centre, scale, number, parts)
    return Stage(plan, configured(posterior, goal, plan.steps, settings, in_loop=in_loop), validated)


def plan_of(config: Config, name: str, settings: Mapping[str, Any], seed: int) -> Plan:
    """The plan of a stage (arguments as of `stage_of`).

    Raises:
        ValueError: for an augmentation that does not exist.
    """
    try:
        augmentation = Augmentation(**settings["augmentation"])
    except TypeError as error:
        raise ValueError(f"stages.{name}.augmentation: {error}; use only {', '.join(Augmentation._fields)}") from error
    return Plan(
        name,
        int(settings["steps"]),
        int(settings["batch_size"]),
        seed,
        augmentation,
        int(settings["per_call"]),
        int(settings["checks"]),
        bool(settings["keep_best"]) and keeps_best(config["posterior"], settings),
    )


def built_on_call(build: Callable[[], Method]) -> Method:
    """A method that is built anew where one of its functions is called.

    Called within `jit` its constants (prior, initial values) are then part of the program: to locate with a trained
    run, a hundred small programs need not be compiled for them.
    """
    return Method(
        lambda key, params: build().init(key, params),
        lambda key, state, batch: build().update(key, state, batch),
        lambda key, state, n: build().sample(key, state, n),
        jax.jit(lambda state: _finished(build(), state)),
    )


def _finished(method: Method, state: State) -> Any:
    return False if method.finished is None else method.finished(state)


def _check_effect(model: Model, name: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings of a stage that the model takes no account of."""
    weights = {key: settings[key] for key in ("arrival_weight", "hypocentre_weight") if settings[key] != 1.0}
    if weights and model.weighted is None:
        key, value = next(iter(weights.items()))
        raise ValueError(f"stages.{name}.{key}={value} has no effect: the model has one likelihood; leave it out")
    if settings["relabel"] and model.prepare is not_prepared:
        raise ValueError(f"stages.{name}.relabel=true has no effect: the model labels no arrivals; leave it out")


def fit(
    folder: Path,
    stage: Stage,
    params: Params,
    data: Dataset,
    label: LabelBatch,
    dev: Dataset,
    say: Say,
    on_step: OnStep | None,
) -> progress.Progress:
    """Fit a stage to events in a run folder, from where it was."""

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        return label(index, data.take(index))

    plan, key = stage.plan, prng.stream("stage", stage.plan.seed)
    dev_loss = loop.held_out_loss(stage.method, stage.target, dev, 4) if plan.keep_best else None
    ended = fit_stage(key, folder, plan, stage.method, params, len(data), take, dev_loss, say, on_step)
    if stage.method.diagnose is not None:
        record = weight_posterior.read(folder)
        if record is None or record["stage"] != plan.name:
            state = loop.chosen(ended, plan)
            gain = loop.gain_over_prior(key, stage.method, plan, state, len(data), take)
            record = {"stage": plan.name, **weight_posterior.described(stage.method, state, gain)}
            weight_posterior.write(folder, record)
        say(weight_posterior.line(record))
    return ended
