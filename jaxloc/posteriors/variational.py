"""Mean-field variational inference over all weights, by NumPyro.

Each array of weights is a site, in units of its prior: w = mean + scale * z with z standard normal before data. One
setting, `initial_scale`, is then right for every layer at once: a twentieth of the prior is sharp enough for the
likelihood to be felt from the first step. NumPyro's defaults (0.1 of weight units, random middle) end in the prior.

One site for all weights would be simpler, but XLA fuses the random numbers into every slice of it and draws them
again for each: a step took two to three times as long. NumPyro's AutoNormal, with many sites, runs the model's pieces
one by one before anything is compiled, which takes a minute; the guide here is the same in its primitives.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import optax
from jaxtyping import PRNGKeyArray
from numpyro import handlers
from numpyro.distributions import constraints
from numpyro.infer import SVI, Predictive, TraceMeanField_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro

from jaxloc.types import Batch, Info, Method, Params, Target, Weights


def mean_field(
    target: Target,
    optimizer: optax.GradientTransformation,
    *,
    initial_scale: float = 0.05,
    temperature: float = 1.0,
) -> Method:
    """Mean-field variational inference: independent normals, fitted by the evidence lower bound.

    The likelihood of a batch counts for all `num_data` events (a NumPyro plate), the divergence from the
    prior once. Losses are divided by `num_data`: nats an event.

    Args:
        target: likelihood and prior.
        optimizer: an optax optimiser.
        initial_scale: first standard deviation of every weight, in standard deviations of its prior.
        temperature: of the posterior; below one the divergence counts for less. One is Bayes' rule.
    """
    sites = {name: jnp.zeros_like(leaf) for name, leaf in _named(target.prior_mean).items()}

    def weights_of(z: dict[str, jax.Array]) -> Weights:
        standard = jax.tree.unflatten(jax.tree.structure(target.prior_mean), [z[name] for name in sites])
        return Weights(jax.tree.map(lambda m, s, x: m + s * x, target.prior_mean, target.prior_scale, standard))

    def model(batch: Batch | None) -> None:
        with handlers.scale(scale=temperature):
            z: Any = {name: numpyro.sample(name, _standard_normal(zero)) for name, zero in sites.items()}
        if batch is None:  # the guide asks only for the sites
            return
        log_likelihood = target.log_likelihood(weights_of(z), batch)
        with numpyro.plate("events", target.num_data, subsample_size=log_likelihood.shape[0]):
            numpyro.factor("log_likelihood", log_likelihood)

    def guide(batch: Batch | None) -> None:
        with handlers.scale(scale=temperature):
            for name, zero in sites.items():
                loc = numpyro.param(_loc_of(name), zero)
                first = jnp.full_like(zero, initial_scale)
                spread = numpyro.param(_scale_of(name), first, constraint=constraints.softplus_positive)
                numpyro.sample(name, dist.Normal(loc, spread).to_event())

    per_event = 1 / target.num_data
    svi = SVI(
        handlers.scale(model, per_event),
        handlers.scale(guide, per_event),
        optax_to_numpyro(optimizer),
        TraceMeanField_ELBO(),
    )
    # NumPyro keeps the transforms of parameters on the object: set up once, by shapes, so that nothing is computed.
    jax.eval_shape(lambda: svi.init(jax.random.key(0), None))

    def init(key: PRNGKeyArray, params: Params) -> SVIState:
        state = svi.init(key, None)
        start = svi.optim.get_params(state.optim_state)
        standard = jax.tree.map(lambda w, m, s: (w - m) / s, params, target.prior_mean, target.prior_scale)
        start |= {_loc_of(name): z for name, z in _named(standard).items()}
        return SVIState(svi.optim.init(start), None, None)

    def divergence(state: SVIState) -> jax.Array:
        fitted = svi.get_params(state)

        def of_site(name: str) -> jax.Array:
            loc, spread = fitted[_loc_of(name)], fitted[_scale_of(name)]
            return 0.5 * (spread**2 + loc**2 - 1 - 2 * jnp.log(spread)).sum()

        return sum(map(of_site, sites), start=jnp.zeros(())) / target.num_data

    def update(key: PRNGKeyArray, state: SVIState, batch: Batch) -> tuple[SVIState, Info]:
        kl = temperature * divergence(state)
        new, loss = svi.update(state._replace(rng_key=key), batch)
        return new._replace(rng_key=None), Info(loss, loss - kl, kl)

    def sample(key: PRNGKeyArray, state: SVIState, n: int) -> Weights:
        draws = Predictive(guide, params=svi.get_params(state), num_samples=n, parallel=True)(key, None)
        return jax.vmap(weights_of)(draws)

    return Method(init, update, sample)


def _loc_of(site: str) -> str:
    """The name of the parameter that holds a site's means."""
    return f"{site}.loc"


def _scale_of(site: str) -> str:
    """The name of the parameter that holds a site's standard deviations."""
    return f"{site}.scale"


def _named(params: Params) -> dict[str, jax.Array]:
    """The arrays of a tree by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _standard_normal(like: jax.Array) -> dist.Distribution:
    return dist.Normal(0, 1).expand(like.shape).to_event(like.ndim)
