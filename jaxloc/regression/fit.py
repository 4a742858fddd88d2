"""Any Flax module with any NumPyro likelihood, fitted by any of the weight posteriors; outside location too.

import flax.linen as nn
import jax, numpyro.distributions as dist
from jaxloc import inference, regression

module = nn.Sequential([nn.Dense(50), nn.relu, nn.Dense(2)])
likelihood = lambda raw: dist.Normal(raw[0], jax.nn.softplus(raw[1]) + 1e-3)
fitted = regression.fit(jax.random.key(0), module, likelihood, features, targets)
predictive = regression.predict(fitted, jax.random.key(1), new_features, 100)  # [draw, row]
density = regression.log_density(fitted, jax.random.key(1), new_features, new_targets, 100)

Another weight posterior is another argument: `inference.mean_field`, `partial(inference.nuts, keep=200)`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key, PyTree
from numpyro.distributions.batch_util import promote_batch_shape

from jaxloc import inference
from jaxloc.inference import optimizer
from jaxloc.networks.flax_adapter import applied, initialised
from jaxloc.prng import key_shape
from jaxloc.regression import scaling
from jaxloc.regression.defaults import MakeMethod, Plan, made, planned, rate_decays, require_positive_whole
from jaxloc.regression.scaling import Units
from jaxloc.types import Diagnosis, Info, Method, Params, State, Target, Weights

Likelihood = Callable[[Float[Array, "..."]], dist.Distribution]
"""A module's output for one row, to the distribution of the row's target."""

NUM_VALIDATION_DRAWS, NUM_VALIDATIONS = 10, 50  # weight draws of the validation loss, and how often it is computed


class Rows(NamedTuple):
    """Features and targets, row by row: a batch."""

    features: Float[Array, "row ..."]
    targets: Float[Array, "row ..."]


class Alike:
    """A hashable wrapper of a module, as `jax.jit` needs: modules that hold lists have no hash."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __hash__(self) -> int:
        return hash(type(self.module))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike) and self.module == other.module


class Recipe(NamedTuple):
    """The static part of a fit. Fits of one recipe to as many rows are compiled once."""

    model: Alike
    likelihood: Likelihood
    plan: Plan
    prior_scale: float = 1.0
    at_once: int | None = None


class Fit(NamedTuple):
    """A fitted weight posterior; `losses` are those of the last stage's steps, in nats a row."""

    recipe: Recipe
    units: Units
    state: State
    losses: Info


def fit(
    key: Key[Array, ""],
    module: nn.Module,
    likelihood: Likelihood,
    features: Float[Array, "row ..."],
    targets: Float[Array, "row ..."],
    method: MakeMethod = inference.sghmc,
    *,
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float = 1e-2,
    prior_scale: float = 1.0,
    members: int | None = None,
    held_out: float | None = None,
    standardise: bool = True,
    at_once: int | None = None,
) -> Fit:
    """Fit the weights. What is None follows from the method (`jaxloc.regression.defaults`).

    The prior is normal about zero with fan-in scales (`jaxloc.inference.prior_scale`). Features are not scaled:
    standardise them first. Outputs are in units of the targets (`jaxloc.regression.scaling`).

    Args:
        key: of initial weights, batches and draws.
        module: any Flax module of one row of features, without state other than its parameters.
        likelihood: its output for a row to a NumPyro distribution over the row's target.
        features: a row an example.
        targets: a row an example.
        method: of `jaxloc.inference`; `functools.partial` gives it settings.
        steps: of the method, and as many before it to the mode, where it starts from one.
        batch_size: rows a step; all of them where there are fewer.
        learning_rate: peak learning rate of Adam, after warm-up and before decay; samplers have step sizes of their
            own.
        prior_scale: factor on the prior's scale.
        members: of an ensemble of such posteriors, which differ by their initial weights.
        held_out: share of the rows for early stopping, held out from the fit.
        standardise: whether outputs are in units of the targets; otherwise the likelihood gets them unscaled.
        at_once: rows that go through the module at a time, here and in predictions. Convolutions over long records are
            faster on a CPU with few (8 of 1,000 samples), whose arrays stay in its cache; None: all of them.

    Raises:
        ValueError: where rows do not fit together, values are not finite, a setting is not positive, or the module
            has state; says which.
        FloatingPointError: where the fit diverged.
    """
    rows = _checked(features, targets)
    require_positive_whole("at_once", at_once)
    if not 0 < prior_scale < math.inf:
        raise ValueError(f"prior_scale must be positive and finite, got {prior_scale}")
    plan = planned(method, len(rows.features), steps, batch_size, learning_rate, members, held_out)
    recipe = Recipe(Alike(module), likelihood, plan, prior_scale, at_once)
    units, state, losses = _fitted(recipe, standardise, key, rows)
    if not bool(jnp.isfinite(losses.loss).all()):
        step = int(jnp.argmin(jnp.isfinite(losses.loss).reshape(len(losses.loss), -1).all(-1)))
        raise FloatingPointError(
            f"the loss of step {step} is not finite; reduce learning_rate (or the step size of a sampler), or "
            "standardise the features"
        )
    return Fit(recipe, units, state, losses)


