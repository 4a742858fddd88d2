"""Experiments: from a configuration to a run folder with a trained network, its scores, events and pictures."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxloc import checkpoints, reporting, training
from jaxloc.blueprint import Blueprint, read_blueprint, write_blueprint
from jaxloc.calibration import Calibration, Stated, stated_by
from jaxloc.data.dataset import Dataset
from jaxloc.experiment_data import blueprint_of, open_sources, practice
from jaxloc.label_metrics import score_labels
from jaxloc.locators.neural import LocateEvent, batched
from jaxloc.polar_metrics import score_polar
from jaxloc.run_folder import OnStep, Say, claim, read_log
from jaxloc.stages import Config, fit, prepare, stage_of
from jaxloc.systems import LabelBatch, System, as_labelled, build, example, initial
from jaxloc.training import members_of
from jaxloc.types import Batch, Locator, Method, Observations, Params, Posterior, State, Weights
from jaxloc.weight_posteriors import draws_of

CHUNK = 32  # events whose waveforms are in memory at a time


class Fitted(NamedTuple):
    """A trained run: what it was built from, and its posterior over weights."""

    blueprint: Blueprint
    system: System
    method: Method
    state: State
    num_draws: int


def run(config: Config, folder: Path, say: Say = print, on_step: OnStep | None = None) -> Path:
    """Train and score an experiment in a run folder; what is already there is gone on with.

    Args:
        config: a resolved configuration.
        folder: the run folder.
        say: takes a line of news at a time.
        on_step: stage, step, steps of the stage and loss, for a progress display.

    Raises:
        ValueError: for wrong configurations and data, or a folder of another configuration.
        OSError: where the folder cannot be written.
    """
    claim(folder, config)
    seed = int(config["seed"])
    sources = open_sources(config["data"], seed)
    stations = len(sources.train.stations)
    say(f"{len(sources.train)} training events, {len(sources.dev)} to choose and score by, {stations} stations")
    blueprint = blueprint_of(config, sources.train)
    write_blueprint(folder / "blueprint.json", blueprint)
    system = build(blueprint)
    fitted = _train(config, folder, system, blueprint, sources.train, sources.dev, say, on_step)
    say(f"locating {len(sources.dev)} events with {fitted.num_draws} draws of the weights")
    evaluate(fitted, sources.dev, folder, str(config["name"]), say, baselines=system.baselines(sources.train))
    return folder


def _train(
    config: Config,
    folder: Path,
    system: System,
    blueprint: Blueprint,
    train: Dataset,
    dev: Dataset,
    say: Say,
    on_step: OnStep | None,
) -> Fitted:
    seed, members = int(config["seed"]), int(config["posterior"]["members"])
    params = initial(jax.random.key(seed), system, example(blueprint), members)
    if config.get("start_from"):
        params = started_from(Path(config["start_from"]), params, blueprint, members)
    first = jax.tree.map(lambda x: x[0], params)
    say(f"network {config['network']['name']}: {sum(x.size for x in jax.tree.leaves(first)):,} parameters")
    label: LabelBatch | None = None
    prior: Params | None = None
    fitted: Fitted | None = None
    before = ""
    for number, (name, settings) in enumerate(config["stages"].items()):
        if not settings["steps"]:
            continue
        if fitted is not None:
            params = members_of(fitted.method, fitted.state, members)
            if config["posterior"]["prior_from"] == before:
                prior = jax.tree.map(lambda x: x[0], params)
        simulated = settings["data"] == "simulated"
        if simulated and settings["relabel"]:
            raise ValueError(f"stages.{name}.relabel is for stages with data=train; simulated events are labelled")
        if not simulated and (label is None or settings["relabel"]):
            say(f"stage {name}: labels of {len(train)} events")
            params, label = prepare(system, params, train, settings["relabel"])
        stage = stage_of(config, system, name, settings, len(train), prior, first, seed + number)
        data = practice(config["simulation"], blueprint, seed) if simulated else train
        labels = as_labelled if simulated or label is None else label
        progress = fit(folder, stage, params, data, labels, dev, say, on_step)
        state = training.chosen(progress, stage.plan)
        fitted, before = Fitted(blueprint, system, stage.method, state, draws_of(config["posterior"])), name
    if fitted is None:
        raise ValueError("no stage has any steps; set stages.NAME.steps to a positive number")
    return fitted


def started_from(folder: Path, blank: Params, blueprint: Blueprint, members: int) -> Params:
    """Weights of a trained run, one draw of its posterior a member, to go on from.

    Raises:
        ValueError: where there is no trained run, or it is of another network, or of another rate of samples.
    """
    _, other = load(folder)
    theirs, ours = other.blueprint, blueprint
    if (theirs.network["name"], theirs.rate_hz) != (ours.network["name"], ours.rate_hz):
        raise ValueError(
            f"start_from={folder} holds {theirs.network['name']} at {theirs.rate_hz:g} Hz, this experiment has "
            f"{ours.network['name']} at {ours.rate_hz:g} Hz; start from a run of the same network and data.rate_hz"
        )
    params = members_of(other.method, other.state, members)
    shapes = [
        {jax.tree_util.keystr(k): x.shape for k, x in jax.tree_util.tree_leaves_with_path(p)} for p in (params, blank)
    ]
    if differ := sorted(shapes[0].items() ^ shapes[1].items()):
        raise ValueError(
            f"start_from={folder} has weights of other shapes ({differ[0][0]} first); give both runs the same settings "
            f"of the network (theirs: {theirs.network}), and stations where it has parameters of these"
        )
    return params


def load(folder: Path) -> tuple[Config, Fitted]:
    """A trained run from its folder.

    Raises:
        ValueError: where the folder is no finished run, or its checkpoint is damaged or of another network.
    """
    blueprint = read_blueprint(folder / "blueprint.json")
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} is no trained run: it has no config.json; train one with `jaxloc run`")
    config = json.loads(path.read_text())
    return config, restore(config, blueprint, build(blueprint), folder)


def restore(config: Config, blueprint: Blueprint, system: System, folder: Path) -> Fitted:
    """The last stage's posterior over weights, read into a system (which may search another region)."""
    members = int(config["posterior"]["members"])
    params = _blank(system, blueprint, members)
    like = jax.tree.map(lambda x: x[0], params)
    trained = [(n, s) for n, s in config["stages"].items() if s["steps"]]
    name, settings = trained[-1]
    prior = _prior_of(config, folder, params, system, trained)
    stage = stage_of(config, system, name, settings, len(blueprint.catalogue.known), prior, like, 0)
    state = jax.eval_shape(stage.method.init, jax.random.key(0), params)
    kept = folder / "checkpoints" / name
    progress = checkpoints.restore(checkpoints.manager(kept), state) if kept.is_dir() else None
    if progress is None or progress.step < stage.plan.steps:
        raise ValueError(f"{folder} is not trained to its end; `jaxloc run` with its configuration resumes it")
    return Fitted(blueprint, system, stage.method, training.chosen(progress, stage.plan), draws_of(config["posterior"]))


