"""Posteriors that are normal distributions and misstate their errors by known factors."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.types import Label, Posterior

COVARIANCE = np.array([[4, 1, 0.5, 0], [1, 2, 0, 0.1], [0.5, 0, 9, 0.3], [0, 0.1, 0.3, 0.5]])
EVENTS = 400


KEY = jax.random.key(3)


def stated(factor, bias=(0.0, 0.0, 0.0, 0.0), components=1):
    """Posteriors whose errors are really `factor` times as large in variance, and truths."""
    key_mean, key_truth, key_parts = jax.random.split(jax.random.key(0), 3)
    tril = np.linalg.cholesky(COVARIANCE)
    middle = 10 * jax.random.normal(key_mean, (EVENTS, 4))
    real = np.linalg.cholesky(COVARIANCE * np.sqrt(np.outer(factor, factor)))
    truth = middle + jnp.array(bias) + jax.random.normal(key_truth, (EVENTS, 4)) @ real.T
    # Many components that make up the same normal distribution: what a grid or weight draws give.
    share = 0.5 if components > 1 else 0.0
    away = np.sqrt(share) * jax.random.normal(key_parts, (EVENTS, components, 4)) @ tril.T
    mixture = gaussian_mixture(
        jnp.zeros((EVENTS, components)),
        middle[:, None] + away,
        np.sqrt(1 - share) * tril[None, None] + 0 * away[..., None],
    )
    whole = np.broadcast_to(COVARIANCE, (EVENTS, 4, 4)).astype(np.float32)
    label = Label(np.asarray(truth), np.ones((EVENTS, 4), bool))
    return Posterior(mixture, 0.25 * whole, 0.75 * whole), label