def diagnose(fitted: Fit, features: Float[Array, "row ..."]) -> Diagnosis | None:
    """Whether the weight posterior has converged, and by which criterion; None where a method does not tell.

    Args:
        fitted: of `fit`.
        features: those of the fit, or others of the same shape.
    """
    method = _method(fitted.recipe.plan, _target(fitted.recipe, fitted.units, jnp.asarray(features, jnp.float32)))
    return None if method.diagnose is None else method.diagnose(fitted.state)


def predict(fitted: Fit, key: Key[Array, ""], features: Float[Array, "row ..."], num_draws: int) -> dist.Distribution:
    """The likelihood's distributions, [draw, row]; the predictive distribution is their equally weighted mixture.

    Raises:
        ValueError: where `num_draws` is below 1.
    """
    require_positive_whole("num_draws", num_draws)
    raw = _outputs(fitted.recipe, num_draws, key, fitted.units, fitted.state, jnp.asarray(features, jnp.float32))
    # Distributions keep the batch shape from before `vmap`; NumPyro corrects it one axis at a time.
    of_draw = lambda rows: promote_batch_shape(jax.vmap(fitted.recipe.likelihood)(rows))
    return promote_batch_shape(jax.vmap(of_draw)(raw))


def log_density(
    fitted: Fit,
    key: Key[Array, ""],
    features: Float[Array, "row ..."],
    targets: Float[Array, "row ..."],
    num_draws: int,
) -> Float[Array, " row"]:
    """The log predictive density of each row's target, in nats.

    Raises:
        ValueError: where `num_draws` is below 1.
    """
    require_positive_whole("num_draws", num_draws)
    rows = Rows(jnp.asarray(features, jnp.float32), jnp.asarray(targets))
    return _log_density(fitted.recipe, num_draws, key, fitted.units, fitted.state, rows)


def _checked(features: Float[Array, "row ..."], targets: Float[Array, "row ..."]) -> Rows:
    rows = Rows(jnp.asarray(features, jnp.float32), jnp.asarray(targets))
    if rows.features.ndim == 0 or rows.targets.ndim == 0 or len(rows.features) != len(rows.targets):
        raise ValueError(f"features {rows.features.shape} and targets {rows.targets.shape} must have as many rows")
    for name, values in rows._asdict().items():
        if not bool(jnp.isfinite(values).all()):
            raise ValueError(f"{name} must be finite in every row; leave the other rows out, or impute them")
    return rows


@partial(jax.jit, static_argnums=(0, 1))
def _fitted(recipe: Recipe, standardise: bool, key: Key[Array, ""], rows: Rows) -> tuple[Units, State, Info]:
    key_rows, key_start, key_mode, key_method = jax.random.split(key, 4)
    plan, number = recipe.plan, len(rows.features)
    units = _units(recipe, rows) if standardise else scaling.as_they_are(_output_shape(recipe, rows.features))
    target = _target(recipe, units, rows.features)
    method, validation_loss = _method(plan, target), None
    if plan.num_fitted < number:
        order = jax.random.permutation(key_rows, number)
        rows, dev = (Rows(*(x[index] for x in rows)) for index in jnp.split(order, [plan.num_fitted]))
        validation_loss = lambda state: (
            -_density_of(method, recipe, NUM_VALIDATION_DRAWS, key_rows, units, state, dev).mean()
        )
    first = jax.vmap(partial(initialised, recipe.model.module), (0, None))
    params = first(jax.random.split(key_start, plan.members), rows.features[0])
    if plan.mode_steps:
        rate = optimizer.optimizer(plan.learning_rate, plan.mode_steps)
        mode = inference.ensemble(inference.point(target, rate), plan.members)
        params = _trained(key_mode, mode, params, rows, plan.mode_steps, plan.batch_size)[0].params
    state, losses = _trained(key_method, method, params, rows, plan.steps, plan.batch_size, validation_loss)
    return units, state, losses


@partial(jax.jit, static_argnums=(0, 1))
def _outputs(
    recipe: Recipe, num_draws: int, key: Key[Array, ""], units: Units, state: State, features: Float[Array, "row ..."]
) -> PyTree[Float[Array, "draw row ..."]]:
    weights = _method(recipe.plan, _target(recipe, units, features)).sample(key, state, num_draws)
    return _read(recipe, units, weights, features)


