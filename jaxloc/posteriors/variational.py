"""Mean-field variational inference over all weights, by NumPyro.

The weights are one site, in units of their prior: w = mean + scale * z with z standard normal before data. One
setting, `initial_scale`, is then right for every layer at once: a twentieth of the prior is sharp enough for the
likelihood to be felt from the first step. NumPyro's defaults (0.1 of weight units, random middle) end in the prior.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import PRNGKeyArray
from numpyro import handlers
from numpyro.infer import SVI, TraceMeanField_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro

from jaxloc.types import Batch, Info, Method, Params, Target, Weights

SITE = "displacement"


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
    centre, unravel = ravel_pytree(target.prior_mean)
    scale, _ = ravel_pytree(target.prior_scale)

    def weights_of(z: jax.Array) -> Weights:
        return Weights(unravel(centre + scale * z))

    def model(batch: Batch | None) -> None:
        with handlers.scale(scale=temperature):
            z = numpyro.sample(SITE, dist.Normal(0, 1).expand(centre.shape).to_event(1))
        if batch is None:  # the guide asks only for the site
            return
        log_likelihood = target.log_likelihood(weights_of(jnp.asarray(z)), batch)
        with numpyro.plate("events", target.num_data, subsample_size=log_likelihood.shape[0]):
            numpyro.factor("log_likelihood", log_likelihood)

    guide = AutoNormal(model, init_loc_fn=numpyro.infer.init_to_value(values={SITE: jnp.zeros_like(centre)}),
                       init_scale=initial_scale)  # fmt: skip
    per_event = 1 / target.num_data
    svi = SVI(
        handlers.scale(model, per_event),
        handlers.scale(handlers.scale(guide, temperature), per_event),
        optax_to_numpyro(optimizer),
        TraceMeanField_ELBO(),
    )
    # NumPyro keeps the transforms of a guide on the object: set them up once, here, outside of any trace.
    svi.init(jax.random.key(0), None)

    def init(key: PRNGKeyArray, params: Params) -> SVIState:
        state = svi.init(key, None)
        start = svi.optim.get_params(state.optim_state)
        start[f"{SITE}_auto_loc"] = (ravel_pytree(params)[0] - centre) / scale
        return SVIState(svi.optim.init(start), None, None)

    def divergence(state: SVIState) -> jax.Array:
        fitted = svi.get_params(state)
        loc, spread = fitted[f"{SITE}_auto_loc"], fitted[f"{SITE}_auto_scale"]
        return 0.5 * (spread**2 + loc**2 - 1 - 2 * jnp.log(spread)).sum() / target.num_data

    def update(key: PRNGKeyArray, state: SVIState, batch: Batch) -> tuple[SVIState, Info]:
        kl = temperature * divergence(state)
        new, loss = svi.update(state._replace(rng_key=key), batch)
        return new._replace(rng_key=None), Info(loss, loss - kl, kl)

    def sample(key: PRNGKeyArray, state: SVIState, n: int) -> Weights:
        # By NumPyro's annotation this is a handler, by its documentation draws by site.
        draws: Any = guide.sample_posterior(key, svi.get_params(state), sample_shape=(n,))
        return Weights(jax.vmap(lambda z: weights_of(z).params)(draws[SITE]))

    return Method(init, update, sample)