def _blank(system: System, blueprint: Blueprint, members: int) -> Params:
    """Zeros in the shape of the parameters: to read a checkpoint nothing need be drawn or compiled."""
    shapes = jax.eval_shape(lambda key: initial(key, system, example(blueprint), members), jax.random.key(0))
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)


def _prior_of(config: Config, folder: Path, params: Params, system: System, trained: list) -> Params | None:
    """The weights that the prior of the last stage is centred on, from the checkpoint of the stage they came from."""
    wanted = config["posterior"]["prior_from"]
    stages = dict(trained)
    if wanted not in stages or wanted == trained[-1][0]:
        return None
    members = int(config["posterior"]["members"])
    like = jax.tree.map(lambda x: x[0], params)
    stage = stage_of(config, system, wanted, stages[wanted], 1, None, like, 0)
    state = jax.eval_shape(stage.method.init, jax.random.key(0), params)
    progress = checkpoints.restore(checkpoints.manager(folder / "checkpoints" / wanted), state)
    if progress is None:
        raise ValueError(f"{folder} lacks the checkpoint of stage {wanted!r}; train the run again")
    return jax.tree.map(lambda x: x[0], members_of(stage.method, training.chosen(progress, stage.plan), members))


def locator_of(fitted: Fitted, on_event: Callable[[int], None] = lambda done: None) -> Locator:
    """The locator of a trained run, compiled once."""
    return batched(
        fitted.system.locate,
        jax.jit(lambda key: fitted.method.sample(key, fitted.state, fitted.num_draws)),
        on_event=on_event,
    )


class Located(NamedTuple):
    """Events without their waveforms, their posteriors, and what the network makes of each (None if not asked for)."""

    batch: Batch
    posterior: Posterior
    features: np.ndarray | None


