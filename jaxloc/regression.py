"""Any Flax module with any NumPyro likelihood, fitted by any of the weight posteriors; outside location too.

import flax.linen as nn
import jax, numpyro.distributions as dist
from jaxloc import posteriors, regression

module = nn.Sequential([nn.Dense(50), nn.relu, nn.Dense(2)])
likelihood = lambda raw: dist.Normal(raw[0], jax.nn.softplus(raw[1]) + 1e-3)
fitted = regression.fit(jax.random.key(0), module, likelihood, features, targets, posteriors.mean_field)
predictive = regression.predict(fitted, jax.random.key(1), new_features, 100)  # a draw of weights a row
density = regression.log_density(fitted, jax.random.key(1), new_features, new_targets, 100)
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions.batch_util import promote_batch_shape

from jaxloc import posteriors, training
from jaxloc.networks.binding import applied, initialised
from jaxloc.types import Info, Method, Params, State, Target, Weights

Likelihood = Callable[[Array], dist.Distribution]
"""A module's output for one row, to the distribution of the row's target."""
MakeMethod = Callable[[Target, optax.GradientTransformation], Method]


class Fit(NamedTuple):
    """A weight posterior with what it is of; `forward(weights, row)` is the module's output.

    `losses` are those of the last stage's steps, in nats a row. `at_once` rows go through the module at a time; None:
    all of them.
    """

    forward: Callable[[Weights, Array], Array]
    likelihood: Likelihood
    method: Method
    state: State
    losses: Info
    at_once: int | None = None


class Rows(NamedTuple):
    """Features and targets, row by row: what a batch is here."""

    features: Float[Array, "row ..."]
    targets: Float[Array, "row ..."]


def fit(
    key: PRNGKeyArray,
    module: nn.Module,
    likelihood: Likelihood,
    features: Float[Array, "row ..."],
    targets: Float[Array, "row ..."],
    method: MakeMethod = posteriors.mean_field,
    *,
    steps: int = 2000,
    batch_size: int = 128,
    learning_rate: float = 1e-2,
    prior_scale: float = 1.0,
    members: int = 1,
    at_once: int | None = None,
) -> Fit:
    """Fit the weights: to their mode first, from which the posterior starts; `steps` each.

    The prior is normal, about zero, as wide as the layers' fan-in asks for (`jaxloc.posteriors.prior_scale`). Features
    and targets are taken as they are: standardise them first.

    Args:
        key: of first weights, batches and draws.
        module: any Flax module of one row of features, without state beside its parameters.
        likelihood: its output for a row to a NumPyro distribution over the row's target.
        features: a row an example.
        targets: a row an example.
        method: of `jaxloc.posteriors`; `functools.partial` gives it settings.
        steps: of Adam, in each of the two stages.
        batch_size: rows a step; all of them where there are fewer.
        learning_rate: the highest, after a warm-up and before its decay.
        prior_scale: multiplies the prior's width.
        members: of an ensemble of such posteriors, which differ by their first weights.
        at_once: rows that go through the module at a time, here and in predictions. Convolutions over long records are
            faster on a CPU with few (8 of 1,000 samples), whose arrays stay in its cache; None: all of them.

    Raises:
        ValueError: where rows do not fit together, values are not finite, or the module keeps state; tells which.
    """
    rows = _checked(features, targets)
    key_start, key_mode, key_posterior = jax.random.split(key, 3)
    forward = partial(applied, module)
    first = jax.jit(jax.vmap(partial(initialised, module), (0, None)))
    params = first(jax.random.split(key_start, members), rows.features[0])
    one = jax.tree.map(lambda x: x[0], params)
    centre, scale = posteriors.prior_mean(one), posteriors.prior_scale(one, prior_scale)
    target = _target(forward, likelihood, centre, scale, len(rows.features))._replace(at_once=at_once)
    optimizer = training.optimizer(learning_rate, steps)
    mode = posteriors.ensemble(posteriors.point(target, optimizer), members)
    state, losses = _trained(key_mode, mode, params, rows, steps, batch_size)
    if method is posteriors.point:
        return Fit(forward, likelihood, mode, state, losses, at_once)
    chosen = posteriors.ensemble(method(target, optimizer), members)
    state, losses = _trained(key_posterior, chosen, state.params, rows, steps, batch_size)
    return Fit(forward, likelihood, chosen, state, losses, at_once)


def predict(fitted: Fit, key: PRNGKeyArray, features: Float[Array, "row ..."], num_draws: int) -> dist.Distribution:
    """The likelihood's distributions, [draw, row]: a mixture of equal weights over the draws is the prediction."""
    raw = _outputs(fitted, key, jnp.asarray(features, jnp.float32), num_draws)
    # Distributions keep the batch shape of before `vmap`; NumPyro mends it one axis at a time.
    of_draw = lambda rows: promote_batch_shape(jax.vmap(fitted.likelihood)(rows))
    return promote_batch_shape(jax.vmap(of_draw)(raw))


