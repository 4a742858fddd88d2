"""Training of networks that locate nothing themselves, in stages, configured as for locating networks."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from jaxloc import prng
from jaxloc.inference import by_event, prior_mean, prior_scale, with_normal_prior
from jaxloc.inference.registry import configured, draws_of
from jaxloc.networks.flax_adapter import applied, initialised
from jaxloc.training import loop
from jaxloc.training.log import OnStep, Say
from jaxloc.training.run_folder import fit_stage
from jaxloc.training.stages import through
from jaxloc.types import Method, Params, State, Target, Weights

Config = Mapping[str, Any]


class Row(NamedTuple):
    """Inputs and target of a forecast; a batch has a leading axis."""

    inputs: PyTree[Array]
    target: PyTree[Array]


class Problem(NamedTuple):
    """The target of the weights.

    `log_likelihood(output, target)` is of one row. `take(index)` gives training rows, `num_rows` in all; as they may
    overlap, `num_data` is their effective number. `ahead`: rows are made while others are trained on (`loop.Plan`).
    """

    module: nn.Module
    log_likelihood: Callable[[PyTree[Array], PyTree[Array]], Float[Array, ""]]
    take: Callable[[np.ndarray], Row]
    num_rows: int
    num_data: int
    ahead: bool = False


def shuffled(problem: Problem, seed: int) -> Problem:
    """A control: rows with permuted targets, from which only the climatology can be learned."""
    other = np.random.default_rng(seed).permutation(problem.num_rows)
    return problem._replace(take=lambda index: Row(problem.take(index).inputs, problem.take(other[index]).target))


class Fitted(NamedTuple):
    """A network with its posterior over weights."""

    module: nn.Module
    method: Method
    state: State
    num_draws: int
    num_weights: int


def fit(config: Config, folder: Path, problem: Problem, say: Say, on_step: OnStep | None = None) -> Fitted:
    """Train through the configured stages, from checkpoints where there are any.

    `data.shuffled` is the control of `shuffled`.

    Raises:
        ValueError: where no stage has any steps.
    """
    seed, posterior = int(config["seed"]), config["posterior"]
    problem = shuffled(problem, seed) if config["data"].get("shuffled") else problem
    keys = jax.random.split(prng.stream("initial parameters", seed), int(posterior["members"]))
    example = jax.tree.map(lambda x: x[0], problem.take(np.zeros(1, int)).inputs)
    params: Params = jax.jit(jax.vmap(lambda key: initialised(problem.module, key, example)))(keys)
    like = jax.tree.map(lambda x: x[0], params)
    num_weights = sum(x.size for x in jax.tree.leaves(like))
    say(f"network {config['model']['name']}: {num_weights:,} parameters, {problem.num_data} rows")

    def fit_one(
        number: int, name: str, stage: Config, params: Params, prior_params: Params | None
    ) -> tuple[Method, State]:
        target = _target(problem, like, prior_params, float(posterior["prior_scale"]))
        method = configured(posterior, target, int(stage["steps"]), stage)
        plan, take = _plan(name, stage, seed + number, problem.ahead), cast(loop.TakeBatch, problem.take)
        key = prng.stream("stage", plan.seed)
        progress = fit_stage(key, folder, plan, method, params, problem.num_rows, take, None, say, on_step)
        return method, progress.state

    method, state = through(config, params, fit_one)
    return Fitted(problem.module, method, state, draws_of(posterior), num_weights)


def outputs(
    fitted: Fitted, key: Key[Array, ""], inputs: PyTree[Float[Array, "row ..."]]
) -> PyTree[Float[np.ndarray, "draw row ..."]]:
    """The network's output for each draw of its weights and each row."""
    read = jax.jit(lambda draw, rows: jax.lax.map(lambda row: applied(fitted.module, draw, row), rows))
    draws = jax.jit(lambda key: fitted.method.sample(key, fitted.state, fitted.num_draws))(key)
    each = [read(jax.tree.map(lambda x, i=i: x[i], draws), inputs) for i in range(fitted.num_draws)]
    return jax.tree.map(lambda *x: np.stack(x), *each)


def _target(problem: Problem, like: Params, prior_params: Params | None, scale: float) -> Target:
    """A prior about zero, or about the weights of an earlier stage with the configured scale."""

    def of_row(weights: Weights, row: Row) -> Float[Array, ""]:
        return problem.log_likelihood(applied(problem.module, weights, row.inputs), row.target)

    widths = prior_scale(like, 1.0 if prior_params is None else scale)
    return with_normal_prior(by_event(of_row), prior_mean(like, prior_params), widths, problem.num_data)


def _plan(name: str, stage: Config, seed: int, ahead: bool) -> loop.Plan:
    return loop.Plan(
        name,
        int(stage["steps"]),
        int(stage["batch_size"]),
        seed,
        per_call=int(stage.get("per_call", 10)),
        checks=int(stage.get("checks", 4)),
        keep_best=False,
        ahead=ahead,
    )