def locate(
    fitted: Fitted,
    dataset: Dataset,
    seed: int = 0,
    *,
    with_features: bool = False,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Located:
    """All events of a data set with their posteriors; waveforms are read a chunk at a time and not kept.

    `on_chunk` is told how many events are done after each chunk.
    """
    locator, found = locator_of(fitted), []
    describe = _features(fitted) if with_features else lambda observations: None
    for at in range(0, len(dataset), CHUNK):
        batch = dataset.take(np.arange(at, min(at + CHUNK, len(dataset))))
        posterior = locator(jax.random.key(seed), batch.observations)
        bare = batch._replace(observations=batch.observations._replace(waveforms=None))
        found.append(Located(bare, posterior, describe(batch.observations)))
        on_chunk(min(at + CHUNK, len(dataset)))
    return jax.tree.map(lambda *x: np.concatenate(x), *found)


def of_known(located: Located) -> Located:
    """Those events of whose hypocentre something is known: windows of noise have none to be judged by."""
    known = np.asarray(located.batch.labels["hypocentre"].mask).any(-1)
    return jax.tree.map(lambda x: x[known], located)


def draw_of(fitted: Fitted) -> Params:
    """One draw of the network's parameters."""
    draw = jax.jit(lambda key: fitted.method.sample(key, fitted.state, 1).params)(jax.random.key(0))
    return jax.tree.map(lambda x: x[0], draw)


def _features(fitted: Fitted) -> Callable[[Observations], np.ndarray | None]:
    """What the network makes of each event of a batch, by one draw of its weights."""
    of = fitted.system.network.features
    if of is None:
        return lambda observations: None
    weights = Weights(draw_of(fitted))
    read = jax.jit(lambda seen: jax.lax.map(lambda one: of(weights, one), seen))

    def describe(observations: Observations) -> np.ndarray:
        number = observations.station_mask.shape[0]
        padded = jax.tree.map(lambda x: x[np.arange(CHUNK) % number], observations)  # one shape: compiled once
        return np.asarray(read(padded))[:number]

    return describe


def evaluate(
    fitted: Fitted,
    dataset: Dataset,
    folder: Path,
    name: str,
    say: Say = print,
    calibration: Calibration | None = None,
    baselines: Mapping[str, LocateEvent] = MappingProxyType({}),
) -> dict[str, Any]:
    """Locate labelled events and write scores, events and pictures into a folder; the score cards.

    With a calibration, events are written as it states them, and its score card stands beside that of the run; and so
    do those of `baselines`, locators without weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    located = locate(fitted, dataset, with_features=calibration is not None)
    seconds = time.monotonic() - began
    stated = as_calibrated(calibration, located)
    found, lost = reporting.hypocentres_of(dataset, located.batch, stated)
    for event, reason in lost.items():
        say(f"event {event} was not located: {reason}")
    reporting.write_events(folder, found)
    truth = located.batch.labels["hypocentre"]
    locators = {"locator": located.posterior, "catalogue": reporting.baseline_of(fitted.blueprint, len(dataset))}
    if calibration is not None:
        locators["calibrated"] = stated.posterior
    locators |= {name: locate_without_weights(locate, dataset) for name, locate in baselines.items()}
    cards, scores = reporting.score(locators, truth)
    about = {
        "name": name,
        "dataset": dataset.name,
        "events": len(dataset),
        "locating_s": round(seconds, 2),
        "lost": lost,
        "conformal": reporting.conformal(scores["locator"]),
        "labels": score_labels(located.posterior.others, located.batch.labels),
        "polar": score_polar(jax.random.key(0), locators, located.batch.observations, truth),
    }
    reporting.write_scores(folder, cards, about)
    known = np.asarray(truth.mask).any(-1)
    pick = lambda x: x[known] if known.any() else x  # windows of noise are nowhere
    shown, posterior, scores = jax.tree.map(pick, (located.batch, stated.posterior, scores))
    reporting.write_pictures(folder / "pictures", name, shown, posterior, scores, read_log(folder))
    return cards


def locate_without_weights(locate: LocateEvent, dataset: Dataset) -> Posterior:
    """All events of a data set, located by what is the same whatever the weights."""
    locator = batched(locate, lambda key: Weights(np.zeros(1, np.float32)))
    parts = [dataset.take(index) for index in np.array_split(np.arange(len(dataset)), -(-len(dataset) // CHUNK))]
    found = [locator(jax.random.key(0), part.observations) for part in parts]
    return jax.tree.map(lambda *x: np.concatenate(x), *found)


def as_calibrated(calibration: Calibration | None, located: Located) -> Stated:
    """What is said of located events: as the run states it, or as its calibration corrects it."""
    if calibration is None:
        return Stated(located.posterior)
    return stated_by(calibration, located.posterior, located.batch.observations, located.features)
