"""Whether the stored draws of a sampler have mixed: split R-hat and effective sample size by NumPyro, of every weight.

A single chain is split into halves, which agree once it has forgotten where it began (Gelman and others 2013, Bayesian
Data Analysis, section 11.4). Weights of a network are exchangeable in many ways, and among thousands some differ by
chance: the criterion is on quantiles over weights, and says nothing of modes that a chain never reached.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

from jaxloc.inference.sample_buffer import Kept
from jaxloc.types import Diagnosis

FEWEST = 4  # draws, which R-hat of halves needs
LARGEST_R_HAT, LEAST_ESS = 1.1, 20.0
MOST_WEIGHTS = 2000  # that are looked at, evenly spaced: quantiles over them are as good as over all
CRITERION = (
    f"split R-hat of 95 per cent of the weights below {LARGEST_R_HAT:g}, and an effective sample size of at least "
    f"{LEAST_ESS:g} for as many"
)


def diagnosis_of(kept: Kept) -> Diagnosis:
    """Convergence of a chain by its stored draws; a chain with fewer than `FEWEST` has not converged."""
    draws = np.asarray(_in_order(kept))
    if len(draws) < FEWEST:
        return _diagnosis(len(draws), np.inf, 0.0)
    chain = draws[None, :, :: -(-draws.shape[1] // MOST_WEIGHTS)].astype(float)
    moves = chain.std(1)[0] > 0  # neither is defined for a weight that stands still
    if not moves.any():
        return _diagnosis(len(draws), np.inf, 0.0)
    r_hat, ess = (np.asarray(of(chain[..., moves])) for of in (split_gelman_rubin, effective_sample_size))
    still = np.inf if moves.mean() < 0.95 else 0.0
    return _diagnosis(len(draws), max(float(np.quantile(r_hat, 0.95)), still), float(np.quantile(ess, 0.05)))


def _in_order(kept: Kept) -> Float[Array, "draw weight"]:
    """Draws from the first that is still stored to the last."""
    number, room = int(jax.device_get(kept.number)), len(kept.weights)
    return kept.weights[:number] if number <= room else jnp.roll(kept.weights, -(number % room), 0)


def _diagnosis(number: int, r_hat: float, ess: float) -> Diagnosis:
    converged = jnp.asarray(r_hat < LARGEST_R_HAT and ess >= LEAST_ESS)
    figures = {"stored_draws": jnp.asarray(number), "r_hat_p95": jnp.asarray(r_hat), "ess_p05": jnp.asarray(ess)}
    return Diagnosis(converged, CRITERION, figures)
