"""The weights of a network that reads arrivals, fine-tuned to a region by its labelled events.

Labels are the analysts' picks where there are any, and at all other stations the arrivals that physics predicts after a
fit to the network's own picks near the catalogue's hypocentres (`jaxloc.physics.catalogue_picks`): events with
hypocentres alone teach too. A normal prior about the weights that come with jaxloc (L2-SP, Li and others 2018, ICML)
keeps them from leaving what simulation has taught. Blocks of events in space and time are held out, and the weights of
largest log-density of their hypocentres are taken; they stay as they were where none is better.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from jaxloc import prng
from jaxloc.data.blocks import held_out
from jaxloc.data.dataset import Dataset
from jaxloc.data.selection import by_time, select
from jaxloc.inference import target
from jaxloc.models.model import LabelBatch, Model
from jaxloc.models.spec import Catalogue
from jaxloc.models.weight_arrays import by_path
from jaxloc.training import loop
from jaxloc.training.log import OnStep, Say
from jaxloc.training.run_folder import fit_stage, locked
from jaxloc.training.stages import Stage, prepare, stage_of
from jaxloc.types import NETWORK, Batch, Params, Target

STAGE, FOLDER = "weights", "training"
FEWEST_EVENTS = 10  # of which two are held out
PARTS = ("all", "decoder", "read")  # of the network: the half that goes back to every sample, and its last layer


class Tuning(NamedTuple):
    """How weights are fine-tuned.

    Attributes:
        steps: of training, each with `batch_size` events at `stations` random stations.
        part: of the network (`PARTS`).
        width: standard deviation of the prior about the weights, in units of that of new weights of the same layer.
        learning_rate: the highest one.
        hypocentre_weight: of the log-density of hypocentres beside arrivals; 0: arrivals alone.
        held_out: share of events that are held out, half of them in space and half in time.
        block_km: least distance of the blocks in space.
        checks: how often held-out events are scored.
    """

    steps: int = 200
    part: str = "all"
    width: float = 0.2
    learning_rate: float = 1e-3
    hypocentre_weight: float = 0.0
    held_out: float = 0.2
    block_km: float = 5.0
    checks: int = 4
    batch_size: int = 8
    stations: int = 8
    seed: int = 0


def fine_tuned(
    folder: Path,
    model: Model,
    params: Params,
    dataset: Dataset,
    catalogue: Catalogue,
    tuning: Tuning,
    say: Say,
    on_step: OnStep | None = None,
) -> Params:
    """Parameters with fine-tuned weights, and physics fitted to the events that are not held out.

    Args:
        folder: where checkpoints are kept; the same settings continue from the last one.
        model: a network of arrivals and physics.
        params: draws of its parameters, with a leading axis; each draw is tuned.
        dataset: labelled events.
        catalogue: their hypocentres.
        tuning: settings.
        say: takes one line for the user.
        on_step: for a progress display.

    Raises:
        ValueError: for too few events with an epicentre, a part of the network or a number that there is not, or a
            folder in use.
    """
    _check(tuning)
    train, held = _divided(dataset, catalogue, tuning)
    say(f"fine-tuning weights ({tuning.part}) to {len(train)} events, {len(held)} held out in space and time")
    params, label = prepare(model, params, train, by_network=True)
    stage, scored = _stage(model, params, len(train), tuning)
    key, members = prng.stream("stage", tuning.seed), len(jax.tree.leaves(params)[0])
    loss_of = loop.held_out_loss(stage.method, scored, held, members)
    take = _labelled(train, label)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    with locked(folder / FOLDER, "--output"):
        before = loss_of(key, jax.jit(stage.method.init)(key, params))
        say(f"held-out events: {before:.3f} nats each by the weights as they are")
        arguments = (stage.plan, stage.method, params, len(train), take, loss_of, say, on_step)
        ended = fit_stage(key, folder / FOLDER, *arguments)
    if not ended.best_loss < before:
        say("no step is better on held-out events: the weights stay as they were")
        return params
    say(f"held-out events: {ended.best_loss:.3f} nats each by the best weights, which are taken")
    return stage.method.sample(key, ended.best, members).params


def _check(tuning: Tuning) -> None:
    if tuning.part not in PARTS:
        raise ValueError(f"part of the network must be one of {', '.join(PARTS)}, got {tuning.part!r}")
    for name in ("steps", "width", "learning_rate", "checks", "batch_size", "stations"):
        if not getattr(tuning, name) > 0:
            raise ValueError(f"{name} of the fine-tuning must be positive, got {getattr(tuning, name)}")


def _divided(dataset: Dataset, catalogue: Catalogue, tuning: Tuning) -> tuple[Dataset, Dataset]:
    """Events to train on and held-out ones; those without an epicentre are trained on where analysts picked them."""
    known = np.flatnonzero(catalogue.known[:, :3].all(-1))
    if len(known) < FEWEST_EVENTS:
        raise ValueError(
            f"{len(known)} of {len(dataset)} events have a labelled hypocentre; fine-tuning weights takes at least "
            f"{FEWEST_EVENTS}: adapt physics alone, without --weights and --steps"
        )
    rank = np.argsort(by_time(dataset))[known]
    held = known[
        held_out(catalogue.hypocentres[known, :2], rank, tuning.held_out, tuning.block_km, prng.SEEDS["folds"])
    ]
    return select(dataset, np.setdiff1d(np.arange(len(dataset)), held)), select(dataset, held)


def _stage(model: Model, params: Params, num_data: int, tuning: Tuning) -> tuple[Stage, Target]:
    """The stage of training, and the target that held-out events are scored by: their hypocentres."""
    like = jax.tree.map(lambda x: np.asarray(x)[0], params)
    posterior: dict[str, Any] = {
        "method": "point",
        "members": len(jax.tree.leaves(params)[0]),
        "prior_scale": tuning.width,
        "subspace": _paths(like, tuning.part),
        "rate": 1.0,
    }
    augmentation = {"earlier_s": 1.0, "later_s": 10.0, "few_stations": tuning.stations, "quieter": 0.3}
    settings = {
        "data": "train",
        "method": "posterior",
        "steps": tuning.steps,
        "batch_size": tuning.batch_size,
        "learning_rate": tuning.learning_rate,
        "rates": {part: 0.0 for part in set(jax.tree.leaves(model.parts(like))) - {NETWORK}},
        "arrival_weight": 1.0,
        "hypocentre_weight": tuning.hypocentre_weight,
        "relabel": False,
        "augmentation": augmentation | {"drop_horizontals": 0.05},
        "per_call": 1,
        "checks": tuning.checks,
        "keep_best": True,
    }
    stage = stage_of({"posterior": posterior}, model, STAGE, settings, num_data, like, like, tuning.seed)
    assert model.weighted is not None
    centre, scale, parts = stage.target.prior_mean, stage.target.prior_scale, stage.target.parts
    scored = target(model.network, model.weighted(0.0, 1.0), centre, scale, num_data, parts)
    return stage, scored


def _paths(like: Params, part: str) -> list[str]:
    """Patterns of the paths of the weights of a part of the network; none for all of it."""
    if part == "all":
        return []
    # A U of L levels has a block before them, two on the way down each and one on the way up (`RateModel`).
    blocks = len({path.split("/Norm_")[1].split("/")[0] for path in by_path(like) if "/Norm_" in path})
    levels = (blocks - 1) // 3
    upwards = [f"*/{kind}_{i}/*" for i in range(1 + 2 * levels, blocks) for kind in ("Conv1D", "Norm")]
    return ["*/read/*", *(["*/Dense_*", *upwards] if part == "decoder" else [])]


def _labelled(train: Dataset, label: LabelBatch) -> Callable[[Int[np.ndarray, " event"]], Batch]:
    return lambda index: label(index, train.take(index))
