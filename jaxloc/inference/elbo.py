"""The evidence lower bound (ELBO) for any family of distributions over all weights, by NumPyro.

The divergence may be annealed (`warm_up`): a wide initial posterior then fits the data before it contracts to the
prior. The prior's scale may be fitted as well (`learn_prior`; empirical Bayes, MacKay 1992): the bound approximates the
evidence. Parameters outside of the network (`Target.parts`) keep their prior.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key
from numpyro import handlers
from numpyro.distributions import constraints
from numpyro.infer import SVI, Predictive, TraceMeanField_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import optax_to_numpyro

from jaxloc.inference.microbatching import size_of, total_log_likelihood
from jaxloc.prng import key_shape
from jaxloc.types import NETWORK, Batch, Info, Method, Params, Target, Variation, Weights

SITE = "displacement"
MIDDLE, SPREAD = f"{SITE}_loc", f"{SITE}_scale"
ESTIMATORS = ("plain", "flipout", "local")
LOG_WIDTH = "log_prior_width"


class Family(NamedTuple):
    """Distributions of all weights (in units of their prior): parameters, their initial values and constraints."""

    parameters: dict[str, tuple[Array, constraints.Constraint]]
    distribution: Callable[[dict[str, Array]], dist.Distribution]


def variational(
    target: Target,
    optimizer: optax.GradientTransformation,
    family: Family,
    temperature: float = 1.0,
    warm_up: int = 0,
    learn_prior: bool = False,
    estimator: str = "plain",
) -> Method:
    """Variational inference with any family of distributions.

    The likelihood of a batch counts for all `num_data` events, the divergence from the prior once. Losses are divided
    by `num_data`: nats an event. They include the whole divergence, also while it is annealed, so that losses of
    different steps are comparable. Estimators other than `plain` need a family of independent normals, with `SPREAD`
    among its parameters.

    Raises:
        ValueError: where the number of steps of the warm-up is negative.
    """
    if warm_up < 0:
        raise ValueError(f"warm_up must be a number of steps, at least 0, got {warm_up}")
    centre, unravel = ravel_pytree(target.prior_mean)
    scale, _ = ravel_pytree(target.prior_scale)
    array_of, fittable = _arrays(target)

    def weights_of(z: Float[Array, " weight"]) -> Weights:
        return Weights(unravel(centre + scale * z))

    def varied(z: Float[Array, " weight"]) -> Weights:
        if estimator == "plain":
            return weights_of(z)
        fitted, key = parameters(), cast(Key[Array, ""], numpyro.prng_key())
        change, sd = unravel(scale * (z - fitted[MIDDLE])), unravel(scale * fitted[SPREAD])
        return weights_of(z)._replace(variation=Variation(key, change, sd if estimator == "local" else None))

    def parameters() -> Any:
        return {name: numpyro.param(name, at, constraint=c) for name, (at, c) in family.parameters.items()}

    def width(log_width: Float[Array, " group"] | None) -> Float[Array, " weight"] | float:
        """The scale of the prior of displacements: one, or the fitted one."""
        return 1.0 if log_width is None else jnp.exp(fittable * log_width)[array_of]

    def model(batch: Batch | None, weight: Float[Array, ""] | float = temperature) -> None:
        log_width: Any = numpyro.param(LOG_WIDTH, jnp.zeros(fittable.size)) if learn_prior else None
        with handlers.scale(scale=weight):
            z: Any = numpyro.sample(SITE, dist.Normal(0, width(log_width)).expand(centre.shape).to_event(1))
        if batch is None:  # the guide asks only for the site
            return
        # No plate: it refuses a batch that contains an event more than once.
        with handlers.scale(scale=target.num_data / size_of(batch)):
            numpyro.factor("log_likelihood", total_log_likelihood(target, varied(z), batch))

    def guide(batch: Batch | None, weight: Float[Array, ""] | float = temperature) -> None:
        with handlers.scale(scale=weight):
            numpyro.sample(SITE, family.distribution(parameters()))

    per_event = 1 / target.num_data
    svi = SVI(
        handlers.scale(model, per_event),
        handlers.scale(guide, per_event),
        optax_to_numpyro(optimizer),
        TraceMeanField_ELBO(),
    )
    # NumPyro stores the transforms of parameters on the object: set up once from shapes, without computation.
    jax.eval_shape(lambda key: svi.init(key, None), key_shape())

    def init(key: Key[Array, ""], params: Params) -> SVIState:
        start = svi.optim.get_params(svi.init(key, None).optim_state)
        start[MIDDLE] = (ravel_pytree(params)[0] - centre) / scale
        return SVIState(svi.optim.init(start), None, None)

    def divergence(state: SVIState) -> Array:
        params = svi.get_params(state)
        fitted, prior = family.distribution(params), width(params.get(LOG_WIDTH))
        squares = (fitted.variance + fitted.mean**2) / prior**2
        in_prior = (0.5 * squares + 0.5 * math.log(2 * math.pi) + jnp.log(prior)).sum()
        return (in_prior - fitted.entropy()) / target.num_data

    def update(key: Key[Array, ""], state: SVIState, batch: Batch) -> tuple[SVIState, Info]:
        step = state.optim_state[0]
        weight = temperature * jnp.minimum(1.0, (step + 1) / warm_up) if warm_up else temperature
        kl = divergence(state)
        new, loss = svi.update(state._replace(rng_key=key), batch, weight)
        negative = loss - weight * kl
        return new._replace(rng_key=None), Info(negative + temperature * kl, negative, temperature * kl)

    def sample(key: Key[Array, ""], state: SVIState, n: int) -> Weights:
        draws = Predictive(guide, params=svi.get_params(state), num_samples=n, parallel=True)(key, None)
        return jax.vmap(weights_of)(draws[SITE])

    return Method(init, update, sample)


def learnt_prior_scale(target: Target, state: SVIState) -> Params:
    """Fitted standard deviations of the prior, a tree like the parameters.

    Raises:
        ValueError: where the state's prior was not fitted.
    """
    params = state.optim_state[1][0]
    if LOG_WIDTH not in params:
        raise ValueError("the prior of this posterior was not fitted; use learn_prior=true to fit its scale")
    leaves, tree = jax.tree.flatten(target.prior_scale)
    factors = jnp.exp(_arrays(target)[1] * params[LOG_WIDTH])
    return tree.unflatten([leaf * factor for leaf, factor in zip(leaves, factors, strict=True)])


def _arrays(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Which array each parameter belongs to, [parameter], and whether an array's prior may be learnt, [array]."""
    leaves = jax.tree.leaves(target.prior_mean)
    array_of = np.repeat(np.arange(len(leaves)), [leaf.size for leaf in leaves])
    parts = [NETWORK] * len(leaves) if target.parts is None else jax.tree.leaves(target.parts)
    return array_of, np.array([part == NETWORK for part in parts], np.float32)