def log_density(
    fitted: Fit,
    key: PRNGKeyArray,
    features: Float[Array, "row ..."],
    targets: Float[Array, "row ..."],
    num_draws: int,
) -> Float[Array, " row"]:
    """The log predictive density of each row's target, in nats."""
    raw = _outputs(fitted, key, jnp.asarray(features, jnp.float32), num_draws)
    each = jax.vmap(jax.vmap(partial(_log_prob, fitted.likelihood)), (0, None))(raw, jnp.asarray(targets))
    return jax.scipy.special.logsumexp(each, axis=0) - jnp.log(num_draws)


def _checked(features: Array, targets: Array) -> Rows:
    rows = Rows(jnp.asarray(features, jnp.float32), jnp.asarray(targets))
    if rows.features.ndim == 0 or rows.targets.ndim == 0 or len(rows.features) != len(rows.targets):
        raise ValueError(f"features {rows.features.shape} and targets {rows.targets.shape} must have as many rows")
    for name, values in rows._asdict().items():
        if not bool(jnp.isfinite(values).all()):
            raise ValueError(f"{name} hold values that are not finite; leave those rows out, or fill them in")
    return rows


def _log_prob(likelihood: Likelihood, raw: Array, target: Array) -> Float[Array, ""]:
    return jnp.sum(jnp.asarray(likelihood(raw).log_prob(target)))


def _target(forward: Callable, likelihood: Likelihood, centre: Params, scale: Params, number: int) -> Target:
    def of_row(weights: Weights, row: Rows) -> Float[Array, ""]:
        return _log_prob(likelihood, forward(weights, row.features), row.targets)

    return posteriors.with_normal_prior(posteriors.by_event(of_row), centre, scale, number)


def _trained(
    key: PRNGKeyArray, method: Method, params: Params, rows: Rows, steps: int, batch_size: int
) -> tuple[State, Info]:
    number = len(rows.features)

    def step(state: State, key: PRNGKeyArray) -> tuple[State, Info]:
        key_batch, key_update = jax.random.split(key)
        index = jax.random.choice(key_batch, number, (min(batch_size, number),), replace=False)
        return method.update(key_update, state, jax.tree.map(lambda x: x[index], rows))

    @jax.jit
    def run(key: PRNGKeyArray, params: Params) -> tuple[State, Info]:
        key_init, key_steps = jax.random.split(key)
        return jax.lax.scan(step, method.init(key_init, params), jax.random.split(key_steps, steps))

    return run(key, params)


def _outputs(fitted: Fit, key: PRNGKeyArray, features: Array, num_draws: int) -> Float[Array, "draw row ..."]:
    size = min(fitted.at_once or len(features), len(features))
    return _outputs_of(fitted.forward, fitted.method, (num_draws, size), key, fitted.state, features)


@partial(jax.jit, static_argnums=(0, 1, 2))  # out here, so that a fit that predicts again is not compiled again
def _outputs_of(
    forward: Callable, method: Method, sizes: tuple[int, int], key: PRNGKeyArray, state: State, features: Array
) -> Float[Array, "draw row ..."]:
    num_draws, at_once = sizes
    of_draw = lambda draw: jax.lax.map(partial(forward, draw), features, batch_size=at_once)
    return jax.lax.map(of_draw, method.sample(key, state, num_draws))
