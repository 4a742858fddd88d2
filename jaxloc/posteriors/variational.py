"""Mean-field variational inference over all weights, by NumPyro.

The weights are one site, in units of their prior: w = mean + scale * z with z standard normal before data. One
setting, `initial_scale`, is then right for every layer at once: a twentieth of the prior is sharp enough for the
likelihood to be felt from the first step. NumPyro's defaults (0.1 of weight units, random middle) end in the prior.

The guide is NumPyro's AutoNormal but for where its random numbers are drawn: `DrawnApart`.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PRNGKeyArray
from numpyro import handlers
from numpyro.distributions import constraints
from numpyro.infer import SVI, Predictive, TraceMeanField_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro

from jaxloc.types import Batch, Info, Method, Params, Target, Weights

SITE, MIDDLE, SPREAD = "displacement", "displacement_loc", "displacement_scale"
PIECES = 4


class DrawnApart(dist.Normal):
    """A normal distribution whose random numbers are drawn in a loop of their own.

    XLA fuses the drawing into whatever takes a slice of the numbers, here each layer, forward and backward, and draws
    anew in each: a training step took two to four times as long. It does not fuse across loops. (A site for every array
    of weights is as fast, but takes two to three times as long to compile.)
    """

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()
    ) -> Array:
        """Draws of shape `sample_shape + batch_shape`."""
        shape = self.shape(sample_shape)
        size = math.prod(shape)
        pieces = jax.lax.map(lambda k: jax.random.normal(k, (-(-size // PIECES),)), jax.random.split(key, PIECES))
        return self.loc + self.scale * pieces.ravel()[:size].reshape(shape)


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

    def weights_of(z: Array) -> Weights:
        return Weights(unravel(centre + scale * z))

    def model(batch: Batch | None) -> None:
        with handlers.scale(scale=temperature):
            z: Any = numpyro.sample(SITE, dist.Normal(0, 1).expand(centre.shape).to_event(1))
        if batch is None:  # the guide asks only for the site
            return
        log_likelihood = target.log_likelihood(weights_of(z), batch)
        with numpyro.plate("events", target.num_data, subsample_size=log_likelihood.shape[0]):
            numpyro.factor("log_likelihood", log_likelihood)

    def guide(batch: Batch | None) -> None:
        loc = numpyro.param(MIDDLE, jnp.zeros_like(centre))
        first = jnp.full_like(centre, initial_scale)
        spread = numpyro.param(SPREAD, first, constraint=constraints.softplus_positive)
        with handlers.scale(scale=temperature):
            numpyro.sample(SITE, DrawnApart(loc, spread).to_event(1))

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
        start = svi.optim.get_params(svi.init(key, None).optim_state)
        start[MIDDLE] = (ravel_pytree(params)[0] - centre) / scale
        return SVIState(svi.optim.init(start), None, None)

    def divergence(state: SVIState) -> Array:
        fitted = svi.get_params(state)
        loc, spread = fitted[MIDDLE], fitted[SPREAD]
        return 0.5 * (spread**2 + loc**2 - 1 - 2 * jnp.log(spread)).sum() / target.num_data

    def update(key: PRNGKeyArray, state: SVIState, batch: Batch) -> tuple[SVIState, Info]:
        kl = temperature * divergence(state)
        new, loss = svi.update(state._replace(rng_key=key), batch)
        return new._replace(rng_key=None), Info(loss, loss - kl, kl)

    def sample(key: PRNGKeyArray, state: SVIState, n: int) -> Weights:
        draws = Predictive(guide, params=svi.get_params(state), num_samples=n, parallel=True)(key, None)
        return jax.vmap(weights_of)(draws[SITE])

    return Method(init, update, sample)
