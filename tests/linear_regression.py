"""A linear-Gaussian regression with a known mode, posterior and evidence, as a target of weight posteriors."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax

from jaxloc.inference import target
from jaxloc.runs import config as configuration
from jaxloc.types import Batch, Head, Label, Network, Observations, Target, Variation, Weights

DIM, EVENTS, NOISE, PRIOR = 3, 40, 0.5, 0.8


def data():
    """Correlated regressors and noisy values, in double precision."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EVENTS, DIM)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.7]])
    return x, x @ np.array([0.7, -1.1, 0.4]) + NOISE * rng.normal(size=EVENTS)


def batch():
    x, y = (jnp.asarray(a, jnp.float32) for a in data())
    there = jnp.ones((EVENTS, 1), bool)
    rate_hz = jnp.ones(EVENTS)
    seen = Observations(x[:, None, None, :], jnp.zeros((EVENTS, 1, 3)), there, there.astype(int), rate_hz)
    return Batch(seen, {"magnitude": Label(y, jnp.ones(EVENTS, bool))})


def linear():
    """A network that is a dot product, and a head that is a normal of known width."""
    network = Network(
        lambda key, seen: {"kernel": jax.random.normal(key, (DIM,))},
        lambda weights, seen: seen.waveforms.reshape(-1) @ weights.params["kernel"],
    )
    normal = lambda raw: {"magnitude": dist.Normal(raw, NOISE)}
    head = Head(1, normal, lambda raw, labels: normal(raw)["magnitude"].log_prob(labels["magnitude"].value))
    middle = {"kernel": jnp.zeros(DIM)}
    return target(network, head, middle, {"kernel": jnp.full(DIM, PRIOR)}, EVENTS)


def analytic():
    """Mean and precision of the posterior, and the log-evidence."""
    x, y = data()
    precision = x.T @ x / NOISE**2 + np.eye(DIM) / PRIOR**2
    mean = np.linalg.solve(precision, x.T @ y / NOISE**2)
    cov = NOISE**2 * np.eye(EVENTS) + PRIOR**2 * x @ x.T
    evidence = -0.5 * (y @ np.linalg.solve(cov, y) + np.linalg.slogdet(cov)[1] + EVENTS * np.log(2 * np.pi))
    return mean, precision, evidence


def start(members=0):
    keys = jax.random.split(jax.random.key(5), members) if members else jax.random.key(5)
    draw = lambda key: {"kernel": PRIOR * jax.random.normal(key, (DIM,))}
    return jax.vmap(draw)(keys) if members else draw(keys)


def fit(method, params, steps, events=None):
    """State after some full-batch steps, and what each step told."""
    events = batch() if events is None else events

    @jax.jit
    def run(params):
        state = method.init(jax.random.key(0), params)
        keys = jax.random.split(jax.random.key(1), steps)
        return jax.lax.scan(lambda s, key: method.update(key, s, events), state, keys)

    return run(params)


def falling(steps, rate=0.05):
    return optax.adam(optax.cosine_decay_schedule(rate, steps))


def two_arrays():
    """The regression with its weights in two arrays."""
    one = linear()
    split = lambda params: {"first": params["kernel"][:1], "rest": params["kernel"][1:]}
    join = lambda params: {"kernel": jnp.concatenate([params["first"], params["rest"]])}
    likelihood = lambda weights, events: one.log_likelihood(Weights(join(weights.params)), events)
    middle, scale = split(one.prior_mean), split(one.prior_scale)
    return Target(likelihood, lambda params: one.log_prior(join(params)), middle, scale, EVENTS, middle)


def varied(params, key, sd=0.3):
    """Weights that vary by event, about a middle of a third of the draw; by flipout where there is no `sd`."""
    change = jax.tree.map(lambda x: 2 / 3 * x, params)
    widths = None if sd is None else jax.tree.map(lambda x: jnp.full_like(x, sd), params)
    return Weights(params, None, Variation(key, change, widths))


POSTERIORS = Path(__file__).parents[1] / "experiments" / "posterior"


@cache
def _configured(name):
    return configuration.load("quickstart", [f"posterior={name}"])["posterior"]


def settings(name, **changed):
    """A posterior's configuration in the experiment `quickstart`, with some values changed."""
    return deepcopy(_configured(name)) | changed
