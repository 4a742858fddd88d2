"""Experiments: from a configuration to a run folder with a trained network, its scores, events and pictures."""

from pathlib import Path

import jax

from jaxloc import prng
from jaxloc.calibration.storage import write_shifts
from jaxloc.data.dataset import Dataset
from jaxloc.inference.registry import draws_of
from jaxloc.models.model import LabelBatch, Model, as_labelled, check_labels, initial
from jaxloc.models.registry import build
from jaxloc.models.spec import ModelSpec, example, write_spec
from jaxloc.runs.datasets import open_sources, practice, spec_of
from jaxloc.runs.evaluate import evaluate
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.load import load
from jaxloc.runs.shift_windows import fit_shifts
from jaxloc.training import loop, weight_posterior
from jaxloc.training.log import OnStep, Say
from jaxloc.training.loop import members_of
from jaxloc.training.prior_weights import write_prior
from jaxloc.training.run_folder import worked_in
from jaxloc.training.stages import Config, fit, prepare, stage_of, through
from jaxloc.types import PHASES, Method, Params, State


def run(config: Config, folder: Path, say: Say = print, on_step: OnStep | None = None) -> Path:
    """Train and score an experiment in a run folder; it continues from what is there, and a finished run stays.

    Args:
        config: a resolved configuration.
        folder: the run folder.
        say: takes one line for the user.
        on_step: stage, step, steps of the stage and loss, for a progress display.

    Raises:
        ValueError: for wrong configurations and data, or a folder of another configuration or in use.
        OSError: where the folder cannot be written.
    """
    return worked_in(folder, config, say, on_step, lambda say, on_step: _run(config, folder, say, on_step))


def _run(config: Config, folder: Path, say: Say, on_step: OnStep) -> None:
    seed = int(config["seed"])
    sources = open_sources(config["data"], seed)
    stations = len(sources.train.stations)
    say(f"{len(sources.train)} training events, {len(sources.dev)} validation events, {stations} stations")
    spec = spec_of(config, sources.train)
    write_spec(folder / "model.json", spec)
    model = build(spec)
    check_labels(model, sources.train)
    fitted = _train(config, folder, model, spec, sources.train, sources.dev, say, on_step)
    fitted = _with_source_terms(fitted, sources.train, folder, say)
    say(f"locating {len(sources.dev)} events with {fitted.num_draws} draws of the weights")
    about = {"weight_posterior": weight_posterior.read(folder)}
    baselines = model.baselines(sources.train)
    evaluate(fitted, sources.dev, folder, str(config["name"]), say, baselines=baselines, about=about)
    if (detector := fit_shifts(config, fitted, sources, say)) is not None:
        write_shifts(folder, detector)


def _train(
    config: Config,
    folder: Path,
    model: Model,
    spec: ModelSpec,
    train: Dataset,
    dev: Dataset,
    say: Say,
    on_step: OnStep | None,
) -> Fitted:
    seed, members = int(config["seed"]), int(config["posterior"]["members"])
    params = initial(prng.stream("initial parameters", seed), model, example(spec), members)
    if config.get("start_from"):
        params = started_from(Path(config["start_from"]), params, spec, members)
    first = jax.tree.map(lambda x: x[0], params)
    say(f"model {config['model']['name']}: {sum(x.size for x in jax.tree.leaves(first)):,} parameters")
    label: LabelBatch | None = None

    def fit_one(number: int, name: str, settings: Config, params: Params, prior: Params | None) -> tuple[Method, State]:
        nonlocal label
        simulated = settings["data"] == "simulated"
        if not simulated and (label is None or settings["relabel"]):
            say(f"stage {name}: labels of {len(train)} events")
            params, label = prepare(model, params, train, settings["relabel"])
        if prior is not None:
            write_prior(folder, prior)
        stage = stage_of(config, model, name, settings, len(train), prior, first, seed + number)
        data = practice(config["simulation"], spec, seed) if simulated else train
        labels = as_labelled if simulated or label is None else label
        progress = fit(folder, stage, params, data, labels, dev, say, on_step)
        return stage.method, loop.chosen(progress, stage.plan)

    method, state = through(config, params, fit_one)
    return Fitted(spec, model, method, state, draws_of(config["posterior"]))


def _with_source_terms(fitted: Fitted, train: Dataset, folder: Path, say: Say) -> Fitted:
    """A trained run with station terms that depend on the source, where its model has them; written into its folder."""
    if fitted.model.source_terms is None:
        return fitted
    draws = jax.jit(lambda key: fitted.method.sample(key, fitted.state, fitted.num_draws).params)
    terms = fitted.model.source_terms(draws(prng.stream("location")), train)
    found = terms.covariance
    sd_s, alone_s = (", ".join(f"{x:.2f} s ({p})" for x, p in zip(each, PHASES, strict=True)) for each in found[:2])
    say(f"station terms by source: sd {sd_s} over {float(found.scale_km):.1f} km; of each event alone {alone_s}")
    spec = fitted.spec._replace(source_terms=terms)
    write_spec(folder / "model.json", spec)
    return fitted._replace(spec=spec, model=build(spec))


def started_from(folder: Path, blank: Params, spec: ModelSpec, members: int) -> Params:
    """Weights of a trained run, one draw of its posterior for each member, to start from.

    A run at other stations, where its model takes any, gives the parameters that depend on none; others are initial.

    Raises:
        ValueError: where there is no trained run, or it is of another model or sampling rate.
    """
    their_config, other = load(folder)
    theirs, ours = other.spec, spec
    if (theirs.settings["name"], theirs.rate_hz) != (ours.settings["name"], ours.rate_hz):
        raise ValueError(
            f"start_from={folder} has {theirs.settings['name']} at {theirs.rate_hz:g} Hz, this experiment has "
            f"{ours.settings['name']} at {ours.rate_hz:g} Hz; both must have the same network and data.rate_hz"
        )
    key = prng.stream("parameters of the next stage", int(their_config["seed"]))
    params = members_of(key, other.method, other.state, members)
    if _shapes(params) == _shapes(blank):
        return params
    transfer = other.model.transfer
    portable = (lambda tree: tree) if transfer is None else transfer.portable
    if differ := sorted(_shapes(portable(params)).items() ^ _shapes(portable(blank)).items()):
        raise ValueError(
            f"start_from={folder} has weights of other shapes ({differ[0][0]} first); give both runs the same settings "
            f"of the network (theirs: {theirs.settings}), and stations where it has parameters of these"
        )
    return params if transfer is None else transfer.placed(blank, portable(params))


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    return {jax.tree_util.keystr(k): x.shape for k, x in jax.tree_util.tree_leaves_with_path(params)}