@partial(jax.jit, static_argnums=(0, 1))
def _log_density(
    recipe: Recipe, num_draws: int, key: Key[Array, ""], units: Units, state: State, rows: Rows
) -> Float[Array, " row"]:
    method = _method(recipe.plan, _target(recipe, units, rows.features))
    return _density_of(method, recipe, num_draws, key, units, state, rows)


def _density_of(
    method: Method, recipe: Recipe, num_draws: int, key: Key[Array, ""], units: Units, state: State, rows: Rows
) -> Float[Array, " row"]:
    raw = _read(recipe, units, method.sample(key, state, num_draws), rows.features)
    each = jax.vmap(jax.vmap(partial(_log_prob, recipe.likelihood)), (0, None))(raw, rows.targets)
    return jax.scipy.special.logsumexp(each, axis=0) - jnp.log(num_draws)


def _read(
    recipe: Recipe, units: Units, weights: Weights, features: Float[Array, "row ..."]
) -> PyTree[Float[Array, "draw row ..."]]:
    of_row = lambda draw, row: scaling.read(units, applied(recipe.model.module, draw, row))
    size = min(recipe.at_once or len(features), len(features))
    return jax.lax.map(lambda draw: jax.lax.map(partial(of_row, draw), features, batch_size=size), weights)


def _log_prob(likelihood: Likelihood, raw: Float[Array, "..."], target: Float[Array, "..."]) -> Float[Array, ""]:
    return jnp.sum(jnp.asarray(likelihood(raw).log_prob(target)))


def _params_shape(recipe: Recipe, features: Float[Array, "row ..."]) -> Params:
    return jax.eval_shape(partial(initialised, recipe.model.module), key_shape(), features[0])


def _output_shape(recipe: Recipe, features: Float[Array, "row ..."]) -> PyTree[Array]:
    of_row = lambda params, row: applied(recipe.model.module, Weights(params), row)
    return jax.eval_shape(of_row, _params_shape(recipe, features), features[0])


def _units(recipe: Recipe, rows: Rows) -> Units:
    log_likelihood = partial(_log_prob, recipe.likelihood)
    return scaling.of_targets(log_likelihood, _output_shape(recipe, rows.features), rows.targets)


def _target(recipe: Recipe, units: Units, features: Float[Array, "row ..."]) -> Target:
    shape = _params_shape(recipe, features)

    def of_row(weights: Weights, row: Rows) -> Float[Array, ""]:
        raw = scaling.read(units, applied(recipe.model.module, weights, row.features))
        return _log_prob(recipe.likelihood, raw, row.targets)

    centre, scale = inference.prior_mean(shape), inference.prior_scale(shape, recipe.prior_scale)
    target = inference.with_normal_prior(inference.by_event(of_row), centre, scale, recipe.plan.num_fitted)
    return target._replace(at_once=recipe.at_once)


def _method(plan: Plan, target: Target) -> Method:
    rate = optimizer.optimizer(plan.learning_rate, plan.steps, decay=rate_decays(plan.method))
    return inference.ensemble(made(plan.method, target, rate, plan.steps), plan.members)


def _trained(
    key: Key[Array, ""],
    method: Method,
    params: Params,
    rows: Any,
    steps: int,
    batch_size: int,
    validation_loss: Callable[[State], Float[Array, ""]] | None = None,
) -> tuple[State, Info]:
    """The state after all steps; with held-out rows, the one of lowest validation loss."""
    number, key_init, key_steps = len(rows.features), *jax.random.split(key)

    def step(state: State, key: Key[Array, ""]) -> tuple[State, Info]:
        if batch_size == number:
            return method.update(key, state, rows)
        key_batch, key_update = jax.random.split(key)
        # With replacement: sampling without would sort all rows at every step.
        index = jax.random.randint(key_batch, (batch_size,), 0, number)
        return method.update(key_update, state, jax.tree.map(lambda x: x[index], rows))

    first, keys = method.init(key_init, params), jax.random.split(key_steps, steps)
    return jax.lax.scan(step, first, keys) if validation_loss is None else _best(step, validation_loss, first, keys)


def _best(
    step: Callable, validation_loss: Callable[[State], Float[Array, ""]], first: State, keys: Key[Array, " step"]
) -> tuple[State, Info]:
    every = max(1, len(keys) // NUM_VALIDATIONS)

    def span(carry: tuple, keys: Key[Array, " step"]) -> tuple[tuple, Info]:
        state, best, lowest = carry
        state, losses = jax.lax.scan(step, state, keys)
        loss = validation_loss(state)
        best = jax.tree.map(lambda new, old: jnp.where(loss < lowest, new, old), state, best)
        return (state, best, jnp.minimum(loss, lowest)), losses

    spans = keys[: len(keys) // every * every].reshape(-1, every)
    (_, best, _), losses = jax.lax.scan(span, (first, first, jnp.inf), spans)
    return best, jax.tree.map(jnp.ravel, losses)
